"""Fills the cells of a plan: bounded concurrency, deadlines, controls first, every cell on disk as it happens."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, FirstError

from lab.clients.controls import check, control_cases
from lab.clients.features import CLIENT_CERT, conclude, feature_cases, unsupported, without_identity
from lab.clients.runtime import Ready, Runtime, Unready
from lab.clients.session import Deadline, Ended, Session, SessionEnd
from lab.corpus import Client
from lab.errors import ClientError
from lab.gallery import Gallery
from lab.judge import judge
from lab.ledger import Ledger, RunRecord
from lab.model.result import Cell, ColumnState, Control, Observation, Observed, Witness
from lab.model.scenario import Case, Feature, Scenario
from lab.model.wire import Probe, Stage
from lab.observe import observe
from lab.plan import Plan
from lab.schedule import Work, choose, required
from lab.server.listener import Lane
from lab.server.repository import Repository, Turn

__all__ = ["Progress", "Settings", "fill"]

_STARTS = 3
"""How often in a row a client may fail to start before its column is given up."""


@dataclass(frozen=True)
class Settings:
    """How a run is made.

    ``jobs`` sessions at once; ``timeout_ms`` for a probe, after which the client has ``grace_s`` to say so itself;
    ``start_s`` for its hello; ``process_per_probe`` starts a client anew for every cell; ``controls_only`` fills no
    cell, but runs every column's controls; ``every_feature`` probes all features, not only those that cases require.
    """

    jobs: int = 2
    timeout_ms: int = 5000
    grace_s: float = 1.0
    start_s: float = 30.0
    process_per_probe: bool = False
    controls_only: bool = False
    every_feature: bool = False


class Progress:
    """What a run tells whoever watches it.  This one says nothing."""

    def column(self, state: ColumnState) -> None:
        """Note that a column's state is known, or has changed."""

    def cell(self, cell: Cell) -> None:
        """Note that a cell was recorded."""


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
    features: Scenario | None
    runtime: Runtime
    ledger: Ledger
    settings: Settings
    progress: Progress
    repository: Repository | None = None
    probing: Mapping[Feature, Case] = field(default_factory=dict)
    work: list[Work] = field(default_factory=list)
    idle: list[Deferred[None]] = field(default_factory=list)
    probes: int = 0

    async def run(self, before: RunRecord | None) -> None:
        done: dict[str, set[str]] = {}
        for cell in before.cells if before else ():
            done.setdefault(cell.client, set()).add(f"{cell.scenario}/{cell.case}")
        if self.features is not None:
            self.probing = feature_cases(self.features)
        ready = await self.runtime.prepare(self.plan.clients)
        for client in self.plan.clients:
            todo = deque(self.plan.order(client, done.get(client.name, ())))
            work = Work(client, todo, self.column_state(client, ready[client.name]))
            self.want_features(work, before)
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

    def want_features(self, work: Work, before: RunRecord | None) -> None:
        """Note which features of a column are to be probed: those that its cases require and that nobody knows yet."""
        known = [probe for probe in (before.features if before else ()) if probe.column == work.client.name]
        work.features = {probe.name: probe for probe in known}
        wanted = self.probing if self.settings.every_feature else required(work.todo)
        work.unprobed.extend(one for one in wanted if one not in work.features)

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

    def record_state(self, work: Work, **changes: str) -> None:
        work.state = work.state.model_copy(update=changes)
        self.ledger.append(work.state)
        self.progress.column(work.state)

    async def worker(self) -> None:
        while True:
            work = choose(self.work)
            if work is not None:
                await self.session(work)
                self.wake()
            elif any(one.admission == "running" for one in self.work):
                waiting: Deferred[None] = Deferred()
                self.idle.append(waiting)
                await waiting
            else:
                return

    def wake(self) -> None:
        idle, self.idle = self.idle, []
        for one in idle:
            one.callback(None)

    def give_up(self, work: Work, state: str, why: str) -> None:
        work.give_up()
        self.record_state(work, state=state, why=why)

    async def session(self, work: Work) -> None:
        """Start one client of a column and let it answer until nothing is left, or it ends."""
        admitting = work.admission == "to-do"
        if admitting:
            work.admission = "running"
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
            if not work.state.version:
                work.state = work.state.model_copy(update={"version": hello.version})
            if admitting:
                await self.admit(work, session, lane)
            await self.fill(work, session, lane)
        except (ClientError, SessionEnd) as error:
            self.start_failed(work, error, session, admitting=admitting)
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
        self, work: Work, error: ClientError | SessionEnd, session: Session | None, *, admitting: bool
    ) -> None:
        work.failures += 1
        if admitting:
            work.admission = "to-do"
        if work.failures >= _STARTS or isinstance(error, ClientError):
            stderr = session.stderr_tail().strip() if session is not None else ""
            self.give_up(work, "harness", f"it does not start: {error}" + (f": {stderr}" if stderr else ""))

    async def admit(self, work: Work, session: Session, lane: Lane) -> None:
        """Run the controls, then probe for features; what a session that ends leaves of these is the next one's."""
        if not work.controlled:
            self.record_state(work)
            await self.run_controls(work, session, lane)
        while work.unprobed and session.alive:
            await self.probe_feature(work, session, lane, work.unprobed.popleft())
        work.admission = "to-do" if work.unprobed else "done"
        if not work.unprobed:
            for case, probe in work.take_unsupported():
                self.record_cell(work, case, _Measured(unsupported(probe), Witness(), 0.0))
        self.wake()

    async def probe_feature(self, work: Work, session: Session, lane: Lane, feature: Feature) -> None:
        measured = await self.measure(work, session, lane, self.probing[feature])
        probe = conclude(work.client.name, feature, measured.observation, measured.witness)
        work.features[feature] = probe
        self.ledger.append(probe)

    async def run_controls(self, work: Work, session: Session, lane: Lane) -> None:
        """Run the controls; a column that fails one gets no verdict on anything."""
        failed: list[Control] = []
        for control in control_cases(self.controls):
            measured = await self.measure(work, session, lane, control.case, imposter=control.imposter)
            result = check(control, work.client.name, work.client.cannot, measured.observation, measured.witness)
            self.ledger.append(result)
            if result.outcome == "failed":
                failed.append(result)
            if not session.alive:
                break
        if failed:
            self.give_up(work, "control-failed", "; ".join(one.why for one in failed))
        else:
            work.controlled = True

    async def fill(self, work: Work, session: Session, lane: Lane) -> None:
        while work.admission == "done" and work.todo and session.alive:
            case = work.todo.popleft()
            measured = await self.measure(work, session, lane, case)
            self.record_cell(work, case, measured)
            if self.settings.process_per_probe:
                return

    def record_cell(self, work: Work, case: Case, measured: _Measured) -> None:
        expected = self.gallery.expected(case)
        judgement = judge(
            measured.observation,
            self.gallery.owed(case, measured.witness),
            work.client.home.deviations,
            scenario=case.scenario,
            case=case.name,
            column=work.client.name,
            version=said_version(work.state.version) or work.client.column.version,
            cannot=work.client.cannot,
            traits=self.gallery.traits(case),
            at_home=case.scenario in self.plan.at_home,
            chaos=self.gallery.chaos(case, measured.witness),
        )
        cell = Cell(
            scenario=case.scenario,
            case=case.name,
            chain=case.chain,
            store=case.store,
            time=case.time,
            at=case.at,
            client=work.client.name,
            expected=expected,
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

    async def measure(
        self, work: Work, session: Session, lane: Lane, case: Case, *, imposter: bool = False
    ) -> _Measured:
        """Make one probe, and join what the client says with what the lab saw.  The session may be dead afterwards."""
        if self.repository is None or not self.gallery.points(case):
            return await self.probe(work, session, lane, case, imposter=imposter)
        turn = Turn(case, self.gallery.minted_for(case))
        end = await self.repository.begin(session.address, turn)
        try:
            measured = await self.probe(work, session, lane, case, imposter=imposter)
        finally:
            end()
        return replace(measured, witness=measured.witness.model_copy(update={"asked": tuple(turn.asked)}))

    async def probe(self, work: Work, session: Session, lane: Lane, case: Case, *, imposter: bool) -> _Measured:
        assert session.hello is not None
        can = session.hello.can
        identity = self.gallery.identity(case)
        if identity is not None and CLIENT_CERT not in can:
            return _Measured(without_identity(), Witness(), 0.0)
        self.probes += 1
        probe = Probe(
            id=str(self.probes),
            host=lane.host,
            port=lane.port,
            server_name=case.host,
            anchors=self.gallery.anchors(case),
            time=int(case.at.timestamp()),
            timeout_ms=self.settings.timeout_ms,
            client_chain=identity[0] if identity is not None else None,
            client_key=identity[1] if identity is not None else None,
            pins=(self.gallery.pin(case),) if "pins" in can else None,
        )
        lane.show(self.gallery.exhibit(case, work.client.column.min_tls, imposter=imposter))
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
            observation = observe(probe, report, witness, session.stderr_tail(), device=case.device is not None)
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
    features: Scenario | None = None,
    runtime: Runtime,
    ledger: Ledger,
    settings: Settings,
    progress: Progress,
    repository: Repository | None = None,
    before: RunRecord | None = None,
) -> None:
    """Fill the cells of ``plan`` that ``before`` does not hold, and record each in ``ledger``.

    ``gallery`` must know the plan's scenarios, ``controls`` and ``features``, which is needed where a case requires
    any.  The runtime is prepared here and left open, as is ``repository``, whose address the gallery's ``port`` is.
    """
    filling = _Filling(reactor, plan, gallery, controls, features, runtime, ledger, settings, progress, repository)
    await filling.run(before)
