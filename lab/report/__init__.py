"""Reports: what people see of a ledger.

``FORMATS`` has the forms that are one text; the terminal's is :func:`lab.report.table.print_table`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lab.ledger import RunRecord
from lab.report import html, json_, junit, markdown

__all__ = ["FORMATS", "write_all"]

FORMATS: Mapping[str, Callable[[RunRecord], str]] = {
    "json": json_.render,
    "markdown": markdown.render,
    "html": html.render,
    "junit": junit.render,
}
"""The name of a form, and what makes it."""

_FILES = {"json": "report.json", "markdown": "report.md", "html": "report.html", "junit": "junit.xml"}


def write_all(record: RunRecord, folder: Path) -> None:
    """Write every form of a run into its folder."""
    for form, name in _FILES.items():
        (folder / name).write_text(FORMATS[form](record), encoding="utf-8")
