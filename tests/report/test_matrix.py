"""The matrix that all forms share."""

from __future__ import annotations

from dataclasses import replace

from lab.ledger import RunRecord
from lab.model.result import Verdict
from lab.report.matrix import Head, Matrix
from tests.report import synthetic as made


def test_rows_and_columns_follow_the_plan() -> None:
    """Rows stand in the order of the run's cases, cells in that of its columns, each at its own place."""
    matrix = Matrix(made.wide(4, 3, 2))

    assert tuple(f"{row.scenario}/{row.case}" for row in matrix.rows) == matrix.run.cases
    for row in matrix.rows:
        for head, cell in zip(matrix.heads, row.cells, strict=True):
            assert cell is not None
            assert (cell.client, cell.case, cell.scenario) == (head.name, row.case, row.scenario)


def test_a_partial_run_has_holes() -> None:
    """What was not run keeps its place as None, and is counted as missing, not as anything else."""
    record = made.example()
    partial = replace(record, cells=record.cells[:3], columns=record.columns[:1], exhibits=())
    matrix = Matrix(partial)

    assert matrix.missing == 4 * 8 - 3
    assert sum(matrix.counts.values()) == 3
    assert [head.trouble for head in matrix.heads[:2]] == ["", "not started"]
    assert [group.title for group in matrix.groups] == [""]
    assert matrix.rows[1].expected is None


def test_tallies_count_known_outages_as_dead() -> None:
    """A column's total of what does not connect has every rejection, whatever its verdict."""
    matrix = Matrix(made.example())
    tallies = {head.name: tally for head, tally in zip(matrix.heads, matrix.tallies, strict=True)}

    assert [(tally.does_not, tally.run) for tally in tallies.values()] == [
        (3, 4), (2, 4), (2, 4), (0, 4), (1, 4), (0, 3), (0, 4), (0, 0),
    ]  # fmt: skip
    assert tallies["gnutls-3.7.9"].unknown == 2


def test_findings_come_gravest_first() -> None:
    """What is new is sorted by gravity and holds no known, open, unsupported or unjudged cell."""
    found = [cell.verdict for cell, _ in Matrix(made.example()).findings]

    assert found == [Verdict.EXPOSURE, Verdict.OUTAGE, Verdict.FAULT, Verdict.INCONCLUSIVE, Verdict.FIXED]


def test_heads_break_names_into_lines() -> None:
    """A column's name is read as stack, version and options, with or without its state."""
    state = made.column("go-std-1.19.8+x+y", "go-std")

    assert Head(state.name, state, ()).lines == ("go-std", "1.19.8", "+x", "+y")
    assert Head("openssl-1.0.2q+trusted-first", None, ()).lines == ("openssl", "1.0.2q", "+trusted-first")
    assert Head("board", None, ()).lines == ("board", "")


def test_a_known_deviation_is_said_once() -> None:
    """Clients that deviate alike in the same cases share one line; another reason makes another line."""
    cases = ("s/a+b@c", "s/a+b@d")
    names = ("x-1", "x-2", "y-1")
    cells = [
        made.cell(case, name, "accept", "known", made.EXPIRED, why="old" if name != "y-1" else "new")
        for case in cases
        for name in names
    ]
    record = RunRecord(made.run(cases, names), (), (), (), tuple(cells))

    known = Matrix(record).groups[0].known
    assert [(one.clients, one.cases, one.why) for one in known] == [
        (("x-1", "x-2"), ("a+b@c", "a+b@d"), "old"),
        (("y-1",), ("a+b@c", "a+b@d"), "new"),
    ]


def test_a_run_without_cases_is_a_matrix() -> None:
    """A header alone is a run: nothing to draw is not an error."""
    matrix = Matrix(RunRecord(made.run((), ("x-1",)), (), (), (), ()))

    assert matrix.rows == ()
    assert [tally.run for tally in matrix.tallies] == [0]
