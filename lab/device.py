"""A board on the bench: one address, one case after the other, and a column that the witness alone fills."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from twisted.internet.defer import Deferred

from lab.board import Ending, combined, endings, seen, together
from lab.clients.controls import SCENARIO, ControlCase, check, control_cases
from lab.corpus import Corpus, ScenarioFile
from lab.errors import InputError, Problem
from lab.judge import judge
from lab.ledger import Ledger, RunRecord, read
from lab.model.result import Cell, ColumnState, Observation, Observed, Run, Witness
from lab.model.scenario import Case, Expectation, Scenario
from lab.pki.keys import KeyRing
from lab.replay import Replay, Replayer, Unplayable
from lab.serve import Door, Visit, story_of
from lab.server.connection import Limits

__all__ = ["Bench", "Order", "board_controls"]

_GRACE_S = 1.0
"""Seconds that open connections have left when the operator moves on."""


@dataclass(frozen=True)
class Order:
    """What is asked of a session with a board.

    ``store`` is the one that is flashed, of every scenario; ``host`` the only name that the board asks for; ``cannot``
    the checks that it is known not to make; ``advance`` who moves on to the next case; ``patience`` the seconds after
    which a board that has not connected is unreachable.
    """

    name: str
    store: str
    scenarios: tuple[ScenarioFile, ...]
    host: str
    listen: tuple[str, int]
    folder: Path
    advance: Literal["enter", "connection"] = "enter"
    patience: float = 120.0
    cannot: tuple[str, ...] = ()


@dataclass
class _Step:
    """What is shown now, and who came."""

    learned: Collection[Ending] | None
    visits: list[Visit[_Step]] = field(default_factory=list)
    over: Deferred[None] = field(default_factory=Deferred)
    leaving: bool = False

    @property
    def spoke(self) -> bool:
        """Whether anybody has spoken TLS."""
        return any(visit.witness.hello for visit in self.visits)


def board_controls(scenario: Scenario) -> tuple[Scenario, str]:
    """Return the controls for a board, whose anchors stay: all of them under the good chain's store, and that store.

    The other root of equal name, which other clients are told to trust instead, signs what is served instead.
    """
    good, twin = (next(case for case in scenario.cases() if case.chain == name) for name in ("good", "twin-root"))
    root, other = (scenario.certificates[scenario.stores[case.store][0]].subject for case in (good, twin))
    certificates = dict(scenario.certificates)
    send = []
    for name in scenario.chains[twin.chain].send:
        certificate = scenario.certificates[name]
        if certificate.issuer == root:
            certificates[f"{name}-of-twin"] = certificate.model_copy(update={"issuer": other})
            name = f"{name}-of-twin"  # noqa: PLW2901 - the one that takes its place
        send.append(name)
    changed = scenario.chains[twin.chain].model_copy(update={"send": tuple(send), "stores": (good.store,)})
    chains = {**scenario.chains, twin.chain: changed}
    expect = {**scenario.expect, twin.chain: {good.store: scenario.expect[twin.chain][twin.store]}}
    return scenario.model_copy(update={"certificates": certificates, "chains": chains, "expect": expect}), good.store


class Bench:
    """A session with one board.  ``say`` is for the person beside it; ``today`` is the real clock.

    Everything that takes long or can go wrong is done here, before anything listens: InputError says what.
    """

    def __init__(
        self,
        reactor: Any,
        corpus: Corpus,
        order: Order,
        *,
        ring: KeyRing,
        say: Callable[[str], None],
        today: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        if SCENARIO not in corpus.scenarios:
            remedy = "without controls no client can be trusted"
            raise InputError.one(f'no scenario is called "{SCENARIO}"', remedy=remedy)
        chosen = {file.scenario.slug: file.scenario for file in order.scenarios if file.scenario.slug != SCENARIO}
        if not chosen:
            raise InputError.one("there is nothing to serve but the controls", remedy="name a scenario")
        problems = [
            Problem(file=f"{slug}/scenario.toml", field="stores", found=f'"{order.store}" is empty: nothing to flash')
            for slug, scenario in chosen.items()
            if scenario.stores.get(order.store) == ()
        ]
        if problems:
            raise InputError(problems)
        controls, store = board_controls(corpus.scenarios[SCENARIO].scenario)
        stores = {**dict.fromkeys(chosen, order.store), SCENARIO: store}
        self._order = order
        self._reactor = reactor
        self._say = say
        self._today = today
        self._replayer = Replayer({**chosen, SCENARIO: controls}, stores, order.host, ring)
        self._controls = control_cases(controls)
        self._cases = [
            case
            for scenario in chosen.values()
            for case in scenario.cases()
            if case.trust == scenario.stores[order.store] and _on_a_board(case)
        ]
        self._door: Door[_Step] = Door(reactor, order.listen[0], self._visited, limits)
        self._step: _Step | None = None
        self._advance = order.advance
        self._learned: frozenset[Ending] = frozenset()

    @property
    def anchors(self) -> Mapping[str, x509.Certificate]:
        """What has to be flashed, by ``scenario/certificate``; the controls' own anchor comes last."""
        return self._replayer.anchors

    @property
    def cases(self) -> int:
        """How many cases there are, controls aside."""
        return len(self._cases)

    async def run(
        self, *, ready: Callable[[int], None] = lambda _port: None, report: Callable[[RunRecord], None]
    ) -> RunRecord:
        """Show the controls and then every case; return what the ledger then holds.

        ``ready`` is told the port; ``report`` is called with what there is, however this ends.
        """
        self._door.open(self._order.listen[1])
        try:
            ledger = Ledger.create(self._order.folder, self._header())
            try:
                ready(self._door.port)
                await self._attend(ledger)
            finally:
                ledger.close()
                record = read(self._order.folder)
                report(record)
        finally:
            await self._door.close()
        return record

    def advance(self) -> None:
        """Move on to the next case: the operator says so."""
        step = self._step
        if step is None or step.leaving:
            return
        step.leaving = True
        if self._door.busy:
            self._reactor.callLater(_GRACE_S, self._hurry, step)
        self._look(step)

    def _hurry(self, step: _Step) -> None:
        if step is self._step:
            self._door.abort()

    def unattended(self) -> None:
        """Note that no operator is there: each connection moves on from now."""
        if self._advance == "enter":
            self._say("nobody can press Enter here: each connection moves on to the next case")
            self._advance = "connection"
            if self._step is not None:
                self._look(self._step)

    # --- one case after the other

    async def _attend(self, ledger: Ledger) -> None:
        name = self._order.name
        column = ColumnState(name=name, stack="board", version="", runtime="board", clock="real")
        ledger.append(column)
        failed = await self._run_controls(ledger)
        if failed:
            ledger.append(column.model_copy(update={"state": "control-failed", "why": "; ".join(failed)}))
            self._say("it failed its controls, so nothing can be said of any case: " + "; ".join(failed))
            return
        for number, case in enumerate(self._cases, start=1):
            await self._run_case(
                ledger, case, f"case {number} of {len(self._cases)}: {case.id}, {self._expected(case)}"
            )

    async def _run_controls(self, ledger: Ledger) -> list[str]:
        """Return which controls failed, in words.  Without the good one, the others would say nothing."""
        failed: list[str] = []
        for control in self._controls:
            try:
                replay = self._replayer.replay(control.case, self._today())
            except Unplayable as why:
                raise InputError.one(f"it cannot be shown to a board: {why}", file=f"{SCENARIO}/scenario.toml") from why
            verb = "must connect" if _good(control) else "must not connect"
            teaches = not _good(control) and not control.imposter
            learned = None if teaches else self._learned
            title = f"control {control.name}: {verb}"
            witnesses = await self._show(replay, title, learned, imposter=control.imposter)
            observation = together(witnesses, learned)
            if teaches and observation.observed is Observed.REJECTED:
                self._learned |= endings(witnesses)
            result = check(control, self._order.name, self._order.cannot, observation, combined(witnesses))
            ledger.append(result)
            self._say(f"  control {result.outcome}: {result.why or _words(observation)}")
            if result.outcome == "failed":
                failed.append(result.why)
                if _good(control):
                    return [*failed, self._hint(combined(witnesses))]
        return failed

    def _hint(self, witness: Witness) -> str:
        """Say what may be wrong with a board that does not connect to the good chain."""
        name = witness.server_name
        if name is not None and name != self._order.host:
            return f"it asks for {name}, the certificates are for {self._order.host}: --host {name}"
        return "are the anchors flashed, is its clock right, does it ask for " + self._order.host + "?"

    async def _run_case(self, ledger: Ledger, case: Case, title: str) -> None:
        begun = self._reactor.seconds()
        try:
            replay = self._replayer.replay(case, self._today())
        except Unplayable as why:
            self._say(f"{title}\n  unsupported on a real clock: {why}")
            ledger.append(self._replayer.told(case).record(case))
            observation = Observation(observed=Observed.UNSUPPORTED, text=f"not on a real clock: {why}")
            self._record(ledger, case, observation, Witness(), 0.0)
            return
        ledger.append(replay.gallery.record(replay.case))
        witnesses = await self._show(replay, title, self._learned)
        observation = together(witnesses, self._learned)
        took = round((self._reactor.seconds() - begun) * 1000, 3)
        cell = self._record(ledger, case, observation, combined(witnesses), took)
        self._say(f"  {_words(observation)}: {cell.verdict}")

    def _expected(self, case: Case) -> Expectation:
        return self._replayer.told(case).expected(case)

    def _record(self, ledger: Ledger, case: Case, observation: Observation, witness: Witness, ms: float) -> Cell:
        expected = self._expected(case)
        judged = judge(
            observation,
            expected,
            (),
            scenario=case.scenario,
            case=case.name,
            column=self._order.name,
            version="",
            chaos=self._replayer.told(case).chaos(case, witness),
        )
        cell = Cell(
            scenario=case.scenario,
            case=case.name,
            chain=case.chain,
            store=case.store,
            time=case.time,
            at=case.at,
            client=self._order.name,
            expected=expected,
            observation=observation,
            witness=witness,
            verdict=judged.verdict,
            marked=judged.marked,
            why=judged.why,
            ms=ms,
        )
        ledger.append(cell)
        return cell

    # --- one case

    async def _show(
        self, replay: Replay, title: str, learned: Collection[Ending] | None = (), *, imposter: bool = False
    ) -> list[Witness]:
        """Show a case until it is over, and return the witness of every connection."""
        step = _Step(learned)
        self._door.show(step, replay.gallery.exhibit(replay.case, imposter=imposter))
        self._step = step
        self._say(title)
        patience = self._reactor.callLater(self._order.patience, self._lose_patience, step)
        try:
            await step.over
        finally:
            self._step = None
            if patience.active():
                patience.cancel()
        return [visit.witness for visit in step.visits]

    def _visited(self, visit: Visit[_Step]) -> None:
        step = visit.shown
        step.visits.append(visit)
        self._say("  " + story_of(visit, self._today()))
        if step is self._step:
            if self._advance == "enter" and not step.leaving and visit.witness.hello:
                self._say(f"  so far: {_words(seen(visit.witness, step.learned))}; Enter moves on")
            self._look(step)

    def _lose_patience(self, step: _Step) -> None:
        if not step.spoke and not self._door.busy:
            step.leaving = True
        elif not step.spoke:  # somebody is just there: they are heard
            self._reactor.callLater(_GRACE_S, self._lose_patience, step)
        self._look(step)

    def _look(self, step: _Step) -> None:
        """End a step whose time has come, once nobody is connected."""
        ready = step.leaving or (self._advance == "connection" and step.spoke)
        if ready and not self._door.busy and not step.over.called:
            step.over.callback(None)

    def _header(self) -> Run:
        order = self._order
        return Run(
            id=order.folder.name,
            lab=version("tlslab"),
            started=self._today(),
            seed=0,
            jobs=1,
            runtime="board",
            timeout_ms=int(order.patience * 1000),
            scenarios={file.scenario.slug: file.digest for file in order.scenarios if file.scenario.slug != SCENARIO},
            cases=tuple(case.id for case in self._cases),
            columns=(order.name,),
        )


def _good(control: ControlCase) -> bool:
    return control.accept and not control.imposter


def _on_a_board(case: Case) -> bool:
    """Tell whether a case can be met with a real clock and the store that is flashed: not at the very end of a life."""
    return case.origin not in {"boundary", "order"} and case.wire == ()


def _words(observation: Observation) -> str:
    said = f" ({observation.reason})" if observation.reason else ""
    return f"{observation.observed}{said}" + (f": {observation.text}" if observation.text else "")
