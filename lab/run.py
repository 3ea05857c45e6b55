"""Fills the cells of a plan: bounded concurrency, deadlines, controls first, every cell on disk as it happens."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, FirstError

from lab.clients.controls import check, control_cases
from lab.clients.runtime import Ready, Runtime, Unready
from lab.clients.session import Deadline, Ended, Session, SessionEnd
from lab.corpus import Client
from lab.errors import ClientError
from lab.gallery import Gallery
from lab.judge import judge
from lab.ledger import Ledger, RunRecord
from lab.model.result import Cell, ColumnState, Control, Observation, Observed, Witness
from lab.model.scenario import Case, Scenario
from lab.model.wire import Probe, Stage
from lab.observe import observe
from lab.plan import Plan
from lab.server.listener import Lane

__all__ = ["Progress", "Settings", "fill"]

_STARTS = 3
"""How often in a row a client may fail to start before its column is given up."""


@dataclass(frozen=True)
class Settings:
    """How a run is made.

    ``jobs`` sessions at once; ``timeout_ms`` for a probe, after which the client has ``grace_s`` to say so itself;
    ``start_s`` for its hello; ``process_per_probe`` starts a client anew for every cell; ``controls_only`` fills no
    cell, but runs every column's controls.
    """

    jobs: int = 2
    timeout_ms: int = 5000
    grace_s: float = 1.0
    start_s: float = 30.0
    process_per_probe: bool = False
    controls_only: bool = False


class Progress:
    """What a run tells whoever watches it.  This one says nothing."""

    def column(self, state: ColumnState) -> None:
        """Note that a column's state is known, or has changed."""

    def cell(self, cell: Cell) -> None:
        """Note that a cell was recorded."""


@dataclass
class _Work:
    """What is left to do for a column."""

    client: Client
    todo: deque[Case]
    state: ColumnState
    controls: str = "to-do"  # to-do, running, done
    failures: int = 0
    sessions: int = 0


@dataclass
class _Measured:
    observation: Observation
    witness: Witness
    ms: float


