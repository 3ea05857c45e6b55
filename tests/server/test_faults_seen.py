"""Faults on the wire as a plain socket sees them: a reader of records that shares nothing with the relay."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import select
import socket
import ssl
import struct
import subprocess

import pytest

from lab.server.chaos.stage import staged
from lab.server.faults import CATALOGUE, read_faults
from lab.server.hello import read_server_hello


def with_faults(exhibit, *names, seed="seed"):
    return staged(exhibit, read_faults(names), seed)


def records_of(raw, until=b"\x0e\0\0\0"):
    """Read records off a socket: (type, content, bytes), until the messages end so, or the stream does."""
    held, found, content = b"", [], b""
    while not content.endswith(until):
        try:
            piece = raw.recv(65536)
        except ConnectionResetError:
            break
        if not piece:
            break
        held += piece
        while len(held) >= 5 and len(held) >= 5 + struct.unpack(">H", held[3:5])[0]:
            end = 5 + struct.unpack(">H", held[3:5])[0]
            found.append((held[0], held[5:end], held[:end]))
            content += held[5:end] if held[0] == 22 else b""
            held = held[end:]
    return [*found, (None, held, held)] if held else found


def messages_of(content):
    """Split handshake content into (type, promised, there)."""
    found = []
    while content:
        size = int.from_bytes(content[1:4], "big")
        found.append((content[0], size, len(content[4 : 4 + size])))
        content = content[4 + size :]
    return found


def seen(lane, shown, wire, hello=b""):
    """Return what a plain socket reads of an exhibit after a hello, and its witness."""
    lane.show(shown)
    with wire.connect(lane.port) as raw:
        raw.sendall(hello or wire.records(wire.hello()))
        found = records_of(raw)
    return found, lane.settled()


def modern_hello():
    """Return the record of a ClientHello as OpenSSL writes it, which offers TLS 1.3."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="shop.example")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def first_record(raw):
    """Read one whole record off a socket."""
    held = b""
    while len(held) < 5 or len(held) < 5 + int.from_bytes(held[3:5], "big"):
        held += raw.recv(5 - len(held) if len(held) < 5 else 5 + int.from_bytes(held[3:5], "big") - len(held))
    return held


def test_one_byte_a_record_is_seen_on_the_wire(lane, exhibit, wire):
    """Each record carries one byte; put together they are the four messages."""
    found, witness = seen(lane, with_faults(exhibit, "one-byte-records"), wire)
    assert {(kind, len(content)) for kind, content, _ in found} == {(22, 1)}
    assert [kind for kind, _, _ in messages_of(b"".join(content for _, content, _ in found))] == [2, 11, 12, 14]
    assert witness.faults == (f"one-byte-records: {len(found)} records of one byte",)


def test_several_messages_in_one_record_are_seen_on_the_wire(lane, exhibit, wire):
    """One record holds all four messages."""
    found, _witness = seen(lane, with_faults(exhibit, "coalesced-messages"), wire)
    assert len(found) == 1
    assert [kind for kind, _, _ in messages_of(found[0][1])] == [2, 11, 12, 14]


def test_half_a_certificate_is_seen_on_the_wire(lane, exhibit, wire):
    """The message promises more than comes; the record around it is whole, and then the stream ends."""
    found, witness = seen(lane, with_faults(exhibit, "truncated-certificate"), wire)
    messages = messages_of(b"".join(content for kind, content, _ in found if kind == 22))
    (promised, there) = messages[-1][1:]
    assert messages[-1][0] == 11
    assert witness.faults == (f"truncated-certificate: {there + 4} of {promised + 4} bytes, then FIN",)
    assert abs(promised / 2 - there) <= 4
    assert witness.certificates == ()


