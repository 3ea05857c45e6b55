"""Lint: what is wrong with scenarios and clients, found before anything runs, with its place and its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.corpus import home
from lab.errors import Problem
from lab.lint import lint
from lab.pki.keys import KeyRing

SOUND = """schema = 1
title = "A small one"
date = 2021-09-30
summary = "A root and a site."
[entities]
root = { cn = "Root", key = "ec256" }
site = { dns = ["shop.example"], key = "ec256" }
[certificates]
root = { subject = "root", issuer = "root", from = 2000-01-01T00:00:00Z, until = 2021-09-30T14:01:15Z }
site = { subject = "site", issuer = "root", from = 2021-08-20T00:00:00Z, until = 2021-11-18T00:00:00Z }
[server]
host = "shop.example"
[chains]
plain = { send = ["site"], at = ["before", "after"] }
[stores]
root = ["root"]
none = []
[times]
before = 2021-09-30T14:01:14Z
after  = 2021-09-30T14:01:16Z
[expect.plain]
root = { before = "accept", after = "either" }
none = { before = "reject:unknown-ca", after = "reject" }
"""
MANIFEST = """schema = 1
stack = "openssl"
title = "OpenSSL"
summary = "A library."
clock = "native"
[[columns]]
name = "openssl-1.0.2q"
version = "1.0.2q"
reports = "OpenSSL 1.0.2q"
"""
DEVIATION = """
[[deviation]]
scenario = "small"
case = "plain+root@*"
observation = "rejected"
why = "it looks at the anchor's dates"
source = "measured 2021-09-30"
"""


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    """Return a ring whose keys live as long as the session."""
    return KeyRing(tmp_path_factory.mktemp("cache") / "keys")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is the whole world: nothing else is found."""
    monkeypatch.setattr("lab.corpus.home", lambda: tmp_path / "home")
    monkeypatch.setattr("lab.corpus.entry_points", lambda group: [])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scenario_at(folder: Path, *changes: tuple[str, str]) -> Path:
    text = SOUND
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    folder.mkdir(parents=True)
    (folder / "scenario.toml").write_text(text, encoding="utf-8")
    return folder


def client_at(folder: Path, *deviations: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "client.toml").write_text(MANIFEST, encoding="utf-8")
    (folder / "deviations.toml").write_text("schema = 1\n" + "".join(deviations), encoding="utf-8")
    return folder


def linted(ring: KeyRing, *paths: Path) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.field, problem.found) for problem in lint(paths, ring)]


def test_the_lab_s_own_scenarios(ring: KeyRing) -> None:
    """Every expectation that the lab ships is the oracles' too, or says why it is not."""
    assert lint([home() / "scenarios"], ring) == []


def test_sound(alone: Path, ring: KeyRing) -> None:
    """What is sound has no problems; a deviation may name any scenario that can be found."""
    scenario_at(alone / "scenarios" / "small")
    client = client_at(alone / "clients" / "openssl", DEVIATION)
    assert lint([], ring) == []
    assert lint([client], ring) == []


@pytest.mark.parametrize("place", ["", "scenarios", "scenarios/small", "scenarios/small/scenario.toml"])
def test_how_a_path_may_be_said(alone: Path, ring: KeyRing, place: str) -> None:
    """A path is a file, its folder, or a folder of folders."""
    scenario_at(alone / "elsewhere" / "scenarios" / "small", ('before = "accept"', 'before = "reject"'))
    assert [line for line, _, _ in linted(ring, alone / "elsewhere" / place)] == [22, 22]


def test_a_path_with_nothing(alone: Path, ring: KeyRing) -> None:
    """A path at which there is nothing to lint is a problem, not a success."""
    (alone / "empty").mkdir()
    assert lint([alone / "empty"], ring) == [
        Problem(file=str(alone / "empty"), found="there is no scenario.toml and no client.toml here")
    ]


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        (('before = "accept"', 'before = "reject:expired"'), "expect.plain.root.before", 'says "accept"'),
        (('after = "either"', 'after = "accept"'), "expect.plain.root.after", 'says "either"'),
        (
            ('before = "reject:unknown-ca"', 'before = "reject:bad-signature"'),
            "expect.plain.none.before",
            'says "reject:unknown-ca"',
        ),
    ],
)
def test_the_reference_disagrees(alone: Path, ring: KeyRing, change: tuple[str, str], field: str, says: str) -> None:
    """An expectation or a reason that the reference relying party contradicts is a problem, with its words."""
    scenario = scenario_at(alone / "small", change)
    found = [text for _, where, text in linted(ring, scenario) if where == field and "reference" in text]
    assert len(found) == 1
    assert says in found[0]


def test_cryptography_disagrees(alone: Path, ring: KeyRing) -> None:
    """An expectation that the second opinion contradicts wants a why, whatever the reference says."""
    scenario = scenario_at(alone / "small", ('before = "accept"', 'before = "reject:expired"'))
    assert any('cryptography says "accept"' in text for _, _, text in linted(ring, scenario))


