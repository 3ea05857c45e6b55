"""The corpus: where scenarios and clients are found, how they are chosen, and that nothing wrong hides another."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.corpus import Client, Corpus, home, load_client
from lab.errors import InputError

SOUND = (home() / "scenarios" / "controls" / "scenario.toml").read_text(encoding="utf-8")
MANIFEST = """schema = 1
stack = "openssl"
title = "OpenSSL"
summary = "A library."
clock = "native"
groups = ["old"]
cannot = ["dates"]
[[columns]]
name = "openssl-1.0.2q"
version = "1.0.2q"
reports = "OpenSSL 1.0.2q"
[[columns]]
name = "openssl-1.1.1w"
version = "1.1.1w"
reports = "OpenSSL 1.1.1w"
cannot = ["host"]
"""
DEVIATION = """schema = 1
[[deviation]]
scenario = "letsencrypt-2021"
case = "long+both@after"
versions = "<1.1.0"
observation = "rejected"
why = "prefers the path it was sent"
source = "OpenSSL blog, 2021-09-13"
"""


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is the whole world: nothing else is found."""
    monkeypatch.setattr("lab.corpus.home", lambda: tmp_path / "home")
    monkeypatch.setattr("lab.corpus.entry_points", lambda group: [])
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def scenario_at(folder: Path, text: str = SOUND) -> Path:
    folder.mkdir(parents=True)
    (folder / "scenario.toml").write_text(text, encoding="utf-8")
    return folder / "scenario.toml"


def client_at(folder: Path, manifest: str = MANIFEST, deviations: str = "") -> Path:
    folder.mkdir(parents=True)
    (folder / "client.toml").write_text(manifest, encoding="utf-8")
    if deviations:
        (folder / "deviations.toml").write_text(deviations, encoding="utf-8")
    return folder


def test_scenarios_are_found_where_they_may_be(alone: Path) -> None:
    """The folders given, the current folder's and the lab's own are looked into."""
    scenario_at(alone / "given" / "a")
    scenario_at(alone / "work" / "scenarios" / "b")
    scenario_at(alone / "home" / "scenarios" / "c")
    client_at(alone / "mine" / "openssl")
    corpus = Corpus([alone / "given"], [alone / "mine"]).sound()
    assert list(corpus.scenarios) == ["a", "b", "c"]
    assert list(corpus.clients) == ["openssl-1.0.2q", "openssl-1.1.1w"]


def test_installed_packages_are_found(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package names a module whose folder holds scenarios."""
    scenario_at(alone / "package" / "a")

    class Entry:
        def load(self) -> type:
            return type("module", (), {"__file__": str(alone / "package" / "__init__.py")})

    entries = {"tlslab.scenarios": [Entry()]}
    monkeypatch.setattr("lab.corpus.entry_points", lambda group: entries.get(group, []))
    assert list(Corpus().sound().scenarios) == ["a"]


def test_a_slug_twice(alone: Path) -> None:
    """Two scenarios of one name are a problem that names both files; the first is kept."""
    first, second = scenario_at(alone / "a" / "small"), scenario_at(alone / "b" / "small")
    corpus = Corpus([alone / "a", alone / "b"])
    assert corpus.scenarios["small"].path == first
    (problem,) = corpus.problems
    assert problem.file == str(second)
    assert str(first) in problem.found


def test_one_folder_twice(alone: Path) -> None:
    """A folder that is found in two ways is read once."""
    scenario_at(alone / "work" / "scenarios" / "small")
    Corpus([alone / "work" / "scenarios", Path("scenarios")]).sound()


def test_a_broken_scenario_does_not_hide_the_others(alone: Path) -> None:
    """What is sound can be used; asking for a sound corpus raises every problem of every file."""
    scenario_at(alone / "a" / "good")
    scenario_at(alone / "a" / "bad", "title = 1\n")
    scenario_at(alone / "a" / "worse", "title = \n")
    corpus = Corpus([alone / "a"])
    assert list(corpus.scenarios) == ["good"]
    with pytest.raises(InputError) as caught:
        corpus.sound()
    assert {Path(problem.file).parent.name for problem in caught.value.problems} == {"bad", "worse"}


def test_choosing_scenarios(alone: Path) -> None:
    """Globs choose in the corpus's order; one that names nothing is an error with the nearest names."""
    for slug in ("first-2020", "other-2020", "third-2021"):
        scenario_at(alone / "s" / slug)
    corpus = Corpus([alone / "s"])
    assert [one.scenario.slug for one in corpus.choose_scenarios([])] == ["first-2020", "other-2020", "third-2021"]
    assert [one.scenario.slug for one in corpus.choose_scenarios(["other*", "*-2020"])] == ["first-2020", "other-2020"]
    with pytest.raises(InputError) as caught:
        corpus.choose_scenarios(["tird-2021", "zzz"])
    assert [problem.remedy for problem in caught.value.problems] == [
        'did you mean "third-2021" or "other-2020" or "first-2020"?',
        "known: first-2020, other-2020, third-2021",
    ]


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("all", ["openssl-1.0.2q", "openssl-1.1.1w"]),
        ("old", ["openssl-1.0.2q", "openssl-1.1.1w"]),
        ("openssl", ["openssl-1.0.2q", "openssl-1.1.1w"]),
        ("openssl-1.0*", ["openssl-1.0.2q"]),
    ],
)
def test_choosing_clients(alone: Path, pattern: str, chosen: list[str]) -> None:
    """A column is chosen by name, by glob, by its stack, by its group."""
    client_at(alone / "c" / "openssl")
    corpus = Corpus(client_folders=[alone / "c"]).sound()
    assert [client.name for client in corpus.choose_clients([pattern])] == chosen


