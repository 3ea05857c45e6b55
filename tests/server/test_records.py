"""Records off a server's bytes: nothing is lost, nothing raises, and what is encrypted is known."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.server.records import (
    APPLICATION_DATA,
    CERTIFICATE,
    HANDSHAKE,
    SERVER_HELLO,
    Messages,
    Raw,
    Record,
    RecordReader,
    is_retry,
)

RECORD = st.builds(
    Record, st.sampled_from([20, 21, 22, 23]), st.sampled_from([b"\3\1", b"\3\3"]), st.binary(max_size=300)
)
MESSAGE = st.builds(
    lambda kind, body: bytes((kind,)) + len(body).to_bytes(3, "big") + body,
    st.sampled_from([2, 11, 12, 14]),
    st.binary(max_size=80),
)


def pieces(data, cuts):
    """Cut bytes at these places."""
    places = sorted({min(cut, len(data)) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def read(parts):
    reader = RecordReader()
    found = [item for part in parts for item in reader.feed(part)]
    return found, list(reader.rest())


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=8))
def test_whatever_comes_goes_on_unchanged(data, cuts):
    """Any bytes, in any pieces, come out as they went in, and nothing is raised."""
    found, rest = read(pieces(data, cuts))
    assert b"".join(item.data for item in (*found, *rest)) == data


@given(st.lists(RECORD, max_size=6), st.lists(st.integers(0, 2000), max_size=12))
def test_records_are_found_whatever_the_segments(records, cuts):
    """Records keep their type, version and content, however TCP cuts them."""
    data = b"".join(record.data for record in records)
    found, rest = read(pieces(data, cuts))
    assert not rest
    assert [(one.kind, one.version, one.fragment) for one in found] == [
        (one.kind, one.version, one.fragment) for one in records
    ]


@given(
    st.lists(RECORD, max_size=3), st.binary(min_size=5, max_size=50).filter(lambda tail: tail[0] not in range(20, 25))
)
def test_what_is_no_record_is_passed_on_with_all_behind_it(records, tail):
    """From the first byte that begins no record, everything is raw, and everything is there."""
    found, rest = read([b"".join(record.data for record in records), tail, b"more"])
    assert not rest
    assert [item.data for item in found if isinstance(item, Raw)] == [tail, b"more"]


@given(st.lists(MESSAGE, max_size=6), st.lists(st.integers(0, 500), max_size=12))
def test_messages_are_followed_through_fragments(messages, cuts):
    """Each message begins and ends once, has its size, and its parts together are the message."""
    follower = Messages()
    found, held = [], b""
    for fragment in pieces(b"".join(messages), cuts):
        for span in follower.feed(fragment):
            assert span.before == len(held)
            held += fragment[span.start : span.end]
            assert span.kind == held[0]
            if span.ends:
                assert span.size == len(held)
                found.append(held)
                held = b""
    assert found == messages
    assert not held


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_following_messages_never_raises(data, cuts):
    """Bytes that are no messages are followed to their end all the same, without a gap."""
    follower = Messages()
    for fragment in pieces(data, cuts):
        at = 0
        for span in follower.feed(fragment):
            assert span.start == at < span.end
            at = span.end
        assert at == len(fragment)


def flight(wire, lane, exhibit, version, versions=()):
    """Return the first flight of an exhibit as the network brought it."""
    lane.show(dataclasses.replace(exhibit, min_tls=version, max_tls=version))
    with wire.connect(lane.port) as raw:
        raw.sendall(wire.records(wire.hello(versions)))
        data = raw.recv(65536)
    lane.settled()
    return data


def test_a_flight_of_tls_1_2_can_be_read(lane, exhibit, wire):
    """Every record of a real TLS 1.2 server's first flight is plain, and its messages are those of the standard."""
    found, rest = read([flight(wire, lane, exhibit, "1.2")])
    assert not rest
    assert all(record.speaks for record in found)
    follower = Messages()
    spans = [span for record in found for span in follower.feed(record.fragment)]
    assert [span.kind for span in spans if span.ends] == [SERVER_HELLO, CERTIFICATE, 12, 14]


def test_what_follows_change_cipher_spec_is_encrypted_before_tls_1_3():
    """A handshake record behind ChangeCipherSpec is not read as messages, for it is a Finished nobody can read."""
    hello = Record(HANDSHAKE, b"\3\3", _hello(None))
    items, _rest = read([hello.data + Record(20, b"\3\3", b"\1").data + Record(HANDSHAKE, b"\3\3", b"\0" * 40).data])
    assert [item.speaks for item in items] == [True, False, False]


def test_what_follows_change_cipher_spec_is_plain_in_tls_1_3_by_its_type():
    """Under TLS 1.3 a handshake record behind ChangeCipherSpec is a second ServerHello; application data is not."""
    retry = _hello(0x0304, bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"))
    stream = [
        Record(HANDSHAKE, b"\3\3", retry),
        Record(20, b"\3\3", b"\1"),
        Record(HANDSHAKE, b"\3\3", _hello(0x0304)),
        Record(APPLICATION_DATA, b"\3\3", b"x" * 30),
    ]
    items, _rest = read([b"".join(record.data for record in stream)])
    assert [item.plain for item in items] == [True, True, True, False]
    assert is_retry(retry)
    assert not is_retry(_hello(0x0304))


def _hello(version, random=bytes(32)):
    extension = b"\0\x2b\0\2" + version.to_bytes(2, "big") if version else b""
    body = b"\3\3" + random + b"\0" + b"\x13\x01" + b"\0" + len(extension).to_bytes(2, "big") + extension
    return bytes((SERVER_HELLO,)) + len(body).to_bytes(3, "big") + body


@pytest.mark.parametrize("size", [0, 1, 2**14, 65535])
def test_a_record_of_any_size_is_one_record(size):
    """Also a record that no sender may send is found, for ours may."""
    record = Record(HANDSHAKE, b"\3\3", bytes(size))
    assert read([record.data]) == ([record], [])
