"""Whoever lacks the private key: what clients make of it, and what the witness says."""

from __future__ import annotations

import dataclasses
import socket

import pytest
from OpenSSL import SSL

from lab.pki.keys import KeyRing
from lab.server.exhibit import Exhibit
from lab.server.hello import ClientHello
from lab.server.imposter import _highest
from lab.server.witness import Record

LEAVES = ["rsa2048", "ec256", "ec384", "ed25519"]


@pytest.fixture(scope="module")
def imposters(tmp_path_factory, self_signed):
    """Return imposters by the type of their leaf's key."""
    ring = KeyRing(tmp_path_factory.mktemp("cache") / "keys")
    made = {}
    for kind in LEAVES:
        key = ring.key("imposter", "site", kind)
        made[kind] = Exhibit((self_signed(key),), ring.pem("imposter", "site", kind), imposter=True)
    return made


def refuse(connection):
    """See a client end the handshake, and close it."""
    with pytest.raises(SSL.Error, match=r"signature|padding"):
        connection.do_handshake()
    connection.sock_shutdown(socket.SHUT_RDWR)
    connection.close()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("kind", LEAVES)
def test_a_client_notices(lane, imposters, wire, kind, version):
    """OpenSSL, which trusts everything here but checks signatures, ends the handshake with an alert."""
    shown = dataclasses.replace(imposters[kind], min_tls=version, max_tls=version)
    lane.show(shown)
    refuse(wire.tls_client(lane.port))
    seen = lane.settled()
    assert seen.tls == version
    assert seen.certificates == shown.digests
    assert seen.alert == "fatal decrypt_error"
    assert (seen.handshake, seen.request, seen.resumed) == (False, False, False)
    assert seen.server_name == "shop.example"
    assert seen.cipher


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_application_protocols_are_ignored(lane, imposters, wire, version):
    """A client that offers application protocols, as browsers and curl do, sees the same imposter."""
    lane.show(dataclasses.replace(imposters["ec256"], min_tls=version, max_tls=version))
    refuse(wire.tls_client(lane.port, lambda context: context.set_alpn_protos([b"h2", b"http/1.1"])))
    seen = lane.settled()
    assert seen.certificates
    assert seen.alert == "fatal decrypt_error"


def test_a_client_that_knows_tls_1_0_only_notices(lane, imposters, wire):
    """An exhibit for old clients is an imposter to them too."""
    lane.show(dataclasses.replace(imposters["ec256"], min_tls="1.0", security_level=0))
    refuse(wire.tls_client(lane.port, version=SSL.TLS1_VERSION))
    seen = lane.settled()
    assert (seen.tls, seen.handshake) == ("1.0", False)
    assert seen.certificates


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_that_does_not_check_is_served(lane, imposters, wire, version):
    """Were the key right, the same server would be accepted: nothing else is wrong with it."""
    shown = dataclasses.replace(imposters["rsa2048"], min_tls=version, max_tls=version)
    shown.__dict__["wrong_key_pem"] = shown.key_pem
    lane.show(shown)
    wire.get(lane.port)
    seen = lane.settled()
    assert (seen.handshake, seen.request, seen.answered, seen.resumed) == (True, True, True, False)
    assert seen.certificates == shown.digests
    assert seen.closed in {"fin", "close-notify"}


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\0" * 64])
def test_bytes_that_are_no_tls_end_one_connection(lane, imposters, wire, junk):
    """What is not a hello gets no certificate, and the next client is served as before."""
    lane.show(imposters["ec256"])
    with wire.connect(lane.port) as raw:
        raw.sendall(junk)
        raw.shutdown(1)
        wire.read_all(raw.recv)
    assert lane.settled().certificates == ()
    lane.show(imposters["ec256"])
    refuse(wire.tls_client(lane.port))


def test_an_endless_handshake_is_ended(make_lane, imposters, wire):
    """Its deadline is that of any other connection."""
    lane = make_lane(handshake_s=0.05)
    lane.show(imposters["ec256"])
    with wire.connect(lane.port) as raw:
        raw.sendall(b"\x16\x03\x01")
        wire.read_all(raw.recv)
        assert lane.settled().closed == "deadline"


@pytest.mark.parametrize(
    ("shares", "lowest", "spoken"),
    [
        ((0x11EC,), "1.2", "1.2"),  # X25519MLKEM768 alone: tlslite-ng knows no such group
        ((0x11EC, 0x001D), "1.2", "1.3"),
        ((0x0017,), "1.2", "1.3"),
        ((), "1.2", "1.3"),
        ((0x11EC,), "1.3", "1.3"),
    ],
)
def test_who_shares_no_known_key_is_met_below_tls_1_3(imposters, shares, lowest, spoken):
    """A client whose key shares are all unknown is spoken to in TLS 1.2, where the exhibit allows it."""
    record = Record((), 0.0)
    record.hello = ClientHello(b"", versions=("1.3", "1.2"), shares=shares)
    assert _highest(dataclasses.replace(imposters["ec256"], min_tls=lowest), record) == spoken
