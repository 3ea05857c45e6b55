"""Variants: boundaries, store orders, remedies and faults that the lab makes of written cases."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lab.model.scenario import Scenario

TEXT = """
schema = 1
slug = "small"
title = "A small one"
date = 2021-09-30
summary = "Two roots, a cross-sign and a site."
orders = "all"
[entities]
old = { cn = "Old Root" }
new = { cn = "New Root" }
site = { dns = ["shop.example"] }
[certificates]
old   = { subject = "old", issuer = "old", from = 2000-01-01T00:00:00Z, until = 2021-09-30T14:01:15Z }
new   = { subject = "new", issuer = "new", from = 2015-01-01T00:00:00Z, until = 2035-01-01T00:00:00Z }
cross = { subject = "new", issuer = "old", from = 2021-01-01T00:00:00Z, until = 2021-09-30T14:01:15Z }
site  = { subject = "site", issuer = "new", from = 2021-09-01T00:00:00Z, until = 2021-12-01T00:00:00Z }
[server]
host = "shop.example"
[chains]
long = { send = ["site", "cross"], at = ["after", "boundaries"] }
[stores]
both = ["old", "new"]
only = ["old"]
[times]
before = 2021-09-30T14:01:14Z
after  = 2021-09-30T14:01:16Z
[remedies.clean]
title = "take the old root out"
of    = ["long+both@*"]
store = { without = ["old"] }
[remedies.clock]
title = "set the clock back"
of    = ["long+*@after"]
clock = "before"
expect = "accept"
[remedies.other-column]
title  = "another build"
of     = ["long+*@after"]
column = "+trusted-first"
[faults.slow]
of   = ["long+both@after"]
wire = ["delay-accept"]
[expect.long]
both = { after = "accept" }
only = { after = "reject:expired" }
"""


def small(**changes: Any) -> Scenario:
    return Scenario.model_validate({**tomllib.loads(TEXT), **changes})


def test_what_becomes_of_a_written_case() -> None:
    """Remedies and faults stand right behind their case, boundaries after them, the other order last."""
    assert [(case.name, case.origin) for case in small().cases() if case.store.startswith("both")] == [
        ("long+both@after", "written"),
        ("long+both@after,clean", "remedy"),
        ("long+both@after,clock", "remedy"),
        ("long+both@after~slow", "fault"),
        ("long+both@site.from-1s", "boundary"),
        ("long+both@site.from", "boundary"),
        ("long+both@site.from+1s", "boundary"),
        ("long+both@site.until-1s", "boundary"),
        ("long+both@site.until", "boundary"),
        ("long+both@site.until+1s", "boundary"),
        ("long+both@cross.until-1s", "boundary"),
        ("long+both@cross.until", "boundary"),
        ("long+both-reversed@after", "order"),
    ]


def test_a_remedy_changes_what_it_says() -> None:
    """The store without a certificate, the client's clock; the rest of the case stays, and so does its name."""
    cases = {case.name: case for case in small().cases()}
    incident, clean, clock = (cases[f"long+both@after{remedy}"] for remedy in ("", ",clean", ",clock"))
    assert (incident.trust, clean.trust) == (("old", "new"), ("new",))
    assert (clean.send, clean.at, clean.expected, clean.source) == (incident.send, incident.at, None, incident.name)
    assert clock.at == incident.at - timedelta(seconds=2)
    assert str(clock.expected) == "accept"
    assert cases["long+both@after~slow"].wire == ("delay-accept",)


def test_a_remedy_that_changes_nothing_makes_no_case() -> None:
    """A store that lacks the certificate anyway, and a remedy that is another column, make no case of their own."""
    names = [case.name for case in small().cases()]
    assert "long+only@after,clean" not in names
    assert not [name for name in names if "other-column" in name]


def test_the_other_order_is_expected_to_be_the_same() -> None:
    """A reversed store has the written expectation; a store that is written both ways is not turned again."""
    case = next(case for case in small().cases() if case.origin == "order")
    assert (case.trust, str(case.expected), case.source) == (("new", "old"), "accept", "long+both@after")
    twice = small(stores={"both": ["old", "new"], "turned": ["new", "old"], "only": ["old"]}, expect={})
    assert not [case for case in twice.cases() if case.origin == "order"]


_SECONDS = st.integers(0, 100)


@given(st.lists(st.tuples(_SECONDS, _SECONDS).map(sorted), min_size=2, max_size=5))
def test_boundaries_are_all_that_bear_on_the_case(spans: list[list[int]]) -> None:
    """Every second around every end within the leaf's life is tried once, and no other."""
    begin = small().times["before"]
    said = tomllib.loads(TEXT)
    names = ["leaf", *(f"ca-{number}" for number in range(1, len(spans)))]
    said["certificates"] = {
        name: {
            "subject": "site" if name == "leaf" else "new",
            "issuer": "new",
            "from": begin + timedelta(seconds=span[0]),
            "until": begin + timedelta(seconds=span[1]),
        }
        for name, span in zip(names, spans, strict=True)
    }
    said["chains"] = {"long": {"send": names, "at": ["boundaries"]}}
    said["stores"] = {"none": []}
    for table in ("remedies", "faults", "expect"):
        said[table] = {}
    tried = [int((case.at - begin).total_seconds()) for case in Scenario.model_validate(said).cases()]
    around = {end + step for span in spans for end in span for step in (-1, 0, 1)}
    assert len(tried) == len(set(tried))
    assert set(tried) == {second for second in around if spans[0][0] - 1 <= second <= spans[0][1] + 1}
