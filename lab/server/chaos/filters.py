"""The filters that misbehave: each takes a server's records as they come and gives what is done instead; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum, auto

from lab.server.chaos.items import Done, End, Filter, Item, Note, Sent
from lab.server.records import (
    APPLICATION_DATA,
    CERTIFICATE,
    HANDSHAKE,
    HELLO_REQUEST,
    MAX_FRAGMENT,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
    Messages,
    Record,
    Span,
    is_retry,
)

__all__ = [
    "Apart",
    "At",
    "Coalesced",
    "Cut",
    "First",
    "OneByte",
    "Oversized",
    "Quiet",
    "Retried",
    "Rewritten",
    "Shown",
    "Watch",
]

_MAX_CIPHERTEXT = MAX_FRAGMENT + 2048  # RFC 5246 section 6.2.3
_HELLO_REQUEST = bytes((HELLO_REQUEST, 0, 0, 0))


class At(Enum):
    """A point in what a server sends."""

    HELLO = auto()
    """Before the ServerHello, or the HelloRetryRequest before it."""
    AFTER_HELLO = auto()
    """After the ServerHello."""
    CERTIFICATE = auto()
    """Before the Certificate message; under TLS 1.3, before the encrypted records of which one holds it."""
    INSIDE_CERTIFICATE = auto()
    """In the middle of the Certificate message."""
    AFTER_CERTIFICATE = auto()
    """After the Certificate message."""


class Cut(Filter):
    """Lets something happen at one point of the handshake, once.

    ``happens`` is called with the number of bytes of the message that stand before the point, and with its size.
    """

    def __init__(self, at: At, happens: Callable[[int, int], Iterator[Item]]) -> None:
        self._at = at
        self._happens = happens
        self._messages = Messages()
        self._met_hello = False
        self._over = False

    def feed(self, item: Item) -> Iterator[Item]:
        """Yield the item, in two parts where the point lies within it."""
        if self._over or not isinstance(item, Record):
            yield item
            return
        found = self._find(item)
        if found is None:
            yield item
            return
        self._over = True
        offset, before, size = found
        if offset:
            yield replace(item, fragment=item.fragment[:offset])
        yield from self._happens(before, size)
        if offset < len(item.fragment):
            yield replace(item, fragment=item.fragment[offset:])

    def _find(self, record: Record) -> tuple[int, int, int] | None:
        """Return where in a record the point is, and the bytes of the message before it and in all."""
        if not record.speaks:
            met = self._at is At.CERTIFICATE and self._met_hello and record.kind == APPLICATION_DATA
            return (0, 0, 0) if met else None
        for span in self._messages.feed(record.fragment):
            self._met_hello |= span.kind == SERVER_HELLO and span.ends
            offset = self._offset(span)
            if offset is not None:
                return offset, span.before + offset - span.start, span.size or 0
        return None

    def _offset(self, span: Span) -> int | None:  # noqa: PLR0911 - a return a point
        """Return where in the fragment the point is, or None where it is not in this span."""
        at = self._at
        if span.kind == SERVER_HELLO:
            if at is At.HELLO and span.begins:
                return span.start
            return span.end if at is At.AFTER_HELLO and span.ends and not is_retry(self._messages.hello) else None
        if span.kind != CERTIFICATE:
            return None
        if at is At.CERTIFICATE and span.begins:
            return span.start
        if at is At.AFTER_CERTIFICATE and span.ends:
            return span.end
        if at is At.INSIDE_CERTIFICATE and span.size is not None:
            offset = span.start + span.size // 2 - span.before
            return offset if span.start < offset <= span.end else None
        return None


class First(Filter):
    """Lets something happen before the client's first byte is read."""

    def __init__(self, happens: Item) -> None:
        self._happens = happens

    def accepted(self) -> Iterator[Item]:
        """Yield what happens first."""
        yield self._happens


class OneByte(Filter):
    """Puts every byte of the readable handshake messages into a record of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def feed(self, item: Item) -> Iterator[Item]:
        """Yield a record a byte."""
        if not isinstance(item, Record) or not item.speaks or not item.fragment:
            yield item
            return
        for place in range(len(item.fragment)):
            yield replace(item, fragment=item.fragment[place : place + 1])
            self._count += 1
            yield Note(f"{self._name}: {self._count} records of one byte")


class Apart(Filter):
    """Has the records of the first flight sent with every byte in a segment of its own, up to ``limit`` bytes."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._left = limit

    def feed(self, item: Item) -> Iterator[Item]:
        """Yield the item, marked."""
        if isinstance(item, Done):
            self._left = 0
        if isinstance(item, Record) and self._left > 0:
            self._left -= len(item.data)
            item = replace(item, apart=self._name)
        yield item


