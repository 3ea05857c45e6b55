"""The scenario model: moments and boundaries, cases, keys, expectations as people write them."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lab.model.scenario import BOUNDARY, Expect, Expectation, Reason, Scenario

TEXT = """
schema = 1
slug = "small"
title = "A small one"
date = 2021-09-30
summary = "A root and a site."
[entities]
root = { cn = "Root", key = "rsa2048" }
twin = { same_key_as = "root" }
site = { dns = ["shop.example"] }
[certificates]
root = { subject = "root", issuer = "root", from = 2000-01-01T00:00:00Z, until = 2021-09-30T14:01:15Z }
site = { subject = "site", issuer = "root" }
[server]
host = "shop.example"
[chains]
plain = { send = ["site"], at = ["now", "root.until+1s"] }
other = { send = ["site", "root"], at = ["now"], stores = ["none"], host = "other.example" }
[stores]
none = []
old = ["root"]
[times]
now = 2021-09-30T16:01:14+02:00
[expect.plain]
none = { now = "reject:unknown-ca", "root.until+1s" = "reject" }
old = { now = "accept", "root.until+1s" = { expect = "either", why = "an anchor's dates" } }
[expect.other]
none = { now = { expect = "reject:wrong-host", why = "it is another one" } }
"""

UNTIL = datetime(2021, 9, 30, 14, 1, 15, tzinfo=UTC)


def small(**changes: Any) -> Scenario:
    return Scenario.model_validate({**tomllib.loads(TEXT), **changes})


def test_cases_in_the_order_of_the_file() -> None:
    """Every case of every chain is there once, by chain, then store, then time, with its host and expectation."""
    cases = list(small().cases())
    assert [case.id for case in cases] == [
        "small/plain+none@now",
        "small/plain+none@root.until+1s",
        "small/plain+old@now",
        "small/plain+old@root.until+1s",
        "small/other+none@now",
    ]
    assert [case.host for case in cases] == ["shop.example"] * 4 + ["other.example"]
    assert [str(case.expected) for case in cases] == [
        "reject:unknown-ca",
        "reject",
        "accept",
        "either",
        "reject:wrong-host",
    ]
    assert cases[-1].expected.why == "it is another one"


def test_moments_are_kept_in_utc() -> None:
    """A time written in another zone is the same moment in UTC."""
    assert small().times["now"] == UNTIL - timedelta(seconds=1)
    assert small().times["now"].tzinfo is UTC


@given(offset=st.one_of(st.none(), st.integers(-(10**8), 10**8)), end=st.sampled_from(["from", "until"]))
@settings(deadline=None, derandomize=True, database=None)
def test_boundaries(offset: int | None, end: str) -> None:
    """A boundary is the end of the certificate that it names, moved by its seconds."""
    scenario = small()
    root = scenario.certificates["root"]
    start = root.not_before if end == "from" else root.not_after
    assert start is not None
    time = f"root.{end}" + ("" if offset is None else f"{offset:+d}s")
    assert scenario.moment(time) == start + timedelta(seconds=offset or 0)


@given(text=st.text(max_size=30))
@settings(deadline=None, derandomize=True, database=None)
def test_no_moment(text: str) -> None:
    """What is neither a time nor a boundary of a certificate raises KeyError, and nothing else."""
    scenario = small()
    boundary = BOUNDARY.fullmatch(text)
    if text not in scenario.times and (boundary is None or boundary["certificate"] != "root"):
        with pytest.raises(KeyError):
            scenario.moment(text)


@pytest.mark.parametrize("time", ["root.until+1", "root.until1s", "root.UNTIL", ".until", "root.until+1s ", "root"])
def test_almost_a_boundary(time: str) -> None:
    """A boundary has a certificate, an end and, if any, a sign, seconds and an s; nothing before and after."""
    assert BOUNDARY.fullmatch(time) is None


def test_a_boundary_wants_that_date() -> None:
    """The end of a certificate that has none is no moment."""
    with pytest.raises(KeyError):
        small().moment("site.until")


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        (datetime(2021, 9, 30, 14, 1, 15, 5, tzinfo=UTC), "whole seconds"),
        (datetime(2021, 9, 30, 14, 1, 15, tzinfo=UTC).replace(tzinfo=None), "timezone"),
    ],
)
def test_moments_are_exact(moment: datetime, message: str) -> None:
    """A moment has whole seconds and a zone."""
    with pytest.raises(ValidationError, match=message):
        small(times={"now": moment})


def test_zone_of_a_moment_does_not_matter() -> None:
    """Two ways to write one moment make equal scenarios."""
    elsewhere = datetime(2021, 9, 30, 9, 1, 14, tzinfo=timezone(timedelta(hours=-5)))
    assert small(times={"now": elsewhere}) == small()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("accept", Expectation(expect=Expect.ACCEPT)),
        ("either", Expectation(expect=Expect.EITHER)),
        ("reject", Expectation(expect=Expect.REJECT)),
        ("reject:expired", Expectation(expect=Expect.REJECT, reason=Reason.EXPIRED)),
        ({"expect": "accept", "why": "because"}, Expectation(expect=Expect.ACCEPT, why="because")),
        ({"expect": "reject:weak"}, Expectation(expect=Expect.REJECT, reason=Reason.WEAK)),
    ],
)
def test_expectations_as_people_write_them(written: object, meant: Expectation) -> None:
    """An expectation is a word, a word with its reason, or a table of either with a why."""
    expect = {"plain": {"none": {"now": written}}}
    assert small(expect=expect).expect["plain"]["none"]["now"] == meant


@pytest.mark.parametrize("written", ["accept:expired", "either:expired", "maybe", "reject:tired", 1, [], {}])
def test_no_expectation(written: object) -> None:
    """Only a rejection has a reason, and only the known words are expectations."""
    with pytest.raises(ValidationError):
        small(expect={"plain": {"none": {"now": written}}})


def test_who_is_a_ca() -> None:
    """A certificate is a CA's where its subject issues one, unless it says otherwise."""
    scenario = small()
    assert scenario.is_ca("root")
    assert not scenario.is_ca("site")
    said = tomllib.loads(TEXT)["certificates"]
    said["root"]["ca"] = False
    assert not small(certificates=said).is_ca("root")


def test_key_owner() -> None:
    """A rebranded entity uses the other one's key; a loop of rebrandings ends all the same."""
    assert small().key_owner("twin") == "root"
    loop = {"a": {"same_key_as": "b"}, "b": {"same_key_as": "a"}}
    assert small(entities=loop).key_owner("a") in {"a", "b"}


def test_models_do_not_change() -> None:
    """A scenario is frozen."""
    with pytest.raises(ValidationError):
        small().title = "another"  # type: ignore[misc]
