"""The search: every path that there is, none twice, and no dead end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

from lab.pki.mint import Minted
from lab.pki.names import fingerprint
from lab.pki.paths import MAX_CERTIFICATES, Path, Search

SITE = {"dns": ["shop.example"]}
CAS: dict[str, Any] = {name: {"cn": name} for name in "abcd"}

Mint = Callable[..., Minted]


def _search(world: Minted, served: str, anchors: str, **more: int) -> Search:
    held = world.certificates
    return Search([held[name] for name in served.split()], [held[name] for name in anchors.split()], **more)


def _say(world: Minted, path: Path) -> str:
    certificates = [*path.certificates, *([path.anchor] if path.anchor else [])]
    return " ".join(world.name_of(fingerprint(certificate)) or "?" for certificate in certificates)


def _loop(minted: Mint) -> Minted:
    edges = {"aa": ("a", "a"), "ab": ("a", "b"), "ba": ("b", "a"), "bb": ("b", "b"), "site": ("site", "a")}
    return minted({**CAS, "site": SITE}, edges)


def test_all_paths_of_a_loop(minted: Mint) -> None:
    """Through CAs that vouch for each other every simple path is found once, and no name and key comes twice."""
    world = _loop(minted)
    found = [_say(world, path) for path in _search(world, "site aa ab ba bb", "aa bb").signed()]
    assert sorted(found) == ["site aa", "site ab bb"]


def test_anchor_need_not_be_self_signed(minted: Mint) -> None:
    """A cross-sign in the store ends a path like any other anchor."""
    world = _loop(minted)
    assert [_say(world, path) for path in _search(world, "site", "ab").signed()] == ["site ab"]


def test_served_twice(minted: Mint) -> None:
    """What is sent or trusted twice is looked at once."""
    world = _loop(minted)
    found = [_say(world, path) for path in _search(world, "site ab ab", "bb bb").signed()]
    assert found == ["site ab bb"]


def test_forged(minted: Mint) -> None:
    """A path with a signature of another key is found apart from the good ones, and only where key ids agree."""
    world = minted(
        {**CAS, "fake": {"cn": "a", "same_key_id_as": "a"}, "other": {"cn": "a"}, "site": SITE},
        {"a": ("a", "a"), "fake": ("fake", "fake"), "other": ("other", "other"), "site": ("site", "a")},
    )
    search = _search(world, "site", "fake other")
    assert not list(search.signed())
    assert [_say(world, path) for path in search.forged()] == ["site fake"]
    assert not list(_search(world, "site", "a").forged())


def test_stranded(minted: Mint) -> None:
    """Where nothing leads to an anchor, a longest path of good signatures is shown."""
    world = minted({**CAS, "site": SITE}, {"ab": ("a", "b"), "bc": ("b", "c"), "ad": ("a", "d"), "site": ("site", "a")})
    assert _say(world, _search(world, "site ad ab bc", "").stranded()) == "site ab bc"
    assert _say(world, _search(world, "site", "").stranded()) == "site"


def test_leaf_anchors(minted: Mint) -> None:
    """The leaf's own twins in the store are told, and are no issuers of it."""
    world = minted({"site": SITE}, {"one": ("site", "site", {"ca": False}), "two": ("site", "site", {"ca": False})})
    search = _search(world, "one", "one two")
    assert search.leaf_anchors() == [world.certificates["one"], world.certificates["two"]]
    assert not list(search.signed())


def test_bound_on_steps(minted: Mint) -> None:
    """The bound on steps ends the search and is told; without it every path of the mesh is found."""
    edges = {f"{one}{two}": (one, two) for one, two in permutations("abcd", 2)}
    world = minted({**CAS, "site": SITE}, {**edges, "dd": ("d", "d"), "site": ("site", "a")})
    sent = " ".join(("site", *edges))
    whole = _search(world, sent, "dd")
    assert len(list(whole.signed())) == 5  # from a to d through any ordered choice of b and c
    assert not whole.gave_up
    bounded = _search(world, sent, "dd", max_steps=3)
    assert len(list(bounded.signed())) < 5
    assert bounded.gave_up


def test_bound_on_length(minted: Mint) -> None:
    """A path longer than the bound is not followed, and that is told."""
    count = MAX_CERTIFICATES + 1
    cas = {f"x{n}": {"cn": f"x{n}"} for n in range(count + 1)}
    edges = {f"c{n}": (f"x{n}", f"x{n + 1}") for n in range(count)}
    world = minted({**cas, "site": SITE}, {**edges, "top": (f"x{count}",) * 2, "site": ("site", "x0")})
    search = _search(world, " ".join(("site", *edges)), "top")
    assert not list(search.signed())
    assert search.gave_up
    near = _search(world, " ".join(("site", *edges)), f"c{MAX_CERTIFICATES - 1}")
    assert len(next(near.signed()).certificates) == MAX_CERTIFICATES
