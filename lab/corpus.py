"""Finds scenarios and clients: in folders given, in this repository, and in installed packages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.metadata import entry_points
from pathlib import Path

from pydantic import BaseModel

import lab
from lab.errors import InputError, Problem, did_you_mean
from lab.judge import in_range
from lab.model.client import Build, ClientManifest, Column, Deviation, Deviations
from lab.model.document import Document, validate
from lab.model.scenario import (
    Case,
    Certificate,
    Chain,
    Entity,
    Expectation,
    NameConstraints,
    Scenario,
    ServerSettings,
)
from lab.model.soundness import scenario_problems
from lab.model.template import write_out
from lab.model.variants import ChainChange, DeviceChange, Remedy, StoreChange, WireFault

__all__ = ["Client", "ClientFolder", "Corpus", "ScenarioFile", "home", "load_client", "load_scenario"]

_GROUPS = {"scenarios": "tlslab.scenarios", "clients": "tlslab.clients"}
"""Entry-point groups under which an installed package names a module whose folder holds scenarios or clients."""


@dataclass(frozen=True)
class ScenarioFile:
    """A scenario and the file that says it; ``digest`` is the SHA-256 of the file."""

    path: Path
    scenario: Scenario
    digest: str

    @property
    def at_home(self) -> bool:
        """Whether it is one of the lab's own scenarios, for which its clients' deviations are written."""
        return self.path.resolve().is_relative_to(home() / "scenarios")


@dataclass(frozen=True)
class ClientFolder:
    """A client's folder: its manifest and its deviations."""

    folder: Path
    manifest: ClientManifest
    deviations: tuple[Deviation, ...] = ()


@dataclass(frozen=True)
class Client:
    """A column and where it comes from."""

    column: Column
    home: ClientFolder
    image: str = ""
    """An image that exists already, which speaks the dialogue; empty where the image is built from ``home``."""
    given: str = ""
    """How it was given on the command line, where it is in no folder of clients: ``image:NAME``, ``command:LINE``."""

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    @property
    def groups(self) -> tuple[str, ...]:
        """Sets of columns that it belongs to; its stack is one."""
        return tuple(dict.fromkeys((*self.home.manifest.groups, *self.column.groups, self.home.manifest.stack)))

    @property
    def cannot(self) -> frozenset[str]:
        """Checks that this column does not make, by design."""
        return frozenset(self.home.manifest.cannot) | frozenset(self.column.cannot)


def home() -> Path:
    """Return the folder that holds the lab's own ``scenarios`` and ``clients``: the checkout's, or the wheel's."""
    package = Path(lab.__file__).resolve().parent
    return package.parent if (package.parent / "pyproject.toml").is_file() else package / "data"


def _folders(kind: str, given: Sequence[Path]) -> list[Path]:
    candidates = [*given, Path.cwd() / kind, home() / kind]
    for entry in entry_points(group=_GROUPS[kind]):
        source = entry.load().__file__
        candidates.append(Path(source).parent)
    seen: dict[Path, None] = {}
    for folder in candidates:
        if folder.is_dir():
            seen.setdefault(folder.resolve())
    return list(seen)


_MODELS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): Scenario,
    ("server",): ServerSettings,
    ("entities", "*"): Entity,
    ("certificates", "*"): Certificate,
    ("certificates", "*", "name_constraints"): NameConstraints,
    ("chains", "*"): Chain,
    ("expect", "*", "*", "*"): Expectation,
    ("remedies", "*"): Remedy,
    ("remedies", "*", "store"): StoreChange,
    ("remedies", "*", "chain"): ChainChange,
    ("remedies", "*", "device"): DeviceChange,
    ("remedies", "*", "device_store"): StoreChange,
    ("faults", "*"): WireFault,
}