@dataclass
class _Filling:
    reactor: Any
    plan: Plan
    gallery: Gallery
    controls: Scenario
    runtime: Runtime
    ledger: Ledger
    settings: Settings
    progress: Progress
    work: list[_Work] = field(default_factory=list)
    idle: list[Deferred[None]] = field(default_factory=list)
    probes: int = 0

    async def run(self, before: RunRecord | None) -> None:
        done: dict[str, set[str]] = {}
        for cell in before.cells if before else ():
            done.setdefault(cell.client, set()).add(f"{cell.scenario}/{cell.case}")
        ready = await self.runtime.prepare(self.plan.clients)
        for client in self.plan.clients:
            todo = deque(self.plan.order(client.name, done.get(client.name, ())))
            work = _Work(client, todo, self.column_state(client, ready[client.name]))
            if work.state.state == "ok" and (todo or self.settings.controls_only):
                self.work.append(work)
            elif work.state.state != "ok":
                self.record_state(work)
        workers = [Deferred.fromCoroutine(self.worker()) for _ in range(self.settings.jobs)]
        try:
            await DeferredList(workers, fireOnOneErrback=True, consumeErrors=True)
        except FirstError as error:
            for worker in workers:
                worker.cancel()
            # The others still end their clients and close their lanes.
            await DeferredList(workers, consumeErrors=True)
            error.subFailure.raiseException()

    def column_state(self, client: Client, ready: Ready | Unready) -> ColumnState:
        built = isinstance(ready, Ready)
        return ColumnState(
            name=client.name,
            stack=client.home.manifest.stack,
            version="",
            digest=ready.digest if isinstance(ready, Ready) else "",
            runtime=self.runtime.name,
            clock=client.home.manifest.clock,
            state="ok" if built else "unbuilt",
            why=ready.why if isinstance(ready, Unready) else "",
        )

    def record_state(self, work: _Work, **changes: str) -> None:
        work.state = work.state.model_copy(update=changes)
        self.ledger.append(work.state)
        self.progress.column(work.state)

    def next(self) -> _Work | None:
        """Choose a column for a free worker: one whose controls are to be run, else the one with most left to do."""
        for work in self.work:
            if work.controls == "to-do":
                return work
        open_ones = [work for work in self.work if work.controls == "done" and work.todo]
        return max(open_ones, key=lambda work: len(work.todo) / (work.sessions + 1), default=None)

    async def worker(self) -> None:
        while True:
            work = self.next()
            if work is not None:
                await self.session(work)
                self.wake()
            elif any(one.controls == "running" for one in self.work):
                waiting: Deferred[None] = Deferred()
                self.idle.append(waiting)
                await waiting
            else:
                return

    def wake(self) -> None:
        idle, self.idle = self.idle, []
        for one in idle:
            one.callback(None)

    def give_up(self, work: _Work, state: str, why: str) -> None:
        work.todo.clear()
        work.controls = "done"
        self.record_state(work, state=state, why=why)

    async def session(self, work: _Work) -> None:
        """Start one client of a column and let it answer until nothing is left, or it ends."""
        controls = work.controls == "to-do"
        if controls:
            work.controls = "running"
        work.sessions += 1
        session: Session | None = None
        lane: Lane | None = None
        try:
            session = await self.runtime.start(work.client)
            hello = await session.greeting(self.settings.start_s)
            objection = self.objection(work.client, hello.version, hello.options)
            if objection:
                self.give_up(work, "harness", objection)
                return
            work.failures = 0
            lane = Lane(self.reactor, interface=session.lab_address)
            lane.open()
            if controls:
                self.record_state(work, version=hello.version)
                await self.run_controls(work, session, lane)
            elif not work.state.version:
                work.state = work.state.model_copy(update={"version": hello.version})
            await self.fill(work, session, lane)
        except (ClientError, SessionEnd) as error:
            self.start_failed(work, error, session, controls=controls)
        finally:
            work.sessions -= 1
            if session is not None:
                session.kill()
                await session.gone
            if lane is not None:
                await lane.close()

    def objection(self, client: Client, version: str, options: Iterable[str]) -> str:
        """Say why a client that introduces itself so is not this column; empty where it is."""
        column = client.column
        if not fnmatchcase(version, column.reports):
            return f'its library says "{version}", the column is "{column.reports}"'
        if tuple(options) != column.options:
            return f"it runs with the options {list(options)}, the column's are {list(column.options)}"
        return ""

    def start_failed(
        self, work: _Work, error: ClientError | SessionEnd, session: Session | None, *, controls: bool
    ) -> None:
        work.failures += 1
        if controls:
            work.controls = "to-do"
        if work.failures >= _STARTS or isinstance(error, ClientError):
            stderr = session.stderr_tail().strip() if session is not None else ""
            self.give_up(work, "harness", f"it does not start: {error}" + (f": {stderr}" if stderr else ""))

    async def run_controls(self, work: _Work, session: Session, lane: Lane) -> None:
        """Run the controls; a column that fails one gets no verdict on anything."""
        failed: list[Control] = []
        for control in control_cases(self.controls):
            measured = await self.measure(work, session, lane, control.case)
            result = check(control, work.client.name, work.client.cannot, measured.observation, measured.witness)
            self.ledger.append(result)
            if result.outcome == "failed":
                failed.append(result)
            if not session.alive:
                break
        if failed:
            self.give_up(work, "control-failed", "; ".join(one.why for one in failed))
        else:
            work.controls = "done"
            self.wake()

    async def fill(self, work: _Work, session: Session, lane: Lane) -> None:
        while work.controls == "done" and work.todo and session.alive:
            case = work.todo.popleft()
            measured = await self.measure(work, session, lane, case)
            self.record_cell(work, case, measured)
            if self.settings.process_per_probe:
                return

    def record_cell(self, work: _Work, case: Case, measured: _Measured) -> None:
        judgement = judge(
            measured.observation,
            case.expected,
            work.client.home.deviations,
            scenario=case.scenario,
            case=case.name,
            column=work.client.name,
            version=said_version(work.state.version) or work.client.column.version,
        )
        cell = Cell(
            scenario=case.scenario,
            case=case.name,
            chain=case.chain,
            store=case.store,
            time=case.time,
            at=case.at,
            client=work.client.name,
            expected=case.expected,
            observation=measured.observation,
            witness=measured.witness,
            verdict=judgement.verdict,
            marked=judgement.marked,
            why=judgement.why,
            source=judgement.source,
            ms=measured.ms,
        )
        self.ledger.append(cell)
        self.progress.cell(cell)

    async def measure(self, work: _Work, session: Session, lane: Lane, case: Case) -> _Measured:
        """Make one probe, and join what the client says with what the lane saw.  The session may be dead afterwards."""
        self.probes += 1
        probe = Probe(
            id=str(self.probes),
            host=lane.host,
            port=lane.port,
            server_name=case.host,
            anchors=self.gallery.anchors(case),
            time=int(case.at.timestamp()),
            timeout_ms=self.settings.timeout_ms,
        )
        lane.show(self.gallery.exhibit(case, work.client.column.min_tls))
        begun = self.reactor.seconds()
        try:
            report = await session.ask(probe, self.settings.timeout_ms / 1000 + self.settings.grace_s)
        except SessionEnd as end:
            session.kill()
            await session.gone
            witness = await lane.settled(self.settings.grace_s)
            observation = _ended(end, session.stderr_tail())
        else:
            witness = await lane.settled(self.settings.grace_s)
            observation = observe(probe, report, witness, session.stderr_tail())
        return _Measured(observation, witness, round((self.reactor.seconds() - begun) * 1000, 3))


def said_version(text: str) -> str:
    """Return the first thing that looks like a version in what a library says of itself: ``1.0.2q``."""
    found = re.search(r"[0-9]+(?:\.[0-9]+)+[a-z]*", text)
    return found[0] if found else ""


def _ended(end: SessionEnd, stderr: str) -> Observation:
    if isinstance(end, Deadline):
        return Observation(observed=Observed.TIMEOUT, text=str(end), stderr=stderr)
    if isinstance(end, Ended):
        return Observation(observed=Observed.CRASHED, code=str(end), text=f"it ended: {end}", stderr=stderr)
    return Observation(observed=Observed.FAILED, stage=Stage.HARNESS, text=str(end), stderr=stderr)


async def fill(
    reactor: Any,
    plan: Plan,
    gallery: Gallery,
    *,
    controls: Scenario,
    runtime: Runtime,
    ledger: Ledger,
    settings: Settings,
    progress: Progress,
    before: RunRecord | None = None,
) -> None:
    """Fill the cells of ``plan`` that ``before`` does not hold, and record each in ``ledger``.

    ``gallery`` must know the plan's scenarios and ``controls``.  The runtime is prepared here and left open.
    """
    filling = _Filling(reactor, plan, gallery, controls, runtime, ledger, settings, progress)
    await filling.run(before)
