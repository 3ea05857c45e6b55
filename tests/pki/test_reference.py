"""The reference relying party: which path it takes, which failure speaks, and what it leaves open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from lab.model.scenario import Case, Expect, Reason, Scenario
from lab.pki.keys import KeyRing
from lab.pki.mint import Minted, mint
from lab.pki.names import fingerprint
from lab.pki.reference import Opinion, reference

AT = datetime(2022, 1, 1, tzinfo=UTC)
SITE = {"dns": ["shop.example"]}
OVER = {"from": "2010-01-01T00:00:00Z", "until": "2021-01-01T00:00:00Z"}

Mint = Callable[..., Minted]
Judge = Callable[..., Opinion]


def _judged(world: Minted, case: Case) -> Opinion:
    return reference(world.named(case.send), world.named(case.trust), case.at, case.host, world.name_of)


def test_design_scenario(design: Scenario, ring: KeyRing) -> None:
    """The scenario of DESIGN.md has exactly the expectations that are written there."""
    world = mint(design, ring)
    cases = list(design.cases())
    assert len(cases) == 15
    said = {case.name: str(case.expected) for case in cases}
    found = {}
    for case in cases:
        opinion = _judged(world, case)
        reason = f":{opinion.reason}" if opinion.expect is Expect.REJECT else ""
        found[case.name] = f"{opinion.expect}{reason}"
    assert found == said


def test_design_paths(design: Scenario, ring: KeyRing) -> None:
    """It says which path works, which rule failed where, and which freedom an open answer rests on."""
    opinions = {case.name: _judged(mint(design, ring), case) for case in list(design.cases())}
    assert opinions["long+both@after"].path == ("site", "r3", "isrg-root")
    assert "dst-root: as a trust anchor: not valid after 2021-09-30" in opinions["long+old@after"].why
    assert "isrg-cross: not valid after 2024-09-30" in opinions["long-2024+old@cross-sign-dead"].why


def test_names(minted: Mint) -> None:
    """Names come from a mapping or a function; what has none is called by its SHA-256."""
    world = minted({"a": {"cn": "A"}, "site": SITE}, {"a": ("a", "a"), "site": ("site", "a")})
    leaf, root = world.certificates["site"], world.certificates["a"]
    digests = fingerprint(leaf), fingerprint(root)
    assert reference([leaf], [root], AT, "shop.example").path == digests
    assert reference([leaf], [root], AT, "shop.example", {digests[0]: "leaf"}).path == ("leaf", digests[1])
    assert reference([leaf], [root], AT, "shop.example", world.name_of).path == ("site", "a")


def test_nothing_served(minted: Mint) -> None:
    """A chain of nothing is no question."""
    with pytest.raises(ValueError, match="end-entity"):
        reference([], [], AT, "shop.example")


def test_served_root_is_no_anchor(minted: Mint, judge: Judge) -> None:
    """A self-signed certificate that is served is not trusted, whatever is in the store."""
    world = minted(
        {"a": {"cn": "A"}, "b": {"cn": "B"}, "site": SITE},
        {"a": ("a", "a"), "b": ("b", "b"), "site": ("site", "a")},
    )
    for store in ("", "b"):
        opinion = judge(world, "site a", store)
        assert (opinion.expect, opinion.reason) == (Expect.REJECT, Reason.UNKNOWN_CA)
    assert judge(world, "site a", "a").expect is Expect.ACCEPT


@pytest.mark.parametrize("store", ["old", "new", "cross"])
@pytest.mark.parametrize("sent", ["", "old", "new", "cross"])
def test_twin_anchors(minted: Mint, judge: Judge, store: str, sent: str) -> None:
    """A path ends at any anchor of the issuer's name and key, whichever twin is served, self-signed or not."""
    world = minted(
        {"a": {"cn": "A"}, "b": {"cn": "B"}, "site": SITE},
        {"old": ("a", "a"), "new": ("a", "a"), "cross": ("a", "b"), "b": ("b", "b"), "site": ("site", "a")},
    )
    opinion = judge(world, f"site {sent}", store)
    assert opinion.expect is Expect.ACCEPT
    assert opinion.path == ("site", store)


