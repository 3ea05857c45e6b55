"""What a connection leaves behind, for real clients over real sockets: good, rejecting, broken and hostile ones."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
import ssl
import subprocess
import time

import pytest
from OpenSSL import SSL, crypto

from lab.server.exhibit import Exhibit

BOTH = pytest.mark.parametrize("version", ["1.2", "1.3"])
NUMBERS = {"1.0": SSL.TLS1_VERSION, "1.1": SSL.TLS1_1_VERSION, "1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


def only(exhibit, version):
    return dataclasses.replace(exhibit, min_tls=version, max_tls=version)


def s_client(port, *options):
    """Run the system's ``openssl s_client`` with one request and return all it prints."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "shop.example", *options]
    request = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"
    return subprocess.run(command, input=request, capture_output=True, timeout=30, check=False).stdout.decode()


def handshake_messages(plain):
    """Return the handshake messages in the plaintext records of a TLS 1.2 server, as (type, body)."""
    content = b""
    while plain:
        kind, size = plain[0], int.from_bytes(plain[3:5], "big")
        assert kind == 22
        content, plain = content + plain[5 : 5 + size], plain[5 + size :]
    messages = []
    while content:
        size = int.from_bytes(content[1:4], "big")
        messages.append((content[0], content[4 : 4 + size]))
        content = content[4 + size :]
    return messages


@BOTH
def test_accepted(lane, exhibit, pki, wire, version):
    """A client that verifies and asks is answered, and the witness tells all of it."""
    lane.show(only(exhibit, version))
    answer = wire.verified(lane.port, pki.root_pem)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    head, body = answer.split(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    seen = lane.settled()
    assert seen.connections == 1
    assert (seen.handshake, seen.request, seen.answered, seen.resumed) == (True, True, True, False)
    assert seen.server_name == "shop.example"
    assert seen.tls == version
    assert version in seen.versions
    assert seen.cipher in {"TLS_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"}
    assert seen.certificates == exhibit.digests
    assert (seen.alert, seen.alert_sent) == (None, None)
    assert seen.closed in {"fin", "close-notify"}
    assert 0 < seen.handshake_ms <= seen.ms
    assert bytes.fromhex(seen.hello)[0] == 1
    assert seen.bytes_in > len(seen.hello) // 2
    assert seen.bytes_out > len(exhibit.chain[0])


CHAINS = {
    "as usual": "site intermediate",
    "root served": "site intermediate root",
    "duplicate": "site intermediate intermediate site",
    "wrong order": "site root intermediate",
    "alone": "site",
}


@pytest.mark.parametrize("names", CHAINS.values(), ids=CHAINS)
def test_certificate_message_on_the_raw_socket(lane, pki, wire, names):
    """The Certificate message that leaves the machine is the exhibit's chain, byte for byte, and so is the witness."""
    chain = tuple(getattr(pki, name) for name in names.split())
    lane.show(Exhibit(chain, pki.key_pem))
    with wire.connect(lane.port) as raw:
        raw.sendall(wire.records(wire.hello()))
        flight = b""
        while not flight.endswith(b"\x0e\0\0\0"):  # ServerHelloDone
            flight += raw.recv(65536)
    body = dict(handshake_messages(flight))[11]
    sent, rest = [], body[3:]
    assert int.from_bytes(body[:3], "big") == len(rest)
    while rest:
        size = int.from_bytes(rest[:3], "big")
        sent.append(rest[3 : 3 + size])
        rest = rest[3 + size :]
    assert tuple(sent) == chain
    seen = lane.settled()
    assert seen.certificates == tuple(hashlib.sha256(one).hexdigest() for one in sent)
    assert seen.clock == 0x11223344
    assert seen.hello == wire.hello().hex()
    assert seen.bytes_out == len(flight)
    assert (seen.tls, seen.cipher, seen.handshake) == ("1.2", "ECDHE-ECDSA-AES128-GCM-SHA256", False)


@pytest.mark.parametrize("names", CHAINS.values(), ids=CHAINS)
def test_certificate_message_of_tls_1_3(lane, pki, wire, names):
    """Under TLS 1.3 the client gets the exhibit's chain as it is, too."""
    chain = tuple(getattr(pki, name) for name in names.split())
    lane.show(only(Exhibit(chain, pki.key_pem), "1.3"))
    got = wire.get(lane.port).get_peer_cert_chain()
    assert tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in got) == chain
    assert len(lane.settled().certificates) == len(chain)


