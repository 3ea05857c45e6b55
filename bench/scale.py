"""What a case costs as the corpus grows, and what a column costs as a container: ``make bench``.

Each row is a run in a process of its own, from scenario files to reports, of scenarios of twenty cases each: two
chains, two trust stores, five times.  One client session, so that nothing waits for a processor:

- ``prepare``: scenarios read, checked and minted (keys are kept from run to run), every exhibit's TLS context made,
  the client found and started;
- ``cells``: from the first cell to the last, judged and in the ledger;
- ``reports``: the ledger read again, and every form of report written.

Rounds take turns; the tables show the fastest of each, which other programs on the machine disturb least.  What every
run costs whatever its size is in the first row's figures most; so the last columns say what one case *more* costs, from
the row above to this one, in processor time of the lab.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from lab.campaign import Campaign, DialIn, conduct
from lab.clients.container import engine_answers
from lab.corpus import Corpus, load_scenario
from lab.ledger import RunRecord
from lab.model.result import Cell, ColumnState
from lab.report import write_all
from lab.run import Progress, Settings

SCENARIO = """
schema = 1
title = "scale {number}"
date = 2024-06-01
summary = "For the bench."
server = {{ host = "s{number}.example" }}
[entities]
root = {{ key = "ec256" }}
other = {{ key = "ec256" }}
issuer = {{ key = "ec256" }}
site = {{ dns = ["s{number}.example"], key = "ec256" }}
[certificates]
root = {{ subject = "root", issuer = "root" }}
other = {{ subject = "other", issuer = "other" }}
issuer = {{ subject = "issuer", issuer = "root" }}
site = {{ subject = "site", issuer = "issuer", from = 2024-01-01T00:00:00Z, until = 2024-12-31T00:00:00Z }}
[stores]
root = ["root"]
both = ["other", "root"]
[times]
{times}
[chains]
chain = {{ send = ["site", "issuer"], at = [{names}] }}
whole = {{ send = ["site", "issuer", "root"], at = [{names}] }}
[expect.chain]
root = {{ {accept} }}
both = {{ {accept} }}
[expect.whole]
root = {{ {accept} }}
both = {{ {accept} }}
"""
TIMES = ("march", "april", "may", "june", "july")
PER_SCENARIO = 20
PHASES = ("prepare", "cells", "reports")


def write_scenarios(folder: Path, cases: int) -> None:
    """Write scenarios that have so many cases together."""
    for number in range(cases // PER_SCENARIO):
        text = SCENARIO.format(
            number=number,
            times="\n".join(f"{name} = 2024-{month:02}-10T00:00:00Z" for month, name in enumerate(TIMES, 3)),
            names=", ".join(f'"{name}"' for name in TIMES),
            accept=", ".join(f'{name} = "accept"' for name in TIMES),
        )
        (folder / f"scale-{number}").mkdir(parents=True)
        (folder / f"scale-{number}" / "scenario.toml").write_text(text)


class Marks(Progress):
    """The clocks, read when something begins or ends."""

    def __init__(self) -> None:
        self.begun = self.prepared = self.first = self.last = self.reported = self.now()
        self.cells = 0

    @staticmethod
    def now() -> tuple[float, float]:
        """Return wall clock and the lab's processor time, in seconds."""
        return time.perf_counter(), time.process_time()

    def column(self, state: ColumnState) -> None:
        """Note that all is ready for the column's controls."""
        if state.state != "ok":
            raise SystemExit(f"{state.name}: {state.why}")
        self.prepared = self.now()

    def cell(self, cell: Cell) -> None:
        """Note a cell."""
        if cell.observation.observed != "accepted":
            raise SystemExit(f"{cell.client}: {cell.observation}")
        self.last, self.cells = self.now(), self.cells + 1
        if self.cells == 1:
            self.first = self.last

    def took(self, clock: int) -> dict[str, float]:
        """Return the milliseconds of each phase by one of the two clocks."""
        ends = ((self.begun, self.prepared), (self.first, self.last), (self.last, self.reported))
        return {name: (end[clock] - start[clock]) * 1000 for name, (start, end) in zip(PHASES, ends, strict=True)}


