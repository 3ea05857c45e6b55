"""Certificates as they are minted: parsed by ``cryptography``, or bytes that it refuses beside a twin that it reads."""

from __future__ import annotations

import ssl
import warnings
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

__all__ = ["Unread", "read"]


class Unread:
    """Bytes that ``cryptography`` cannot read as a certificate.

    In everything but bytes and digests it speaks as its ``twin``, the certificate that it was before it was spoilt: so
    names, dates and the issuer's signature are still known to whoever looks for a path.  ``why`` says what is wrong.
    """

    def __init__(self, der: bytes, twin: x509.Certificate, why: str) -> None:
        self.der = der
        self.twin = twin
        self.why = why

    def __getattr__(self, name: str) -> Any:
        return getattr(self.twin, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unread) and other.der == self.der

    def __hash__(self) -> int:
        return hash(self.der)

    def public_bytes(self, encoding: Encoding) -> bytes:
        """Return the bytes as they are, or as PEM."""
        return ssl.DER_cert_to_PEM_cert(self.der).encode() if encoding is Encoding.PEM else self.der

    def fingerprint(self, algorithm: hashes.HashAlgorithm) -> bytes:
        """Return a digest of the bytes."""
        digest = hashes.Hash(algorithm)
        digest.update(self.der)
        return digest.finalize()


def read(der: bytes, twin: x509.Certificate) -> x509.Certificate:
    """Return a certificate out of its bytes; where ``cryptography`` refuses them, ``Unread`` in its place."""
    with warnings.catch_warnings():
        # it warns of a serial number that is not positive
        warnings.simplefilter("ignore")
        try:
            return x509.load_der_x509_certificate(der)
        except ValueError as error:
            return cast("x509.Certificate", Unread(der, twin, str(error)))