def test_a_record_beyond_all_limits_is_seen_on_the_wire(lane, exhibit, wire):
    """Its header and its content agree on a size that no record may have; HelloRequests fill it up."""
    found, _witness = seen(lane, with_faults(exhibit, "oversized-record"), wire)
    kind, content, _ = found[-1]
    assert kind == 22
    assert len(content) > 2**14 + 2048
    assert {one for one, _, _ in messages_of(content)} == {0, 11, 12, 14}


def test_garbage_is_seen_on_the_wire_and_is_the_same_for_a_seed(lane, exhibit, wire):
    """Behind the ServerHello comes what is no record; one seed gives one garbage, another seed another."""
    tails = []
    for seed in ("one", "one", "other"):
        found, _witness = seen(lane, with_faults(exhibit, "garbage-after-server-hello", seed=seed), wire)
        assert found[0][0] == 22
        tail = b"".join(data for _, _, data in found[1:])
        assert len(tail) == 512
        assert tail[0] not in range(20, 25)
        tails.append(tail)
    assert tails[0] == tails[1] != tails[2]


def test_a_cipher_that_was_not_offered_is_seen_on_the_wire(lane, exhibit, wire):
    """The ServerHello names a suite that the hello does not hold."""
    found, witness = seen(lane, with_faults(exhibit, "downgrade-cipher"), wire)
    settled = read_server_hello(found[0][2])
    assert settled is not None
    assert settled.cipher not in witness.ciphers
    assert f"0x{settled.cipher:04x}" in witness.faults[0]


def test_warnings_are_seen_before_the_hello(lane, exhibit, wire):
    """As many alerts of level 1 as were asked for come first, and then the handshake."""
    found, _witness = seen(lane, with_faults(exhibit, "warning-alerts=3"), wire)
    assert [(kind, content) for kind, content, _ in found[:3]] == [(21, b"\1\x70")] * 3
    assert found[3][0] == 22


def until_reset(raw):
    """Return what comes, and how it ended: by a reset, or in order."""
    received = b""
    try:
        while piece := raw.recv(65536):
            received += piece
    except ConnectionResetError:
        return received, "by a reset"
    return received, "in order"


def test_a_reset_is_a_reset(lane, exhibit, wire):
    """The client meets ECONNRESET, not an orderly end, and before it exactly the bytes that were counted."""
    lane.show(with_faults(exhibit, "reset-inside-certificate"))
    with wire.connect(lane.port) as raw:
        raw.sendall(wire.records(wire.hello()))
        received, ended = until_reset(raw)
    assert ended == "by a reset"
    assert lane.settled().bytes_out == len(received)


def test_without_a_close_notify_the_last_record_is_the_answer(lane, exhibit, wire):
    """The server's last TLS 1.2 record is application data; otherwise it is an alert."""
    assert last_record(lane, with_faults(dataclasses.replace(exhibit, max_tls="1.2")), wire) == 21
    quiet = with_faults(dataclasses.replace(exhibit, max_tls="1.2"), "no-close-notify")
    assert last_record(lane, quiet, wire) == 23


def last_record(lane, shown, wire):
    """Make a whole probe over buffers, and return the type of the last record that came."""
    lane.show(shown)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=wire.HOST)
    data, shaken = b"", False
    with wire.connect(lane.port) as raw:
        while not shaken:
            try:
                tls.do_handshake()
                shaken = True
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                piece = raw.recv(65536)
                data += piece
                incoming.write(piece)
        tls.write(wire.REQUEST)
        raw.sendall(outgoing.read())
        data += wire.read_all(raw.recv)
    lane.settled()
    kind = None
    while data:
        kind, data = data[0], data[5 + int.from_bytes(data[3:5], "big") :]
    return kind


def test_each_byte_has_a_segment_of_its_own(lane, exhibit, wire):
    """The kernel counted as many segments with data as bytes were sent apart."""
    witness = seen(lane, with_faults(exhibit, "split-record=300"), wire)[1]
    (told,) = witness.faults
    found = re.fullmatch(r"split-record=300: (\d+) writes of one byte(?: in (\d+) segments)?", told)
    assert found is not None
    assert int(found[1]) >= 300
    assert found[2] in {None, found[1]}