def measure(cases: int, column: str, runtime: str) -> dict[str, Any]:
    """Make one run; return milliseconds of wall clock and of processor time by phase, and the memory in MiB."""
    with tempfile.TemporaryDirectory(prefix="tlslab-scale-") as folder:
        write_scenarios(Path(folder, "scenarios"), cases)
        marks = Marks()
        corpus = Corpus().sound()
        marks.begun = marks.now()
        files = [load_scenario(one)[0] for one in sorted(Path(folder, "scenarios").glob("*/scenario.toml"))]
        campaign = Campaign(
            corpus=corpus,
            scenarios=tuple(file for file in files if file is not None),
            clients=tuple(corpus.choose_clients([column])),
            runtime=runtime,
            folder=Path(folder, "run"),
            seed=1,
            settings=Settings(jobs=1),
            dial=DialIn(),
        )

        def report(record: RunRecord) -> None:
            write_all(record, campaign.folder)
            marks.reported = marks.now()

        failures: list[Any] = []

        def begin() -> None:
            done = Deferred.fromCoroutine(conduct(reactor, campaign, marks, report=report))
            done.addErrback(failures.append)
            done.addBoth(lambda _result: reactor.stop())

        reactor.callWhenRunning(begin)
        reactor.run()
        if failures:
            failures[0].raiseException()
    assert marks.cells == cases
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": marks.took(0), "cpu": marks.took(1), "mib": mib}


def apart(cases: int, column: str, runtime: str) -> dict[str, Any]:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--one", str(cases), "--client", column, "--runtime", runtime]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def fastest(measured: list[dict[str, Any]], clock: str, phases: tuple[str, ...]) -> float:
    """Return the milliseconds of some phases, each in its fastest round."""
    return float(sum(min(one[clock][phase] for one in measured) for phase in phases))


def compare(sizes: list[int], column: str, rounds: int) -> None:
    """Print what a case costs at each size, what one case more costs, and what both are beside the first row's."""
    found: dict[int, list[dict[str, Any]]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            found[size].append(apart(size, column, "process"))
    title = f"what a case costs as cases grow ({column}; milliseconds a case)"
    table = Table(title=title, box=None, pad_edge=False)
    headings = ("in all", "ratio", "lab's CPU", "ratio", "one more", "ratio", "peak MiB", "KiB a case")
    for heading in ("cases", *PHASES, *headings):
        table.add_column(heading, justify="right")
    before, more_before = 0, 0.0
    for size, measured in found.items():
        wall, cpu, mib = fastest(measured, "wall", PHASES), fastest(measured, "cpu", PHASES), lightest(measured)
        if not before:
            first_wall, first_cpu, more, more_ratio, grown = wall / size, cpu / size, "", "", ""
        else:
            each = (cpu - fastest(found[before], "cpu", PHASES)) / (size - before)
            more, more_ratio = f"{each:.2f}", f"{each / more_before:.2f}" if more_before else "1.00"
            grown = f"{(mib - lightest(found[before])) * 1024 / (size - before):.0f}"
            more_before = more_before or each
        table.add_row(
            str(size),
            *(f"{fastest(measured, 'wall', (phase,)) / size:.2f}" for phase in PHASES),
            *(f"{wall / size:.2f}", f"{wall / size / first_wall:.2f}"),
            *(f"{cpu / size:.2f}", f"{cpu / size / first_cpu:.2f}", more, more_ratio, f"{mib:.0f}", grown),
        )
        before = size
    Console(width=140).print(table)


def lightest(measured: list[dict[str, Any]]) -> float:
    """Return the least peak of resident memory, in MiB."""
    return float(min(one["mib"] for one in measured))


def runtimes(cases: int, columns: list[str], rounds: int) -> None:
    """Print what a cell costs as a process and as a container."""
    if not engine_answers():
        print("no Docker engine answers: what a container costs is not measured")
        return
    title = f"what a container costs (milliseconds a cell, {cases} cells)"
    table = Table(title=title, box=None, pad_edge=False)
    table.add_column("", min_width=28)
    for heading in ("process", "container", "ratio"):
        table.add_column(heading, justify="right")
    for column in columns:
        found: dict[str, list[dict[str, Any]]] = {"process": [], "docker": []}
        for _ in range(rounds):
            for runtime, measured in found.items():
                measured.append(apart(cases, column, runtime))
        native, container = (fastest(measured, "wall", ("cells",)) / cases for measured in found.values())
        table.add_row(column, f"{native:.2f}", f"{container:.2f}", f"{container / native:.2f}")
    Console(width=120).print(table)


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--client", default="openssl-1.0.2q", help="the column (openssl-1.0.2q)")
    parser.add_argument("--cases", type=int, nargs="+", default=[100, 400, 1500], help="sizes (100 400 1500)")
    parser.add_argument("--runtime", default="process", help=argparse.SUPPRESS)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.client, given.runtime)))
        return
    compare(given.cases, given.client, given.rounds)
    runtimes(given.cases[len(given.cases) // 2], [given.client, "mbedtls-2.28.3", "bearssl-0.6"], given.rounds)


if __name__ == "__main__":
    main()
