"""Connections that OpenSSL refuses to serve, spoken by tlslite-ng: the right chain with a wrong key, and odd chains."""

from __future__ import annotations

import errno
import ssl
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from OpenSSL import SSL

from lab.model.scenario import TlsVersion
from lab.server.connection import ServerConnection
from lab.server.exhibit import Exhibit
from lab.server.witness import Record, alert_name

with warnings.catch_warnings():
    # its package imports asyncore, which the lab does not use
    warnings.simplefilter("ignore", DeprecationWarning)
    from tlslite.constants import ECPointFormat
    from tlslite.errors import TLSLocalAlert, TLSRemoteAlert
    from tlslite.handshakesettings import HandshakeSettings
    from tlslite.tlsconnection import TLSConnection
    from tlslite.utils.keyfactory import parsePEMKey
    from tlslite.x509 import X509
    from tlslite.x509certchain import X509CertChain

__all__ = ["DowngradingConnection", "ImposterConnection", "OddConnection", "connection_class"]

_VERSIONS: dict[TlsVersion, tuple[int, int]] = {"1.0": (3, 1), "1.1": (3, 2), "1.2": (3, 3), "1.3": (3, 4)}
_GROUPS = {0x0017, 0x0018, 0x0019, 0x001D, 0x001E}
"""secp256r1, secp384r1, secp521r1, x25519, x448: what tlslite-ng agrees on keys with (RFC 8446 section 4.2.7)."""
_CURVES = {"X25519": "x25519", "P-256": "secp256r1", "P-384": "secp384r1", "P-521": "secp521r1", "X448": "x448"}
_HASHES = ["sha256", "sha384", "sha512", "sha1"]


