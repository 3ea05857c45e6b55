"""Parses what a TLS server sends: records, and the handshake messages in those that are not encrypted; pure, total."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.server.hello import read_server_hello

__all__ = [
    "ALERT",
    "APPLICATION_DATA",
    "CERTIFICATE",
    "HANDSHAKE",
    "MAX_FRAGMENT",
    "SERVER_HELLO",
    "SERVER_HELLO_DONE",
    "Messages",
    "Raw",
    "Record",
    "RecordReader",
    "Span",
    "is_retry",
]

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
"""Content types (RFC 8446 section 5.1)."""
HELLO_REQUEST, SERVER_HELLO, CERTIFICATE, SERVER_HELLO_DONE = 0, 2, 11, 14
"""Handshake types (RFC 5246 section 7.4)."""
MAX_FRAGMENT = 2**14
"""Most bytes that a plaintext record may carry (RFC 8446 section 5.1)."""

_KINDS = range(20, 25)  # heartbeat (RFC 6520) is the last
_HEADER = 5
_MESSAGE_HEADER = 4
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_RANDOM = slice(6, 38)  # of a whole ServerHello message


@dataclass(frozen=True, slots=True)
class Record:
    """A TLS record: its content type, the version in its header, and what it carries.

    ``plain`` says that it is not encrypted.  ``apart`` names the fault, if any, for which every byte goes out in a
    segment of its own.
    """

    kind: int
    version: bytes
    fragment: bytes
    plain: bool = True
    apart: str = ""

    @property
    def data(self) -> bytes:
        """The record as it is sent."""
        return bytes((self.kind,)) + self.version + len(self.fragment).to_bytes(2, "big") + self.fragment

    @property
    def speaks(self) -> bool:
        """Whether it carries handshake messages that can be read."""
        return self.plain and self.kind == HANDSHAKE


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that are no record, or only the beginning of one."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Span:
    """The part of one handshake message that one fragment holds: bytes ``start`` to ``end`` of the fragment.

    ``before`` counts the message's bytes in earlier fragments, header included; ``size`` is the whole message, None
    as long as its header is not complete.
    """

    kind: int
    start: int
    end: int
    before: int
    size: int | None

    @property
    def begins(self) -> bool:
        """Whether the message begins here."""
        return self.before == 0

    @property
    def ends(self) -> bool:
        """Whether the message ends here."""
        return self.size == self.before + self.end - self.start


class Messages:
    """Follows handshake messages through the fragments that carry them, whatever the fragments' bounds.

    ``hello`` is the newest ServerHello message, as much of it as has been seen.
    """

    __slots__ = ("_header", "_seen", "_size", "hello")

    def __init__(self) -> None:
        self.hello = b""
        self._header = b""
        self._seen = 0
        self._size: int | None = None

    def feed(self, fragment: bytes) -> Iterator[Span]:
        """Yield the messages' parts in a fragment, in order."""
        at = 0
        while at < len(fragment):
            if self._size is None:
                wanted = _MESSAGE_HEADER - len(self._header)
                self._header += fragment[at : at + wanted]
                if len(self._header) == _MESSAGE_HEADER:
                    self._size = _MESSAGE_HEADER + int.from_bytes(self._header[1:], "big")
            left = len(fragment) - at if self._size is None else self._size - self._seen
            end = min(len(fragment), at + left)
            span = Span(self._header[0], at, end, self._seen, self._size)
            if span.kind == SERVER_HELLO:
                self.hello = fragment[at:end] if span.begins else self.hello + fragment[at:end]
            self._seen += end - at
            at = end
            if span.ends:
                self._header, self._seen, self._size = b"", 0, None
            yield span


def is_retry(message: bytes) -> bool:
    """Tell whether a ServerHello message is a HelloRetryRequest (RFC 8446 section 4.1.3)."""
    return message[_RANDOM] == _RETRY


class RecordReader:
    """Takes a server's bytes as they come and gives records; what is none is passed on as it is.

    It keeps no more than one record that is not whole yet, and never raises.
    """

    __slots__ = ("_buffer", "_encrypts", "_hello", "_lost", "_newest")

    def __init__(self) -> None:
        self._buffer = b""
        self._lost = False
        self._hello = b""
        self._newest = False
        self._encrypts = False

    def feed(self, data: bytes) -> Iterator[Record | Raw]:
        """Yield the records that are whole by now."""
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= _HEADER and not self._lost:
            kind, size = self._buffer[at], int.from_bytes(self._buffer[at + 3 : at + _HEADER], "big")
            if kind not in _KINDS or self._buffer[at + 1] != 3:  # noqa: PLR2004 - of every version since SSL 3.0
                self._lost = True
                break
            end = at + _HEADER + size
            if len(self._buffer) < end:
                break
            yield self._record(kind, self._buffer[at + 1 : at + 3], self._buffer[at + _HEADER : end])
            at = end
        self._buffer = self._buffer[at:]
        if self._lost and self._buffer:
            rest, self._buffer = self._buffer, b""
            yield Raw(rest)

    def rest(self) -> Iterator[Raw]:
        """Yield what is left at the end of the stream."""
        rest, self._buffer = self._buffer, b""
        if rest:
            yield Raw(rest)

    def _record(self, kind: int, version: bytes, fragment: bytes) -> Record:
        # TLS 1.3 shows what is encrypted by the content type; before, everything after ChangeCipherSpec is.
        plain = kind != APPLICATION_DATA if self._newest else not self._encrypts
        if kind == CHANGE_CIPHER_SPEC:
            self._encrypts = True
        elif kind == HANDSHAKE and plain and not self._newest and len(self._hello) <= MAX_FRAGMENT:
            self._hello += fragment
            settled = read_server_hello(Record(kind, version, self._hello[:65535]).data)
            self._newest = settled is not None and settled.version == "1.3"
        return Record(kind, version, fragment, plain)
