"""The rules of one path, each alone: one change to a good chain, and the reason that it must give."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtensionOID, ObjectIdentifier

from lab.model.scenario import Expect, Reason
from lab.pki.keys import load_key
from lab.pki.mint import Minted
from lab.pki.reference import Opinion, reference
from lab.pki.rules import check_path

AT = datetime(2022, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ENTITIES: dict[str, Any] = {
    "root": {"cn": "Root"},
    "mid": {"cn": "Mid"},
    "low": {"cn": "Low"},
    "site": {"dns": ["shop.example", "*.wild.example"], "ip": ["192.0.2.1"]},
}
ENDS = {"from": "2020-01-01T00:00:00Z", "until": "2022-01-01T00:00:00Z"}
STARTS = {"from": "2022-01-01T00:00:00Z", "until": "2030-01-01T00:00:00Z"}

Mint = Callable[..., Minted]
Judge = Callable[..., Opinion]


def _world(minted: Mint, changed: str = "", said: dict[str, Any] | None = None, **more: Any) -> Minted:
    options: dict[str, Any] = {"root": {}, "mid": {"ca": True}, "low": {"ca": True}, "site": {}}
    options[changed] = {**options.get(changed, {}), **(said or {})}
    edges = {"root": ("root", "root"), "mid": ("mid", "root"), "low": ("low", "mid"), "site": ("site", "low")}
    entities = {**ENTITIES, **more}
    return minted(entities, {name: (*edge, options[name]) for name, edge in edges.items()})


def _brief(opinion: Opinion) -> str:
    return f"{opinion.expect}:{opinion.reason}" if opinion.reason else str(opinion.expect)


def test_good_chain(minted: Mint, judge: Judge) -> None:
    """The chain that every other test changes is accepted, and says by which path."""
    opinion = judge(_world(minted), "site low mid", "root")
    assert opinion.expect is Expect.ACCEPT
    assert opinion.reason is None
    assert opinion.path == ("site", "low", "mid", "root")
    assert opinion.why == "site < low < mid < root"
    assert not opinion.failures


@pytest.mark.parametrize(
    ("changed", "said", "brief"),
    [
        ("mid", {"ca": False}, "reject:not-a-ca"),
        ("mid", {"key_usage": ["crl_sign"]}, "reject:wrong-usage"),
        ("mid", {"key_usage": []}, "accept"),
        ("mid", {"eku": ["clientAuth"]}, "either:wrong-usage"),
        ("mid", {"eku": ["any"]}, "accept"),
        ("mid", {"eku": ["serverAuth"]}, "accept"),
        ("mid", {"path_length": 0}, "reject:path-length"),
        ("mid", {"path_length": 1}, "accept"),
        ("low", {"path_length": 0}, "accept"),
        ("root", {"path_length": 1}, "either:path-length"),
        ("root", {"path_length": 2}, "accept"),
        ("root", {"ca": False}, "either:not-a-ca"),
        ("root", {"key_usage": ["crl_sign"]}, "either:wrong-usage"),
        ("root", {"eku": ["clientAuth"]}, "either:wrong-usage"),
        ("root", {"name_constraints": {"permitted": ["other.example"]}}, "either:name-constraints"),
        ("root", {"name_constraints": {"permitted": ["example", "192.0.2.0/24"]}}, "accept"),
        ("mid", {"name_constraints": {"permitted": ["example"]}}, "accept"),
        ("mid", {"name_constraints": {"permitted": ["other.example"]}}, "reject:name-constraints"),
        ("mid", {"name_constraints": {"excluded": ["shop.example"]}}, "reject:name-constraints"),
        ("mid", {"name_constraints": {"excluded": ["192.0.2.0/31"]}}, "reject:name-constraints"),
        ("mid", {"name_constraints": {"excluded": ["x.wild.example"]}}, "either:name-constraints"),
        ("mid", {"name_constraints": {"permitted": [".example"]}}, "either:name-constraints"),
        ("site", {"eku": []}, "accept"),
        ("site", {"eku": ["clientAuth"]}, "reject:wrong-usage"),
        ("site", {"eku": ["any"]}, "either:wrong-usage"),
        ("site", {"eku": ["any", "serverAuth"]}, "accept"),
        ("site", {"key_usage": []}, "accept"),
        ("site", {"key_usage": ["key_encipherment"]}, "either:wrong-usage"),
        ("site", {"key_usage": ["key_agreement"]}, "either:wrong-usage"),
        ("site", {"key_usage": ["key_cert_sign"]}, "reject:wrong-usage"),
        ("site", {"ca": False}, "accept"),
    ],
)
def test_one_change(minted: Mint, judge: Judge, changed: str, said: dict[str, Any], brief: str) -> None:
    """Each change to one certificate gives the answer and the reason that the standards give it."""
    opinion = judge(_world(minted, changed, said), "site low mid", "root")
    assert _brief(opinion) == brief
    if opinion.expect is not Expect.ACCEPT:
        assert opinion.failures
        assert str(opinion.failures[0]) in opinion.why


@pytest.mark.parametrize("name", ["root", "mid", "low", "site"])
@pytest.mark.parametrize(
    ("dates", "offset", "reason"),
    [
        (STARTS, -SECOND, Reason.NOT_YET_VALID),
        (STARTS, 0 * SECOND, None),
        (STARTS, SECOND, None),
        (ENDS, -SECOND, None),
        (ENDS, 0 * SECOND, None),
        (ENDS, 0.999 * SECOND, None),
        (ENDS, SECOND, Reason.EXPIRED),
    ],
)
def test_boundaries(
    minted: Mint, judge: Judge, *, name: str, dates: dict[str, str], offset: timedelta, reason: Reason | None
) -> None:
    """Dates are inclusive at both ends, to the second; an anchor's own are left open."""
    opinion = judge(_world(minted, name, dates), "site low mid", "root", AT + offset)
    assert opinion.reason is reason
    failing = Expect.EITHER if name == "root" else Expect.REJECT
    assert opinion.expect is (Expect.ACCEPT if reason is None else failing)