def test_openssl_of_the_system_sees_the_faults_by_itself(lane, exhibit):
    """Another program's own trace of the records agrees: one byte each."""
    lane.show(with_faults(exhibit, "one-byte-records"))
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{lane.port}", "-servername", "shop.example", "-msg"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    headers = re.findall(
        r"<<< .*RecordHeader \[length 0005\]\n\s+16 03 03 ([0-9a-f]{2} [0-9a-f]{2})", done.stdout.decode()
    )
    assert headers.count("00 01") > 500
    lane.settled()


@pytest.mark.parametrize("name", ["delay-accept", "delay-hello"])
def test_a_delay_is_silence_before_the_hello(lane, exhibit, wire, name):
    """Nothing comes for as long as was said, and then the ServerHello, untouched."""
    lane.show(with_faults(exhibit, f"{name}=300"))
    with wire.connect(lane.port) as raw:
        raw.sendall(wire.records(wire.hello()))
        assert select.select([raw], [], [], 0.2)[0] == []
        assert messages_of(first_record(raw)[5:])[0][0] == 2
    lane.settled()


def test_a_delay_is_silence_before_the_certificate(lane, exhibit, wire):
    """The ServerHello comes alone; for as long as was said there is nothing behind it."""
    lane.show(with_faults(dataclasses.replace(exhibit, max_tls="1.2"), "delay-certificate=300"))
    with wire.connect(lane.port) as raw:
        raw.sendall(wire.records(wire.hello()))
        assert [kind for kind, _, _ in messages_of(first_record(raw)[5:])] == [2]
        assert select.select([raw], [], [], 0.2)[0] == []
        assert messages_of(records_of(raw)[0][1])[0][0] == 11
    lane.settled()


def test_a_stall_is_a_hello_and_silence(lane, exhibit, wire):
    """The ServerHello comes, and neither another byte nor an end."""
    lane.show(with_faults(exhibit, "stall-after-server-hello"))
    with wire.connect(lane.port) as raw:
        raw.sendall(wire.records(wire.hello()))
        assert [kind for kind, _, _ in messages_of(first_record(raw)[5:])] == [2]
        assert select.select([raw], [], [], 0.3)[0] == []
    lane.settled()


RETRY = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"  # RFC 8446 section 4.1.3


def test_a_retry_is_asked_for_in_a_server_hello(lane, exhibit, wire):
    """The first answer to a hello of TLS 1.3 has the random that stands for a HelloRetryRequest; without, another."""
    randoms = []
    for names in (("hello-retry-request",), ()):
        lane.show(with_faults(exhibit, *names))
        with wire.connect(lane.port) as raw:
            raw.sendall(modern_hello())
            randoms.append(first_record(raw)[11:43].hex())
        lane.settled()
    assert randoms[0] == RETRY != randoms[1]


def test_a_chain_too_long_is_seen_on_the_wire(lane, exhibit, wire):
    """The Certificate message is as long as was asked for, and holds the good chain first."""
    found, _witness = seen(lane, with_faults(exhibit, "too-long-chain=40"), wire)
    content = b"".join(content for kind, content, _ in found if kind == 22)
    start = 4 + int.from_bytes(content[1:4], "big")
    assert content[start] == 11
    message = content[start + 4 : start + 4 + int.from_bytes(content[start + 1 : start + 4], "big")]
    assert len(message) == pytest.approx(40 * 1024, rel=0.05)
    chain = b"".join(len(one).to_bytes(3, "big") + one for one in exhibit.chain)
    assert message[3 : 3 + len(chain)] == chain


def test_a_flood_is_seen_before_the_hello(lane, exhibit, wire):
    """A thousand alerts of level 1 come first."""
    found, _witness = seen(lane, with_faults(exhibit, "warning-flood"), wire)
    assert [(kind, content) for kind, content, _ in found[:1000]] == [(21, b"\1\x70")] * 1000
    assert found[1000][0] == 22


