"""Writes JSON Schemas of everything that people and other programs write or read: ``python -m lab.schemas``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue

from lab.corpus import home
from lab.ledger import KINDS
from lab.model.client import ClientManifest, Deviations
from lab.model.scenario import Scenario
from lab.model.wire import Hello, Probe, Report

__all__ = ["folder", "main", "schemas", "stale", "write"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DOCUMENTS: Mapping[str, tuple[type[BaseModel], JsonSchemaMode, str]] = {
    "scenario": (Scenario, "validation", "scenarios/<slug>/scenario.toml"),
    "client": (ClientManifest, "validation", "clients/<stack>/client.toml"),
    "deviations": (Deviations, "validation", "clients/<stack>/deviations.toml"),
    "hello": (Hello, "validation", "A client's first line"),
    "probe": (Probe, "serialization", "The lab's line for each probe"),
    "report": (Report, "validation", "A client's line for each probe"),
}
"""What each schema describes, and whether the lab reads it or writes it."""


class _Generator(GenerateJsonSchema):
    """Leaves out the titles that pydantic derives from field names, and keeps the docstrings."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Say that no field needs a title beside its name."""
        return False


def folder() -> Path:
    """Return where the schemas are kept."""
    return home() / "schemas"


def schemas() -> dict[str, JsonSchemaValue]:
    """Return every schema by the name of its file, without ``.json``."""
    found = {name: _schema(name, model, mode, what) for name, (model, mode, what) in _DOCUMENTS.items()}
    # The slug is the folder's name: an author does not write it.
    found["scenario"]["properties"].pop("slug")
    found["scenario"]["required"].remove("slug")
    _accept_short_expectations(found["scenario"])
    found["ledger"] = _ledger()
    return found


def _schema(name: str, model: type[BaseModel], mode: JsonSchemaMode, what: str) -> JsonSchemaValue:
    body = model.model_json_schema(mode=mode, schema_generator=_Generator)
    return {"$schema": _DIALECT, **body, "title": f"tlslab {name}", "description": f"{what}: {body['description']}"}


def _accept_short_expectations(scenario: JsonSchemaValue) -> None:
    """Say what the model's validator does: an expectation is a word, or a table with that word and a ``why``."""
    definitions = scenario["$defs"]
    full = definitions["Expectation"]
    reasons = "|".join(definitions["Reason"]["enum"])
    word = {
        "type": "string",
        "pattern": f"^(accept|either|reject(:({reasons}))?)$",
        "description": "accept, either, or reject with its reason: ``reject:unknown-ca``",
    }
    definitions.pop("Expect")
    table = {**full, "properties": {**full["properties"], "expect": word}}
    definitions["Expectation"] = {"anyOf": [word, table]}


def _ledger() -> JsonSchemaValue:
    """Return the schema of one line of a ledger: a kind, and the record that belongs to it."""
    definitions: dict[str, Any] = {}
    lines = []
    for kind, model in KINDS.items():
        body = model.model_json_schema(mode="validation", schema_generator=_Generator, ref_template="#/$defs/{model}")
        definitions.update(body.pop("$defs", {}))
        definitions[model.__name__] = body
        record = {"$ref": f"#/$defs/{model.__name__}"}
        line = {"kind": {"const": kind}, "record": record}
        lines.append({"type": "object", "properties": line, "required": list(line)})
    return {
        "$schema": _DIALECT,
        "title": "tlslab ledger",
        "description": "ledger.jsonl: one line of a run's ledger.  The first is the header, of kind run.",
        "oneOf": lines,
        "$defs": definitions,
    }


def _files() -> dict[str, str]:
    return {f"{name}.json": json.dumps(body, indent=2, sort_keys=True) + "\n" for name, body in schemas().items()}


def stale(target: Path) -> list[str]:
    """Return the names of the files in ``target`` that do not say what the models say, missing ones included."""
    wanted = _files()
    there = {path.name: path.read_text(encoding="utf-8") for path in target.glob("*.json")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def write(target: Path) -> None:
    """Write every schema into ``target``, and delete the files of schemas that are no more."""
    target.mkdir(parents=True, exist_ok=True)
    wanted = _files()
    for path in target.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (target / name).write_text(text, encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Write the schemas, or with ``--check`` only tell which are stale; return the exit status."""
    if list(arguments) == ["--check"]:
        old = stale(folder())
        if old:
            sys.stderr.write(f"stale: {', '.join(old)} (run python -m lab.schemas)\n")
        return 1 if old else 0
    if arguments:
        sys.stderr.write("usage: python -m lab.schemas [--check]\n")
        return 2
    write(folder())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
