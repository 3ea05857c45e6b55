"""Two runs side by side."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from lab.ledger import RunRecord
from lab.model.result import Verdict
from lab.report.diff import Diff, compare, print_diff
from tests.report import synthetic as made


def printed(diff: Diff) -> str:
    out = io.StringIO()
    print_diff(diff, Console(file=out, width=80))
    return out.getvalue()


def later() -> RunRecord:
    """Return the example a week later: one cell better, one worse, one gone, one column gone and one come."""
    old = made.example()
    cells = []
    for cell in old.cells:
        if (cell.client, cell.case) == ("gnutls-3.7.9", "long+both@after"):
            cells.append(cell.model_copy(update={"observation": made.OK, "verdict": Verdict.PASS}))
        elif (cell.client, cell.case) == ("bearssl-0.6", "long+both@after"):
            cells.append(cell.model_copy(update={"observation": made.EXPIRED, "verdict": Verdict.OUTAGE}))
        elif cell.client == "wolfssl-5.5.4":
            cells.append(cell.model_copy(update={"client": "wolfssl-5.6.0"}))
        elif (cell.client, cell.case) != ("bearssl-0.6", "long+both@before"):
            cells.append(cell)
    names = tuple(name.replace("wolfssl-5.5.4", "wolfssl-5.6.0") for name in old.run.columns)
    run = old.run.model_copy(update={"columns": names, "id": "20260109-030405-7"})
    states = (made.column("wolfssl-5.6.0", "wolfssl"), made.column("java-17.0.15", "java"))
    return RunRecord(run, (*old.columns[:5], old.columns[6], *states), old.controls, old.exhibits, tuple(cells))


def test_a_run_equals_itself() -> None:
    """A run compared with itself has no change, whatever its times and evidence."""
    record = made.example()
    slower = replace(record, cells=tuple(cell.model_copy(update={"ms": 99.0}) for cell in record.cells))
    diff = compare(record, slower)

    assert not diff
    assert diff.counts["same"] == len(record.cells)


def test_what_changed() -> None:
    """Changed, new and missing cells and columns are each said once, the gravest first."""
    diff = compare(made.example(), later())

    assert [(change.new.id, change.direction, change.fields) for change in diff.changed] == [
        (f"{made.LE}/long+both@after@bearssl-0.6", "worse", ("observed", "code", "reason", "verdict")),
        (f"{made.LE}/long+both@after@gnutls-3.7.9", "better", ("observed", "code", "reason", "verdict")),
    ]
    assert [cell.id for cell in diff.missing_cells] == [f"{made.LE}/long+both@before@bearssl-0.6"]
    assert (diff.new_columns, diff.missing_columns) == (("wolfssl-5.6.0",), ("wolfssl-5.5.4",))
    assert diff.states == (("java-17.0.15", "unbuilt", ""),)
    assert diff.new_cells == ()
    assert compare(later(), made.example()).new_cells == diff.missing_cells


def test_the_text() -> None:
    """The text names each change with the sign, the word and the code before and after."""
    assert printed(compare(made.example(), later())) == (
        "20260102-030405-7 → 20260109-030405-7\n"
        "letsencrypt-2021/long+both@after@bearssl-0.6\n"
        "  ● pass → ○ outage  no code → code 10, certificate has expired\n"
        "letsencrypt-2021/long+both@after@gnutls-3.7.9\n"
        "  ○ outage → ● pass  code -3, weak → no code\n"
        "missing cell  letsencrypt-2021/long+both@before@bearssl-0.6  was ● pass\n"
        "new column  wolfssl-5.6.0\n"
        "missing column  wolfssl-5.5.4\n"
        "column  java-17.0.15  unbuilt → ok\n"
        "same 21, worse 1, better 1, missing cells 1, new columns 1, missing columns 1\n"
    )


def test_hostile_text_is_text() -> None:
    """Names from a ledger cannot steer the terminal."""
    assert "\x1b" not in printed(compare(made.example(), made.hostile()))
