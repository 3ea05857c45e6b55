"""What each column of a run cost: ``python bench/columns.py [results/RUN]``; the newest run unless one is named.

The milliseconds of a cell are those of its probe, from the line to the client until the witness has settled; what a
column costs before its first cell (start, controls, features) is not in the ledger.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab.ledger import FILE_NAME, RunRecord, read
from lab.report.words import duration


def newest(results: Path) -> Path:
    """Return the folder of the newest run below ``results``."""
    folders = sorted(file.parent for file in results.glob(f"*/{FILE_NAME}"))
    if not folders:
        raise SystemExit(f"there is no run below {results}")
    return folders[-1]


def print_columns(record: RunRecord) -> None:
    """Print what the cells of each column took, the dearest column first."""
    took: dict[str, list[float]] = defaultdict(list)
    for cell in record.cells:
        if cell.ms:  # an unsupported case is not probed
            took[cell.client].append(cell.ms)
    table = Table(title=f"what a column costs ({record.run.id}, {record.run.runtime})", box=None, pad_edge=False)
    table.add_column("", min_width=28)
    for heading in ("cells", "median ms", "mean ms", "slowest 5 % from", "in all"):
        table.add_column(heading, justify="right")
    for name, times in sorted(took.items(), key=lambda one: -sum(one[1])):
        slow = sorted(times)[int(len(times) * 0.95)]
        figures = (statistics.median(times), statistics.fmean(times), slow)
        table.add_row(name, str(len(times)), *(f"{one:.1f}" for one in figures), duration(sum(times) / 1000))
    every = [one for times in took.values() for one in times]
    if every:
        middle, mean = statistics.median(every), statistics.fmean(every)
        table.add_row("all", str(len(every)), f"{middle:.1f}", f"{mean:.1f}", "", duration(sum(every) / 1000))
    Console(width=120).print(table)


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, help="a run's folder (the newest)")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="where the newest is looked for (results)"
    )
    given = parser.parse_args()
    print_columns(read(given.run or newest(given.results)))


if __name__ == "__main__":
    main()
