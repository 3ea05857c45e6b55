"""Does the lab outlast its own faults?  ``make soak``: every case with a fault, round after round, in one lab.

A clean pass fills the cells of all cases without faults on the wire.  Then come rounds in which every case has a fault
of the catalogue, another one for each case and each round, and a last clean pass.  After the first round, which fills
what is filled once, every round must end with the same descriptors, no child, and no more than a tenth more memory; and
the last clean pass must give the cells of the first.  Exit status 1 where one of these does not hold.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from lab.campaign import gallery_for
from lab.clients.build import cache_folder
from lab.clients.features import SCENARIO as FEATURES
from lab.clients.process import ProcessRuntime
from lab.corpus import Client, Corpus, ScenarioFile
from lab.ledger import Ledger
from lab.model.result import Cell, Run
from lab.model.scenario import Case
from lab.plan import Plan
from lab.run import Progress, Settings, fill
from lab.server.faults import CATALOGUE

MORE_MEMORY = 1.10
PATIENCE_MS = 10_000
"""How long a probe may take that has no fault added: on a busy machine no cell may differ for want of time."""
Cells = dict[tuple[str, str], tuple[object, ...]]


@dataclass(frozen=True)
class FaultedPlan(Plan):
    """A plan in which every case has one fault of the catalogue, ``offset`` further on than its place."""

    offset: int = 0

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """The cases, each with its fault."""
        names = list(CATALOGUE)
        every = [case for file in self.scenarios for case in file.scenario.cases()]
        return tuple(case.with_faults((names[(place + self.offset) % len(names)],)) for place, case in enumerate(every))


class Cellular(Progress):
    """Keeps what matters of each cell."""

    def __init__(self) -> None:
        self.cells: Cells = {}
        self.faulted = 0

    def cell(self, cell: Cell) -> None:
        """Keep what a second run must say as well."""
        seen = cell.observation
        said = (seen.observed, seen.stage, seen.reason, seen.code, cell.verdict)
        self.cells[f"{cell.scenario}/{cell.case}", cell.client] = said
        self.faulted += bool(cell.witness.faults)


@dataclass
class Soak:
    """What is run, and what has been found so far."""

    scenarios: tuple[ScenarioFile, ...]
    clients: tuple[Client, ...]
    corpus: Corpus
    timeout_ms: int
    jobs: int
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="tlslab-soak-")))
    passes: int = 0

    async def fill(self, plan: Plan) -> Cellular:
        """Fill the cells of a plan as a run does, with gallery, runtime and ledger of its own."""
        controls = self.corpus.scenarios["controls"]
        features = self.corpus.scenarios[FEATURES]
        gallery = gallery_for(self.corpus, (features, *self.scenarios))
        gallery.check()
        self.passes += 1
        timeout_ms = self.timeout_ms if isinstance(plan, FaultedPlan) else PATIENCE_MS
        run = Run.model_validate(
            {
                "id": "soak",
                "lab": "",
                "started": "2024-06-01T00:00:00Z",
                "seed": plan.seed,
                "jobs": self.jobs,
                "runtime": "process",
                "timeout_ms": timeout_ms,
                "scenarios": {},
                "cases": tuple(case.id for case in plan.cases),
                "columns": tuple(client.name for client in self.clients),
            }
        )
        ledger, seen = Ledger.create(self.folder / str(self.passes), run), Cellular()
        runtime = ProcessRuntime(reactor, cache_folder())
        try:
            await fill(
                reactor,
                plan,
                gallery,
                controls=controls.scenario,
                features=features.scenario,
                runtime=runtime,
                ledger=ledger,
                settings=Settings(jobs=self.jobs, timeout_ms=timeout_ms),
                progress=seen,
            )
        finally:
            ledger.close()
            await runtime.close()
        return seen

    async def run(self, rounds: int) -> list[str]:
        """Return what does not hold."""
        wrong: list[str] = []
        wanted = len(self.clients) * len(Plan(self.scenarios, self.clients, 0).cases)
        clean = frozenset(case.id for case in Plan(self.scenarios, self.clients, 0).cases if not case.wire)
        begun = time.monotonic()
        first = (await self.fill(Plan(self.scenarios, self.clients, 0, clean))).cells
        print(f"clean    {len(first)} cells, {time.monotonic() - begun:.0f} s", flush=True)
        before = Footprint(0, 0.0, 0)
        for number in range(rounds + 1):
            begun = time.monotonic()
            seen = await self.fill(FaultedPlan(self.scenarios, self.clients, number, offset=number))
            now = footprint()
            name = f"round {number}" if number else "warm-up"
            told = f"{len(seen.cells)} cells, {seen.faulted} with their fault on the wire"
            print(f"{name:8} {told}, {time.monotonic() - begun:.0f} s; {now}", flush=True)
            if len(seen.cells) != wanted:
                wrong.append(f"{name}: {len(seen.cells)} cells of {wanted}")
            if number == 0:
                before = now
            elif now.descriptors != before.descriptors:
                wrong.append(f"{name}: {now.descriptors} descriptors, {before.descriptors} after the warm-up")
            if now.children:
                wrong.append(f"{name}: {now.children} children are left")
            if now.mib > before.mib * MORE_MEMORY:
                wrong.append(f"{name}: {now.mib:.0f} MiB, {before.mib:.0f} after the warm-up")
        last = (await self.fill(Plan(self.scenarios, self.clients, 1, clean))).cells
        differ = sorted(key for key in first.keys() | last.keys() if first.get(key) != last.get(key))
        print(f"clean    {len(last)} cells, {len(differ)} of them other than at first", flush=True)
        wrong += [f"{' @ '.join(key)}: {first.get(key)}, at last {last.get(key)}" for key in differ]
        return wrong


@dataclass(frozen=True)
class Footprint:
    """What this process holds: open descriptors, resident memory, children."""

    descriptors: int
    mib: float
    children: int

    def __str__(self) -> str:
        return f"{self.descriptors} descriptors, {self.mib:.0f} MiB, {self.children} children"


def footprint() -> Footprint:
    """Return what this process holds, when what is not needed has been collected."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    children = sum(
        len((task / "children").read_text(encoding="ascii").split()) for task in Path("/proc/self/task").iterdir()
    )
    return Footprint(len(list(Path("/proc/self/fd").iterdir())), pages * os.sysconf("SC_PAGE_SIZE") / 2**20, children)


def main() -> None:
    """Read the arguments and run on the reactor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", help="scenarios (all)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds with faults, after one to warm up (3)")
    parser.add_argument("--client", action="append", default=[], help="columns or groups (seed)")
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds for a probe with an added fault (2)")
    parser.add_argument("--jobs", type=int, default=8, help="client sessions at once (8)")
    given = parser.parse_args()
    corpus = Corpus().sound()
    soak = Soak(
        scenarios=tuple(corpus.choose_scenarios(given.scenario)),
        clients=tuple(corpus.choose_clients(given.client or ["seed"])),
        corpus=corpus,
        timeout_ms=int(given.timeout * 1000),
        jobs=given.jobs,
    )
    results: list[Any] = []

    def begin() -> None:
        done = Deferred.fromCoroutine(soak.run(given.rounds))
        done.addBoth(results.append)
        done.addBoth(lambda _result: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    shutil.rmtree(soak.folder, ignore_errors=True)
    (wrong,) = results
    if not isinstance(wrong, list):
        wrong.raiseException()
    print("\n".join(wrong) or "nothing has leaked, and no cell has changed")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