@BOTH
def test_rejected_by_alert(lane, exhibit, wire, version):
    """A client that does not know the root says so by its alert, after it was shown the whole chain."""
    lane.show(only(exhibit, version))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with wire.connect(lane.port) as raw, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(raw, server_hostname=wire.HOST)
    seen = lane.settled()
    assert seen.alert == "fatal unknown_ca"
    assert seen.alert_sent is None
    assert seen.certificates == exhibit.digests
    assert seen.tls == version
    assert seen.cipher
    assert not seen.handshake
    assert not seen.answered


@BOTH
def test_no_session_is_ever_resumed(lane, exhibit, version, tmp_path):
    """No ticket is sent, and a client that wants its old session back gets a full handshake."""
    lane.show(only(exhibit, version))
    kept = tmp_path / "session"
    printed = s_client(lane.port, "-msg", "-ign_eof", "-sess_out", str(kept))
    assert "NewSessionTicket" not in printed
    if kept.exists() and version == "1.2":
        printed = s_client(lane.port, "-ign_eof", "-sess_in", str(kept))
    assert "Reused" not in printed
    assert "\nNew, " in printed
    seen = lane.settled()
    assert seen.handshake
    assert not seen.resumed
    assert seen.certificates == exhibit.digests


def test_a_ticket_of_another_server_is_worth_nothing(lane, exhibit, wire):
    """A hello with a session id and a ticket is answered by a whole Certificate message."""
    lane.show(exhibit)
    hello = wire.hello()
    ticket = b"\0\x23\0\x40" + bytes(range(64))
    session = hello[4 : 4 + 34] + b"\x20" + bytes(range(32)) + hello[4 + 35 :]
    at = session.index(b"\1\0", 70) + 2
    size = int.from_bytes(session[at : at + 2], "big") + len(ticket)
    body = session[:at] + size.to_bytes(2, "big") + session[at + 2 :] + ticket
    with wire.connect(lane.port) as raw:
        raw.sendall(wire.records(b"\1" + len(body).to_bytes(3, "big") + body))
        flight = b""
        while not flight.endswith(b"\x0e\0\0\0"):
            flight += raw.recv(65536)
    assert [kind for kind, _ in handshake_messages(flight)] == [2, 11, 12, 14]
    assert lane.settled().certificates == exhibit.digests


def test_old_version_where_the_exhibit_allows_it(lane, exhibit, wire):
    """A TLS 1.0 client is answered by an exhibit of TLS 1.0 at level 0."""
    lane.show(dataclasses.replace(exhibit, min_tls="1.0", max_tls="1.0", security_level=0))
    wire.get(lane.port, version=SSL.TLS1_VERSION)
    seen = lane.settled()
    assert (seen.tls, seen.answered) == ("1.0", True)
    assert seen.versions == ("1.0",)


def test_old_version_where_the_exhibit_does_not(lane, exhibit, wire):
    """A TLS 1.0 client gets protocol_version of an exhibit of TLS 1.2, and no certificate."""
    lane.show(dataclasses.replace(exhibit, max_tls="1.2"))
    client = wire.tls_client(lane.port, version=SSL.TLS1_VERSION)
    with pytest.raises(SSL.Error):
        client.do_handshake()
    client.close()
    seen = lane.settled()
    assert seen.alert_sent == "fatal protocol_version"
    assert (seen.certificates, seen.handshake, seen.tls) == ((), False, None)


def test_hello_in_single_bytes_over_many_records(lane, exhibit, wire):
    """A hello that comes a byte a segment and ten bytes a record is read and answered all the same."""
    lane.show(exhibit)
    with wire.connect(lane.port) as raw:
        for byte in wire.records(wire.hello(), 10):
            raw.sendall(bytes([byte]))
        assert raw.recv(5)[0] == 22
    seen = lane.settled()
    assert seen.hello == wire.hello().hex()
    assert seen.server_name == "shop.example"
    assert seen.certificates == exhibit.digests