class _Stream:
    """What tlslite-ng takes for a socket: two buffers, of which an empty one says that reading would block."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.made = bytearray()

    def recv(self, size: int) -> bytes:
        if not self.received:
            raise BlockingIOError(errno.EAGAIN, "nothing has come yet")
        taken = bytes(self.received[:size])
        del self.received[:size]
        return taken

    def send(self, data: bytes) -> int:
        self.made += data
        return len(data)

    def sendall(self, data: bytes) -> None:
        self.made += data

    def close(self) -> None:
        """Leave closing to whoever owns the transport."""


class _NotedKey:
    """A private key that notes in the record that it was used: the Certificate message then leaves with it."""

    def __init__(self, key: Any, record: Record) -> None:
        self._key = key
        self._record = record

    def __getattr__(self, name: str) -> Any:
        if name in {"sign", "hashAndSign"}:
            # Certificate, and what is signed here, go out in one flight, in this order, in every TLS version.
            self._record.certificate_made = True
        return getattr(self._key, name)

    def __len__(self) -> int:
        return len(self._key)


def _highest(exhibit: Exhibit, record: Record) -> TlsVersion:
    """Return the highest version to speak.

    A TLS 1.3 client none of whose key shares tlslite-ng knows would be asked for another hello, and tlslite-ng 0.8.2
    refuses one whose extensions came in another order: so it is met with TLS 1.2, which proves the key as well.
    """
    shares = record.hello.shares if record.hello is not None else ()
    strange = bool(shares) and not _GROUPS & set(shares)
    return "1.2" if strange and exhibit.max_tls == "1.3" and exhibit.min_tls != "1.3" else exhibit.max_tls


def _settings(exhibit: Exhibit, record: Record) -> Any:
    settings = HandshakeSettings()
    settings.minVersion, settings.maxVersion = _VERSIONS[exhibit.min_tls], _VERSIONS[_highest(exhibit, record)]
    settings.versions = [version for version in settings.versions if version <= settings.maxVersion]
    settings.keyExchangeNames = ["ecdhe_ecdsa", "ecdhe_rsa", "dhe_rsa"]  # those in which the server signs
    settings.eccCurves, settings.keyShares = [_CURVES[group] for group in exhibit.groups.split(":")], []
    settings.ec_point_formats = [ECPointFormat.uncompressed]  # Mbed TLS takes the first that is named, and is refused
    settings.ecdsaSigHashes = settings.rsaSigHashes = list(_HASHES)
    settings.certificate_compression_send = []
    settings.ticket_count = 0
    return settings


def _protocols(exhibit: Exhibit, record: Record) -> list[bytearray] | None:
    """Return the application protocols to name, so that none is chosen, as by the right server.

    Under TLS 1.3 tlslite-ng 0.8.2 fails over a client's protocols where it has none itself: it gets one that nobody
    offers.  Before TLS 1.3 it would end the handshake over that one.
    """
    newest = _highest(exhibit, record) == "1.3" and record.hello is not None and "1.3" in record.hello.versions
    return [bytearray(b"tlslab")] if newest else None


def _certificates(exhibit: Exhibit) -> Any:
    """Return the chain as tlslite-ng takes it: it reads of it what the end-entity's key is, and sends the bytes.

    What cannot be read is shown by a stand-in: for the end-entity certificate one of the same key.
    """
    if not exhibit.refusal:
        certificates = [X509().parse(ssl.DER_cert_to_PEM_cert(der)) for der in exhibit.chain]
    else:
        certificates = [X509().parse(_self_signed(exhibit.key_pem)), *(X509() for _ in exhibit.chain[1:])]
    for certificate, der in zip(certificates, exhibit.chain, strict=True):
        certificate.bytes = bytearray(der)
    return X509CertChain(certificates)


def _self_signed(key_pem: bytes) -> str:
    """Return some certificate of a key, as PEM."""
    key: Any = serialization.load_pem_private_key(key_pem, None, unsafe_skip_rsa_key_validation=True)
    name, epoch = x509.Name([]), datetime(2000, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, epoch, epoch)
    made = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


class _Tls:
    """What ServerConnection uses of an SSL.Connection with memory BIOs, spoken by tlslite-ng.

    Nothing blocks: its generators stop where bytes are missing, and this says so as OpenSSL does.
    """

    def __init__(self, exhibit: Exhibit, record: Record, key_pem: bytes, settings: Any) -> None:
        self._record = record
        self._stream = _Stream()
        self._tls = TLSConnection(self._stream)
        key = _NotedKey(parsePEMKey(key_pem.decode(), private=True), record)
        self._handshake: Iterator[Any] = self._tls.handshakeServerAsync(
            certChain=_certificates(exhibit), privateKey=key, settings=settings, alpn=_protocols(exhibit, record)
        )
        self._reading: Iterator[Any] | None = None
        self._failed = False

    def bio_write(self, data: bytes) -> None:
        """Take bytes that the client sent."""
        self._stream.received += data

    def bio_read(self, size: int) -> bytes:
        """Return bytes for the client; raise WantReadError where there are none."""
        if not self._stream.made:
            raise SSL.WantReadError
        taken = bytes(self._stream.made[:size])
        del self._stream.made[:size]
        return taken

    def do_handshake(self) -> None:
        """Go on with the handshake; raise WantReadError where it needs more bytes."""
        self._advance(self._handshake)

    def recv(self, size: int) -> bytes:
        """Return what the client said; raise WantReadError, or ZeroReturnError after its close_notify."""
        if self._reading is None:
            self._reading = self._tls.readAsync(size)
        said = self._advance(self._reading)
        self._reading = None
        if not said:
            self._record.peer_closed = True
            raise SSL.ZeroReturnError
        return bytes(said)

    def send(self, data: bytes) -> None:
        """Encrypt application data."""
        self._advance(self._tls.writeAsync(data))

    def shutdown(self) -> None:
        """Send a close_notify."""
        self._failed = True  # it reads no more; so what comes is thrown away
        try:
            self._advance(self._tls.closeAsync(), closing=True)
        except SSL.WantReadError:
            return

    def _advance(self, doing: Iterator[Any], *, closing: bool = False) -> Any:
        """Return what a generator of tlslite-ng comes to; raise an SSL.Error where it waits or fails."""
        if self._failed and not closing:
            raise SSL.Error([])
        try:
            result = next(doing, None)
        except TLSRemoteAlert as alert:
            self._record.alert = alert_name(alert.level << 8 | alert.description)
            raise self._failure() from alert
        except TLSLocalAlert as alert:
            self._record.alert_sent = alert_name(alert.level << 8 | alert.description)
            raise self._failure() from alert
        except Exception as error:  # whatever a client's bytes make of tlslite-ng, only this connection is over
            raise self._failure() from error
        if isinstance(result, int):
            raise SSL.WantReadError
        return result

    def _failure(self) -> SSL.Error:
        self._failed = True
        return SSL.Error([])


class ImposterConnection(ServerConnection):
    """Serves an exhibit's chain to one connection as ServerConnection does, but proves itself by another key.

    A client that checks what the server signed ends the handshake there.
    """

    def _open_tls(self) -> SSL.Connection:
        settings = _settings(self._exhibit, self.record)
        return cast("SSL.Connection", _Tls(self._exhibit, self.record, self._exhibit.wrong_key_pem, settings))

    def _note_server_hello(self, tls: SSL.Connection, flight: bytes) -> None:  # noqa: ARG002 - OpenSSL knows the names
        super()._note_server_hello(SSL.Connection(self._context, None), flight)


class OddConnection(ImposterConnection):
    """Serves an exhibit by its own key, with certificates that OpenSSL cannot read or would encode differently."""

    def _open_tls(self) -> SSL.Connection:
        settings = _settings(self._exhibit, self.record)
        return cast("SSL.Connection", _Tls(self._exhibit, self.record, self._exhibit.key_pem, settings))


class DowngradingConnection(OddConnection):
    """Serves an exhibit by its own key, but marks its random as RFC 8446 section 4.1.3 has it for a downgrade.

    It speaks TLS 1.2 to whoever offers TLS 1.3 as a server does that knows TLS 1.3 and is not asked for it.  Nothing
    else is wrong: a client that does not look for the mark connects.  Whoever offers no TLS 1.3 meets a plain server.
    """

    def _open_tls(self) -> SSL.Connection:
        hello = self.record.hello
        if hello is None or "1.3" not in hello.versions:
            return super()._open_tls() if self._exhibit.refusal else super(ImposterConnection, self)._open_tls()
        settings = _settings(self._exhibit, self.record)
        settings.versions, settings.maxVersion = [_VERSIONS["1.2"]], _VERSIONS["1.3"]
        return cast("SSL.Connection", _Tls(self._exhibit, self.record, self._exhibit.key_pem, settings))


def connection_class(exhibit: Exhibit) -> type[ServerConnection]:
    """Return what serves an exhibit: OpenSSL, unless it has to do what OpenSSL refuses to."""
    if exhibit.imposter:
        return ImposterConnection
    downgrades = any(fault.kind.name == "downgrade-version" for fault in exhibit.faults)
    if downgrades:
        return DowngradingConnection
    return OddConnection if exhibit.refusal else ServerConnection