def _scenario_model_at(loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    for place, model in _MODELS.items():
        if len(place) == len(loc) and all(one in {"*", part} for one, part in zip(place, loc, strict=True)):
            return model
    return None


def load_scenario(
    path: Path, parameters: Mapping[str, object] | None = None
) -> tuple[ScenarioFile | None, list[Problem]]:
    """Read one ``scenario.toml``; return it, or None, and every problem of it.  The folder's name is its slug.

    ``parameters`` take the place of the file's own, and so of its digest.
    """
    document = Document(path)
    slug = path.resolve().parent.name
    write_out(document, parameters)
    scenario, problems = validate(document, Scenario, _scenario_model_at, {"slug": slug})
    problems += scenario_problems(document)
    if scenario is None or problems:
        return None, problems
    said = document.text + "".join(f"{name}={value}\n" for name, value in sorted((parameters or {}).items()))
    return ScenarioFile(path, scenario, hashlib.sha256(said.encode()).hexdigest()), []


def _client_model_at(loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    match loc:
        case ():
            return ClientManifest
        case ("build",):
            return Build
        case ("columns", _):
            return Column
    return None


def load_client(folder: Path) -> tuple[ClientFolder | None, list[Problem]]:
    """Read a client's folder; return it, or None, and every problem of its files."""
    document = Document(folder / "client.toml")
    manifest, problems = validate(document, ClientManifest, _client_model_at)
    deviations: tuple[Deviation, ...] = ()
    if (folder / "deviations.toml").is_file():
        listed = Document(folder / "deviations.toml")
        table, more = validate(listed, Deviations, lambda loc: Deviation if loc else Deviations)
        problems += more
        if table is not None:
            deviations = table.deviation
            problems += _deviation_problems(listed, deviations)
    if manifest is None or problems:
        return None, problems
    if manifest.stack != folder.resolve().name:
        problems.append(document.problem(["stack"], f'found "{manifest.stack}"', f'the folder is "{folder.name}"'))
    problems += [
        document.problem(["columns", index, "name"], f'found "{column.name}"', f'it begins with "{manifest.stack}-"')
        for index, column in enumerate(manifest.columns)
        if not column.name.startswith(f"{manifest.stack}-")
    ]
    return (None, problems) if problems else (ClientFolder(folder, manifest, deviations), [])


def _deviation_problems(document: Document, deviations: Sequence[Deviation]) -> list[Problem]:
    problems = []
    for index, deviation in enumerate(deviations):
        try:
            in_range("0", deviation.versions)
        except ValueError as error:
            problems.append(document.problem(["deviation", index, "versions"], str(error)))
    return problems


@dataclass
class Corpus:
    """All scenarios and clients that can be found, and what is wrong with the others.

    ``scenario_folders`` and ``client_folders`` are looked into besides the current folder's, this repository's and
    the installed packages'.
    """

    scenario_folders: Sequence[Path] = ()
    client_folders: Sequence[Path] = ()
    scenarios: dict[str, ScenarioFile] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read everything."""
        for folder in _folders("scenarios", self.scenario_folders):
            for path in sorted(folder.glob("*/scenario.toml")):
                self._add_scenario(path)
        for folder in _folders("clients", self.client_folders):
            for path in sorted(folder.glob("*/client.toml")):
                self._add_client(path.parent)

    def _add_scenario(self, path: Path) -> None:
        found, problems = load_scenario(path)
        self.problems += problems
        if found is None:
            return
        slug = found.scenario.slug
        if slug in self.scenarios:
            other = self.scenarios[slug].path
            self.problems.append(Problem(file=str(path), found=f'a scenario called "{slug}" is in {other} too'))
        else:
            self.scenarios[slug] = found

    def _add_client(self, folder: Path) -> None:
        found, problems = load_client(folder)
        self.problems += problems
        if found is None:
            return
        for column in found.manifest.columns:
            if column.name in self.clients:
                other = self.clients[column.name].home.folder
                clash = f'a column called "{column.name}" is in {other} too'
                self.problems.append(Problem(file=str(folder / "client.toml"), found=clash))
            else:
                self.clients[column.name] = Client(column, found)

    def sound(self) -> Corpus:
        """Return this corpus; raise InputError with every problem where it has any."""
        if self.problems:
            raise InputError(self.problems)
        return self

    def scenario(self, slug: str) -> ScenarioFile:
        """Return a scenario by its slug; raise InputError where there is none."""
        if slug not in self.scenarios:
            raise InputError.one(f'no scenario is called "{slug}"', remedy=did_you_mean(slug, self.scenarios))
        return self.scenarios[slug]

    def case(self, wanted: str) -> Case:
        """Return a case by its id, ``letsencrypt-2021/long+both@after``; raise InputError where there is none."""
        slug, _, name = wanted.partition("/")
        cases = {one.name: one for one in self.scenario(slug).scenario.cases()}
        if name not in cases:
            raise InputError.one(f'{slug} has no case "{name}"', remedy=did_you_mean(name, cases))
        return cases[name]

    def choose_scenarios(self, patterns: Iterable[str]) -> list[ScenarioFile]:
        """Return the scenarios that the patterns name (all where there is none); InputError for one that names none."""
        chosen = _choose(patterns, self.scenarios, {}, "scenario")
        return [self.scenarios[slug] for slug in chosen]

    def choose_clients(self, patterns: Iterable[str]) -> list[Client]:
        """Return the columns that the patterns name: globs over columns, or a group.  As for scenarios."""
        groups: dict[str, list[str]] = {"all": list(self.clients)}
        for name, client in self.clients.items():
            for group in client.groups:
                groups.setdefault(group, []).append(name)
        return [self.clients[name] for name in _choose(patterns, self.clients, groups, "client")]


def _choose(patterns: Iterable[str], names: Iterable[str], groups: dict[str, list[str]], what: str) -> list[str]:
    wanted = list(patterns)
    known = list(names)
    if not wanted:
        return known
    chosen: set[str] = set()
    problems = []
    for pattern in wanted:
        hits = groups.get(pattern) or [name for name in known if fnmatchcase(name, pattern)]
        if not hits:
            problems.append(Problem(found=f'no {what} is called "{pattern}"', remedy=did_you_mean(pattern, known)))
        chosen.update(hits)
    if problems:
        raise InputError(problems)
    return [name for name in known if name in chosen]