@pytest.mark.parametrize(
    ("host", "brief"),
    [
        ("SHOP.example", "accept"),
        ("x.wild.example", "accept"),
        ("wild.example", "reject:wrong-host"),
        ("other.example", "reject:wrong-host"),
        ("192.0.2.1", "accept"),
        ("192.0.2.2", "reject:wrong-host"),
    ],
)
def test_host(minted: Mint, judge: Judge, host: str, brief: str) -> None:
    """The host is looked for among the alternative names."""
    assert _brief(judge(_world(minted), "site low mid", "root", host=host)) == brief


def test_common_name_never_counts(minted: Mint, judge: Judge) -> None:
    """A certificate whose common name alone is the host is for no host."""
    world = _world(minted, site={"cn": "shop.example"})
    assert _brief(judge(world, "site low mid", "root")) == "reject:wrong-host"


def test_self_issued_take_no_length(minted: Mint, judge: Judge) -> None:
    """A self-issued intermediate neither counts towards a path length nor is held to name constraints."""
    world = minted(
        {**ENTITIES, "new": {"cn": "Mid"}},
        {
            "root": ("root", "root"),
            "mid": ("mid", "root", {"path_length": 0, "name_constraints": {"permitted": ["example"]}}),
            "rollover": ("new", "mid"),
            "site": ("site", "new"),
        },
    )
    assert judge(world, "site rollover mid", "root").expect is Expect.ACCEPT


def test_self_issued_leave_the_length_to_others(minted: Mint, judge: Judge) -> None:
    """A length that a self-issued intermediate did not take is there for the next one."""
    world = minted(
        {**ENTITIES, "new": {"cn": "Mid"}},
        {
            "root": ("root", "root"),
            "mid": ("mid", "root", {"path_length": 1}),
            "rollover": ("new", "mid"),
            "low": ("low", "new"),
            "site": ("site", "low"),
        },
    )
    assert judge(world, "site low rollover mid", "root").expect is Expect.ACCEPT


def test_self_issued_are_free_of_name_constraints(minted: Mint, judge: Judge) -> None:
    """The names of a self-issued intermediate are not held to constraints above it; an end-entity's always are."""
    constrained = {"name_constraints": {"permitted": ["shop.example"]}}
    world = minted(
        {**ENTITIES, "new": {"cn": "Mid", "dns": ["other.example"]}, "site": {"dns": ["shop.example"]}},
        {
            "root": ("root", "root"),
            "mid": ("mid", "root", constrained),
            "rollover": ("new", "mid", {"ca": False, "key_usage": ["key_cert_sign", "digital_signature"]}),
            "site": ("site", "new"),
        },
    )
    found = judge(world, "site rollover mid", "root").failures
    assert [failure.reason for failure in found if not failure.open] == [Reason.NOT_A_CA]
    final = judge(world, "rollover mid", "root", host="other.example")
    assert final.reason is Reason.NAME_CONSTRAINTS