@pytest.mark.parametrize(
    ("name", "whole"),
    [("reset-before-hello", []), ("reset-before-certificate", [2]), ("reset-after-certificate", [2, 11])],
)
def test_a_reset_comes_after_whole_messages(lane, exhibit, wire, name, whole):
    """What was sent before the reset is whole messages, and not one more."""
    lane.show(with_faults(exhibit, name))
    received, ended = b"", "by a reset"
    with contextlib.suppress(ConnectionResetError), wire.connect(lane.port) as raw:  # the first may come that early
        raw.sendall(wire.records(wire.hello()))
        received, ended = until_reset(raw)
    assert ended == "by a reset"
    content = b""
    while received:
        size = int.from_bytes(received[3:5], "big")
        content, received = content + received[5 : 5 + size], received[5 + size :]
    messages = messages_of(content)
    assert [kind for kind, _, _ in messages] == whole
    assert all(promised == there for _, promised, there in messages)
    lane.settled()


def test_a_mark_of_a_downgrade_is_seen_on_the_wire(lane, exhibit, wire):
    """To a hello that offers TLS 1.3 comes a ServerHello of TLS 1.2 whose random ends with the mark."""
    found, _witness = seen(lane, with_faults(exhibit, "downgrade-version"), wire, modern_hello())
    settled = read_server_hello(found[0][2])
    assert settled is not None
    assert settled.version == "1.2"
    assert found[0][1][30:38] == b"DOWNGRD\1"


# By fault: the test above that looks at the wire by itself.
LOOKS = {
    "delay-accept": test_a_delay_is_silence_before_the_hello,
    "delay-hello": test_a_delay_is_silence_before_the_hello,
    "delay-certificate": test_a_delay_is_silence_before_the_certificate,
    "one-byte-records": test_one_byte_a_record_is_seen_on_the_wire,
    "split-record": test_each_byte_has_a_segment_of_its_own,
    "coalesced-messages": test_several_messages_in_one_record_are_seen_on_the_wire,
    "hello-retry-request": test_a_retry_is_asked_for_in_a_server_hello,
    "too-long-chain": test_a_chain_too_long_is_seen_on_the_wire,
    "no-close-notify": test_without_a_close_notify_the_last_record_is_the_answer,
    "warning-alerts": test_warnings_are_seen_before_the_hello,
    "warning-flood": test_a_flood_is_seen_before_the_hello,
    "stall-after-server-hello": test_a_stall_is_a_hello_and_silence,
    "reset-before-hello": test_a_reset_comes_after_whole_messages,
    "reset-before-certificate": test_a_reset_comes_after_whole_messages,
    "reset-inside-certificate": test_a_reset_is_a_reset,
    "reset-after-certificate": test_a_reset_comes_after_whole_messages,
    "truncated-certificate": test_half_a_certificate_is_seen_on_the_wire,
    "garbage-after-server-hello": test_garbage_is_seen_on_the_wire_and_is_the_same_for_a_seed,
    "oversized-record": test_a_record_beyond_all_limits_is_seen_on_the_wire,
    "downgrade-version": test_a_mark_of_a_downgrade_is_seen_on_the_wire,
    "downgrade-cipher": test_a_cipher_that_was_not_offered_is_seen_on_the_wire,
}


@pytest.mark.parametrize("name", CATALOGUE)
def test_no_fault_goes_unseen(name):
    """For each fault there is a test that does not take the lab's word for it; alerts have theirs in test_faults."""
    assert name in LOOKS or name.startswith("alert-")


def test_this_host_counts_segments():
    """Linux says how many segments a socket has sent; where this fails, the proof says only what was written."""
    with socket.socket() as raw:
        assert len(raw.getsockopt(socket.IPPROTO_TCP, 11, 160)) == 160
