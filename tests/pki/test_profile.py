"""The profile: exactly which extensions a minted certificate carries, and which are critical."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from lab.errors import InputError
from lab.pki.mint import Minted

SKI, AKI = ExtensionOID.SUBJECT_KEY_IDENTIFIER, ExtensionOID.AUTHORITY_KEY_IDENTIFIER
BASIC, USAGE = ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE
EKU, SAN = ExtensionOID.EXTENDED_KEY_USAGE, ExtensionOID.SUBJECT_ALTERNATIVE_NAME
NAMES = ExtensionOID.NAME_CONSTRAINTS
ENTITIES: dict[str, Any] = {"root": {"cn": "Root"}, "site": {"dns": ["shop.example"]}}

Mint = Callable[..., Minted]


def _critical(certificate: x509.Certificate) -> dict[x509.ObjectIdentifier, bool]:
    return {extension.oid: extension.critical for extension in certificate.extensions}


def _usages(certificate: x509.Certificate) -> set[str]:
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    return {name.removeprefix("_") for name, is_set in vars(usage).items() if is_set}


def _root(minted: Mint, **said: Any) -> x509.Certificate:
    return minted(ENTITIES, {"root": ("root", "root", {"ca": True, **said})}).certificates["root"]


def _leaf(minted: Mint, entities: dict[str, Any] | None = None, **said: Any) -> x509.Certificate:
    known = {**ENTITIES, **(entities or {})}
    certificates = {"root": ("root", "root"), "site": ("site", "root", said)}
    return minted(known, certificates).certificates["site"]


def test_ca(minted: Mint) -> None:
    """A CA has basicConstraints without path length and keyUsage, both critical, both key ids, and nothing else."""
    root = _root(minted)
    assert root.version is x509.Version.v3
    assert _critical(root) == {SKI: False, AKI: False, BASIC: True, USAGE: True}
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(
        ca=True, path_length=None
    )
    assert _usages(root) == {"key_cert_sign", "crl_sign"}


@pytest.mark.parametrize(
    ("key", "usages"),
    [("ec256", {"digital_signature"}), ("rsa2048", {"digital_signature", "key_encipherment"})],
)
def test_end_entity(minted: Mint, key: str, usages: set[str]) -> None:
    """An end-entity has keyUsage critical, EKU serverAuth and SAN not critical, both key ids, and nothing else."""
    leaf = _leaf(minted, {"site": {"dns": ["shop.example", "b.example"], "ip": ["192.0.2.1"], "key": key}})
    assert _critical(leaf) == {SKI: False, AKI: False, USAGE: True, EKU: False, SAN: False}
    assert _usages(leaf) == usages
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    assert leaf.subject.rfc4514_string() == "CN=shop.example"


def test_critical_names(minted: Mint) -> None:
    """The SAN is critical under an empty subject (RFC 5280 4.2.1.6), and elsewhere where the author says so."""
    nameless = {"site": {"cn": False, "dns": ["shop.example"]}}
    assert not _leaf(minted, nameless).subject.rdns
    assert _critical(_leaf(minted, nameless))[SAN]
    assert not _critical(_leaf(minted, nameless, san_critical=False))[SAN]
    assert _critical(_leaf(minted, san_critical=True))[SAN]


def test_key_identifiers(minted: Mint) -> None:
    """Key ids are SHA-1 of the public key (RFC 5280 4.2.1.2 method 1), and the issuer's has nothing beside it."""
    world = minted(ENTITIES, {"root": ("root", "root"), "site": ("site", "root")})
    root, site = world.certificates["root"], world.certificates["site"]
    own = x509.SubjectKeyIdentifier.from_public_key(root.public_key())
    assert root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value == own
    aki = site.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert aki == x509.AuthorityKeyIdentifier(own.digest, None, None)


def test_end_entity_without_names(minted: Mint) -> None:
    """An end-entity without DNS name or address has no SAN at all."""
    assert SAN not in _critical(_leaf(minted, {"site": {"cn": "shop.example"}}))


