"""Faults on the wire as a plain socket sees them: a reader of records that shares nothing with the relay."""

from __future__ import annotations

import dataclasses
import re
import socket
import ssl
import struct
import subprocess

from lab.server.chaos.stage import staged
from lab.server.faults import read_faults
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


def seen(lane, shown, wire):
    """Return what a plain socket reads of an exhibit, and its witness."""
    lane.show(shown)
    with wire.connect(lane.port) as raw:
        raw.sendall(wire.records(wire.hello()))
        found = records_of(raw)
    return found, lane.settled()


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


def test_a_reset_is_a_reset(lane, exhibit, wire):
    """The client meets ECONNRESET, not an orderly end, and before it exactly the bytes that were counted."""
    lane.show(with_faults(exhibit, "reset-inside-certificate"))
    with wire.connect(lane.port) as raw:
        raw.sendall(wire.records(wire.hello()))
        received, ended = b"", "in order"
        try:
            while piece := raw.recv(65536):
                received += piece
        except ConnectionResetError:
            ended = "by a reset"
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


def test_this_host_counts_segments():
    """Linux says how many segments a socket has sent; where this fails, the proof says only what was written."""
    with socket.socket() as raw:
        assert len(raw.getsockopt(socket.IPPROTO_TCP, 11, 160)) == 160
