"""Tells whether scenarios and clients are sound: what they name exists, and the oracles agree with their authors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from lab.corpus import ClientFolder, Corpus, ScenarioFile, load_client, load_scenario
from lab.errors import InputError, Problem, did_you_mean
from lab.expectation import opinion, reference_expects
from lab.model.document import Document
from lab.model.scenario import Case, Expect, Expectation, Reason, Scenario
from lab.pki.keys import KeyRing
from lab.pki.mint import Minted, mint
from lab.pki.second import SecondOpinion, second_opinion
from lab.server.faults import read_faults

__all__ = ["lint", "lint_client", "lint_scenario"]


def lint(paths: Sequence[Path], ring: KeyRing) -> list[Problem]:
    """Return everything that is wrong with the scenarios and clients at ``paths``, or with all that can be found.

    A path is a ``scenario.toml`` or a ``client.toml``, the folder of one, or a folder that holds such folders.
    Clients may name every scenario that can be found, besides those at ``paths``.
    """
    corpus = Corpus()
    if not paths:
        homes = {client.home.folder.resolve(): client.home for client in corpus.clients.values()}
        return _lint_all(corpus.problems, list(corpus.scenarios.values()), list(homes.values()), corpus.scenarios, ring)
    problems: list[Problem] = []
    scenarios: list[ScenarioFile] = []
    clients: list[ClientFolder] = []
    known = dict(corpus.scenarios)
    for path in paths:
        files, folders = _scenario_files(path), _client_folders(path)
        if not files and not folders:
            problems.append(Problem(file=str(path), found="there is no scenario.toml and no client.toml here"))
        for file in files:
            scenario, wrong = load_scenario(file)
            problems += wrong
            if scenario is not None:
                problems += _duplicate(scenario, known)
                known[scenario.scenario.slug] = scenario
                scenarios.append(scenario)
        for folder in folders:
            client, wrong = load_client(folder)
            problems += wrong
            clients += [client] if client else []
    return _lint_all(problems, scenarios, clients, known, ring)


def _lint_all(
    problems: Sequence[Problem],
    scenarios: Sequence[ScenarioFile],
    clients: Sequence[ClientFolder],
    known: Mapping[str, ScenarioFile],
    ring: KeyRing,
) -> list[Problem]:
    found = set(problems)
    for scenario in scenarios:
        found.update(lint_scenario(scenario, ring))
    for client in clients:
        found.update(lint_client(client, known))
    return sorted(found)


def _scenario_files(path: Path) -> list[Path]:
    return _found(path, "scenario.toml", "scenarios")


def _client_folders(path: Path) -> list[Path]:
    return [file.parent for file in _found(path, "client.toml", "clients")]


def _found(path: Path, name: str, kind: str) -> list[Path]:
    """Return the files called ``name`` that a path means: itself, in it, one folder down, or in its ``kind``."""
    if path.name == name:
        return [path]
    if (path / name).is_file():
        return [path / name]
    return sorted([*path.glob(f"*/{name}"), *path.glob(f"{kind}/*/{name}")])


def _duplicate(scenario: ScenarioFile, known: Mapping[str, ScenarioFile]) -> Iterator[Problem]:
    slug = scenario.scenario.slug
    if slug in known and known[slug].path.resolve() != scenario.path.resolve():
        yield Problem(file=str(scenario.path), found=f'a scenario called "{slug}" is in {known[slug].path} too')


def lint_scenario(file: ScenarioFile, ring: KeyRing) -> list[Problem]:
    """Mint a scenario and return every expectation that an oracle contradicts and its author gives no reason for."""
    document = Document(file.path)
    try:
        minted = mint(file.scenario, ring)
    except InputError as error:
        return [document.problem(one.field.split("."), one.found, one.remedy) for one in error.problems]
    unknown = list(_unknown_faults(file.scenario, document))
    return [*unknown, *_idle_changes(file.scenario, document), *_lint_cases(file.scenario, minted, document)]


def _unknown_faults(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """Yield the names of faults on the wire that the lab does not know, and numbers that they do not take."""
    for name, fault in scenario.faults.items():
        try:
            read_faults(fault.wire)
        except InputError as error:
            yield from (document.problem(("faults", name, "wire"), one.found, one.remedy) for one in error.problems)


def _idle_changes(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """Yield the remedies and faults that change no case."""
    made = {name for case in scenario.cases() for name in (case.remedy, case.fault)}
    other_column = {name for name, remedy in scenario.remedies.items() if remedy.column is not None}
    for table, names in (("remedies", scenario.remedies), ("faults", scenario.faults)):
        for name in names:
            if name not in made and name not in other_column:
                yield document.problem((table, name), "it changes no case", 'see which cases "of" names')


def _lint_cases(scenario: Scenario, minted: Minted, document: Document) -> Iterator[Problem]:
    for case in scenario.cases():
        if case.origin in {"fault", "order"}:  # what it was made of is looked at
            continue
        if case.device is not None:
            yield from _lint_server(case, minted, document)
        why = case.expected.why if case.expected is not None else scenario.why_generated
        if not why:
            yield from _lint_case(case, minted, document)


def _lint_case(case: Case, minted: Minted, document: Document) -> Iterator[Problem]:
    thought = opinion(case, minted)
    says = reference_expects(thought)
    said = case.expected or says
    loc, remedy = _place(case)
    if _differs(said, says):
        found = f'{case.name} expects "{said}", the reference relying party says "{says}": {thought.why}'
        yield document.problem(loc, found, "correct it, or say why")
    other = _second(case, minted)
    if (
        other is not None
        and other.expect is not None
        and said.reason is not Reason.REVOKED
        and said.expect not in {Expect.EITHER, other.expect}
    ):
        found = f'{case.name} expects "{said}", cryptography says "{other.expect}": {other.why}'
        yield document.problem(loc, found, remedy)


def _lint_server(case: Case, minted: Minted, document: Document) -> Iterator[Problem]:
    """Yield what keeps a client from the server that is to judge it."""
    met = opinion(case.model_copy(update={"device": None}), minted)
    if met.expect is not Expect.ACCEPT:
        found = f"{case.name} is about the device, but its client need not accept the server: {met.why}"
        yield document.problem(("chains", case.chain, "send"), found, "serve a chain that every client accepts")


def _second(case: Case, minted: Minted) -> SecondOpinion | None:
    """Return the other oracle's opinion; None where there is no certificate to judge."""
    if case.device is None:
        return second_opinion(minted.named(case.send), minted.named(case.trust), case.at, case.host)
    if not case.device.send:
        return None
    return second_opinion(minted.named(case.device.send), minted.named(case.device.trust), case.at, None)