def test_intermediates_are_held_to_name_constraints(minted: Mint, judge: Judge) -> None:
    """The names of any other intermediate lie inside the constraints above it too."""
    world = minted(
        {**ENTITIES, "low": {"cn": "Low", "dns": ["other.example"]}, "site": {"dns": ["shop.example"]}},
        {
            "root": ("root", "root"),
            "mid": ("mid", "root", {"name_constraints": {"permitted": ["shop.example"]}}),
            "low": ("low", "mid", {"ca": False}),
            "site": ("site", "low"),
        },
    )
    assert judge(world, "site low mid", "root").reason is Reason.NAME_CONSTRAINTS


def test_reason_is_the_first_from_the_anchor(minted: Mint, judge: Judge) -> None:
    """Where several rules fail, the reason is the first one on the way from the anchor down; the host comes last."""
    world = minted(
        ENTITIES,
        {
            "root": ("root", "root"),
            "mid": ("mid", "root", {"path_length": 0}),
            "low": ("low", "mid", {"ca": False}),
            "site": ("site", "low", ENDS),
        },
    )
    opinion = judge(world, "site low mid", "root", AT + SECOND, host="other.example")
    assert [failure.reason for failure in opinion.failures] == [
        Reason.PATH_LENGTH,
        Reason.NOT_A_CA,
        Reason.WRONG_USAGE,
        Reason.EXPIRED,
        Reason.WRONG_HOST,
    ]
    assert opinion.reason is Reason.PATH_LENGTH
    assert [failure.certificate for failure in opinion.failures] == ["low", "low", "low", "site", "site"]


def _raw(world: Minted, issuer: str, *extensions: tuple[x509.ExtensionType, bool], key: Any = None) -> x509.Certificate:
    signer = load_key(world.key_pem(issuer))
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(world.certificates[issuer].subject)
        .public_key(key or load_key(world.key_pem("site")).public_key())
        .serial_number(1)
        .not_valid_before(AT)
        .not_valid_after(AT)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("shop.example")]), critical=True)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signer, hashes.SHA256())


@pytest.mark.parametrize(("critical", "expect"), [(True, Expect.REJECT), (False, Expect.ACCEPT)])
def test_unknown_extension(minted: Mint, critical: bool, expect: Expect) -> None:  # noqa: FBT001 - pytest's
    """A critical extension that nobody knows is fatal; one that is not critical is nothing."""
    world = _world(minted)
    leaf = _raw(world, "root", (x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\5\0"), critical))
    opinion = reference([leaf], [world.certificates["root"]], AT, "shop.example")
    assert opinion.expect is expect
    assert opinion.reason is (Reason.OTHER if critical else None)


def test_malformed_extension(minted: Mint) -> None:
    """An extension that cannot be parsed makes the certificate malformed, and nothing else is said of it."""
    world = _world(minted)
    leaf = _raw(world, "root", (x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, b"\xff\xff\xff"), False))
    opinion = reference([leaf], [world.certificates["root"]], AT, "shop.example")
    assert [failure.reason for failure in opinion.failures] == [Reason.MALFORMED]


def test_small_key(minted: Mint) -> None:
    """A small key is left open."""
    world = _world(minted)
    leaf = _raw(world, "root", key=rsa.generate_private_key(65537, 1024).public_key())
    opinion = reference([leaf], [world.certificates["root"]], AT, "shop.example")
    assert _brief(opinion) == "either:weak"


def test_incomplete_path(minted: Mint) -> None:
    """Without an anchor the last certificate's signature is not looked at, and the other rules still are."""
    world = _world(minted, "low", {"ca": False})
    path = [world.certificates["site"], world.certificates["low"]]
    found = check_path(path, None, at=AT, host="shop.example", name=lambda certificate: str(certificate.serial_number))
    assert [failure.reason for failure in found] == [Reason.NOT_A_CA, Reason.WRONG_USAGE]
