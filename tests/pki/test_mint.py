"""Minting: names, dates, keys and authorities of whole scenarios."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme
from cryptography import x509

from lab.errors import InputError
from lab.model.scenario import Scenario
from lab.pki.keys import KeyRing, WantedKey, load_key
from lab.pki.mint import Minted, mint, wanted_keys
from lab.pki.names import fingerprint

AT = datetime(2022, 1, 1, tzinfo=UTC)
SITE = {"dns": ["shop.example"]}

Mint = Callable[..., Minted]


@pytest.fixture(scope="module")
def letsencrypt(design: Scenario, ring: KeyRing) -> Minted:
    """Return the scenario of DESIGN.md, minted."""
    return mint(design, ring)


def _public(world: Minted, name: str) -> object:
    return world.certificates[name].public_key()


def test_dates_and_names_as_said(letsencrypt: Minted) -> None:
    """Every certificate has the dates and names of its scenario, and its issuer's signature."""
    for name, said in letsencrypt.scenario.certificates.items():
        found = letsencrypt.certificates[name]
        assert (found.not_valid_before_utc, found.not_valid_after_utc) == (said.not_before, said.not_after)
    root = letsencrypt.certificates["isrg-root"]
    assert root.subject.rfc4514_string() == "CN=ISRG Root X1,O=Internet Security Research Group,C=US"
    letsencrypt.certificates["r3"].verify_directly_issued_by(root)
    letsencrypt.certificates["isrg-cross"].verify_directly_issued_by(letsencrypt.certificates["dst-root"])
    assert _public(letsencrypt, "isrg-cross") == _public(letsencrypt, "isrg-root")


def test_lookups(letsencrypt: Minted) -> None:
    """Certificates and keys are found by name and come in the order asked for, and digests find names."""
    held = letsencrypt.certificates
    assert letsencrypt.named(["site", "r3", "isrg-cross"]) == [held["site"], held["r3"], held["isrg-cross"]]
    assert x509.load_pem_x509_certificates(letsencrypt.pem(["site", "r3"])) == [held["site"], held["r3"]]
    assert letsencrypt.name_of(fingerprint(held["r3"]).upper()) == "r3"
    assert letsencrypt.name_of("00" * 32) is None
    assert list(held) == list(letsencrypt.scenario.certificates)
    for entity, name in {"site": "site", "r3": "r3", "isrg": "isrg-cross"}.items():
        assert load_key(letsencrypt.key_pem(entity)).public_key() == _public(letsencrypt, name)
    assert letsencrypt.key_of("site-2024") == letsencrypt.key_pem("site")


def test_keys_are_not_shown(letsencrypt: Minted) -> None:
    """Printing what was minted shows no private key."""
    assert "PRIVATE KEY" not in repr(letsencrypt)


def test_empty_store(minted: Mint) -> None:
    """An empty store is an empty text."""
    assert minted({"a": {}}, {"a": ("a", "a")}, stores={"none": []}).pem([]) == b""


def test_shift(design: Scenario, ring: KeyRing, letsencrypt: Minted) -> None:
    """A shift moves every date by exactly that much, and changes neither keys nor names."""
    shift = timedelta(days=1879, seconds=7)
    moved = mint(design, ring, shift=shift)
    for name, before in letsencrypt.certificates.items():
        after = moved.certificates[name]
        assert after.not_valid_before_utc - before.not_valid_before_utc == shift
        assert after.not_valid_after_utc - before.not_valid_after_utc == shift
        assert after.subject == before.subject
    assert moved.keys == letsencrypt.keys


def test_shift_out_of_the_calendar(design: Scenario, ring: KeyRing) -> None:
    """A shift beyond what a date can say is an error for every certificate that it hits."""
    with pytest.raises(InputError) as caught:
        mint(design, ring, shift=timedelta(days=366 * 9000))
    assert len(caught.value.problems) == len(design.certificates)


def test_trustmes_dates_stay(minted: Mint, scenario: Callable[..., Scenario], ring: KeyRing) -> None:
    """A CA that trustme minted keeps its bytes under a shift."""
    said = scenario({"a": {}, "site": SITE}, {"a": ("a", "a"), "site": ("site", "a")})
    one, two = mint(said, ring), mint(said, ring, shift=timedelta(days=400))
    assert one.certificates["a"] == two.certificates["a"]
    moved = two.certificates["site"].not_valid_after_utc - one.certificates["site"].not_valid_after_utc
    assert moved == timedelta(days=400)


