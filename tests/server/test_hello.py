"""The hello's reader is total, bounded, and right about what it reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from lab.server.hello import LIMIT, HelloReader, Progress, read_server_hello, version_name


def feed_all(data: bytes, size: int) -> HelloReader:
    reader = HelloReader()
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
    return reader


@pytest.mark.parametrize("record", [1, 2, 3, 5, 64, 2**14])
@pytest.mark.parametrize("piece", [1, 7, 65536])
def test_fields_survive_any_cutting(wire, record, piece):
    """The same hello is read however it is cut into records and into pieces."""
    message = wire.hello()
    hello = feed_all(wire.records(message, record), piece).hello
    assert hello is not None
    assert hello.raw == message
    assert hello.server_name == "shop.example"
    assert hello.versions == ("1.2",)
    assert hello.ciphers == (0xC02B, 0xC02F)
    assert hello.clock == 0x11223344
    assert not hello.sslv2


def test_supported_versions_win(wire):
    """Where supported_versions is sent it is what counts, without GREASE."""
    hello = feed_all(wire.records(wire.hello((0x7A7A, 0x0304, 0x0303))), 100).hello
    assert hello.versions == ("1.3", "1.2")


def test_says_more_until_the_last_byte(wire):
    """A hello is complete with its last byte and not before."""
    data = wire.records(wire.hello(), 50)
    reader = HelloReader()
    assert {reader.feed(data[i : i + 1]) for i in range(len(data) - 1)} == {Progress.MORE}
    assert reader.feed(data[-1:]) is Progress.COMPLETE


def test_bytes_behind_the_hello_are_no_part_of_it(wire):
    """What follows a hello in the same bytes is not kept with it."""
    message = wire.hello()
    reader = HelloReader()
    assert reader.feed(wire.records(message + b"\1\0\0\0") + b"more") is Progress.COMPLETE
    assert reader.hello.raw == message


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\2",
        b"\x15\3\1\0\2\2\x28",
        b"\x16\3\1\0\0",
        b"\x16\3\1\xff\xff",
        b"\x16\3\1\0\4\2\0\0\0",
        b"\x16\3\1\0\4\1\xff\xff\xff",
        b"\x80\x03\1\0\2",
        b"\x80\xff\x07",
    ],
)
def test_what_is_no_hello_is_called_so(data):
    """Other protocols, other records and impossible lengths are refused as soon as they show."""
    reader = HelloReader()
    assert reader.feed(data) is Progress.NOT_TLS
    assert reader.hello is None


def test_an_endless_hello_is_cut_off():
    """A message that stays within the limit by its header and never ends in its records is given up at the limit."""
    reader = HelloReader()
    record = b"\x16\3\1\0\1"
    reader.feed(record + b"\1" + record + b"\0" + record + b"\xff" + record + b"\xf0")
    said = [reader.feed((record + b"x") * 1000) for _ in range(LIMIT // 6000 + 2)]
    assert said[-1] is Progress.NOT_TLS
    assert len(reader._buffer) <= LIMIT + 1


def test_malformed_hello_keeps_what_came_before_its_fault(wire):
    """A hello whose extensions overrun it is complete, with its bytes and the fields before them."""
    message = bytearray(wire.hello())
    at = message.index(b"\1\0", 40) + 2
    message[at] = 0xFF
    hello = feed_all(wire.records(bytes(message)), 4096).hello
    assert hello.raw == bytes(message)
    assert hello.ciphers == (0xC02B, 0xC02F)
    assert hello.server_name is None


def test_sslv2_compatible_hello_is_marked():
    """The SSLv2-compatible hello is read, marked, and has no name."""
    body = b"\1\3\1\0\6\0\0\0\x10" + bytes.fromhex("00002f010080") + bytes(16)
    reader = HelloReader()
    assert reader.feed((0x8000 | len(body)).to_bytes(2, "big") + body) is Progress.COMPLETE
    assert reader.hello.sslv2
    assert reader.hello.versions == ("1.0",)
    assert reader.hello.ciphers == (0x002F,)
    assert reader.hello.server_name is None


@given(
    st.lists(st.binary(max_size=300), max_size=20), st.sampled_from([b"", b"\x16\3\1", b"\x16\3\1\0\x20\1", b"\x80"])
)
def test_hostile_bytes_never_raise(pieces, start):
    """Any bytes in any pieces are an answer, never an exception."""
    reader = HelloReader()
    for piece in [start, *pieces]:
        assert reader.feed(piece) in Progress
    assert (reader.hello is not None) == (reader.feed(b"") is Progress.COMPLETE)


@given(st.data())
def test_a_damaged_hello_never_raises(wire, data):
    """A hello with any bytes changed is still an answer, and keeps its raw bytes where it is complete."""
    message = bytearray(wire.hello((0x0304,)))
    for _ in range(data.draw(st.integers(1, 5))):
        message[data.draw(st.integers(4, len(message) - 1))] = data.draw(st.integers(0, 255))
    reader = HelloReader()
    assert reader.feed(wire.records(bytes(message))) is Progress.COMPLETE
    assert reader.hello.raw == bytes(message)


@given(st.binary(max_size=200))
def test_server_hello_reader_never_raises(data):
    """Any bytes that are no ServerHello give None or numbers, never an exception."""
    read_server_hello(data)
    read_server_hello(b"\x16\3\3\0\x80\2\0\0\x7c" + data)


def test_versions_without_a_name_are_written_as_numbers():
    """A version that nobody has defined is shown as its number."""
    assert version_name(0x7F1C) == "0x7f1c"
    assert version_name(0x0304) == "1.3"


def test_key_shares_of_a_real_client():
    """The groups of a client's key shares are read, in its order, and GREASE is not among them."""
    connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    connection.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    hello = feed_all(connection.bio_read(65536), 1000).hello
    assert 0x001D in hello.shares  # x25519
    assert set(hello.shares) <= {0x0017, 0x0018, 0x0019, 0x001D, 0x001E, 0x11EB, 0x11EC, 0x11ED}


def test_a_hello_without_key_shares_has_none(wire):
    """Before TLS 1.3 there are no key shares."""
    assert feed_all(wire.records(wire.hello()), 1000).hello.shares == ()