def test_expired_twin(minted: Mint, judge: Judge) -> None:
    """Of two anchors of equal name and key one out of its dates does no harm; alone it leaves the answer open."""
    world = minted(
        {"a": {"cn": "A"}, "site": SITE}, {"old": ("a", "a", OVER), "new": ("a", "a"), "site": ("site", "a")}
    )
    assert judge(world, "site", "old new").expect is Expect.ACCEPT
    assert judge(world, "site new", "old").expect is Expect.EITHER


def test_leaf_is_anchor(minted: Mint, judge: Judge) -> None:
    """A leaf that is itself the anchor, or its twin, is left open; its dates and names still count."""
    world = minted(
        {"site": SITE},
        {"own": ("site", "site", {"ca": False}), "twin": ("site", "site", {"ca": False})},
    )
    assert judge(world, "own", "own").expect is Expect.EITHER
    assert judge(world, "own", "twin").expect is Expect.EITHER
    assert judge(world, "own", "").expect is Expect.REJECT
    opinion = judge(world, "own", "own", host="other.example")
    assert (opinion.expect, opinion.reason) == (Expect.REJECT, Reason.WRONG_HOST)


def test_leaf_is_anchor_and_has_an_issuer(minted: Mint, judge: Judge) -> None:
    """A leaf that is in the store and has a path as well is accepted by that path."""
    world = minted({"a": {"cn": "A"}, "site": SITE}, {"a": ("a", "a"), "site": ("site", "a")})
    assert judge(world, "site", "site a").expect is Expect.ACCEPT
    assert judge(world, "site", "site").expect is Expect.EITHER


@pytest.mark.parametrize("impostor", [{}, {"same_key_id_as": "a"}])
def test_impostor(minted: Mint, judge: Judge, impostor: dict[str, str]) -> None:
    """An anchor of the issuer's name with another key is unknown; one with the same key id is a bad signature."""
    world = minted(
        {"a": {"cn": "A"}, "b": {"cn": "A", **impostor}, "site": SITE},
        {"a": ("a", "a"), "b": ("b", "b"), "site": ("site", "a")},
    )
    opinion = judge(world, "site", "b")
    assert opinion.expect is Expect.REJECT
    assert opinion.reason is (Reason.BAD_SIGNATURE if impostor else Reason.UNKNOWN_CA)
    assert judge(world, "site a", "b").expect is Expect.REJECT
    assert judge(world, "site", "b a").expect is Expect.ACCEPT


def test_string_types(minted: Mint, judge: Judge) -> None:
    """A rebranded CA whose name differs in string type only is the same entity (RFC 5280 section 7.1)."""
    world = minted(
        {"a": {"cn": "A"}, "a2": {"cn": "A", "strings": "printable", "same_key_as": "a"}, "site": SITE},
        {"a": ("a", "a"), "a2": ("a2", "a2"), "site": ("site", "a")},
    )
    assert world.certificates["a"].subject.public_bytes() != world.certificates["a2"].subject.public_bytes()
    assert judge(world, "site", "a2").expect is Expect.ACCEPT


def test_order_and_repetition(minted: Mint, judge: Judge) -> None:
    """The order of the store and of the chain after its first certificate is no input, nor is sending one twice."""
    world = minted(
        {"a": {"cn": "A"}, "b": {"cn": "B"}, "m": {"cn": "M"}, "site": SITE},
        {"a": ("a", "a"), "b": ("b", "b", OVER), "ma": ("m", "a"), "mb": ("m", "b", OVER), "site": ("site", "m")},
    )
    orders = [" ".join(("site", *sent)) for sent in permutations(["ma", "mb", "b", "ma"])]
    assert {judge(world, sent, store).why for sent in orders for store in ("a b", "b a")} == {"site < ma < a"}