class _Gathered(Filter):
    """Gathers readable handshake messages of TLS 1.2 and below, from one of ``first`` up to ServerHelloDone."""

    first: int

    def __init__(self, name: str) -> None:
        self._name = name
        self._messages = Messages()
        self._held = b""
        self._kinds: list[int] = []
        self._version = b""
        self._gathering = False
        self._over = False
        self._notes: list[Note] = []

    def feed(self, item: Item) -> Iterator[Item]:
        """Hold what is gathered back until it is whole, or until something else is to happen."""
        if self._held and isinstance(item, Note):
            self._notes.append(item)
            return
        if self._over or not isinstance(item, Record) or not item.speaks:
            yield from self._give_up()
            yield item
            return
        for span in self._messages.feed(item.fragment):
            self._gathering |= span.kind == self.first and span.begins
            fragment = item.fragment[span.start : span.end]
            if not self._gathering:
                yield replace(item, fragment=fragment)
                continue
            self._held += fragment
            self._version = item.version
            if span.ends:
                self._kinds.append(span.kind)
            if span.kind == SERVER_HELLO_DONE and span.ends:
                self._over = True
                self._gathering = False
                held, self._held = self._held, b""
                yield from self.made(held, self._version)
                yield from self._noted()

    def made(self, held: bytes, version: bytes) -> Iterator[Item]:
        """Yield what becomes of the messages."""
        raise NotImplementedError

    def _give_up(self) -> Iterator[Item]:
        held, self._held = self._held, b""
        for at in range(0, len(held), MAX_FRAGMENT):
            yield Record(HANDSHAKE, self._version, held[at : at + MAX_FRAGMENT])
        yield from self._noted()

    def _noted(self) -> Iterator[Item]:
        notes, self._notes = self._notes, []
        yield from notes


class Coalesced(_Gathered):
    """Puts the messages ServerHello to ServerHelloDone into as few records as they fit into."""

    first = SERVER_HELLO

    def made(self, held: bytes, version: bytes) -> Iterator[Item]:
        """Yield full records."""
        for at in range(0, len(held), MAX_FRAGMENT):
            yield Record(HANDSHAKE, version, held[at : at + MAX_FRAGMENT])
        count = -(-len(held) // MAX_FRAGMENT)
        records = "1 record" if count == 1 else f"{count} records"
        yield Note(f"{self._name}: {len(self._kinds)} messages, {len(held)} bytes, in {records}")


class Oversized(_Gathered):
    """Puts the messages Certificate to ServerHelloDone into one record that is longer than any may be.

    It is filled up with HelloRequests, which a client in a handshake ignores (RFC 5246 section 7.4.1.1) and leaves
    out of the transcript: nothing but the size is wrong.
    """

    first = CERTIFICATE

    def made(self, held: bytes, version: bytes) -> Iterator[Item]:
        """Yield the one record."""
        missing = max(0, _MAX_CIPHERTEXT + 1 - len(held))
        content = _HELLO_REQUEST * -(-missing // len(_HELLO_REQUEST)) + held
        yield Record(HANDSHAKE, version, content)
        yield Note(f"{self._name}: a record of {len(content)} bytes, where {_MAX_CIPHERTEXT} is the most")


class Rewritten(Filter):
    """Changes the ServerHello; ``change`` is given the whole message and returns another one, or None, and a note."""

    def __init__(self, change: Callable[[bytes], tuple[bytes, str] | None]) -> None:
        self._change = change
        self._messages = Messages()
        self._held = b""

    def feed(self, item: Item) -> Iterator[Item]:
        """Hold the ServerHello back until it is whole."""
        if not isinstance(item, Record) or not item.speaks:
            if self._held and isinstance(item, Record):
                held, self._held = self._held, b""
                yield replace(item, kind=HANDSHAKE, fragment=held)
            yield item
            return
        for span in self._messages.feed(item.fragment):
            fragment = item.fragment[span.start : span.end]
            if span.kind != SERVER_HELLO:
                yield replace(item, fragment=fragment)
                continue
            self._held += fragment
            if span.ends:
                held, self._held = self._held, b""
                changed = None if is_retry(held) else self._change(held)
                message, note = changed or (held, "")
                yield replace(item, fragment=message)
                if note:
                    yield Note(note)


class Quiet(Filter):
    """Closes with a FIN, but without a close_notify."""

    quiet = True

    def __init__(self, name: str) -> None:
        self._name = name

    def feed(self, item: Item) -> Iterator[Item]:
        """Say of the end that it is this one."""
        if isinstance(item, End) and item.orderly:
            item = End(f"{self._name}: FIN without a close_notify")
        yield item


class Retried(Filter):
    """Changes nothing, but notices a HelloRetryRequest."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._messages = Messages()

    def feed(self, item: Item) -> Iterator[Item]:
        """Yield the item, and a note behind a HelloRetryRequest."""
        yield item
        if isinstance(item, Record) and item.speaks:
            for span in self._messages.feed(item.fragment):
                if span.kind == SERVER_HELLO and span.ends and is_retry(self._messages.hello):
                    yield Note(self._name)


class Shown(Filter):
    """Changes nothing, but notes that the Certificate message has begun."""

    def __init__(self, note: str) -> None:
        self._note = note
        self._messages = Messages()

    def feed(self, item: Item) -> Iterator[Item]:
        """Yield the item, and the note behind the first record of it; under TLS 1.3 that one cannot be told apart."""
        yield item
        if not self._note or not isinstance(item, Record):
            return
        begun = item.kind == APPLICATION_DATA and len(item.fragment) > MAX_FRAGMENT // 2
        if item.speaks:
            begun |= any(span.kind == CERTIFICATE for span in self._messages.feed(item.fragment))
        if begun:
            note, self._note = self._note, ""
            yield Note(note)


class Watch(Filter):
    """Says where a ServerHello or a Certificate message is whole; stands behind all filters that change any."""

    def __init__(self) -> None:
        self._messages = Messages()

    def feed(self, item: Item) -> Iterator[Item]:
        """Yield the item, and Sent behind it."""
        yield item
        if isinstance(item, Record) and item.speaks:
            for span in self._messages.feed(item.fragment):
                if span.ends and span.kind in {SERVER_HELLO, CERTIFICATE}:
                    yield Sent(span.kind, self._messages.hello if span.kind == SERVER_HELLO else b"")
