"""The second opinion: where it agrees, where it rejects by rules of its own, and where it therefore says nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from lab.model.scenario import Expect
from lab.pki.mint import Minted
from lab.pki.second import BEYOND, SecondOpinion, second_opinion

AT = datetime(2022, 1, 1, tzinfo=UTC)
ENTITIES: dict[str, Any] = {"root": {"cn": "Root"}, "site": {"dns": ["shop.example"], "ip": ["192.0.2.1"]}}
EDGES = {"root": ("root", "root"), "site": ("site", "root")}

Mint = Callable[..., Minted]


def _ask(world: Minted, served: str = "site", anchors: str = "root", host: str = "shop.example") -> SecondOpinion:
    held = world.certificates
    return second_opinion([held[name] for name in served.split()], [held[name] for name in anchors.split()], AT, host)


@pytest.mark.parametrize(
    ("host", "expect"),
    [
        ("shop.example", Expect.ACCEPT),
        ("shop.example.", Expect.ACCEPT),
        ("192.0.2.1", Expect.ACCEPT),
        ("other.example", Expect.REJECT),
        ("192.0.2.2", Expect.REJECT),
    ],
)
def test_host(minted: Mint, host: str, expect: Expect) -> None:
    """It accepts the good chain for its own names and addresses, and for no others."""
    assert _ask(minted(ENTITIES, EDGES), host=host).expect is expect


def test_host_that_is_no_name(minted: Mint) -> None:
    """It has no opinion on a host that is neither name nor address."""
    opinion = _ask(minted(ENTITIES, EDGES), host="not a name")
    assert (opinion.expect, opinion.beyond) == (None, "host")


def test_empty_store_and_chain(minted: Mint) -> None:
    """An empty store rejects everything; an empty chain is no question."""
    assert _ask(minted(ENTITIES, EDGES), anchors="").expect is Expect.REJECT
    with pytest.raises(ValueError, match="end-entity"):
        _ask(minted(ENTITIES, EDGES), served="")


@pytest.mark.parametrize(
    ("entities", "edges", "beyond"),
    [
        ({"root": {"cn": "Root", "key": "ed25519"}}, {}, "algorithm"),
        ({}, {"root": ("root", "root", {"name_constraints": {"permitted": [".example"]}})}, "dns-constraint"),
        ({}, {"site": ("site", "root", {"key_usage": ["key_cert_sign"]})}, "profile"),
        ({}, {"root": ("root", "root", {"key_usage": []})}, "profile"),
    ],
)
def test_no_opinion(minted: Mint, entities: dict[str, Any], edges: dict[str, Any], beyond: str) -> None:
    """Where only its own rules refuse a chain, it has no opinion, and says which rules those are."""
    opinion = _ask(minted({**ENTITIES, **entities}, {**EDGES, **edges}))
    assert (opinion.expect, opinion.beyond) == (None, beyond)
    assert beyond in BEYOND
    assert opinion.why


@pytest.mark.parametrize(
    "edges",
    [
        {"root": ("root", "root", {"ca": False})},
        {"root": ("root", "root", {"key_usage": ["crl_sign"]})},
        {"site": ("site", "root", {"eku": ["clientAuth"]})},
        {"site": ("site", "root", {"until": AT - timedelta(seconds=1)})},
    ],
)
def test_rejections(minted: Mint, edges: dict[str, Any]) -> None:
    """What RFC 5280 itself refuses, it rejects."""
    assert _ask(minted(ENTITIES, {**EDGES, **edges})).expect is Expect.REJECT


def test_string_types(minted: Mint) -> None:
    """It compares names byte for byte, and so has no opinion where they differ in string type only."""
    renamed = {"cn": "Root", "strings": "printable", "same_key_as": "root"}
    world = minted({**ENTITIES, "again": renamed}, {**EDGES, "again": ("again", "again")})
    assert _ask(world, anchors="again").beyond == "name-types"
    assert _ask(world, anchors="root").expect is Expect.ACCEPT


def test_self_issued(minted: Mint) -> None:
    """It counts a self-issued intermediate towards a path length, and so has no opinion there."""
    entities = {**ENTITIES, "mid": {"cn": "Mid"}, "new": {"cn": "Mid"}}
    edges = {"mid": ("mid", "root", {"path_length": 0}), "rollover": ("new", "mid"), "site": ("site", "new")}
    opinion = _ask(minted(entities, {**EDGES, **edges}), "site rollover mid")
    assert (opinion.expect, opinion.beyond) == (None, "self-issued")


def test_budget(minted: Mint) -> None:
    """Where it gives up on a mesh of cross-signs, it has no opinion."""
    cas = [f"m{n}" for n in range(6)]
    mesh = {f"{one}-{two}": (one, two) for one, two in permutations(cas, 2)}
    entities = {**ENTITIES, **{ca: {"cn": ca} for ca in cas}}
    world = minted(entities, {**EDGES, **mesh, "site": ("site", "m0")})
    assert _ask(world, " ".join(("site", *mesh))).beyond == "budget"
