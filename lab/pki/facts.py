"""What a certificate says, read once: its extensions, its key, and whether another key signed it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab.pki.encoding import broken_rules, contradiction
from lab.pki.names import Canonical, canonical
from lab.pki.unread import Unread

__all__ = ["Facts", "facts", "signed_by"]

_PROCESSED = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.NameConstraints,
    x509.SubjectAlternativeName,
    x509.SubjectKeyIdentifier,
    x509.AuthorityKeyIdentifier,
)
"""Extensions that the reference relying party acts on, or that ask nothing of it.  Policies are not among them."""
_WEAK_HASHES = ("sha1", "md5")
_MIN_RSA, _MIN_EC = 2048, 224
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True)
class Facts:
    """A certificate's contents as far as a path needs them; ``malformed`` is why the rest is missing, if it is."""

    entity: tuple[Canonical, bytes]
    """Subject in its canonical form, and public key as SubjectPublicKeyInfo: what an anchor is (6.1.1(d))."""
    issuer: Canonical
    self_issued: bool
    basic_constraints: x509.BasicConstraints | None = None
    key_usage: x509.KeyUsage | None = None
    purposes: x509.ExtendedKeyUsage | None = None
    name_constraints: x509.NameConstraints | None = None
    alternative_names: tuple[x509.GeneralName, ...] = ()
    subject_key_id: bytes | None = None
    authority_key_id: bytes | None = None
    unknown_critical: tuple[str, ...] = ()
    """Dotted numbers of critical extensions that nobody processes here."""
    weak_key: str = ""
    """The size of a key that many refuse, in words."""
    weak_hash: str = ""
    """The name of a digest that many refuse."""
    irregular: tuple[str, ...] = ()
    """Rules for its encoding that it breaks, and for which nobody has to reject it."""
    malformed: str = ""


@lru_cache(maxsize=512)
def facts(certificate: x509.Certificate) -> Facts:
    """Read a certificate; what cannot be parsed is told in ``malformed``, never raised."""
    if isinstance(certificate, Unread):
        return replace(facts(certificate.twin), malformed=certificate.why)
    try:
        subject, issuer = canonical(certificate.subject), canonical(certificate.issuer)
    except ValueError as error:
        return Facts(((), b""), (), self_issued=False, malformed=str(error))
    self_issued = subject == issuer
    try:
        key = certificate.public_key()
        entity = subject, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        extensions = certificate.extensions
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        return Facts((subject, b""), issuer, self_issued, malformed=str(error) or type(error).__name__)

    def value(kind: type[_Extension]) -> _Extension | None:
        try:
            return extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    subject_key = value(x509.SubjectKeyIdentifier)
    authority_key = value(x509.AuthorityKeyIdentifier)
    return Facts(
        entity=entity,
        issuer=issuer,
        self_issued=self_issued,
        basic_constraints=value(x509.BasicConstraints),
        key_usage=value(x509.KeyUsage),
        purposes=value(x509.ExtendedKeyUsage),
        name_constraints=value(x509.NameConstraints),
        alternative_names=tuple(value(x509.SubjectAlternativeName) or ()),
        subject_key_id=subject_key.digest if subject_key else None,
        authority_key_id=authority_key.key_identifier if authority_key else None,
        irregular=tuple(broken_rules(certificate)),
        malformed=contradiction(certificate),
        unknown_critical=tuple(
            extension.oid.dotted_string
            for extension in extensions
            if extension.critical and not isinstance(extension.value, _PROCESSED)
        ),
        weak_key=_weak_key(key),
        weak_hash=_weak_hash(certificate),
    )


def _weak_key(key: object) -> str:
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _MIN_RSA:
        return f"RSA, {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < _MIN_EC:
        return f"{key.curve.name}, {key.key_size} bits"
    return ""


def _weak_hash(certificate: x509.Certificate) -> str:
    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""
    return digest.name if digest is not None and digest.name in _WEAK_HASHES else ""


@lru_cache(maxsize=2048)
def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether the issuer's key made the certificate's signature, whatever the names say (RFC 5280 6.1.3(a)(1)).

    ``verify_directly_issued_by`` also compares names byte for byte, which section 7.1 does not ask for.
    """
    try:
        key = issuer.public_key()
        digest, parameters = certificate.signature_hash_algorithm, certificate.signature_algorithm_parameters
        signature, signed = certificate.signature, certificate.tbs_certificate_bytes
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        elif digest is None:
            return False
        elif isinstance(key, rsa.RSAPublicKey) and isinstance(parameters, padding.PKCS1v15 | padding.PSS | None):
            # cryptography tells no parameters with MD5, nor with SHA-1 under ECDSA
            key.verify(signature, signed, parameters or padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA | None):
            key.verify(signature, signed, parameters or ec.ECDSA(digest))
        else:
            return False
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True