def test_first_is_the_end_entity(minted: Mint, judge: Judge) -> None:
    """Whatever is sent first is judged as the server's own certificate."""
    world = minted({"a": {"cn": "A"}, "site": SITE}, {"a": ("a", "a"), "m": ("a", "a"), "site": ("site", "a")})
    opinion = judge(world, "m site", "a")
    assert opinion.expect is Expect.REJECT
    assert {failure.reason for failure in opinion.failures} >= {Reason.WRONG_USAGE, Reason.WRONG_HOST}


def test_best_failing_path_speaks(minted: Mint, judge: Judge) -> None:
    """Of failing paths the one with the fewest failures speaks, and one that ends at an anchor before any other."""
    world = minted(
        {"a": {"cn": "A"}, "b": {"cn": "B"}, "m": {"cn": "M"}, "site": SITE},
        {
            "a": ("a", "a"),
            "b": ("b", "b"),
            "ma": ("m", "a", OVER),
            "mb": ("m", "b", {**OVER, "ca": False}),
            "site": ("site", "m"),
        },
    )
    assert judge(world, "site mb ma", "b a").path == ("site", "ma", "a")
    assert [failure.reason for failure in judge(world, "site mb ma", "b").failures] == [
        Reason.EXPIRED,
        Reason.NOT_A_CA,
        Reason.WRONG_USAGE,
    ]
    assert judge(world, "site mb ma", "a").reason is Reason.EXPIRED
    assert judge(world, "site mb ma", "").reason is Reason.UNKNOWN_CA


def test_open_failures_weigh_less(minted: Mint, judge: Judge) -> None:
    """A path with one failure and several open ones is better than one with two failures."""
    world = minted(
        {"a": {"cn": "A"}, "b": {"cn": "B"}, "m": {"cn": "M"}, "site": SITE},
        {
            "a": ("a", "a", {**OVER, "eku": ["clientAuth"]}),
            "b": ("b", "b"),
            "ma": ("m", "a", OVER),
            "mb": ("m", "b", {**OVER, "ca": False, "key_usage": ["key_cert_sign"]}),
            "site": ("site", "m"),
        },
    )
    opinion = judge(world, "site mb ma", "b a")
    assert opinion.path == ("site", "ma", "a")
    assert opinion.reason is Reason.EXPIRED


def _mesh(count: int) -> dict[str, Any]:
    cas = [f"m{n}" for n in range(count)]
    crossed = {f"{one}-{two}": (one, two) for one, two in permutations(cas, 2)}
    return {**crossed, "root": ("root", "root"), "out": ("m0", "root", {"ca": False}), "site": ("site", cas[-1])}


def test_search_is_bounded(minted: Mint) -> None:
    """A mesh of cross-signs ends the search at its bound, which is told, and never called a rejection."""
    entities = {"root": {"cn": "Root"}, "site": SITE, **{f"m{n}": {"cn": f"M{n}"} for n in range(6)}}
    world = minted(entities, _mesh(6))
    held = world.certificates
    served = [held["site"], *(certificate for name, certificate in held.items() if name not in ("site", "root"))]
    opinion = reference(served, [held["root"]], AT, "shop.example", world.name_of, max_steps=50)
    assert (opinion.expect, opinion.complete) == (Expect.EITHER, False)
    assert "gave up" in opinion.why
    whole = reference(served, [held["root"]], AT, "shop.example", world.name_of)
    assert (whole.expect, whole.reason, whole.complete) == (Expect.REJECT, Reason.NOT_A_CA, True)


def test_mesh_without_anchor(minted: Mint) -> None:
    """A mesh that leads to no anchor is known to, without trying its paths."""
    entities = {"root": {"cn": "Root"}, "site": SITE, **{f"m{n}": {"cn": f"M{n}"} for n in range(6)}}
    world = minted(entities, _mesh(6))
    served = [world.certificates["site"], *(c for name, c in world.certificates.items() if name != "site")]
    opinion = reference(served, [], AT, "shop.example", world.name_of)
    assert (opinion.expect, opinion.reason, opinion.complete) == (Expect.REJECT, Reason.UNKNOWN_CA, True)
