"""The matrix that all forms share: rows, columns, counts and findings of a run, whole or partial."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from lab.ledger import RunRecord
from lab.model.result import Cell, ColumnState, Control, ExhibitRecord, RemedyRecord, Verdict
from lab.report.folding import Fold, fold
from lab.report.rows import Row
from lab.report.words import FINDINGS, NOT_RUN, SEVERITY, Sign, native, sign_of

__all__ = ["Group", "Head", "Known", "Matrix", "Tally"]

_VERSIONED = re.compile(r"(?P<stack>.*?)-(?P<version>[0-9].*)", re.DOTALL)


@dataclass(frozen=True)
class Tally:
    """How often a column connects, does not, and cannot be told; ``missing`` was not run."""

    connects: int
    does_not: int
    unknown: int
    missing: int

    @property
    def run(self) -> int:
        """How many cases were run."""
        return self.connects + self.does_not + self.unknown

    @classmethod
    def of(cls, cells: tuple[Cell | None, ...]) -> Tally:
        """Count cells, of which some may be missing."""
        signs = Counter(sign_of(cell) for cell in cells if cell is not None)
        return cls(signs[Sign.CONNECTS], signs[Sign.DOES_NOT], signs[Sign.UNKNOWN], cells.count(None))


@dataclass(frozen=True)
class Head:
    """A column's head: the name in the lines that people read it in, and how it took part."""

    name: str
    state: ColumnState | None
    controls: tuple[Control, ...]

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The stack, the version, and each option: ``openssl``, ``1.0.2q``, ``+trusted-first``."""
        base, *options = self.name.split("+")
        stack, version = base, ""
        if self.state is not None and base.startswith(f"{self.state.stack}-"):
            stack, version = self.state.stack, base[len(self.state.stack) + 1 :]
        elif match := _VERSIONED.fullmatch(base):
            stack, version = match["stack"], match["version"]
        return (stack, version, *(f"+{option}" for option in options))

    @property
    def trouble(self) -> str:
        """Why this column says less than it should; empty where it is sound."""
        if self.state is None:
            return "not started"
        return "" if self.state.state == "ok" else self.state.state.replace("-", " ")

    @property
    def why(self) -> str:
        """The reason for the trouble, in words."""
        if self.state is None:
            return "the run ended before this client began"
        failed = [f"{control.name}: {control.why}" for control in self.controls if control.outcome == "failed"]
        return self.state.why or "; ".join(failed)

    @property
    def not_checked(self) -> tuple[Control, ...]:
        """The controls that its client declares not to check."""
        return tuple(control for control in self.controls if control.outcome == "not-checked")


@dataclass(frozen=True)
class Known:
    """A deviation that was met: by which clients, in which cases of one scenario."""

    clients: tuple[str, ...]
    cases: tuple[str, ...]
    native: str
    why: str
    source: str


@dataclass(frozen=True)
class Group:
    """A scenario and its cases."""

    scenario: str
    title: str
    date: str
    rows: tuple[Row, ...]
    tallies: tuple[Tally, ...]
    shown: tuple[Row | Fold, ...]
    """The rows as people read them: generated ones folded, remedies beside what they remedy."""

    @property
    def remedies(self) -> tuple[RemedyRecord, ...]:
        """The remedies of its cases, each once."""
        every = (remedy for row in self.rows if row.exhibit is not None for remedy in row.exhibit.remedies)
        return tuple({remedy.name: remedy for remedy in every}.values())

    def cells(self, verdict: Verdict) -> tuple[Cell, ...]:
        """Return the cells with a verdict, by case, then by column."""
        return tuple(cell for row in self.rows for cell in row.cells if cell is not None and cell.verdict is verdict)

    @property
    def marked(self) -> tuple[Cell, ...]:
        """The passes whose reason is another one than expected."""
        return tuple(cell for cell in self.cells(Verdict.PASS) if cell.marked)

    @cached_property
    def known(self) -> tuple[Known, ...]:
        """The known deviations met, each said once for all clients that share it."""
        cases: dict[tuple[str, ...], list[str]] = {}
        for cell in self.cells(Verdict.KNOWN):
            cases.setdefault((cell.client, native(cell.observation), cell.why, cell.source), []).append(cell.case)
        clients: dict[tuple[tuple[str, ...], str, str, str], list[str]] = {}
        for (client, code, why, source), names in cases.items():
            clients.setdefault((tuple(names), code, why, source), []).append(client)
        return tuple(Known(tuple(by), names, code, why, source) for (names, code, why, source), by in clients.items())


class Matrix:
    """A run as rows and columns.

    Every case and column of the plan has its place, whether or not it was run: a missing cell is None.
    """

    def __init__(self, record: RunRecord) -> None:
        self.run = record.run
        states = {state.name: state for state in record.columns}
        controls: dict[str, list[Control]] = {}
        for control in record.controls:
            controls.setdefault(control.column, []).append(control)
        self.heads = tuple(Head(name, states.get(name), tuple(controls.get(name, ()))) for name in record.run.columns)
        cells = {(cell.scenario, cell.case, cell.client): cell for cell in record.cells}
        exhibits = {(exhibit.scenario, exhibit.case): exhibit for exhibit in record.exhibits}
        rows = []
        for case_id in record.run.cases:
            scenario, _, case = case_id.partition("/")
            row = tuple(cells.get((scenario, case, name)) for name in record.run.columns)
            rows.append(Row(scenario, case, row, exhibits.get((scenario, case))))
        self.groups = tuple(
            _group(scenario, tuple(part), record.run.columns)
            for scenario, part in groupby(rows, lambda row: row.scenario)
        )

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """All rows, in the run's order."""
        return tuple(row for group in self.groups for row in group.rows)

    @cached_property
    def tallies(self) -> tuple[Tally, ...]:
        """One tally a column, over all scenarios."""
        return tuple(Tally.of(tuple(row.cells[index] for row in self.rows)) for index in range(len(self.heads)))

    @cached_property
    def counts(self) -> dict[Verdict, int]:
        """How many cells have each verdict, the gravest first; verdicts without a cell are left out."""
        counted = Counter(cell.verdict for row in self.rows for cell in row.cells if cell is not None)
        return {verdict: counted[verdict] for verdict in SEVERITY if counted[verdict]}

    @property
    def said_counts(self) -> tuple[tuple[str, int], ...]:
        """The counts in words, with what was not run."""
        said = [("no verdict" if verdict is Verdict.NONE else str(verdict), n) for verdict, n in self.counts.items()]
        return (*said, *([(NOT_RUN, self.missing)] if self.missing else []))

    @cached_property
    def missing(self) -> int:
        """How many cells were not run."""
        return sum(tally.missing for tally in self.tallies)

    @cached_property
    def findings(self) -> tuple[tuple[Cell, ExhibitRecord | None], ...]:
        """What is new, the gravest first, each with what was served."""
        found = [
            (cell, row.exhibit)
            for row in self.rows
            for cell in row.cells
            if cell is not None and cell.verdict in FINDINGS
        ]
        return tuple(sorted(found, key=lambda pair: FINDINGS.index(pair[0].verdict)))

    @cached_property
    def troubled(self) -> tuple[Head, ...]:
        """The columns that failed a control, were not built, or never started."""
        return tuple(head for head in self.heads if head.trouble)


def _group(scenario: str, rows: tuple[Row, ...], columns: tuple[str, ...]) -> Group:
    story = next((row.exhibit for row in rows if row.exhibit is not None), None)
    tallies = tuple(Tally.of(column) for column in zip(*(row.cells for row in rows), strict=True))
    title, date = (story.title, story.date) if story is not None else ("", "")
    return Group(scenario, title, date, rows, tallies, fold(rows, columns))