def _place(case: Case) -> tuple[tuple[str, ...], str]:
    """Return where the expectation of a case stands or could stand, and where the author's words would."""
    if case.expected is None:
        return ("why_generated",), 'say "why_generated", for all generated cases'
    if case.remedy is not None:
        return ("remedies", case.remedy, "expect"), "say why"
    return ("expect", case.chain, case.store, case.time), "say why"


def _differs(author: Expectation, oracle: Expectation) -> bool:
    """Tell whether two expectations differ; a reason that the author does not give differs from none."""
    return author.expect is not oracle.expect or (author.reason is not None and author.reason is not oracle.reason)


class _CaseNames(dict[str, list[str]]):
    """The names of every scenario's cases, found when they are asked for."""

    def __init__(self, scenarios: Mapping[str, ScenarioFile]) -> None:
        super().__init__()
        self._scenarios = scenarios

    def __missing__(self, slug: str) -> list[str]:
        self[slug] = [case.name for case in self._scenarios[slug].scenario.cases()]
        return self[slug]


def lint_client(client: ClientFolder, scenarios: Mapping[str, ScenarioFile]) -> list[Problem]:
    """Return every deviation of a client that names a scenario, a case or a column that is not there."""
    document = Document(client.folder / "deviations.toml")
    columns = [column.name for column in client.manifest.columns]
    cases_of = _CaseNames(scenarios)
    problems = []
    for index, deviation in enumerate(client.deviations):
        loc = ("deviation", index)
        named = [slug for slug in scenarios if fnmatchcase(slug, deviation.scenario)]
        if not named:
            found = f'no scenario is called "{deviation.scenario}"'
            problems.append(document.problem((*loc, "scenario"), found, did_you_mean(deviation.scenario, scenarios)))
        else:
            cases = [case for slug in named for case in cases_of[slug]]
            if not any(fnmatchcase(case, deviation.case) for case in cases):
                found = f'no case of {deviation.scenario} is called "{deviation.case}"'
                problems.append(document.problem((*loc, "case"), found, did_you_mean(deviation.case, cases)))
        for pattern in deviation.columns:
            if not any(fnmatchcase(column, pattern.removeprefix("!")) for column in columns):
                found = f'no column of {client.manifest.stack} is called "{pattern}"'
                problems.append(document.problem((*loc, "columns"), found, did_you_mean(pattern, columns)))
    return problems
