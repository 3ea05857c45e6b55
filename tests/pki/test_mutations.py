"""Mutations: each is really in the bytes, alone, under a good signature, and nobody in the lab falls over it."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, get_args

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InputError
from lab.model.entity import Mutation
from lab.model.scenario import Expect
from lab.pki.encoding import serial_number
from lab.pki.facts import facts, signed_by
from lab.pki.mint import Minted
from lab.pki.mutations import BYTES, DRAFTS
from lab.pki.reference import reference
from lab.pki.second import second_opinion
from lab.pki.traits import traits
from lab.pki.unread import Unread

AT = datetime(2022, 1, 1, tzinfo=UTC)
FROM, UNTIL = "2021-12-01T00:00:00Z", "2022-03-01T00:00:00Z"
ENTITIES = {
    "root": {"cn": "Root", "key": "rsa2048"},
    "ca": {"cn": "Issuing CA", "key": "rsa2048"},
    "site": {"dns": ["shop.example"]},
}
NAMES: tuple[str, ...] = get_args(Mutation)
Mint = Callable[..., Minted]


def _world(minted: Mint, **changed: dict[str, Any]) -> Minted:
    dates = {"from": FROM, "until": UNTIL}
    said = {"root": ("root", "root"), "ca": ("ca", "root"), "site": ("site", "ca")}
    certificates = {
        name: (*parties, {**dates, "serial": 4242 + number, **changed.get(name, {})})
        for number, (name, parties) in enumerate(said.items())
    }
    return minted(ENTITIES, certificates)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _openssl(der: bytes, *words: str) -> str:
    """Return what OpenSSL's own command prints of a certificate."""
    command = ["openssl", *words, "-inform", "DER"]
    done = subprocess.run(command, input=der, capture_output=True, timeout=20, check=False)
    return (done.stdout + done.stderr).decode(errors="backslashreplace")


def test_names_are_those_of_the_model() -> None:
    """A scenario may name exactly the mutations that there are, and each has its words and its source."""
    assert [*DRAFTS, *BYTES] == list(NAMES)
    for change in (*DRAFTS.values(), *BYTES.values()):
        assert any(source in (change.__doc__ or "") for source in ("RFC", "X.690", "CVE"))


SEEN = {
    "negative-serial": ("site", "x509", "Serial Number: -4244"),
    "zero-serial": ("site", "x509", "Serial Number: 0 (0x0)"),
    "long-serial": ("site", "x509", "01:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:10:94"),
    "generalized-time": ("site", "asn1parse", "GENERALIZEDTIME   :20211201000000Z"),
    "unknown-critical-extension": ("site", "x509", "1.3.6.1.4.1.32473.1: critical"),
    "unknown-extension": ("site", "x509", "1.3.6.1.4.1.32473.1: \n"),
    "version-1": ("ca", "x509", "Version: 1 (0x0)"),
    "empty-subject": ("site", "x509", "X509v3 Subject Alternative Name: critical"),
    "truncated": ("site", "asn1parse", "too long"),
}


@pytest.mark.parametrize("name", SEEN)
def test_openssl_sees_it(minted: Mint, name: str) -> None:
    """OpenSSL's command line reads out of the bytes what the mutation put there, and not without it."""
    which, command, words = SEEN[name]
    more = ["-noout", "-text"] if command == "x509" else []
    assert words not in _openssl(_der(_world(minted).certificates[which]), command, *more)
    changed = _world(minted, **{which: {"mutations": [name]}})
    assert words in _openssl(_der(changed.certificates[which]), command, *more)


def test_dates(minted: Mint) -> None:
    """Validity of one second ends as it begins, and an inverted one ends before."""
    zero = _world(minted, site={"mutations": ["zero-validity"]}).certificates["site"]
    inverted = _world(minted, site={"mutations": ["inverted-validity"]}).certificates["site"]
    begin, end = datetime.fromisoformat(FROM), datetime.fromisoformat(UNTIL)
    assert (zero.not_valid_before_utc, zero.not_valid_after_utc) == (begin, begin)
    assert (inverted.not_valid_before_utc, inverted.not_valid_after_utc) == (end, begin)


def test_nul_in_names(minted: Mint) -> None:
    """The NUL stands in the alternative name and in the common name, and what C reads is the name asked for."""
    site = _world(minted, site={"mutations": ["null-in-name"]}).certificates["site"]
    wanted = "shop.example\0.evil.example"
    names = site.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [wanted]
    assert site.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == wanted


