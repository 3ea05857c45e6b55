"""CAs that trustme mints: only where the author leaves it everything, and kept from then on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from lab.model.scenario import Scenario
from lab.pki.authorities import trustme_entities, trustme_pairs
from lab.pki.keys import KeyRing, load_key

ROOT_AND_SITE = {"root": ("root", "root"), "site": ("site", "root")}
SITE = {"dns": ["shop.example"]}

Say = Callable[..., Scenario]


@pytest.mark.parametrize("entity", [{}, {"o": "Example CA"}, {"ou": "unit"}, {"key": "rsa2048"}])
def test_free_roots(scenario: Say, entity: dict[str, Any]) -> None:
    """A root without common name, in a key type that trustme knows, is trustme's."""
    assert trustme_entities(scenario({"root": entity, "site": SITE}, ROOT_AND_SITE)) == {"root": "root"}


@pytest.mark.parametrize(
    "entity",
    [
        {"cn": "Root"},
        {"c": "US"},
        {"st": "State"},
        {"l": "Town"},
        {"key": "ec384"},
        {"key": "rsa4096"},
        {"key": "ed25519"},
        {"strings": "printable"},
        {"same_key_as": "site"},
        {"same_key_id_as": "site"},
        {"dns": ["ca.example"]},
    ],
)
def test_entities_that_trustme_cannot_mint(scenario: Say, entity: dict[str, Any]) -> None:
    """A name, key or string type of the author's own is not for trustme."""
    assert not trustme_entities(scenario({"root": entity, "site": SITE}, ROOT_AND_SITE))


@pytest.mark.parametrize(
    "said",
    [
        {"from": "2020-01-01T00:00:00Z"},
        {"until": "2030-01-01T00:00:00Z"},
        {"ca": False},
        {"path_length": 3},
        {"key_usage": ["key_cert_sign"]},
        {"key_usage": []},
        {"eku": []},
        {"name_constraints": {"permitted": ["example"]}},
        {"hash": "sha256"},
        {"serial": 1},
    ],
)
def test_certificates_that_trustme_cannot_mint(scenario: Say, said: dict[str, Any]) -> None:
    """A date, usage, constraint, digest or serial of the author's own is not for trustme."""
    certificates = {**ROOT_AND_SITE, "root": ("root", "root", said)}
    assert not trustme_entities(scenario({"root": {}, "site": SITE}, certificates))


def test_children(scenario: Say, ring: KeyRing) -> None:
    """A child of a trustme CA is trustme's too, with a path length one shorter, in whatever order the file has them."""
    said = scenario(
        {"mid": {}, "low": {"o": "Low"}, "root": {}, "site": SITE},
        {"low": ("low", "mid"), "mid": ("mid", "root"), "root": ("root", "root"), "site": ("site", "low")},
    )
    pairs = trustme_pairs(said, ring)
    assert list(pairs) == ["root", "mid", "low"]
    lengths = [p.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value for p in pairs.values()]
    assert [length.path_length for length in lengths] == [9, 8, 7]
    pairs["low"].certificate.verify_directly_issued_by(pairs["mid"].certificate)
    pairs["mid"].certificate.verify_directly_issued_by(pairs["root"].certificate)
    assert "O=Low" in pairs["low"].certificate.subject.rfc4514_string()


@pytest.mark.parametrize(
    "certificates",
    [
        {"mid": ("mid", "root"), "root": ("root", "root", {"serial": 1}), "site": ("site", "mid")},
        {"mid": ("mid", "root"), "root": ("root", "mid"), "site": ("site", "mid")},
        {"mid": ("mid", "mid"), "again": ("mid", "mid"), "site": ("site", "mid")},
    ],
)
def test_not_without_a_root(scenario: Say, certificates: dict[str, Any]) -> None:
    """A child of a CA that is not trustme's, a loop, and a CA with two certificates are not trustme's."""
    assert not trustme_entities(scenario({"mid": {}, "root": {}, "site": SITE}, certificates))


