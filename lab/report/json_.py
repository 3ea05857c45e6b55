"""A run as one JSON document, for programs."""

from __future__ import annotations

import json
from typing import Any

from lab.ledger import RunRecord
from lab.model.result import Cell
from lab.report.matrix import Head, Matrix

__all__ = ["SCHEMA", "render"]

SCHEMA = 1
"""Version of the document: it changes when a field goes or changes its meaning, not when one is added."""


def render(record: RunRecord) -> str:
    """Return the document.  Cells that were not run are named in ``missing`` and have no entry in ``cells``."""
    matrix = Matrix(record)
    run = record.run
    document = {
        "schema": SCHEMA,
        "lab": run.lab,
        "run": {
            "id": run.id,
            "started": run.started.isoformat(),
            "seed": run.seed,
            "jobs": run.jobs,
            "runtime": run.runtime,
            "timeout_ms": run.timeout_ms,
            "scenarios": run.scenarios,
        },
        "clients": [_client(head) for head in matrix.heads],
        "cells": [_cell(cell) for row in matrix.rows for cell in row.cells if cell is not None],
        "missing": [
            {"scenario": row.scenario, "case": row.case, "client": head.name}
            for row in matrix.rows
            for head, cell in zip(matrix.heads, row.cells, strict=True)
            if cell is None
        ],
    }
    # A line an entry: such a document can be searched and compared by line, and stays small.
    fields = [f"{json.dumps(name)}: {_lines(value)}" for name, value in document.items()]
    return "{" + ",\n ".join(fields) + "}\n"


def _lines(value: object) -> str:
    if not isinstance(value, list):
        return json.dumps(value)
    return "[" + ",\n  ".join(map(json.dumps, value)) + "]"


def _client(head: Head) -> dict[str, Any]:
    failed = [control for control in head.controls if control.outcome == "failed"]
    controls = "; ".join(f"{one.name}: {one.why}" for one in failed)
    state = head.state
    return {
        "name": head.name,
        "stack": head.lines[0],
        "version": state.version if state else "",
        "digest": state.digest if state else "",
        "runtime": state.runtime if state else "",
        "clock": state.clock if state else "",
        "controls": controls or head.trouble or "ok",
        "not_checked": [control.name for control in head.not_checked],
        "why": head.why if head.trouble else "",
    }


def _cell(cell: Cell) -> dict[str, Any]:
    observation = cell.observation.model_dump(mode="json")
    return {
        "scenario": cell.scenario,
        "case": cell.case,
        "chain": cell.chain,
        "store": cell.store,
        "time": cell.time,
        "at": cell.at.isoformat(),
        "client": cell.client,
        "expected": str(cell.expected),
        **{name: observation[name] for name in ("observed", "stage", "code", "text", "reason", "said")},
        "verdict": str(cell.verdict),
        "marked": cell.marked,
        "why": cell.why,
        "source": cell.source,
        **{name: observation[name] for name in ("tls", "path", "clock", "stderr")},
        "witness": cell.witness.model_dump(mode="json"),
        "ms": cell.ms,
    }
