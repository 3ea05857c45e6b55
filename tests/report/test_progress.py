"""How far a run is."""

from __future__ import annotations

import io

from rich.console import Console

from lab.report.progress import RunProgress


def test_silent_without_a_terminal() -> None:
    """Where standard error is no terminal, progress counts and prints nothing."""
    out = io.StringIO()
    with RunProgress({"a-1": 2}, Console(file=out)) as progress:
        progress.advance("a-1")

    assert out.getvalue() == ""
    assert progress.cells == (1, 2)


def test_counts_cells_of_all_columns() -> None:
    """Cells done before count from the start; a column that gives up takes its rest out of the whole."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=6)
    totals = {f"[red]{index}-1": 3 for index in range(9)}
    with RunProgress(totals, console, done={"[red]0-1": 1}) as progress:
        assert progress.cells == (1, 27)
        for name in totals:
            progress.advance(name)
        progress.advance("stranger")
        progress.give_up("[red]3-1")
        progress.give_up("[red]3-1")
        progress.advance("[red]3-1")

    assert progress.cells == (12, 25)
    assert "[red]0-1" in console.file.getvalue()  # type: ignore[attr-defined]