@pytest.mark.parametrize(("how", "closed"), [("reset", "reset"), ("close", "fin")])
@pytest.mark.parametrize("said", [0, 1, 40])
def test_client_that_goes_before_the_certificate(lane, exhibit, wire, how, closed, said):  # noqa: PLR0917 - fixtures
    """Whoever goes before its hello is whole was sent no certificate; RST and FIN are told apart."""
    lane.show(exhibit)
    raw = wire.connect(lane.port)
    raw.sendall(wire.records(wire.hello())[:said])
    time.sleep(0.05)
    wire.reset(raw) if how == "reset" else raw.close()
    seen = lane.settled()
    assert (seen.connections, seen.closed, seen.bytes_in) == (1, closed, said)
    assert (seen.certificates, seen.hello, seen.bytes_out) == ((), "", 0)


def test_reset_after_the_certificate(lane, exhibit, wire):
    """Whoever resets after the server's flight was sent the certificate, and no alert of ours is invented."""
    lane.show(exhibit)
    raw = wire.connect(lane.port)
    raw.sendall(wire.records(wire.hello()))
    raw.recv(5)
    wire.reset(raw)
    seen = lane.settled()
    assert seen.closed == "reset"
    assert seen.certificates == exhibit.digests
    assert (seen.alert, seen.alert_sent) == (None, None)


@BOTH
def test_close_notify_is_told_from_fin(lane, exhibit, wire, version):
    """A client that closes TLS in order, in the middle of its request, leaves close-notify behind and no alert."""
    lane.show(exhibit)
    client = wire.tls_client(lane.port, version=NUMBERS[version])
    client.do_handshake()
    client.sendall(b"GET / HT")
    client.shutdown()
    assert wire.read_all(client.recv) == b""
    client.close()
    seen = lane.settled()
    assert seen.closed == "close-notify"
    assert (seen.handshake, seen.request, seen.answered) == (True, False, False)
    assert (seen.alert, seen.alert_sent) == (None, None)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        b"\x16\3\1\0\5\1\0\0\1\0",
        b"\x16\3\1\0\4\1\xff\xff\xff",
        b"\x80\x2e\1\3\1",
        b"SSH-2.0-x\r\n",
        bytes(5000),
        b"\x15\3\1\0\2\2\x28",
    ],
)
def test_garbage_ends_with_a_witness(lane, exhibit, wire, said):
    """Whatever a client says instead of TLS ends its connection, with a witness and without certificates."""
    lane.show(exhibit)
    with wire.connect(lane.port) as raw:
        raw.sendall(said)
        raw.shutdown(socket.SHUT_WR)
        wire.read_all(raw.recv)
    seen = lane.settled()
    assert (seen.connections, seen.bytes_in) == (1, len(said))
    assert (seen.certificates, seen.handshake) == ((), False)
    assert seen.closed in {"fin", "reset"}


def test_flood_is_cut_off(lane, exhibit, wire):
    """A client that talks on and on after the server's last word is dropped by the lab."""
    lane.show(exhibit)
    with wire.connect(lane.port) as raw, pytest.raises(OSError, match=r"reset|pipe"):
        raw.sendall(bytes(100_000_000))
    seen = lane.settled()
    assert seen.closed == "lab"
    assert seen.bytes_in < 1_000_000


def test_request_that_is_too_long_is_not_answered(lane, exhibit, wire):
    """A request beyond 16 KiB is closed without an answer."""
    lane.show(exhibit)
    client = wire.tls_client(lane.port)
    client.do_handshake()
    client.sendall(b"GET /" + b"a" * 16384)
    assert wire.read_all(client.recv) == b""
    client.close()
    seen = lane.settled()
    assert (seen.handshake, seen.request, seen.answered) == (True, False, False)


def test_request_in_pieces(lane, exhibit, wire):
    """A request may come a byte a record."""
    lane.show(exhibit)
    client = wire.tls_client(lane.port)
    client.do_handshake()
    for byte in wire.REQUEST:
        client.sendall(bytes([byte]))
    assert b"200 OK" in wire.read_all(client.recv)
    client.close()
    assert lane.settled().answered


@pytest.mark.parametrize("shaken", [False, True])
def test_deadlines_on_a_real_socket(make_lane, exhibit, wire, shaken):
    """Whoever never finishes the handshake, or never asks, is dropped at the deadline."""
    lane = make_lane(handshake_s=0.3 if not shaken else 10, idle_s=0.3)
    lane.show(exhibit)
    client = wire.tls_client(lane.port)
    if shaken:
        client.do_handshake()
    seen = lane.settled(10)
    client.close()
    assert (seen.closed, seen.handshake) == ("deadline", shaken)
    assert 200 < seen.ms < 5000