def test_extensions(minted: Mint) -> None:
    """What is repeated stands twice, what is left out is gone, and the wrong key identifier is nobody's."""
    plain = _world(minted)

    def oids(world: Minted, name: str) -> list[str]:
        read = asn1.Certificate.load(_der(world.certificates[name]))
        return [one["extn_id"].dotted for one in read["tbs_certificate"]["extensions"]]

    def changed(which: str, name: str) -> list[str]:
        return oids(_world(minted, **{which: {"mutations": [name]}}), which)

    assert changed("site", "duplicate-extension") == [*oids(plain, "site"), "2.5.29.14"]
    assert changed("site", "no-aki") == [oid for oid in oids(plain, "site") if oid != "2.5.29.35"]
    assert changed("ca", "no-basic-constraints") == [oid for oid in oids(plain, "ca") if oid != "2.5.29.19"]
    assert changed("site", "wrong-aki") == oids(plain, "site")
    wrong = _world(minted, site={"mutations": ["wrong-aki"]})
    assert facts(wrong.certificates["site"]).authority_key_id not in {
        None,
        *(facts(one).subject_key_id for one in wrong.certificates.values()),
    }


def test_trailing_bytes(minted: Mint) -> None:
    """Bytes follow the certificate, or an extension's value, and the certificate before them is whole."""
    behind = _world(minted, site={"mutations": ["trailing-bytes"]}).certificates["site"]
    assert isinstance(behind, Unread)
    assert _der(behind) == _der(behind.twin) + b"\5\0"
    inside = _world(minted, site={"mutations": ["trailing-bytes-in-extension"]}).certificates["site"]
    names = x509.SubjectAlternativeName([x509.DNSName("shop.example")]).public_bytes()
    assert names + b"\5\0" in _der(inside)


def test_length_in_another_form(minted: Mint) -> None:
    """The outer length has a zero in front, as DER forbids, and what it counts is unchanged."""
    long = _world(minted, site={"mutations": ["long-length"]}).certificates["site"]
    assert isinstance(long, Unread)
    assert _der(long)[:3] == b"\x30\x83\x00"
    assert _der(long)[3:] == _der(long.twin)[2:]


def test_algorithms_differ(minted: Mint) -> None:
    """Inside stands another digest than outside, and the outer one is true."""
    world = _world(minted, site={"mutations": ["differing-algorithms"]})
    site = asn1.Certificate.load(_der(world.certificates["site"]))
    assert site["tbs_certificate"]["signature"]["algorithm"].native == "sha512_rsa"
    assert site["signature_algorithm"]["algorithm"].native == "sha256_rsa"


@pytest.mark.parametrize("digest", ["md5", "sha1"])
@pytest.mark.parametrize("issuer_key", ["rsa2048", "ec256"])
def test_old_digests(minted: Mint, digest: str, issuer_key: str) -> None:
    """SHA-1 and MD5 signatures are made and are good; MD5 under an EC key is refused, in words."""
    entities = {**ENTITIES, "ca": {"cn": "Issuing CA", "key": issuer_key}}
    certificates = {"ca": ("ca", "ca"), "site": ("site", "ca", {"hash": digest})}
    if (digest, issuer_key) == ("md5", "ec256"):
        with pytest.raises(InputError, match="MD5 is defined with RSA only"):
            minted(entities, certificates)
        return
    world = minted(entities, certificates)
    site = world.certificates["site"]
    assert isinstance(site.signature_hash_algorithm, hashes.MD5 if digest == "md5" else hashes.SHA1)
    assert signed_by(site, world.certificates["ca"])
    family = f"{digest}WithRSAEncryption" if issuer_key == "rsa2048" else "ecdsa-with-SHA1"
    assert family in _openssl(_der(site), "x509", "-noout", "-text")
    assert facts(site).weak_hash == digest


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", ["site", "ca", "root"])
def test_only_the_named_thing(minted: Mint, name: str, which: str) -> None:
    """The issuer's signature is good (unless it is what is wrong), and no other certificate is any different."""
    try:
        world = _world(minted, **{which: {"mutations": [name]}})
    except InputError:
        assert (name, which) == ("no-basic-constraints", "site")
        return
    plain = _world(minted)
    for other, held in plain.certificates.items():
        now = world.certificates[other]
        if other != which:
            assert now.tbs_certificate_bytes == held.tbs_certificate_bytes
        else:
            assert _der(now)[4:40] != _der(held)[4:40] or _der(now) != _der(held)
    issuer = {"site": "ca", "ca": "root", "root": "root"}[which]
    assert signed_by(world.certificates[which], world.certificates[issuer]) is (name != "bad-signature")


