"""Random trust graphs: the reference and ``cryptography.x509.verification`` agree, but for known classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.model.scenario import Expect
from lab.pki.mint import Minted
from lab.pki.reference import Opinion, reference
from lab.pki.second import BEYOND, SecondOpinion, second_opinion

AT = datetime(2022, 1, 1, tzinfo=UTC)
DATES = {
    "valid": {},
    "expired": {"from": "2020-01-01T00:00:00Z", "until": "2021-12-31T23:59:59Z"},
    "ends-now": {"from": "2020-01-01T00:00:00Z", "until": "2022-01-01T00:00:00Z"},
    "future": {"from": "2022-01-01T00:00:01Z", "until": "2030-01-01T00:00:00Z"},
}
# "twin" has the name of "b" and a key of its own; "heir" has a name of its own and the key of "c".
CAS = ("a", "b", "c", "d", "twin", "heir")
ENTITIES: dict[str, Any] = {
    "a": {"cn": "A"},
    "b": {"cn": "B"},
    "c": {"cn": "C"},
    "d": {"cn": "D"},
    "twin": {"cn": "B", "same_key_id_as": "b"},
    "heir": {"cn": "Heir", "same_key_as": "c"},
    "site": {"dns": ["shop.example", "*.wild.example"]},
}


PLAIN = {"dates": "valid", "ca": True}


def _rarely(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([usual] * (4 * len(others)) + list(others))


CA_OPTIONS = st.fixed_dictionaries(
    {
        "dates": st.sampled_from(list(DATES)),
        "ca": st.sampled_from([True] * 4 + [False]),
        "path_length": st.sampled_from([None, 0, 1]),
        "key_usage": _rarely(None, ["digital_signature"], []),
        "eku": _rarely(None, ["clientAuth"], ["any"]),
        "name_constraints": _rarely(
            None,
            {"permitted": ["example"]},
            {"permitted": ["other.example"]},
            {"excluded": ["shop.example"]},
            {"excluded": ["192.0.2.0/24"]},
            {"permitted": [".example"]},
        ),
    }
)
LEAF_OPTIONS = st.fixed_dictionaries(
    {
        "dates": _rarely("valid", "expired", "ends-now"),
        "ca": st.sampled_from([False] * 4 + [True]),
        "eku": _rarely(None, ["clientAuth"], ["any"], ["serverAuth", "clientAuth"], []),
        "key_usage": _rarely(None, ["key_agreement"], ["key_cert_sign"]),
    }
)


def _options(said: dict[str, Any]) -> dict[str, Any]:
    kept = {field: value for field, value in said.items() if field != "dates" and value is not None}
    if kept.get("ca") is False:
        kept.pop("path_length", None)
    return {**kept, **DATES[said["dates"]]}


@dataclass(frozen=True)
class Graph:
    """Certificates by name, and which of them are served and trusted."""

    certificates: dict[str, Any]
    served: tuple[str, ...]
    anchors: tuple[str, ...]
    host: str


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Draw a tree of CAs, then cross-signs and loops over it; most of it served, in any order, and some trusted."""
    order = draw(st.permutations(CAS))[: draw(st.integers(1, len(CAS)))]
    edges = [(order[0], order[0])]
    edges += [(subject, order[draw(st.integers(max(0, n - 1), n))]) for n, subject in enumerate(order[1:])]
    edges += draw(st.lists(st.tuples(st.sampled_from(order), st.sampled_from(CAS)), max_size=4))
    plain, odd = draw(st.integers(0, len(edges))), {}
    for number in draw(st.lists(st.integers(0, len(edges) - 1), max_size=min(3, plain), unique=True)):
        odd[number] = draw(CA_OPTIONS)
    certificates: dict[str, Any] = {
        f"c{number}": (subject, issuer, _options(odd.get(number, PLAIN)))
        for number, (subject, issuer) in enumerate(edges)
    }
    names = list(certificates)
    certificates["leaf"] = ("site", draw(st.sampled_from(order[-2:])), _options(draw(LEAF_OPTIONS)))
    dropped = draw(st.lists(st.sampled_from(names), max_size=2)) if draw(st.booleans()) else []
    served = [name for name in draw(st.permutations(names)) if name not in dropped]
    trusted = st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)
    anchors = draw(st.one_of(st.just(["c0"]), trusted, trusted, st.just([])))
    host = draw(_rarely("shop.example", "other.example", "x.wild.example"))
    return Graph(certificates, ("leaf", *served), tuple(anchors), host)


