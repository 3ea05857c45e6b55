"""Two runs side by side: which cells say something else now, and what came or went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from lab.ledger import RunRecord
from lab.model.result import Cell, Verdict
from lab.report.matrix import Matrix
from lab.report.table import STYLES
from lab.report.words import SEVERITY, native, printable, sign_of, word_of

__all__ = ["Change", "Diff", "compare", "print_diff"]


@dataclass(frozen=True)
class Change:
    """A cell that both runs have, and that is not the same in both."""

    old: Cell
    new: Cell

    @property
    def fields(self) -> tuple[str, ...]:
        """What differs, of: observed, code, reason, verdict."""
        before, after = _said(self.old), _said(self.new)
        return tuple(name for name in before if before[name] != after[name])

    @property
    def direction(self) -> str:
        """``worse`` or ``better`` where the verdict is graver or milder; else ``other``."""
        before, after = SEVERITY.index(self.old.verdict), SEVERITY.index(self.new.verdict)
        return "worse" if after < before else "better" if after > before else "other"


@dataclass(frozen=True)
class Diff:
    """What changed from one run to another.

    ``changed`` is sorted: the gravest new verdict first, then as in the new run.  New and missing cells are those of
    columns that both runs have; a column that came or went is said once, by name.  ``states`` are columns that both
    runs have, with their trouble before and after.
    """

    old: str
    new: str
    changed: tuple[Change, ...]
    new_cells: tuple[Cell, ...]
    missing_cells: tuple[Cell, ...]
    new_columns: tuple[str, ...]
    missing_columns: tuple[str, ...]
    states: tuple[tuple[str, str, str], ...]
    same: int

    @property
    def counts(self) -> dict[str, int]:
        """How many of each; ``worse``, ``better`` and ``other`` are the changed cells."""
        directions = Counter(change.direction for change in self.changed)
        return {
            "same": self.same,
            **{name: directions[name] for name in ("worse", "better", "other")},
            "new cells": len(self.new_cells),
            "missing cells": len(self.missing_cells),
            "new columns": len(self.new_columns),
            "missing columns": len(self.missing_columns),
        }

    def __bool__(self) -> bool:
        return bool(
            self.changed
            or self.new_cells
            or self.missing_cells
            or self.new_columns
            or self.missing_columns
            or self.states
        )


def compare(old: RunRecord, new: RunRecord) -> Diff:
    """Return what changed from ``old`` to ``new``, by cell: scenario, case and client."""
    before = {cell.id: cell for cell in old.cells}
    after = {cell.id: cell for cell in new.cells}
    shared = set(old.run.columns) & set(new.run.columns)
    changed = [
        Change(before[name], cell)
        for name, cell in after.items()
        if name in before and _said(before[name]) != _said(cell)
    ]
    troubles = [{head.name: head.trouble for head in Matrix(record).heads} for record in (old, new)]
    return Diff(
        old=old.run.id,
        new=new.run.id,
        changed=tuple(sorted(changed, key=lambda change: SEVERITY.index(change.new.verdict))),
        new_cells=tuple(cell for name, cell in after.items() if name not in before and cell.client in shared),
        missing_cells=tuple(cell for name, cell in before.items() if name not in after and cell.client in shared),
        new_columns=tuple(name for name in new.run.columns if name not in shared),
        missing_columns=tuple(name for name in old.run.columns if name not in shared),
        states=tuple(
            (name, troubles[0][name], troubles[1][name])
            for name in new.run.columns
            if name in shared and troubles[0][name] != troubles[1][name]
        ),
        same=sum(name in before for name in after) - len(changed),
    )


def print_diff(diff: Diff, console: Console) -> None:
    """Print what changed, the gravest first, and the counts."""
    lines = [Text(printable(f"{diff.old} → {diff.new}"), "bold")]
    for change in diff.changed:
        lines += [Text(printable(f"{change.new.id}"), "bold"), _change(change)]
    lines += [Text(f"new cell  {printable(cell.id)}  ").append_text(_cell(cell)) for cell in diff.new_cells]
    lines += [Text(f"missing cell  {printable(cell.id)}  was ").append_text(_cell(cell)) for cell in diff.missing_cells]
    lines += [Text(f"new column  {printable(name)}") for name in diff.new_columns]
    lines += [Text(f"missing column  {printable(name)}") for name in diff.missing_columns]
    lines += [
        Text(f"column  {printable(name)}  {before or 'ok'} → {after or 'ok'}") for name, before, after in diff.states
    ]
    counts = [f"{name} {count}" for name, count in diff.counts.items() if count]
    lines.append(Text(", ".join(counts) or "no cell in either run", "dim"))
    for line in lines:
        console.print(line, soft_wrap=True)


def _said(cell: Cell) -> dict[str, object]:
    seen = cell.observation
    return {"observed": seen.observed, "code": seen.code, "reason": seen.reason, "verdict": cell.verdict}


def _cell(cell: Cell) -> Text:
    word = word_of(cell) or ("pass" if cell.verdict is Verdict.PASS else "")
    return Text(f"{sign_of(cell).glyph} {word}", STYLES[cell.verdict])


def _change(change: Change) -> Text:
    line = Text("  ").append_text(_cell(change.old)).append(" → ").append_text(_cell(change.new))
    before, after = native(change.old.observation), native(change.new.observation)
    if before != after:
        line.append("  ").append(printable(f"{before or 'no code'} → {after or 'no code'}"), "dim")
    return line
