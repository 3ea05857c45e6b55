"""Showing a scenario: all that its author said is there, it fits the terminal, and nothing is taken for markup."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from lab.corpus import ScenarioFile, home, load_scenario
from lab.model.scenario import Scenario
from lab.pki.keys import KeyRing
from lab.pki.mint import Minted, mint
from lab.show import as_rich, as_text, listing

SLUGS = sorted(path.parent.name for path in (home() / "scenarios").glob("*/scenario.toml"))


def loaded(slug: str) -> ScenarioFile:
    found, problems = load_scenario(home() / "scenarios" / slug / "scenario.toml")
    assert found is not None, problems
    return found


@pytest.fixture(scope="session")
def controls(tmp_path_factory: pytest.TempPathFactory) -> Minted:
    """Return the controls, minted: they need the fewest slow keys."""
    return mint(loaded("controls").scenario, KeyRing(tmp_path_factory.mktemp("cache") / "keys"))


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("width", [80, 100])
def test_it_fits(slug: str, width: int) -> None:
    """No line is wider than the terminal, and none ends in blanks."""
    for line in as_text(loaded(slug).scenario, width=width).splitlines():
        assert len(line) <= width
        assert line == line.rstrip()


@pytest.mark.parametrize("slug", SLUGS)
def test_nothing_is_left_out(slug: str) -> None:
    """Every name that the author gave is there."""
    scenario = loaded(slug).scenario
    text = as_text(scenario)
    named = [*scenario.entities, *scenario.certificates, *scenario.chains, *scenario.stores, *scenario.times]
    assert [name for name in [*named, *scenario.tags] if name not in text] == []
    whole = " ".join(text.split())
    assert [one for one in [scenario.title, *scenario.references] if " ".join(one.split()) not in whole] == []


def test_graph() -> None:
    """A cross-sign is a second certificate of its subject."""
    text = as_text(loaded("letsencrypt-2021").scenario)
    assert "    ├─ isrg-root   2015-06-04 to 2035-06-04  self-signed\n" in text
    assert "    └─ isrg-cross  2021-01-20 to 2024-09-30  by dst\n" in text


def test_timeline() -> None:
    """Moments stand in order, and what happens in one second shares a line."""
    lines = as_text(loaded("letsencrypt-2021").scenario).splitlines()
    begin = lines.index("Timeline (UTC)") + 1
    moments = lines[begin : lines.index("", begin)]
    assert moments == sorted(moments)
    assert "  2021-09-30 14:01:15  ] dst-root ends, * dst-root.until" in moments
    assert moments.index("  2021-09-30 14:01:14  * before") + 2 == moments.index("  2021-09-30 14:01:16  * after")


def test_cases_that_end_alike_share_lines() -> None:
    """Neighbouring cases of one chain and store with one ending are said once, with the author's why."""
    text = as_text(loaded("letsencrypt-2021").scenario)
    assert "  long+old@before, dst-root.until\n      accept\n" in text
    assert "  long+old@after\n      either\n" in text
    assert "why: RFC 5280 6.1.1(d) and 6.2" in text


def test_the_path_that_the_reference_takes(controls: Minted) -> None:
    """With its certificates at hand a case says which path is taken, or which rule failed."""
    text = as_text(controls.scenario, controls)
    assert "accept                site < intermediate < root\n" in text
    assert "not for other.example" in text


def hostile() -> Scenario:
    scenario = loaded("controls").scenario
    entities = {
        **scenario.entities,
        "root": scenario.entities["root"].model_copy(update={"cn": '[bold]"</b>\x1b[2J#&', "same_key_as": "twin"}),
    }
    return scenario.model_copy(update={"title": "[red]danger[/red]\x1b[2J", "entities": entities, "date": date.max})


def test_nothing_is_markup(tmp_path: Path) -> None:
    """Square brackets are shown as they are, and what would steer a terminal is not sent to it."""
    with (tmp_path / "out").open("w+", encoding="utf-8") as file:
        Console(file=file, width=100, force_terminal=False).print(as_rich(hostile()))
        file.seek(0)
        shown = file.read()
    assert "controls · [red]danger[/red]?[2J\n" in shown
    assert '[bold]"</b>?[2J#&, rsa2048, the key of twin' in shown
    assert "\x1b" not in shown


def test_listing() -> None:
    """The list of scenarios is what DESIGN.md says, with every case by its id."""
    document = listing([loaded("controls")])
    assert document == {
        "schema": 1,
        "scenarios": [
            {
                "slug": "controls",
                "title": "Controls: a good chain, and the same with one property changed",
                "date": "2024-06-01",
                "tags": ["control"],
                "cases": [
                    "controls/good+root@now",
                    "controls/twin-root+twin@now",
                    "controls/other-host+root@now",
                    "controls/expired+root@now",
                    "controls/not-yet-valid+root@now",
                ],
            }
        ],
    }


def test_what_a_device_shows_and_to_whom() -> None:
    """A chain about a device says what it shows, whom the server trusts and how it asks."""
    text = " ".join(as_text(loaded("device-no-certificate").scenario).split())
    assert "the device shows device to a server that trusts devices and requires a certificate" in text
    assert "the device shows nothing to a server that trusts devices and only asks" in text
    unnamed = " ".join(as_text(loaded("device-unknown-issuer").scenario).split())
    assert "to a server that trusts moved and requires a certificate, naming no CA" in unnamed
