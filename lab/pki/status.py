"""What issuers say of certificates: OCSP responses (RFC 6960) and CRLs (RFC 5280 section 5), true or as told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from lab.pki.keys import PrivateKey, load_key
from lab.pki.mint import Minted

__all__ = ["Spoken", "crl", "ocsp_refusal", "ocsp_response", "word"]

SINCE = timedelta(days=2)
"""How old an answer is at the moment of the case: thisUpdate."""
FOR = timedelta(days=5)
"""How long it is still good then: nextUpdate."""
_LATE = timedelta(days=30)
_REVOKED_SINCE = timedelta(days=9)
"""Since when something is revoked that the scenario does not date."""


class Spoken(NamedTuple):
    """A response or a CRL in DER, and what it says of the certificate: ``good``, ``revoked``, or its flaw."""

    der: bytes
    word: str


@dataclass(frozen=True)
class _Signer:
    certificate: x509.Certificate
    key: PrivateKey

    @property
    def digest(self) -> hashes.SHA256 | None:
        return None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def word(minted: Minted, name: str, says: str, at: datetime) -> str:
    """Return what an answer about a certificate amounts to at a moment: ``honest`` and ``slow`` tell the truth."""
    if says not in {"honest", "slow"}:
        return says
    return "revoked" if minted.scenario.certificates[name].revoked_at(at - minted.shift) else "good"


def ocsp_response(
    minted: Minted, name: str, says: str, at: datetime, request: ocsp.OCSPRequest | None = None
) -> Spoken:
    """Return an OCSP response about a certificate at a moment; ``says`` as in ``StapleSays``.

    The issuer's own key signs it (RFC 6960 section 4.2.2.2), unless it is the wrong one.  Where it answers a request
    it speaks of the certificate in the request's own digest, and returns its nonce (RFC 9654); else in SHA-1, which
    every client knows.  Raise KeyError where the issuer has no certificate.
    """
    means = word(minted, name, says, at)
    certificate, signer = minted.certificates[name], _issuer(minted, name)
    updated, due = _period(means, at)
    status = ocsp.OCSPCertStatus.GOOD
    if means == "revoked":
        status = ocsp.OCSPCertStatus.REVOKED
    elif means == "unknown":
        status = ocsp.OCSPCertStatus.UNKNOWN
    builder = ocsp.OCSPResponseBuilder().add_response(
        certificate,
        signer.certificate,
        hashes.SHA1() if request is None else request.hash_algorithm,  # noqa: S303 - a name for a certificate (4.1.1)
        status,
        updated,
        due,
        _revoked_since(minted, name, at) if means == "revoked" else None,
        x509.ReasonFlags.key_compromise if means == "revoked" else None,
    )
    if means == "wrong-signer":
        signer = _Signer(certificate, load_key(minted.key_of(name)))
        builder = builder.certificates([certificate])
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    if request is not None:
        try:
            nonce = request.extensions.get_extension_for_class(x509.OCSPNonce)
            builder = builder.add_extension(nonce.value, critical=False)
        except (x509.ExtensionNotFound, ValueError):
            pass
    return Spoken(builder.sign(signer.key, signer.digest).public_bytes(Encoding.DER), means)


def ocsp_refusal(status: ocsp.OCSPResponseStatus) -> bytes:
    """Return an OCSP response that is an error (RFC 6960 section 2.3)."""
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


def crl(minted: Minted, name: str, says: str, at: datetime) -> Spoken:
    """Return the CRL of a certificate's issuer at a moment, with everything of it that is then revoked.

    ``says`` as in ``CrlSays``.  Raise KeyError where the issuer has no certificate.
    """
    means = word(minted, name, says, at)
    said = minted.scenario.certificates
    updated, due = _period(means, at)
    signer = _issuer(minted, name)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(minted.certificates[name].issuer)
        .last_update(updated)
        .next_update(due)
        .add_extension(_key_id(signer.certificate), critical=False)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    for other, one in said.items():
        if one.issuer == said[name].issuer and one.revoked_at(at - minted.shift):
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(minted.certificates[other].serial_number)
                .revocation_date(_revoked_since(minted, other, at))
                .build()
            )
    if means == "wrong-signer":
        signer = _Signer(minted.certificates[name], load_key(minted.key_of(name)))
    return Spoken(builder.sign(signer.key, signer.digest).public_bytes(Encoding.DER), means)


def _issuer(minted: Minted, name: str) -> _Signer:
    issuer = minted.scenario.certificates[name].issuer
    certificate = minted.scenario.certificate_of(issuer)
    if certificate is None:
        raise KeyError(issuer)
    return _Signer(minted.certificates[certificate], load_key(minted.key_pem(issuer)))


def _key_id(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _period(means: str, at: datetime) -> tuple[datetime, datetime]:
    """Return thisUpdate and nextUpdate."""
    moved = {"expired": -_LATE, "not-yet-valid": _LATE}.get(means, timedelta(0))
    return at - SINCE + moved, at + FOR + moved


def _revoked_since(minted: Minted, name: str, at: datetime) -> datetime:
    told = minted.scenario.certificates[name].revoked
    return at - _REVOKED_SINCE if told is None else min(told + minted.shift, at)