def test_end_entities_are_not_trustmes(scenario: Say) -> None:
    """Who issues nothing is no CA of trustme's, even without any name."""
    assert trustme_entities(scenario({"root": {}, "site": {}}, ROOT_AND_SITE)) == {"root": "root"}


@pytest.mark.parametrize(("count", "free"), [(10, 10), (11, 0)])
def test_path_length_of_trustme(scenario: Say, count: int, free: int) -> None:
    """Where more CAs issue than trustme's path length allows below a root, none is trustme's."""
    certificates = {f"c{n}": (f"e{n}", f"e{max(0, n - 1)}") for n in range(count + 1)}
    assert len(trustme_entities(scenario({f"e{n}": {} for n in range(count + 1)}, certificates))) == free


@pytest.mark.parametrize("now", ["1999-12-31T23:59:59Z", "3000-01-01T00:00:00Z"])
def test_moments_outside_trustmes_dates(scenario: Say, now: str) -> None:
    """Where a moment of the scenario lies outside trustme's dates, nothing is trustme's."""
    assert not trustme_entities(scenario({"root": {}, "site": SITE}, ROOT_AND_SITE, times={"now": now}))


def test_kept(scenario: Say, tmp_path: Path) -> None:
    """A pair is minted once: another ring over the same folder finds the same bytes, and another entity's differ."""
    said = scenario(
        {"root": {}, "other": {}, "site": SITE},
        {**ROOT_AND_SITE, "other": ("other", "other"), "again": ("site", "other")},
    )
    first = trustme_pairs(said, KeyRing(tmp_path / "keys"))
    assert trustme_pairs(said, KeyRing(tmp_path / "keys")) == first
    assert first["root"].key_pem != first["other"].key_pem
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "keys/test").iterdir()} == {0o600}


def test_another_parent_makes_another_child(scenario: Say, ring: KeyRing) -> None:
    """A kept child is not reused under another parent."""
    entities = {"root": {}, "other": {"ou": "other"}, "mid": {}, "site": SITE}
    certificates = {"root": ("root", "root"), "other": ("other", "other"), "site": ("site", "mid")}
    one = trustme_pairs(scenario(entities, {**certificates, "mid": ("mid", "root")}), ring)
    two = trustme_pairs(scenario(entities, {**certificates, "mid": ("mid", "other"), "x": ("site", "root")}), ring)
    assert one["mid"].certificate.issuer == one["root"].certificate.subject
    assert two["mid"].certificate.issuer == two["other"].certificate.subject


@pytest.mark.parametrize("damage", [b"", b"-----BEGIN PRIVATE KEY-----\n"])
def test_damaged_pair_is_made_anew(scenario: Say, tmp_path: Path, damage: bytes) -> None:
    """A pair that was cut off is made anew, and its key fits its certificate."""
    said = scenario({"root": {}, "site": SITE}, ROOT_AND_SITE)
    trustme_pairs(said, KeyRing(tmp_path / "keys"))
    (file,) = (tmp_path / "keys/test").iterdir()
    file.write_bytes(damage)
    pair = trustme_pairs(said, KeyRing(tmp_path / "keys"))["root"]
    assert load_key(pair.key_pem).public_key() == pair.certificate.public_key()


def test_mismatched_pair_is_made_anew(scenario: Say, tmp_path: Path) -> None:
    """A certificate beside another one's key is damaged."""
    said = scenario({"root": {}, "site": SITE}, ROOT_AND_SITE)
    ring = KeyRing(tmp_path / "keys")
    trustme_pairs(said, ring)
    (file,) = (tmp_path / "keys/test").iterdir()
    certificate = file.read_bytes()[file.read_bytes().index(b"-----BEGIN CERTIFICATE") :]
    file.write_bytes(ring.pem("elsewhere", "x", "ec256") + certificate)
    pair = trustme_pairs(said, KeyRing(tmp_path / "keys"))["root"]
    assert load_key(pair.key_pem).public_key() == pair.certificate.public_key()