def test_what_a_client_cannot(alone: Path) -> None:
    """A column cannot do what its stack cannot, and what it cannot itself."""
    client_at(alone / "c" / "openssl", deviations=DEVIATION)
    corpus = Corpus(client_folders=[alone / "c"]).sound()
    first, second = corpus.clients.values()
    assert isinstance(first, Client)
    assert [sorted(first.cannot), sorted(second.cannot)] == [["dates"], ["dates", "host"]]
    assert [one.case for one in corpus.clients["openssl-1.1.1w"].home.deviations] == ["long+both@after"]


def test_a_column_twice(alone: Path) -> None:
    """Two columns of one name are a problem, in one manifest or in two."""
    client_at(alone / "a" / "openssl")
    client_at(alone / "b" / "openssl")
    corpus = Corpus(client_folders=[alone / "a", alone / "b"])
    assert [problem.found.partition(" is in ")[0] for problem in corpus.problems] == [
        'a column called "openssl-1.0.2q"',
        'a column called "openssl-1.1.1w"',
    ]


def test_everything_wrong_with_a_client(tmp_path: Path) -> None:
    """A manifest and its deviations are reported together, each array element on its own line."""
    manifest = MANIFEST.replace('reports = "OpenSSL 1.1.1w"', 'report = "OpenSSL 1.1.1w"')
    deviations = DEVIATION + DEVIATION.partition("\n")[2].replace('observation = "rejected"', 'observation = "sulks"')
    found, problems = load_client(client_at(tmp_path / "openssl", manifest, deviations))
    assert found is None
    assert {(Path(problem.file).name, problem.line, problem.field) for problem in problems} == {
        ("client.toml", 12, "columns.1.reports"),
        ("client.toml", 15, "columns.1.report"),
        ("deviations.toml", 13, "deviation.1.observation"),
    }


def test_a_client_in_another_s_folder(tmp_path: Path) -> None:
    """The folder says the stack, and the stack begins the names of its columns."""
    found, problems = load_client(client_at(tmp_path / "gnutls", MANIFEST.replace("openssl-1.1.1w", "libressl-3")))
    assert found is None
    assert {(problem.line, problem.field) for problem in problems} == {(2, "stack"), (13, "columns.1.name")}


def test_a_range_that_is_none(tmp_path: Path) -> None:
    """A deviation's versions are comparisons."""
    wrong = DEVIATION.replace("<1.1.0", "1.0.x")
    found, problems = load_client(client_at(tmp_path / "openssl", MANIFEST, wrong))
    assert found is None
    assert [(problem.line, problem.field) for problem in problems] == [(5, "deviation.0.versions")]


def test_the_lab_s_own_are_sound() -> None:
    """What the lab ships can be loaded, all of it."""
    slugs = {path.parent.name for path in (home() / "scenarios").glob("*/scenario.toml")}
    corpus = Corpus()
    assert [problem for problem in corpus.problems if "scenarios" in problem.file] == []
    assert set(corpus.scenarios) >= slugs
    assert {"letsencrypt-2021", "comodo-sectigo-2020", "addtrust-2020", "provider-switch-2021", "controls"} <= slugs