def test_default_dates(minted: Mint) -> None:
    """Without dates a CA lasts from 2000 to 2049, an end-entity from 30 days before the first moment to 60 after."""
    times = {"early": AT, "late": AT + timedelta(days=100)}
    world = minted({"a": {"cn": "A"}, "site": SITE}, {"a": ("a", "a"), "site": ("site", "a")}, times=times)
    root, site = world.certificates["a"], world.certificates["site"]
    assert root.not_valid_before_utc == datetime(2000, 1, 1, tzinfo=UTC)
    assert root.not_valid_after_utc == datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert site.not_valid_before_utc == AT - timedelta(days=30)
    assert site.not_valid_after_utc == AT + timedelta(days=160)


def test_default_dates_hold_every_moment(minted: Mint) -> None:
    """Moments beyond the usual dates, and ends of certificates that a chain tries, are inside all default dates."""
    world = minted(
        {"a": {"cn": "A"}, "b": {"cn": "B"}, "site": SITE},
        {"a": ("a", "a"), "b": ("b", "b", {"until": "2060-01-01T00:00:00Z"}), "site": ("site", "a")},
        chains={"c": {"send": ["site"], "at": ["b.until+1s"]}},
    )
    for name in ("a", "site"):
        assert world.certificates[name].not_valid_before_utc < AT
        assert world.certificates[name].not_valid_after_utc > datetime(2060, 1, 1, 0, 0, 1, tzinfo=UTC)


def test_no_moments_at_all(minted: Mint) -> None:
    """A scenario without any moment takes its own date for one."""
    world = minted({"a": {"cn": "A"}, "site": SITE}, {"a": ("a", "a"), "site": ("site", "a")}, times={})
    assert world.certificates["site"].not_valid_before_utc == AT - timedelta(days=30)


def test_keys_are_never_shared(minted: Mint) -> None:
    """Every entity has a key of its own, however alike they are."""
    world = minted(
        {**{name: {"cn": "Same"} for name in "abc"}, **{name: {} for name in "xyz"}},
        {**{name: (name, name) for name in "abcxyz"}},
    )
    assert len(set(world.keys.values())) == len(world.keys)


def test_same_key_as(minted: Mint) -> None:
    """A rebranded CA has the other's key, also where trustme minted that one."""
    for owner in ({"cn": "Owner"}, {}):
        world = minted(
            {"owner": owner, "heir": {"cn": "Heir", "same_key_as": "owner", "key": "ec384"}},
            {"owner": ("owner", "owner"), "heir": ("heir", "heir")},
        )
        assert _public(world, "owner") == _public(world, "heir")
        assert world.key_pem("owner") == world.key_pem("heir")


def test_same_key_id_as(minted: Mint) -> None:
    """An impostor carries the other's key identifier, as does the AKI of what it issues, under a key of its own."""
    world = minted(
        {"a": {"cn": "A"}, "b": {"cn": "A", "same_key_id_as": "a"}, "site": SITE},
        {"a": ("a", "a"), "b": ("b", "b"), "site": ("site", "b")},
    )
    ids = [
        world.certificates[name].extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value for name in "ab"
    ]
    aki = world.certificates["site"].extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert ids[0] == ids[1]
    assert aki.key_identifier == ids[0].digest
    assert _public(world, "a") != _public(world, "b")


def test_loop_of_cross_signs(minted: Mint) -> None:
    """CAs that vouch for each other without any root are minted all the same."""
    world = minted({"a": {"cn": "A"}, "b": {"cn": "B"}}, {"ab": ("a", "b"), "ba": ("b", "a")})
    world.certificates["ab"].verify_directly_issued_by(world.certificates["ba"])
    world.certificates["ba"].verify_directly_issued_by(world.certificates["ab"])


