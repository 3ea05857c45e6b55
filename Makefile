# What to do here; `make` alone says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN      := .venv/bin
RUNTIME  ?= $(or $(TLSLAB_RUNTIME),auto)
SCENARIO ?=
CLIENT   ?= seed
RESULTS  ?= results
PYTEST   ?=
export TLSLAB_RUNTIME := $(RUNTIME)

# RUNTIME, or docker where auto finds an engine.
USES_DOCKER = [ $(RUNTIME) = docker ] || { [ $(RUNTIME) = auto ] && docker info >/dev/null 2>&1; }
# Compose v2 is a plugin, v1 a program of its own that cannot drive BuildKit without buildx.
COMPOSE = $$(docker compose version >/dev/null 2>&1 && echo docker compose || \
	echo env COMPOSE_DOCKER_CLI_BUILD=0 DOCKER_BUILDKIT=0 docker-compose)

.PHONY: help setup matrix fleet compose test lint format docs bench soak clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo 'variables: RUNTIME=auto|docker|process  SCENARIO="NAME..."  CLIENT="NAME..."  RESULTS=DIR  PYTEST="OPTIONS"  PYTHON=...'

setup: ## .venv, and the Debian packages that building the clients takes
	@tools/setup

matrix: setup ## every scenario before the seed clients, told here, whole in results/; SCENARIO=NAME prints one
	@if $(USES_DOCKER); then tools/base-image bookworm; fi
	@$(BIN)/tlslab run $(SCENARIO) $(CLIENT:%=--client %) --runtime $(RUNTIME) --output $(RESULTS)

fleet: setup ## every client of the repository as an image, in parallel; needs an engine
	@for suite in bookworm $$(sed -n 's/^suite *= *"\([a-z]*\)".*/\1/p' clients/*/client.toml | sort -u); do tools/base-image $$suite; done
	@$(BIN)/tlslab clients build all --runtime docker

compose: setup ## the same from docker-compose.yml, everything fetched beforehand
	@tools/base-image bookworm
	@tools/prefetch
	@mkdir -p results
	@export TLSLAB_TOKEN=$$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n'); \
	status=0; $(COMPOSE) up --build --exit-code-from lab || status=$$?; \
	$(COMPOSE) down --remove-orphans >/dev/null 2>&1 || true; exit $$status

test: setup ## pytest, options in PYTEST; the tests of containers where an engine answers
	@if $(USES_DOCKER); then marks=; else marks='not docker'; echo 'no Docker engine answers: the tests of containers are left out'; fi; \
	$(BIN)/python -m pytest $${marks:+-m "$$marks"} $(PYTEST)

lint: setup ## style, types, layers, scenarios and clients, shell
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/shellcheck -x .ci/run $$(grep -lE '^#!.*\b(ba)?sh\b' tools/*) tools/common.sh
	@$(BIN)/tlslab lint

format: setup ## let ruff put the code in order
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: setup ## the manual, in docs/_build
	@tools/need graphviz
	@$(BIN)/sphinx-build -q -W -n --keep-going docs docs/_build

bench: setup ## what the lab itself costs beside the handshake, as cases grow, and as containers
	@$(BIN)/python bench/bench.py
	@$(BIN)/python bench/scale.py
	@if ls $(RESULTS)/*/ledger.jsonl >/dev/null 2>&1; then $(BIN)/python bench/columns.py --results $(RESULTS); fi

soak: setup ## every case with a fault, three rounds of all kinds, in one lab: nothing leaks, no other cell changes
	@$(BIN)/python bench/soak.py $(SCENARIO)

clean: ## what was built here; .venv, results/ and a running engine stay
	@for folder in clients/*/; do if [ -f $$folder/Makefile ]; then make -C $$folder clean >/dev/null 2>&1 || true; fi; done
	@rm -rf dist docs/_build docs/catalogue *.egg-info .tox .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	@rm -rf clients/*/build clients/*/dist
	@find build -mindepth 1 -maxdepth 1 ! -name engine -exec rm -rf {} + 2>/dev/null || true
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
