"""Exhibits to show, a lane to show them on, and blocking clients to look at them with."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from OpenSSL import SSL

from lab.server.connection import Limits
from lab.server.exhibit import Exhibit
from lab.server.listener import Lane

HOST = "shop.example"
REQUEST = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"


def der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


@dataclass
class Pki:
    """A small PKI: root, intermediate, site, and an RSA-1024 site that signs itself."""

    root_pem: bytes
    root: bytes
    intermediate: bytes
    site: bytes
    key_pem: bytes
    other_key_pem: bytes
    weak: bytes
    weak_key_pem: bytes


@pytest.fixture(scope="session")
def pki() -> Pki:
    root = trustme.CA()
    intermediate = root.create_child_ca()
    site, other = intermediate.issue_cert(HOST), intermediate.issue_cert(HOST)
    weak_key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    weak = (
        x509.CertificateBuilder(name, name, weak_key.public_key(), 1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2040, 1, 1, tzinfo=dt.UTC))
        .sign(weak_key, hashes.SHA256())
    )
    return Pki(
        root_pem=root.cert_pem.bytes(),
        root=der(root.cert_pem.bytes()),
        intermediate=der(site.cert_chain_pems[1].bytes()),
        site=der(site.cert_chain_pems[0].bytes()),
        key_pem=site.private_key_pem.bytes(),
        other_key_pem=other.private_key_pem.bytes(),
        weak=weak.public_bytes(serialization.Encoding.DER),
        weak_key_pem=weak_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


@pytest.fixture(scope="session")
def exhibit(pki: Pki) -> Exhibit:
    """An exhibit that a careful client accepts."""
    return Exhibit((pki.site, pki.intermediate), pki.key_pem)


@pytest.fixture
def make_lane(running_reactor: Any, in_reactor: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Open lanes as blocking objects: show, settled, close and the lane itself; they are closed after the test."""
    made: list[Any] = []

    def make(**limits: Any) -> Any:
        lane = Lane(running_reactor, limits=Limits(**limits))
        in_reactor(lane.open)
        made.append(lane)
        return SimpleNamespace(
            lane=lane,
            port=lane.port,
            show=lambda shown: in_reactor(lane.show, shown),
            settled=lambda grace_s=5.0: in_reactor(lane.settled, grace_s),
        )

    yield make
    for lane in made:
        in_reactor(lane.close)


@pytest.fixture
def lane(make_lane: Callable[..., Any], logged_failures: list[Any]) -> Iterator[Any]:
    """Yield a lane with ordinary limits, and see that nothing it met reached the log as an error."""
    yield make_lane()
    assert not logged_failures


def connect(port: int) -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", port), timeout=10)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return raw


def reset(raw: socket.socket) -> None:
    """Close with a RST."""
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def read_all(read: Callable[[int], bytes]) -> bytes:
    """Read to the end of the stream, orderly or not."""
    received = b""
    try:
        while piece := read(65536):
            received += piece
    except (SSL.ZeroReturnError, SSL.SysCallError, ConnectionResetError):
        pass
    return received


def tls_client(port: int, setup: Callable[[SSL.Context], None] = lambda _: None, **versions: int) -> SSL.Connection:
    """Connect with pyOpenSSL, which verifies nothing unless ``setup`` says so; the handshake is still to do."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(b"DEFAULT@SECLEVEL=0")
    if (version := versions.get("version")) is not None:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    setup(context)
    raw = connect(port)
    raw.settimeout(None)
    connection = SSL.Connection(context, raw)
    connection.set_tlsext_host_name(HOST.encode())
    connection.set_connect_state()
    return connection


def get(port: int, setup: Callable[[SSL.Context], None] = lambda _: None, **versions: int) -> SSL.Connection:
    """Make one whole probe and return its connection, closed."""
    connection = tls_client(port, setup, **versions)
    connection.do_handshake()
    connection.sendall(REQUEST)
    assert read_all(connection.recv).startswith(b"HTTP/1.1 200 OK\r\n")
    connection.shutdown()
    connection.sock_shutdown(socket.SHUT_RDWR)
    connection.close()
    return connection


def verified(port: int, root_pem: bytes, name: str = HOST) -> bytes:
    """Make one whole probe with Python's own ssl, verification on, and return what was answered.

    Over buffers, because an SSLSocket that meets a reset before it has begun is left to the collector.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context(cadata=root_pem.decode()).wrap_bio(incoming, outgoing, server_hostname=name)

    def turn(raw: socket.socket, step: Callable[[], Any]) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                pass
            finally:
                with suppress(OSError):  # a reset is met again where it is read
                    raw.sendall(outgoing.read())
            if piece := raw.recv(65536):
                incoming.write(piece)
            else:
                incoming.write_eof()

    def read(size: int) -> bytes:
        try:
            return bytes(turn(raw, lambda: tls.read(size)))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    with connect(port) as raw:
        turn(raw, tls.do_handshake)
        turn(raw, lambda: tls.write(REQUEST))
        return read_all(read)


def hello_bytes(versions: tuple[int, ...] = (), name: str = HOST, clock: int = 0x11223344) -> bytes:
    """Return a ClientHello message for ECDHE and AES-GCM, TLS 1.2 unless ``versions`` are listed."""

    def vector(size: int, data: bytes) -> bytes:
        return len(data).to_bytes(size, "big") + data

    named = vector(2, b"\0" + vector(2, name.encode()))
    extensions = b"\0\0" + vector(2, named)
    extensions += b"\0\x0a" + vector(2, vector(2, bytes.fromhex("0017001d")))
    extensions += b"\0\x0d" + vector(2, vector(2, bytes.fromhex("04030401080408050806")))
    if versions:
        extensions += b"\0\x2b" + vector(2, vector(1, b"".join(v.to_bytes(2, "big") for v in versions)))
    body = b"\3\3" + clock.to_bytes(4, "big") + bytes(28) + b"\0"
    body += vector(2, bytes.fromhex("c02bc02f")) + b"\1\0" + vector(2, extensions)
    return b"\1" + vector(3, body)


def records(message: bytes, size: int = 2**14) -> bytes:
    """Put a handshake message into records of at most ``size`` bytes."""
    pieces = (message[i : i + size] for i in range(0, len(message), size))
    return b"".join(b"\x16\3\1" + len(piece).to_bytes(2, "big") + piece for piece in pieces)


@pytest.fixture(scope="session")
def wire() -> SimpleNamespace:
    """The helpers of this file, for the tests beside it."""
    return SimpleNamespace(
        HOST=HOST,
        REQUEST=REQUEST,
        connect=connect,
        reset=reset,
        read_all=read_all,
        tls_client=tls_client,
        get=get,
        verified=verified,
        hello=hello_bytes,
        records=records,
    )


@pytest.fixture(scope="session")
def self_signed() -> Callable[[Any], bytes]:
    """Return a callable that signs a certificate for HOST with its own key, of any type, and returns it as DER."""

    def sign(key: Any) -> bytes:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), 1)
            .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
            .not_valid_after(dt.datetime(2040, 1, 1, tzinfo=dt.UTC))
            .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.DER)

    return sign