def test_ca_has_no_names(minted: Mint) -> None:
    """A CA's DNS names are its end-entity certificates' only."""
    assert SAN not in _critical(_leaf(minted, ca=True))


def test_denied_ca(minted: Mint) -> None:
    """``ca = false`` writes basicConstraints that say so; unsaid, an end-entity has none."""
    assert _critical(_leaf(minted, ca=False))[BASIC] is True
    assert BASIC not in _critical(_leaf(minted))


def test_path_length(minted: Mint) -> None:
    """A path length is written as said, zero included."""
    basic = _root(minted, path_length=0).extensions.get_extension_for_class(x509.BasicConstraints).value
    assert basic.path_length == 0


def test_empty_lists_leave_out(minted: Mint) -> None:
    """An empty list of usages leaves its extension out."""
    assert not {USAGE, EKU} & set(_critical(_leaf(minted, key_usage=[], eku=[])))


def test_said_usages(minted: Mint) -> None:
    """Usages are written as said, by name or by number."""
    leaf = _leaf(minted, key_usage=["key_agreement"], eku=["any", "clientAuth", "1.3.6.1.5.5.7.3.17"])
    assert _usages(leaf) == {"key_agreement"}
    assert [oid.dotted_string for oid in leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value] == [
        "2.5.29.37.0",
        "1.3.6.1.5.5.7.3.2",
        "1.3.6.1.5.5.7.3.17",
    ]


@pytest.mark.parametrize("critical", [True, False])
def test_name_constraints(minted: Mint, critical: bool) -> None:  # noqa: FBT001 - pytest hands it over
    """Name constraints hold DNS names and networks, critical as said; one kind may be missing."""
    said = {"permitted": ["example", "192.0.2.0/24"], "critical": critical}
    extension = _root(minted, name_constraints=said).extensions.get_extension_for_class(x509.NameConstraints)
    assert extension.critical is critical
    assert [str(base.value) for base in extension.value.permitted_subtrees or ()] == said["permitted"]
    assert extension.value.excluded_subtrees is None


@pytest.mark.parametrize(
    ("key", "said", "digest"),
    [
        ("ec256", {}, "sha256"),
        ("rsa2048", {}, "sha256"),
        ("ec384", {}, "sha384"),
        ("ec384", {"hash": "sha256"}, "sha256"),
        ("ec256", {"hash": "sha512"}, "sha512"),
        ("ed25519", {}, None),
    ],
)
def test_digest(minted: Mint, key: str, said: dict[str, str], digest: str | None) -> None:
    """The digest is SHA-256, SHA-384 under P-384, none under Ed25519, or what the author says."""
    world = minted({"root": {"cn": "Root", "key": key}}, {"root": ("root", "root", said)})
    found = world.certificates["root"].signature_hash_algorithm
    assert (found.name if found else None) == digest


def test_serial(minted: Mint) -> None:
    """A serial number is random unless the author says it."""
    assert _root(minted, serial=7).serial_number == 7
    assert _root(minted).serial_number != _root(minted).serial_number


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"eku": ["serverauth"]}, "serverAuth"),
        ({"eku": ["1.x"]}, "1\\.x"),
        ({"path_length": 1, "ca": False}, "path_length"),
        ({"from": "2022-01-02T00:00:00Z", "until": "2022-01-01T00:00:00Z"}, "before"),
    ],
)
def test_refusals(minted: Mint, said: dict[str, Any], words: str) -> None:
    """What cannot be minted is an error that names the certificate's field and says why."""
    with pytest.raises(InputError, match=words) as caught:
        _leaf(minted, **said)
    assert caught.value.problems[0].field == "certificates.site"
    assert caught.value.problems[0].file == "test/scenario.toml"


def test_digest_under_ed25519(minted: Mint) -> None:
    """A digest under an Ed25519 key is refused."""
    with pytest.raises(InputError, match="Ed25519"):
        minted({"root": {"cn": "Root", "key": "ed25519"}}, {"root": ("root", "root", {"hash": "sha256"})})
