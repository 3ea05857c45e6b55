"""One run from its arguments to its files: gallery, runtime, ledger, filling, and the exit status it deserves."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lab.adopt import adopt
from lab.clients import features
from lab.clients.build import cache_folder
from lab.clients.container import ContainerRuntime, engine_answers
from lab.clients.controls import SCENARIO
from lab.clients.dialin import DialInRuntime
from lab.clients.process import ProcessRuntime
from lab.clients.runtime import Runtime
from lab.corpus import Client, Corpus, ScenarioFile
from lab.errors import EngineError, InputError, Problem
from lab.gallery import Gallery
from lab.ledger import Ledger, RunRecord, read
from lab.model.result import Run, Verdict
from lab.model.wire import Stage
from lab.pki.keys import KeyRing, default_folder
from lab.plan import Plan
from lab.run import Progress, Settings, fill
from lab.server.repository import Repository

__all__ = ["Campaign", "DialIn", "conduct", "exit_status", "gallery_for", "open_runtime", "resumed"]

FAIL_ON = (Verdict.OUTAGE, Verdict.EXPOSURE, Verdict.FAULT, Verdict.FIXED, Verdict.INCONCLUSIVE)
"""The verdicts that make a run fail unless it is told otherwise."""


@dataclass(frozen=True)
class DialIn:
    """Where clients dial in, the token that they show, and how many seconds a column may take to come."""

    host: str = "127.0.0.1"
    port: int = 0
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    patience: float = 120.0


@dataclass(frozen=True)
class Campaign:
    """What is asked of a run.

    ``before`` is what a run that is taken up again holds already; ``only`` are the ids of the cases that are wanted,
    None for all; ``keylog`` as in Gallery.  ``wire`` are faults on the wire that every case gets.
    """

    corpus: Corpus
    scenarios: tuple[ScenarioFile, ...]
    clients: tuple[Client, ...]
    runtime: str
    folder: Path
    seed: int
    settings: Settings
    dial: DialIn
    before: RunRecord | None = None
    only: frozenset[str] | None = None
    keylog: Path | None = None
    wire: tuple[str, ...] = ()


def open_runtime(reactor: Any, name: str, dial: DialIn, say: Callable[[str], None]) -> Runtime:
    """Return a runtime by name; ``auto`` is docker where an engine answers.  Raise EngineError where none does."""
    if name == "dial":
        return DialInRuntime(reactor, (dial.host, dial.port), dial.token, patience=dial.patience, say=say)
    if name == "docker" or (name == "auto" and engine_answers()):
        if not engine_answers():
            raise EngineError("no Docker engine answers; start one, or use --runtime process")
        return ContainerRuntime(reactor, cache_folder())
    return ProcessRuntime(reactor, cache_folder())


def gallery_for(corpus: Corpus, scenarios: Sequence[ScenarioFile]) -> Gallery:
    """Return the gallery of some scenarios and the controls; raise InputError where there are no controls."""
    if SCENARIO not in corpus.scenarios:
        raise InputError.one(f'no scenario is called "{SCENARIO}"', remedy="without controls no client can be trusted")
    chosen = {file.scenario.slug: file.scenario for file in scenarios}
    return Gallery({SCENARIO: corpus.scenarios[SCENARIO].scenario, **chosen}, KeyRing(default_folder()))


def _features(campaign: Campaign) -> tuple[ScenarioFile, ...]:
    """Return the scenario that probes for features where a run needs it; raise InputError where there is none."""
    required = [
        file.scenario.slug for file in campaign.scenarios if any(case.requires for case in file.scenario.cases())
    ]
    if not required and not campaign.settings.every_feature:
        return ()
    if features.SCENARIO not in campaign.corpus.scenarios:
        wanted = f"{', '.join(required)} requires features" if required else "features are to be probed"
        raise InputError.one(f'{wanted}, but no scenario is called "{features.SCENARIO}"')
    return (campaign.corpus.scenarios[features.SCENARIO],)


def resumed(folder: Path, corpus: Corpus) -> tuple[RunRecord, tuple[ScenarioFile, ...], tuple[Client, ...]]:
    """Return what a run's folder holds, and its scenarios and clients, provided that they are still the same."""
    record = read(folder)
    for given in record.run.given:
        adopt(corpus, given)
    problems = []
    for slug, digest in record.run.scenarios.items():
        file = corpus.scenarios.get(slug)
        if file is None:
            problems.append(Problem(file=str(folder), found=f'its scenario "{slug}" is not found any more'))
        elif file.digest != digest:
            problems.append(
                Problem(file=str(file.path), found="it has changed since the run", remedy="start a new run")
            )
    problems += [
        Problem(file=str(folder), found=f'its client "{name}" is not found any more')
        for name in record.run.columns
        if name not in corpus.clients
    ]
    if problems:
        raise InputError(problems)
    scenarios = tuple(corpus.scenarios[slug] for slug in record.run.scenarios)
    return record, scenarios, tuple(corpus.clients[name] for name in record.run.columns)


