"""Certificates with one thing wrong on purpose: named changes of a sound one, which is then signed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from asn1crypto import algos, core
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, ObjectIdentifier

from lab.pki.keys import PrivateKey
from lab.pki.unread import read

__all__ = ["BYTES", "DRAFTS", "Draft", "mutated"]

_EVIL = b"\0.evil.example"
_NULL = b"\5\0"  # a whole value, with nothing in it
_UNKNOWN = "1.3.6.1.4.1.32473.1"  # under the enterprise number for examples (RFC 5612)
_HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "md5": hashes.MD5,
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


def _tagged(tag: int, content: bytes) -> bytes:
    """Return content under a tag of one byte, its length in DER's form (X.690 10.1)."""
    size = len(content)
    if size < 0x80:  # noqa: PLR2004 - X.690 8.1.3.4
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


@dataclass
class Extension:
    """An extension: its dotted number, and its value as DER."""

    oid: str
    critical: bool
    value: bytes

    def dump(self) -> bytes:
        """Return the extension as DER (RFC 5280 4.1)."""
        parts = core.ObjectIdentifier(self.oid).dump(), core.OctetString(self.value).dump()
        return _tagged(0x30, (core.Boolean(value=True).dump() if self.critical else b"").join(parts))


@dataclass
class Draft:
    """A certificate taken apart, before it is signed.  Each part is DER, and stays as it is if nobody changes it."""

    serial: int
    inner: bytes
    """The algorithm that the signed part says it was signed with."""
    issuer: bytes
    begin: bytes
    """notBefore."""
    end: bytes
    """notAfter."""
    subject: bytes
    key: bytes
    extensions: list[Extension]
    algorithm: Any
    """The algorithm outside of what is signed, by which the signature is really made."""
    version: bytes = _tagged(0xA0, core.Integer(2).dump())

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Draft:
        """Take a certificate apart."""
        whole = asn1.Certificate.load(certificate.public_bytes(Encoding.DER))
        tbs = whole["tbs_certificate"]
        return cls(
            tbs["serial_number"].native,
            tbs["signature"].dump(),
            tbs["issuer"].dump(),
            tbs["validity"]["not_before"].dump(),
            tbs["validity"]["not_after"].dump(),
            tbs["subject"].dump(),
            tbs["subject_public_key_info"].dump(),
            [
                Extension(one["extn_id"].dotted, one["critical"].native, one["extn_value"].contents)
                for one in tbs["extensions"]
            ],
            whole["signature_algorithm"],
        )

    def dump(self) -> bytes:
        """Return what is signed, as DER (RFC 5280 4.1)."""
        extensions = _tagged(0x30, b"".join(one.dump() for one in self.extensions))
        parts = [self.version, core.Integer(self.serial).dump(), self.inner, self.issuer]
        parts += [_tagged(0x30, self.begin + self.end), self.subject, self.key]
        return _tagged(0x30, b"".join([*parts, _tagged(0xA3, extensions) if self.extensions else b""]))

    def find(self, oid: ObjectIdentifier) -> Extension | None:
        """Return an extension, or None where there is none."""
        return next((one for one in self.extensions if one.oid == oid.dotted_string), None)

    def drop(self, oid: ObjectIdentifier) -> None:
        """Leave an extension out."""
        self.extensions = [one for one in self.extensions if one.oid != oid.dotted_string]


def negative_serial(draft: Draft) -> None:
    """Make the serial number negative: its first bit is set, as in CAs that took it for unsigned (RFC 5280 4.1.2.2)."""
    draft.serial = -abs(draft.serial)


def zero_serial(draft: Draft) -> None:
    """Make the serial number zero, where it must be positive (RFC 5280 4.1.2.2)."""
    draft.serial = 0


def long_serial(draft: Draft) -> None:
    """Make the serial number 21 bytes long, where 20 are the most (RFC 5280 4.1.2.2)."""
    draft.serial = 1 << 160 | draft.serial


def zero_validity(draft: Draft) -> None:
    """Let it end in the second in which it begins: both ends are inclusive (RFC 5280 4.1.2.5)."""
    draft.end = draft.begin


def inverted_validity(draft: Draft) -> None:
    """Change notBefore and notAfter about, so that it is never valid (RFC 5280 4.1.2.5)."""
    draft.begin, draft.end = draft.end, draft.begin