def test_circular_references(minted: Mint) -> None:
    """Entities that each borrow the other's key identifier are minted all the same."""
    said: dict[str, Any] = {"a": {"cn": "A", "same_key_id_as": "b"}, "b": {"cn": "B", "same_key_id_as": "a"}}
    assert minted(said, {"a": ("a", "a"), "b": ("b", "b")}).certificates


@pytest.mark.parametrize("root", [{}, {"cn": "Root"}, {"key": "rsa2048"}, {"cn": "Root", "key": "ec384"}])
def test_authority_issues(minted: Mint, root: dict[str, Any]) -> None:
    """Every issuing entity is a trustme CA, and what it issues verifies under that entity's certificate."""
    world = minted({"root": root, "site": SITE}, {"root": ("root", "root"), "site": ("site", "root")})
    authority = world.authority("root")
    assert isinstance(authority, trustme.CA)
    issued = x509.load_pem_x509_certificate(authority.issue_cert("shop.example").cert_chain_pems[0].bytes())
    issued.verify_directly_issued_by(world.certificates["root"])


def test_authority_prefers_its_root(letsencrypt: Minted, minted: Mint) -> None:
    """Of several certificates the CA carries the first self-signed one, else the first."""
    carried = x509.load_pem_x509_certificate(letsencrypt.authority("isrg").cert_pem.bytes())
    assert carried == letsencrypt.certificates["isrg-root"]
    world = minted(
        {"a": {"cn": "A"}, "b": {"cn": "B"}, "m": {"cn": "M"}, "site": SITE},
        {"a": ("a", "a"), "b": ("b", "b"), "by-b": ("m", "b"), "by-a": ("m", "a"), "site": ("site", "m")},
    )
    assert x509.load_pem_x509_certificate(world.authority("m").cert_pem.bytes()) == world.certificates["by-b"]
    again = minted(
        {"a": {"cn": "A"}, "m": {"cn": "M"}, "site": SITE},
        {"a": ("a", "a"), "by-a": ("m", "a"), "own": ("m", "m"), "site": ("site", "m")},
    )
    assert x509.load_pem_x509_certificate(again.authority("m").cert_pem.bytes()) == again.certificates["own"]


def test_no_authority(letsencrypt: Minted, minted: Mint) -> None:
    """Who issues nothing is no authority; an Ed25519 one is an error that says why, though its certificates exist."""
    with pytest.raises(KeyError):
        letsencrypt.authority("site")
    world = minted({"a": {"key": "ed25519"}, "site": SITE}, {"a": ("a", "a"), "site": ("site", "a")})
    world.certificates["site"].verify_directly_issued_by(world.certificates["a"])
    with pytest.raises(InputError, match="Ed25519"):
        world.authority("a")


def test_wanted_keys(scenario: Callable[..., Scenario]) -> None:
    """A scenario wants a key for each owner, but none for a CA that trustme mints."""
    said = scenario(
        {"free": {}, "a": {"cn": "A", "key": "ec384"}, "heir": {"cn": "H", "same_key_as": "a"}, "site": SITE},
        {"free": ("free", "free"), "a": ("a", "free"), "heir": ("heir", "a"), "site": ("site", "heir")},
    )
    assert wanted_keys(said) == [WantedKey("test", "a", "ec384"), WantedKey("test", "site", "ec256")]


def test_all_problems_at_once(minted: Mint) -> None:
    """Every problem of every name, then of every certificate, is told at once."""
    with pytest.raises(InputError) as caught:
        minted({"a": {"cn": "x" * 65}, "b": {"o": ""}}, {"a": ("a", "a"), "b": ("b", "b")})
    assert [problem.field for problem in caught.value.problems] == ["entities.a", "entities.b"]
    with pytest.raises(InputError) as caught:
        minted({"a": {"cn": "A"}}, {"a": ("a", "a", {"eku": ["x"]}), "b": ("a", "a", {"eku": ["y"]})})
    assert [problem.field for problem in caught.value.problems] == ["certificates.a", "certificates.b"]


def test_wildcard_and_address(minted: Mint) -> None:
    """A wildcard and an address reach the certificate as such."""
    world = minted({"a": {}, "site": {"dns": ["*.shop.example"], "ip": ["192.0.2.1"]}}, {"a": ("site", "a")})
    names = world.certificates["a"].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["*.shop.example"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
