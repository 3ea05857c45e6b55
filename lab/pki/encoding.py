"""What of a certificate's encoding breaks the profile of RFC 5280, though it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

__all__ = ["broken_rules", "contradiction", "serial_number"]

_MAX_SERIAL_BYTES = 20
_GENERALIZED_FROM = datetime(2050, 1, 1, tzinfo=UTC)


def serial_number(certificate: x509.Certificate) -> int:
    """Return a serial number, whatever its sign: ``cryptography`` warns of one that is not positive."""
    return int(asn1.TbsCertificate.load(certificate.tbs_certificate_bytes)["serial_number"].native)


def broken_rules(certificate: x509.Certificate) -> Iterator[str]:
    """Yield the rules for CAs that a certificate breaks, and that section 6.1 does not ask of a relying party.

    Serial numbers: "certificate users SHOULD be prepared to gracefully handle" one that is negative or zero, and must
    handle 20 bytes (4.1.2.2).  Dates: both encodings must be processed (4.1.2.5).
    """
    tbs = asn1.TbsCertificate.load(certificate.tbs_certificate_bytes)
    serial = tbs["serial_number"]
    if serial.native <= 0:
        yield "its serial number is not positive (RFC 5280 4.1.2.2)"
    if len(serial.contents) > _MAX_SERIAL_BYTES:
        yield f"its serial number is {len(serial.contents)} bytes long, more than 20 (RFC 5280 4.1.2.2)"
    times = [tbs["validity"][end] for end in ("not_before", "not_after")]
    if any(time.name == "general_time" and time.native < _GENERALIZED_FROM for time in times):
        yield "a date before 2050 is a GeneralizedTime (RFC 5280 4.1.2.5)"


def contradiction(certificate: x509.Certificate) -> str:
    """Say how a certificate contradicts itself outside what is signed; empty where it does not.

    The signature's algorithm stands in it twice, and only the inner one is signed (RFC 5280 4.1.1.2).
    """
    parsed = asn1.Certificate.load(certificate.public_bytes(Encoding.DER))
    inner, outer = parsed["tbs_certificate"]["signature"], parsed["signature_algorithm"]
    if inner.dump() == outer.dump():
        return ""
    told = inner["algorithm"].native, outer["algorithm"].native
    return f"it is signed with {told[1]}, but says {told[0]} (RFC 5280 4.1.1.2)"