async def conduct(
    reactor: Any,
    campaign: Campaign,
    progress: Progress,
    *,
    say: Callable[[str], None] = lambda _text: None,
    report: Callable[[RunRecord], None] = lambda _record: None,
) -> RunRecord:
    """Make a run, or finish one; return what its ledger then holds.

    ``say`` is for a person: one line each.  ``report`` is called before the clients are sent away: where they are
    services beside the lab, their end may be the lab's.
    """
    probing = _features(campaign)
    gallery = gallery_for(campaign.corpus, (*probing, *campaign.scenarios))
    gallery.keylog, gallery.seed = campaign.keylog, campaign.seed
    plan = Plan(campaign.scenarios, campaign.clients, campaign.seed, campaign.only, campaign.wire)
    runtime = open_runtime(reactor, campaign.runtime, campaign.dial, say)
    repository: Repository | None = None
    try:
        if any(scenario.points for scenario in gallery.scenarios.values()):
            # certificates name its port, so it is open before they are minted
            repository = Repository(reactor, await runtime.reached_at())
            repository.open()
            gallery.port = repository.address
        gallery.check()
        ledger = _open_ledger(campaign, plan, gallery, runtime.name)
        try:
            await fill(
                reactor,
                plan,
                gallery,
                controls=campaign.corpus.scenarios[SCENARIO].scenario,
                features=probing[0].scenario if probing else None,
                runtime=runtime,
                ledger=ledger,
                settings=campaign.settings,
                progress=progress,
                repository=repository,
                before=campaign.before,
            )
        finally:
            ledger.close()
        record = read(campaign.folder)
        report(record)
    finally:
        if repository is not None:
            await repository.close()
        await runtime.close()
    return record


def _open_ledger(campaign: Campaign, plan: Plan, gallery: Gallery, runtime: str) -> Ledger:
    if campaign.before is not None:
        return Ledger.resume(campaign.folder)[0]
    run = Run(
        id=campaign.folder.name,
        lab=version("tlslab"),
        started=datetime.now(UTC),
        seed=campaign.seed,
        jobs=campaign.settings.jobs,
        runtime=runtime,
        timeout_ms=campaign.settings.timeout_ms,
        scenarios={file.scenario.slug: file.digest for file in campaign.scenarios},
        cases=tuple(case.id for case in plan.cases),
        columns=tuple(client.name for client in campaign.clients),
        faults=campaign.wire,
        given=tuple(client.given for client in campaign.clients if client.given),
    )
    ledger = Ledger.create(campaign.folder, run)
    for case in plan.cases:
        ledger.append(gallery.record(case))
    return ledger


def exit_status(record: RunRecord, fail_on: Sequence[Verdict] = FAIL_ON) -> int:
    """Return what a run ends with: 3 where the lab or a client's harness is broken, 1 for a verdict, else 0."""
    broken = (
        record.missing > 0
        or len(record.columns) < len(record.run.columns)
        or any(column.state != "ok" for column in record.columns)
        or any(cell.observation.stage is Stage.HARNESS for cell in record.cells)
    )
    if broken:
        return 3
    return 1 if any(cell.verdict in fail_on for cell in record.cells) else 0
