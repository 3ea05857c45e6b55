"""How fast the lab is, beside peers measured in the same run: ``make bench``.

Every rate is of full TLS 1.2 handshakes over P-256 with the same two-certificate chain, served by the same Twisted
process, on the wall clock.  Peers and clients take turns; the table shows medians.

- ``s_client loop``: a shell that starts ``openssl s_client`` once a case, as other suites do.
- ``s_time``: ``openssl s_time -new``, the fastest client there is: no report, no fresh store, no HTTP.
- each client: two processes, every cell judged and in the ledger.

The second table says where the time of a cell goes, with one process, so that nothing waits for a processor.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue

from lab.clients.build import cache_folder
from lab.clients.process import ProcessRuntime
from lab.clients.runtime import Unready
from lab.corpus import Client, Corpus, ScenarioFile
from lab.gallery import Gallery
from lab.ledger import Ledger
from lab.model.result import Cell, Run
from lab.model.scenario import Scenario
from lab.pki.keys import KeyRing, default_folder
from lab.plan import Plan
from lab.run import Progress, Settings, fill
from lab.server.listener import Lane

HOST = "bench.example"
LOOP = """i=0; while [ $i -lt "$1" ]; do "$2" s_client -connect "$3" -servername "$4" -CAfile "$5" \
-verify_return_error -tls1_2 </dev/null >/dev/null 2>&1 || exit 1; i=$((i+1)); done"""


def scenario(cases: int, key: str) -> Scenario:
    """Return a scenario of one chain, whose keys are of one type, and as many times as cells are wanted."""
    times = {
        f"t{number}": f"2024-06-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
        for number in range(cases)
    }
    return Scenario.model_validate(
        {
            "schema": 1,
            "slug": "bench",
            "title": "bench",
            "date": "2024-06-01",
            "summary": "bench",
            "entities": {"root": {"key": key}, "site": {"dns": [HOST], "key": key}},
            "certificates": {
                "root": {"subject": "root", "issuer": "root"},
                # The peers go by the real clock.
                "site": {
                    "subject": "site",
                    "issuer": "root",
                    "from": "2020-01-01T00:00:00Z",
                    "until": "2049-12-31T23:59:59Z",
                },
            },
            "server": {"host": HOST, "max_tls": "1.2", "groups": ["P-256"]},
            "chains": {"chain": {"send": ["site"], "at": list(times)}},
            "stores": {"store": ["root"]},
            "times": times,
            "expect": {"chain": {"store": dict.fromkeys(times, "accept")}},
        }
    )


class Stopwatch(Progress):
    """Notes when cells come."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.cells: list[Cell] = []

    def cell(self, cell: Cell) -> None:
        """Note a cell."""
        self.times.append(reactor.seconds())
        self.cells.append(cell)

    @property
    def rate(self) -> float:
        """Cells a second, from the first to the last."""
        return (len(self.times) - 1) / (self.times[-1] - self.times[0])