def generalized_time(draft: Draft) -> None:
    """Tell both dates as GeneralizedTime, which is for 2050 and later (RFC 5280 4.1.2.5)."""
    draft.begin, draft.end = (
        core.GeneralizedTime(asn1.Time.load(one).native).dump() for one in (draft.begin, draft.end)
    )


def null_in_name(draft: Draft) -> None:
    r"""Put ``\0.evil.example`` behind every DNS name and the common name: C reads up to the NUL.

    Moxie Marlinspike, "Null Prefix Attacks Against SSL/TLS Certificates", July 2009; CVE-2009-2408.
    """
    names = draft.find(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    if names is not None:
        parts = asn1.GeneralNames.load(names.value)
        changed = (
            _tagged(0x82, one.chosen.contents + _EVIL) if one.name == "dns_name" else one.dump() for one in parts
        )
        names.value = _tagged(0x30, b"".join(changed))
    rdns = [[(part["type"], part["value"]) for part in rdn] for rdn in asn1.Name.load(draft.subject).chosen]
    draft.subject = _tagged(0x30, b"".join(_tagged(0x31, b"".join(_attribute(*part) for part in rdn)) for rdn in rdns))


def _attribute(kind: Any, value: Any) -> bytes:
    """Return an attribute of a name as DER, with more behind it if it is the common name."""
    told = value.dump()
    if kind.native == "common_name":
        told = _tagged(told[0], value.chosen.contents + _EVIL)
    return _tagged(0x30, kind.dump() + told)


def unknown_critical_extension(draft: Draft) -> None:
    """Add a critical extension that nobody knows, for which it must be rejected (RFC 5280 4.2)."""
    draft.extensions.append(Extension(_UNKNOWN, critical=True, value=_NULL))


def unknown_extension(draft: Draft) -> None:
    """Add an extension that nobody knows and that is not critical, which may be ignored (RFC 5280 4.2)."""
    draft.extensions.append(Extension(_UNKNOWN, critical=False, value=_NULL))


def duplicate_extension(draft: Draft) -> None:
    """Repeat the first extension, where each may stand once (RFC 5280 4.2)."""
    draft.extensions += draft.extensions[:1]


def wrong_aki(draft: Draft) -> None:
    """Let the AuthorityKeyIdentifier name a key that is not the issuer's; it is a hint (RFC 5280 4.2.1.1)."""
    held = draft.find(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    if held is not None:
        named = asn1.AuthorityKeyIdentifier.load(held.value)["key_identifier"].native
        held.value = x509.AuthorityKeyIdentifier(bytes(byte ^ 0xFF for byte in named), None, None).public_bytes()


def no_aki(draft: Draft) -> None:
    """Leave the AuthorityKeyIdentifier out, which must be there unless it is self-signed (RFC 5280 4.2.1.1)."""
    draft.drop(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)


def differing_algorithms(draft: Draft) -> None:
    """Let the signed part name another digest than the one the signature was made with (RFC 5280 4.1.1.2).

    What is not signed could then be changed by anybody: CVE-2014-8275.
    """
    name = draft.algorithm["algorithm"].native
    family = "rsa" if name.endswith("rsa") else "ecdsa"
    draft.inner = _algorithm(f"{'sha256' if name.startswith('sha512') else 'sha512'}_{family}").dump()


def version_1(draft: Draft) -> None:
    """Make it version 1, which has no extensions and so cannot say what is a CA (RFC 5280 4.1.2.1, 6.1.4(k))."""
    draft.version = b""
    draft.extensions = []


def no_basic_constraints(draft: Draft) -> None:
    """Leave basicConstraints out, which a CA of version 3 must have (RFC 5280 4.2.1.9, 6.1.4(k))."""
    draft.drop(ExtensionOID.BASIC_CONSTRAINTS)


def empty_subject(draft: Draft) -> None:
    """Take every name but the alternative ones, which are then critical (RFC 5280 4.1.2.6)."""
    draft.subject = _tagged(0x30, b"")
    names = draft.find(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    if names is not None:
        names.critical = True


def trailing_bytes_in_extension(draft: Draft) -> None:
    """Put bytes behind the value of an extension: its names, or else the first (X.690 8.1; RFC 5280 4.2)."""
    names = draft.find(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    for one in [names] if names is not None else draft.extensions[:1]:
        one.value += _NULL


def bad_signature(der: bytes) -> bytes:
    """Turn over the last bit, which is the signature's (RFC 5280 6.1.3(a)(1))."""
    return der[:-1] + bytes((der[-1] ^ 1,))


def long_length(der: bytes) -> bytes:
    """Write the certificate's length with one byte more than it takes, as BER allows and DER does not (X.690 10.1)."""
    size = der[1] & 0x7F  # every certificate is longer than 127 bytes
    return bytes((der[0], 0x80 | size + 1, 0)) + der[2:]


def trailing_bytes(der: bytes) -> bytes:
    """Put two bytes behind the certificate, inside the entry of the Certificate message (RFC 8446 4.4.2)."""
    return der + _NULL


def truncated(der: bytes) -> bytes:
    """Cut the certificate off in the middle of its signature, which its length then belies (X.690 8.1.3)."""
    return der[:-16]


DRAFTS: dict[str, Callable[[Draft], None]] = {
    "negative-serial": negative_serial,
    "zero-serial": zero_serial,
    "long-serial": long_serial,
    "zero-validity": zero_validity,
    "inverted-validity": inverted_validity,
    "generalized-time": generalized_time,
    "null-in-name": null_in_name,
    "unknown-critical-extension": unknown_critical_extension,
    "unknown-extension": unknown_extension,
    "duplicate-extension": duplicate_extension,
    "wrong-aki": wrong_aki,
    "no-aki": no_aki,
    "differing-algorithms": differing_algorithms,
    "version-1": version_1,
    "no-basic-constraints": no_basic_constraints,
    "empty-subject": empty_subject,
    "trailing-bytes-in-extension": trailing_bytes_in_extension,
}
"""Changes of what is signed, by name, in the order in which they are made."""

BYTES: dict[str, Callable[[bytes], bytes]] = {
    "bad-signature": bad_signature,
    "long-length": long_length,
    "trailing-bytes": trailing_bytes,
    "truncated": truncated,
}
"""Changes of the signed certificate's bytes, by name, in the order in which they are made."""


def mutated(
    certificate: x509.Certificate, names: Iterable[str], key: PrivateKey, digest: str | None = None
) -> x509.Certificate:
    """Return a certificate with the named things wrong, signed again by its issuer's key; see ``lab.pki.unread``.

    ``digest`` is that of the signature (``sha1``, ``md5``: RFC 5280 takes neither any more), or None for the one that
    it has.  Raises ValueError where the key cannot sign so, or the certificate has not what is to be changed.
    """
    chosen = set(names)
    draft = Draft.of(certificate)
    if digest is not None:
        draft.algorithm = _algorithm(f"{digest}_{_family(key, digest)}")
        draft.inner = draft.algorithm.dump()
    for name, change in DRAFTS.items():
        if name in chosen:
            before = draft.dump()
            change(draft)
            if draft.dump() == before:
                raise ValueError(f'the mutation "{name}" changes nothing of it')
    signed = draft.dump()
    signature = core.OctetBitString(_signature(key, signed, draft.algorithm)).dump()
    der = _tagged(0x30, signed + draft.algorithm.dump() + signature)
    made = read(der, certificate)
    for name, spoil in BYTES.items():
        if name in chosen:
            der = spoil(der)
            made = read(der, made)
    return made


def _family(key: PrivateKey, digest: str) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "rsa"
    if digest == "md5":
        raise ValueError("MD5 is defined with RSA only: give the issuer an RSA key (RFC 3279 2.2)")
    return "ecdsa"


def _algorithm(name: str) -> Any:
    """Return an algorithm identifier; RSA takes NULL as its parameters and ECDSA none (RFC 4055 5, RFC 5758 3.2)."""
    if name.endswith("rsa"):
        return algos.SignedDigestAlgorithm({"algorithm": name, "parameters": core.Null()})
    return algos.SignedDigestAlgorithm({"algorithm": name})


def _signature(key: PrivateKey, signed: bytes, algorithm: Any) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signed, padding.PKCS1v15(), _HASHES[algorithm.hash_algo]())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(signed, ec.ECDSA(_HASHES[algorithm.hash_algo]()))
    return key.sign(signed)
