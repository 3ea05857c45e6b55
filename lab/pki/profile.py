"""The profile of a minted certificate: what it carries where its scenario says nothing else (RFC 5280 section 4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, get_args

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from lab.errors import did_you_mean
from lab.model.entity import Certificate, KeyUsage, NameConstraints
from lab.pki.addresses import Addresses
from lab.pki.keys import PrivateKey
from lab.pki.names import subtree

__all__ = ["PURPOSES", "Party", "sign"]

PURPOSES = {
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "codeSigning": ExtendedKeyUsageOID.CODE_SIGNING,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timeStamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "OCSPSigning": ExtendedKeyUsageOID.OCSP_SIGNING,
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}
"""Extended key usages that a scenario may say by name (RFC 5280 section 4.2.1.12); others are dotted numbers."""

_USAGES: tuple[str, ...] = get_args(KeyUsage)
_Digest: TypeAlias = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
_HASHES: dict[str, Callable[[], _Digest]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
    # the builder of cryptography signs with neither: lab/pki/mutations.py does it after
    "md5": hashes.SHA256,
    "sha1": hashes.SHA256,
}
_P384_BITS = 384


@dataclass(frozen=True)
class Party:
    """One side of a certificate: a name, a key, and the identifier that certificates give to that key."""

    name: x509.Name
    key: PrivateKey
    key_id: bytes
    """SHA-1 of the public key (RFC 5280 section 4.2.1.2, method 1), or another entity's where the scenario says so."""


def sign(
    said: Certificate,
    *,
    subject: Party,
    issuer: Party,
    is_ca: bool,
    names: x509.SubjectAlternativeName | None,
    dates: tuple[datetime, datetime],
    addresses: Addresses = Addresses(),  # noqa: B008 - frozen
) -> x509.Certificate:
    """Build and sign one certificate; raise ValueError, in words for the author, where the scenario asks too much.

    ``dates`` are the first and the last second of validity; ``names`` go into an end-entity certificate only;
    ``addresses`` are where the relying party may ask about it.
    basicConstraints that deny being a CA are there only where the author says ``ca = false``: both ways exist.
    """
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject.name)
        .issuer_name(issuer.name)
        .public_key(subject.key.public_key())
        .serial_number(said.serial or x509.random_serial_number())
        .not_valid_before(dates[0])
        .not_valid_after(dates[1])
        .add_extension(x509.SubjectKeyIdentifier(subject.key_id), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(issuer.key_id, None, None), critical=False)
    )
    if is_ca or said.ca is False or said.path_length is not None:
        builder = builder.add_extension(x509.BasicConstraints(is_ca, said.path_length), critical=True)
    if usages := _default_usages(subject.key, is_ca=is_ca) if said.key_usage is None else said.key_usage:
        builder = builder.add_extension(_key_usage(usages), critical=True)
    if purposes := (() if is_ca else ("serverAuth",)) if said.eku is None else said.eku:
        builder = builder.add_extension(x509.ExtendedKeyUsage(map(_purpose, purposes)), critical=False)
    if names is not None and not is_ca:
        critical = not subject.name.rdns if said.san_critical is None else said.san_critical
        builder = builder.add_extension(names, critical=critical)
    if said.name_constraints is not None:
        builder = builder.add_extension(
            _name_constraints(said.name_constraints), critical=said.name_constraints.critical
        )
    for extension in addresses.extensions():
        builder = builder.add_extension(extension, critical=False)
    if said.must_staple:
        feature = x509.TLSFeature([x509.TLSFeatureType.status_request])
        builder = builder.add_extension(feature, critical=False)
    return builder.sign(issuer.key, _digest(said, issuer.key))


def _default_usages(key: PrivateKey, *, is_ca: bool) -> tuple[str, ...]:
    if is_ca:
        return ("key_cert_sign", "crl_sign")
    return ("digital_signature", "key_encipherment") if isinstance(key, rsa.RSAPrivateKey) else ("digital_signature",)


def _key_usage(usages: tuple[str, ...]) -> x509.KeyUsage:
    bits = {usage: usage in usages for usage in _USAGES}
    return x509.KeyUsage(**bits, encipher_only=False, decipher_only=False)


def _purpose(text: str) -> ObjectIdentifier:
    if text in PURPOSES:
        return PURPOSES[text]
    try:
        return ObjectIdentifier(text)
    except ValueError as error:
        raise ValueError(f'no extended key usage is called "{text}": {did_you_mean(text, PURPOSES)}') from error


def _name_constraints(said: NameConstraints) -> x509.NameConstraints:
    return x509.NameConstraints(
        permitted_subtrees=[subtree(text) for text in said.permitted] or None,
        excluded_subtrees=[subtree(text) for text in said.excluded] or None,
    )


def _digest(said: Certificate, key: PrivateKey) -> _Digest | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        if said.hash is not None:
            raise ValueError(f"an Ed25519 issuer takes no digest, found {said.hash}")
        return None
    if said.hash is not None:
        return _HASHES[said.hash]()
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size == _P384_BITS:
        return hashes.SHA384()
    return hashes.SHA256()