@dataclass
class Bench:
    """What is measured, and the rates so far."""

    clients: list[Client]
    cells: int
    loop: int
    seconds: int
    key: str
    rates: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Mint the exhibit."""
        self.corpus = Corpus().sound()
        self.scenario = scenario(self.cells, self.key)
        self.controls = self.corpus.scenarios["controls"].scenario
        ring = KeyRing(default_folder())
        self.gallery = Gallery({"bench": self.scenario, "controls": self.controls}, ring)
        self.case = next(iter(self.scenario.cases()))
        self.folder = Path(tempfile.mkdtemp(prefix="tlslab-bench-"))
        self.anchors = self.folder / "anchors.pem"
        self.anchors.write_text(self.gallery.anchors(self.case))
        self.openssl = shutil.which("openssl") or "openssl"

    async def command(self, lane: Lane, arguments: list[str]) -> tuple[str, float]:
        """Run a peer against a lane that shows the exhibit; return its output and how long it took, in seconds."""
        lane.show(self.gallery.exhibit(self.case))
        begun = reactor.seconds()
        out, err, code = await getProcessOutputAndValue(
            arguments[0], arguments[1:], env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
        )
        took = reactor.seconds() - begun
        await lane.settled(1)
        if code != 0:
            raise SystemExit(f"{' '.join(arguments)} ended with {code}: {err.decode()}")
        return out.decode(), took

    async def peers(self) -> None:
        """Measure the two peers once."""
        lane = Lane(reactor)
        lane.open()
        where = f"{lane.host}:{lane.port}"
        loop = ["/bin/sh", "-c", LOOP, "loop", str(self.loop), self.openssl, where, HOST, str(self.anchors)]
        _out, took = await self.command(lane, loop)
        self.note("s_client loop", self.loop / took)
        times = [
            "s_time",
            "-connect",
            where,
            "-new",
            "-time",
            str(self.seconds),
            "-CAfile",
            str(self.anchors),
            "-tls1_2",
        ]
        out, took = await self.command(lane, [self.openssl, *times])
        connections = re.search(r"^(\d+) connections in .* real seconds", out, re.MULTILINE)
        if connections is None:
            raise SystemExit(f"openssl s_time printed no count: {out}")
        self.note("s_time", int(connections[1]) / took)
        await lane.close()

    async def client(self, runtime: ProcessRuntime, client: Client, jobs: int, number: int) -> Stopwatch:
        """Fill the cells of one client; return what came when."""
        file = ScenarioFile(Path("bench"), self.scenario, "")
        plan = Plan((file,), (client,), seed=number)
        run = Run.model_validate(
            {
                "id": "bench",
                "lab": "",
                "started": "2024-06-01T00:00:00Z",
                "seed": number,
                "jobs": jobs,
                "runtime": "process",
                "timeout_ms": 5000,
                "scenarios": {},
                "cases": tuple(case.id for case in plan.cases),
                "columns": (client.name,),
            }
        )
        ledger = Ledger.create(self.folder / f"{client.name}-{jobs}-{number}", run)
        watch = Stopwatch()
        await fill(
            reactor,
            plan,
            self.gallery,
            controls=self.controls,
            runtime=runtime,
            ledger=ledger,
            settings=Settings(jobs=jobs),
            progress=watch,
        )
        ledger.close()
        wrong = [cell for cell in watch.cells if cell.observation.observed != "accepted"]
        if wrong or len(watch.cells) != self.cells:
            raise SystemExit(f"{client.name} filled {len(watch.cells)} of {self.cells} cells; {wrong[:1]}")
        return watch

    def note(self, name: str, rate: float) -> None:
        """Keep a rate."""
        self.rates.setdefault(name, []).append(rate)

    def median(self, name: str) -> float:
        """Return the median of a name's rates."""
        return statistics.median(self.rates[name])


async def bench(rounds: int, cells: int, key: str, names: list[str]) -> None:
    """Measure, and print."""
    corpus = Corpus().sound()
    work = Bench(corpus.choose_clients(names), cells=cells, loop=max(cells // 4, 20), seconds=2, key=key)
    runtime = ProcessRuntime(reactor, cache_folder())
    try:
        ready = await runtime.prepare(work.clients)
        for name, one in ready.items():
            if isinstance(one, Unready):
                raise SystemExit(f"{name}: {one.why}")
        for number in range(rounds):
            await work.peers()
            for client in work.clients:
                work.note(client.name, (await work.client(runtime, client, 2, number)).rate)
        alone = {client.name: await work.client(runtime, client, 1, rounds) for client in work.clients}
    finally:
        await runtime.close()
        shutil.rmtree(work.folder, ignore_errors=True)
    _print_rates(work)
    _print_shares(alone)


def _print_rates(work: Bench) -> None:
    table = Table(title="full handshakes a second (medians, wall clock)", box=None, pad_edge=False)
    for heading in ("", "rate", "lowest", "highest", "x s_client loop", "x s_time"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, rates in work.rates.items():
        ratios = [f"{work.median(name) / work.median(peer):.2f}" for peer in ("s_client loop", "s_time")]
        table.add_row(name, *(f"{one:.0f}" for one in (work.median(name), min(rates), max(rates))), *ratios)
    Console(width=120).print(table)


def _print_shares(alone: dict[str, Stopwatch]) -> None:
    table = Table(title="where the time of a cell goes (medians, one process, milliseconds)", box=None, pad_edge=False)
    for heading in ("", "cell", "handshake", "HTTP and close", "the lab and the client's set-up"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, watch in alone.items():
        handshakes = [cell.witness.handshake_ms or 0.0 for cell in watch.cells]
        totals = [cell.ms for cell in watch.cells]
        http = [cell.witness.ms - (cell.witness.handshake_ms or 0.0) for cell in watch.cells]
        rest = [cell.ms - cell.witness.ms for cell in watch.cells]
        table.add_row(name, *(f"{statistics.median(one):.2f}" for one in (totals, handshakes, http, rest)))
    Console(width=120).print(table)


def main() -> None:
    """Read the arguments and run on the reactor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--cells", type=int, default=400, help="cells of a client in a round (400)")
    parser.add_argument("--client", action="append", default=[], help="columns or groups (seed)")
    parser.add_argument("--key", default="ec256", choices=["ec256", "rsa2048"], help="type of the chain's keys (ec256)")
    given = parser.parse_args()
    failures: list[Any] = []

    def begin() -> None:
        done = Deferred.fromCoroutine(bench(given.rounds, given.cells, given.key, given.client or ["seed"]))
        done.addErrback(failures.append)
        done.addBoth(lambda _result: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if failures:
        failures[0].raiseException()


if __name__ == "__main__":
    main()