def test_a_why_answers_the_oracles(alone: Path, ring: KeyRing) -> None:
    """An author who gives a reason may differ from every oracle."""
    why = '{ expect = "reject:expired", why = "the device counts from another day" }'
    assert lint([scenario_at(alone / "small", ('before = "accept"', f"before = {why}"))], ring) == []


def test_what_cannot_be_minted(alone: Path, ring: KeyRing) -> None:
    """A certificate that cannot be made is a problem at its place in the file."""
    long = "x" * 65
    (problem,) = lint([scenario_at(alone / "small", ('cn = "Root"', f'cn = "{long}"'))], ring)
    assert (problem.file, problem.line) == (str(alone / "small" / "scenario.toml"), 6)
    assert problem.field == "entities.root"


def test_what_cannot_be_loaded(alone: Path, ring: KeyRing) -> None:
    """A broken scenario is reported, and the others are linted all the same."""
    scenario_at(alone / "all" / "broken", ('issuer = "root"', 'issuer = "rot"'))
    scenario_at(alone / "all" / "wrong", ('before = "accept"', 'before = "reject"'))
    files = {Path(problem.file).parent.name for problem in lint([alone / "all"], ring)}
    assert files == {"broken", "wrong"}


def test_a_slug_twice(alone: Path, ring: KeyRing) -> None:
    """A scenario whose name another one has already is a problem; the same file named twice is none."""
    first = scenario_at(alone / "scenarios" / "small")
    second = scenario_at(alone / "more" / "small")
    assert lint([first, first / "scenario.toml"], ring) == []
    (problem,) = lint([second], ring)
    assert problem.found == f'a scenario called "small" is in {first / "scenario.toml"} too'


def test_deviations_that_name_nothing(alone: Path, ring: KeyRing) -> None:
    """A deviation's scenario, case and columns exist; what would be right is said on the right line."""
    scenario_at(alone / "scenarios" / "small")
    client = client_at(
        alone / "clients" / "openssl",
        DEVIATION,
        DEVIATION.replace('"small"', '"smal"'),
        DEVIATION.replace("plain+root@*", "plain+root@befor").replace(
            "observation", 'columns = ["openssl-*", "openssl-1.0.2k"]\nobservation'
        ),
    )
    assert [(one.line, one.field, one.found, one.remedy) for one in lint([client], ring)] == [
        (11, "deviation.1.scenario", 'no scenario is called "smal"', 'did you mean "small"?'),
        (
            19,
            "deviation.2.case",
            'no case of small is called "plain+root@befor"',
            'did you mean "plain+root@before" or "plain+root@after" or "plain+none@before"?',
        ),
        (
            20,
            "deviation.2.columns",
            'no column of openssl is called "openssl-1.0.2k"',
            'did you mean "openssl-1.0.2q"?',
        ),
    ]


DEVICE = """schema = 1
title = "A meter"
date = 2026-01-01
summary = "A hub and a meter."
[entities]
hub   = { cn = "Hub Root" }
root  = { cn = "Meter Root" }
site  = { dns = ["hub.example"] }
meter = { cn = "Meter 1" }
[certificates]
hub   = { subject = "hub", issuer = "hub" }
root  = { subject = "root", issuer = "root" }
site  = { subject = "site", issuer = "hub" }
meter = { subject = "meter", issuer = "root", eku = ["clientAuth"] }
[server]
host = "hub.example"
[chains]
meter = { send = ["site"], device = ["meter"], device_store = "meters", stores = ["hub"], at = ["now"] }
[stores]
hub    = ["hub"]
meters = ["root"]
[times]
now = 2026-01-01T00:00:00Z
[expect]
meter.hub = { now = "accept" }
"""


def linted_device(folder: Path, ring: KeyRing, *change: str) -> list[tuple[int, str, str]]:
    place = folder / "scenarios" / "meters"
    place.mkdir(parents=True)
    text = DEVICE.replace(*change) if change else DEVICE
    assert not change or text != DEVICE
    (place / "scenario.toml").write_text(text)
    return linted(ring, folder)


def test_a_sound_device(alone: Path, ring: KeyRing) -> None:
    """The oracles are asked about the device's chain and the server's store for devices, as a client's."""
    assert linted_device(alone, ring) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('eku = ["clientAuth"]', 'eku = ["serverAuth"]'), "reject:wrong-usage"),
        (('meters = ["root"]', 'meters = ["hub"]'), "reject:unknown-ca"),
        (('device = ["meter"]', "device = []"), "reject:no-certificate"),
    ],
)
def test_the_author_is_wrong_about_a_device(alone: Path, ring: KeyRing, change: tuple[str, str], says: str) -> None:
    """Where the reference says otherwise of the device, the expectation is named."""
    found = linted_device(alone, ring, *change)
    assert {field for _, field, _ in found} == {"expect.meter.hub.now"}
    assert any(f'the reference relying party says "{says}"' in text for _, _, text in found)


def test_a_server_that_the_client_need_not_accept(alone: Path, ring: KeyRing) -> None:
    """A case about a device wants a server that no client stumbles over."""
    ((_, field, text),) = linted_device(alone, ring, 'hub    = ["hub"]', 'hub    = ["root"]')
    assert field == "chains.meter.send"
    assert "meter+hub@now is about the device, but its client need not accept the server" in text