OPEN_RULES = (
    "as a trust anchor:",  # 6.1.1(d) and 6.2: an anchor is a name and a key, or more
    "by the trust anchor's",  # RFC 5937: constraints inside an anchor
    "itself the trust anchor",  # RFC 5280 6.1: a path begins below its anchor
    "which 6.1 does not nest",  # EKU in CA certificates
    "anyExtendedKeyUsage",  # RFC 5280 4.2.1.12: MAY reject
    "without digitalSignature",  # RFC 8446 4.4.2.2, and TLS 1.2 without a signature
    "permitted subtree",  # a DNS constraint with a leading dot: RFC 5280 4.2.1.10 is silent
)


def _left_open(opinion: Opinion, _: SecondOpinion) -> bool:
    return opinion.expect is Expect.EITHER and all(
        failure.open and any(words in failure.rule for words in OPEN_RULES) for failure in opinion.failures
    )


def _leaf_key_usage(opinion: Opinion, second: SecondOpinion) -> bool:
    rules = [failure.rule for failure in opinion.failures if not failure.open]
    return second.beyond == "profile" and all("without digitalSignature" in rule for rule in rules)


DISAGREEMENTS: dict[str, tuple[str, Callable[[Opinion, SecondOpinion], bool]]] = {
    "open": ("RFC 5280 6.2, RFC 5937: the standards leave it open, and it has chosen one answer", _left_open),
    "leaf-key-usage": (
        "RFC 8446 4.4.2.2, RFC 5280 4.2.1.3: the reference wants a bit that serves TLS in an end-entity's keyUsage",
        _leaf_key_usage,
    ),
    "profile": (BEYOND["profile"], lambda ours, its: ours.expect is Expect.ACCEPT and its.beyond == "profile"),
    "budget": (BEYOND["budget"], lambda _, its: its.beyond == "budget"),
    "self-issued": (BEYOND["self-issued"], lambda _, its: its.beyond == "self-issued"),
    "dns-constraint": (BEYOND["dns-constraint"], lambda _, its: its.beyond == "dns-constraint"),
}
"""Every class of different answers, with its reason.  None of them is plain accept against plain reject."""


@settings(max_examples=1200, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs())
def test_agrees_with_cryptography(graph: Graph, minted: Callable[..., Minted]) -> None:
    """On any graph, the two oracles say the same, or differ in a way that is known, with its reason."""
    world = minted(ENTITIES, graph.certificates)
    served = [world.certificates[name] for name in graph.served]
    anchors = [world.certificates[name] for name in graph.anchors]
    opinion = reference(served, anchors, AT, graph.host, world.name_of)
    second = second_opinion(served, anchors, AT, graph.host)
    if second.expect is not opinion.expect:
        classes = [name for name, (_, holds) in DISAGREEMENTS.items() if holds(opinion, second)]
        assert classes, f"{opinion}\n{second}\n{graph}"
    assert (second.expect, opinion.expect) not in {(Expect.ACCEPT, Expect.REJECT), (Expect.REJECT, Expect.ACCEPT)}


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs(), order=st.randoms(use_true_random=False))
def test_order_is_no_input(graph: Graph, order: Random, minted: Callable[..., Minted]) -> None:
    """Shuffling the store, and the chain after its first certificate, changes neither the answer nor its reason."""
    world = minted(ENTITIES, graph.certificates)
    served = [world.certificates[name] for name in graph.served]
    anchors = [world.certificates[name] for name in graph.anchors]
    before = reference(served, anchors, AT, graph.host, world.name_of)
    above = order.sample(served[1:], len(served) - 1)
    after = reference([served[0], *above], order.sample(anchors, len(anchors)), AT, graph.host, world.name_of)
    assert (after.expect, after.reason) == (before.expect, before.reason)
