"""Chains that say what a device shows: their cases, what the lab makes of them, and what may be wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.corpus import load_scenario
from lab.errors import Problem
from lab.model.scenario import Case, Scenario

TEXT = """schema = 1
title = "A small one"
date = 2026-01-01
summary = "A hub and a meter."
[entities]
hub-root   = { cn = "Hub Root" }
meter-root = { cn = "Meter Root" }
site       = { dns = ["hub.example"] }
meter      = { cn = "Meter 1" }
[certificates]
hub-root   = { subject = "hub-root", issuer = "hub-root", from = 2020-01-01T00:00:00Z, until = 2026-03-01T00:00:00Z }
meter-root = { subject = "meter-root", issuer = "meter-root" }
site       = { subject = "site", issuer = "hub-root" }
meter      = { subject = "meter", issuer = "meter-root", from = 2025-01-01T00:00:00Z, until = 2026-02-01T00:00:00Z }
[server]
host = "hub.example"
[chains]
meter = { send = ["site"], device = ["meter"], device_store = "meters", stores = ["hub"], at = ["now", "boundaries"] }
bare  = { like = "plain", device = [], device_store = "meters", device_required = false }
plain = { send = ["site"], stores = ["hub"], at = ["now"] }
[stores]
hub    = ["hub-root"]
meters = ["meter-root"]
[times]
now = 2026-01-01T00:00:00Z
[remedies.enrol]
title  = "give it one"
of     = ["bare+*@*"]
device = { with = ["meter"] }
[remedies.stranger]
title        = "trust nobody"
of           = ["meter+*@now", "plain+*@now"]
device_store = { without = ["meter-root"] }
[expect]
meter.hub = { now = "accept" }
bare.hub  = { now = "accept" }
plain.hub = { now = "accept" }
"""


def load(tmp_path: Path, *changes: tuple[str, str]) -> tuple[Scenario | None, list[Problem]]:
    text = TEXT
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    path = tmp_path / "small" / "scenario.toml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    found, problems = load_scenario(path)
    return (found.scenario if found else None), problems


@pytest.fixture
def cases(tmp_path: Path) -> dict[str, Case]:
    scenario, problems = load(tmp_path)
    assert scenario is not None, problems
    return {case.name: case for case in scenario.cases()}


def test_a_case_says_what_is_shown_and_who_is_trusted(cases: dict[str, Case]) -> None:
    """The server's store for devices and the client's store are two things, and a plain chain has no device."""
    meter, bare = cases["meter+hub@now"], cases["bare+hub@now"]
    assert (meter.trust, meter.device.send, meter.device.trust) == (("hub-root",), ("meter",), ("meter-root",))
    assert (meter.device.required, meter.device.hints) == (True, True)
    assert (bare.device.send, bare.device.required) == ((), False)
    assert cases["plain+hub@now"].device is None


def test_boundaries_are_those_of_what_is_judged(cases: dict[str, Case]) -> None:
    """The device's dates are tried, within its life, and not those of the server's chain."""
    tried = {case.time for case in cases.values() if case.origin == "boundary"}
    assert tried == {f"meter.{end}{step}" for end in ("from", "until") for step in ("-1s", "", "+1s")}


def test_remedies_change_the_device_and_whom_the_server_trusts(cases: dict[str, Case]) -> None:
    """A remedy may give a device a certificate and change the server's store; it changes nothing of a plain case."""
    assert cases["bare+hub@now,enrol"].device.send == ("meter",)
    assert cases["bare+hub@now,enrol"].device.required is False
    assert cases["meter+hub@now,stranger"].device.trust == ()
    assert cases["meter+hub@now,stranger"].trust == ("hub-root",)
    assert "plain+hub@now,stranger" not in cases


@pytest.mark.parametrize(
    ("change", "field", "found", "remedy"),
    [
        (('device = ["meter"]', 'device = ["metre"]'), "chains.meter.device", "metre", "meter"),
        (('"meters", stores', '"meter", stores'), "chains.meter.device_store", '"meter"', "meters"),
        (('device_store = "meters", stores', "stores"), "chains.meter.device_store", "nothing says whom", "a store"),
        (('device = ["meter"], ', ""), "chains.meter.device_store", "no device to judge", "device ="),
        (("device_required = false", "device_require = false"), "chains.bare.device_require", "no such", "required"),
        (("device = { with", "device = { wiht"), "remedies.enrol.device.wiht", "no such field", "with"),
        (('with = ["meter"]', 'with = ["metre"]'), "remedies.enrol.device.with", "metre", "meter"),
        (('without = ["meter-root"]', 'without = ["root"]'), "remedies.stranger.device_store.without", '"root"', ""),
    ],
)
def test_a_typo_is_named_with_what_would_be_right(
    tmp_path: Path, change: tuple[str, str], field: str, found: str, remedy: str
) -> None:
    """Each mistake about devices is reported at its field, with the names that would be right."""
    _, problems = load(tmp_path, change)
    (problem,) = [one for one in problems if one.field == field]
    assert found in problem.found
    assert remedy in problem.remedy
    assert problem.line


def test_a_dead_device_has_to_be_the_point(tmp_path: Path) -> None:
    """A device certificate out of its dates decides alone, so the expectation must say so."""
    late = ("now = 2026-01-01T00:00:00Z", "now = 2026-02-02T00:00:00Z")
    _, problems = load(tmp_path, late)
    assert [one.field for one in problems] == ["expect.meter.hub.now"]
    assert '"meter" ended at 2026-02-01' in problems[0].found


def test_a_dead_device_on_purpose(tmp_path: Path) -> None:
    """With that reason it is legitimate."""
    late = ("now = 2026-01-01T00:00:00Z", "now = 2026-02-02T00:00:00Z")
    assert load(tmp_path, late, ('{ now = "accept" }', '{ now = "reject:expired" }'))[1] == []