WANTED = {
    "negative-serial": "either",
    "zero-serial": "either",
    "long-serial": "either",
    "zero-validity": "reject:expired",
    "inverted-validity": "reject:not-yet-valid",
    "generalized-time": "either",
    "null-in-name": "reject:wrong-host",
    "unknown-critical-extension": "reject:other",
    "unknown-extension": "accept",
    "duplicate-extension": "reject:malformed",
    "wrong-aki": "accept",
    "no-aki": "accept",
    "differing-algorithms": "reject:malformed",
    "version-1": "reject:wrong-host",
    "empty-subject": "accept",
    "trailing-bytes-in-extension": "reject:malformed",
    "bad-signature": "reject:bad-signature",
    "long-length": "reject:malformed",
    "trailing-bytes": "reject:malformed",
    "truncated": "reject:malformed",
}


@pytest.mark.parametrize("name", WANTED)
def test_reference_on_a_site(minted: Mint, judge: Callable[..., Any], name: str) -> None:
    """The reference relying party says of a site's certificate what RFC 5280 leaves of it."""
    said = judge(_world(minted, site={"mutations": [name]}), "site ca", "root")
    expect, _, reason = WANTED[name].partition(":")
    assert said.expect == expect, said.why
    if reason:
        assert said.reason == reason, said.why


@pytest.mark.parametrize("name", ["version-1", "no-basic-constraints"])
def test_reference_on_a_ca(minted: Mint, judge: Callable[..., Any], name: str) -> None:
    """Without basicConstraints it is no CA where it is served, and is left open where it is the anchor."""
    assert judge(_world(minted, ca={"mutations": [name]}), "site ca", "root").reason == "not-a-ca"
    assert judge(_world(minted, root={"mutations": [name]}), "site ca", "root").expect is Expect.EITHER


@pytest.mark.parametrize("name", NAMES)
def test_an_anchor_is_a_name_and_a_key(minted: Mint, judge: Callable[..., Any], name: str) -> None:
    """Whatever else is wrong with an anchor never makes a path that is surely wrong (RFC 5280 6.1.1(d))."""
    if name in {"empty-subject", "null-in-name"}:
        return  # its name is another then
    assert judge(_world(minted, root={"mutations": [name]}), "site ca", "root").expect is not Expect.REJECT


@given(data=st.data())
def test_nobody_falls_over_it(minted: Mint, data: st.DataObject) -> None:
    """Whatever is put together, minting says what cannot be; and facts, reference, second opinion and traits answer."""
    several = st.lists(st.sampled_from(NAMES), max_size=3, unique=True)
    said = {which: {"mutations": data.draw(several, which)} for which in ("root", "ca", "site")}
    try:
        world = _world(minted, **said)
    except InputError as error:
        wrong = [problem.found for problem in error.problems if "changes nothing" not in problem.found]
        assert wrong == []
        return
    root, ca, site = world.named(["root", "ca", "site"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for one in (root, ca, site):
            facts(one)
            assert isinstance(serial_number(one), int)
        for served, anchors in (([site, ca], [root]), ([site, ca, root], [root]), ([site], [ca, root]), ([ca], [])):
            reference(served, anchors, AT, "shop.example", world.name_of)
            second_opinion(served, anchors, AT, "shop.example")
            traits(served, anchors, AT, "shop.example")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", ["site", "ca", "root"])
def test_oracles_agree_or_one_is_silent(minted: Mint, name: str, which: str) -> None:
    """Where the second opinion has one at all, it is not the contrary of the reference relying party's."""
    try:
        world = _world(minted, **{which: {"mutations": [name]}})
    except InputError:
        return
    served, anchors = world.named(["site", "ca"]), world.named(["root"])
    first = reference(served, anchors, AT, "shop.example")
    second = second_opinion(served, anchors, AT, "shop.example")
    assert second.expect is None or first.expect in {Expect.EITHER, second.expect}, (first.why, second.why)


def test_bytes_survive_pem(minted: Mint) -> None:
    """What cannot be parsed still comes out as PEM, in its place, and is found by its digest."""
    world = _world(minted, site={"mutations": ["trailing-bytes"]})
    site = world.certificates["site"]
    blocks = world.pem(["site", "ca"]).decode().split("-----END CERTIFICATE-----")
    assert len(blocks) == 3
    assert world.name_of(site.fingerprint(hashes.SHA256()).hex()) == "site"
    assert len({_der(one) for one in world.certificates.values()}) == 3
    assert all(_der(one) != _der(other) for one, other in pairwise(world.certificates.values()))
