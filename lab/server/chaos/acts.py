"""What faults do on the wire: each makes the filter that puts it there, for one connection; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from lab.server.chaos.filters import At, Cut, Rewritten
from lab.server.chaos.items import End, Filter, Item, Note, Pause, Reset, Stall
from lab.server.hello import ClientHello
from lab.server.records import ALERT, Raw, Record
from lab.server.witness import ALERTS

__all__ = [
    "Wire",
    "alerted",
    "delayed",
    "downgraded",
    "garbage",
    "marked",
    "pause",
    "reset",
    "stalled",
    "truncated",
    "warned",
]

_WARNING, _FATAL = 1, 2
_UNRECOGNIZED_NAME = 112
_TLS12 = b"\3\3"


@dataclass(frozen=True)
class Wire:
    """What a fault is told of the connection: its own name and number, the source of all chance, hello and chain.

    The client's hello is not there yet when the filters are made, so that ``hello`` is called when it is needed.
    """

    name: str
    value: int
    chance: Random
    hello: Callable[[], ClientHello | None]
    chain: tuple[bytes, ...]


def pause(wire: Wire, where: str) -> Pause:
    """Return a pause of as many milliseconds as the fault's number."""
    return Pause(wire.value / 1000, f"{wire.name}: {wire.value} ms {where}")


def delayed(at: At, where: str) -> Callable[[Wire], Filter]:
    """Return what makes a pause at a point; ``where`` says so in words."""
    return lambda wire: Cut(at, lambda _before, _size: iter((pause(wire, where),)))


def reset(at: At) -> Callable[[Wire], Filter]:
    """Return what sends a RST at a point."""

    def make(wire: Wire) -> Filter:
        def happens(before: int, size: int) -> Iterator[Item]:
            yield Reset(f"{wire.name}: RST" + (f" after {before} of {size} bytes of the message" if before else ""))

        return Cut(at, happens)

    return make


def truncated(wire: Wire) -> Filter:
    """Return what ends the connection in the middle of the Certificate message."""

    def happens(before: int, size: int) -> Iterator[Item]:
        yield End(f"{wire.name}: {before} of {size} bytes, then FIN")

    return Cut(At.INSIDE_CERTIFICATE, happens)


def stalled(wire: Wire) -> Filter:
    """Return what falls silent after the ServerHello."""
    return Cut(At.AFTER_HELLO, lambda _before, _size: iter((Stall(f"{wire.name}: nothing after the ServerHello"),)))


def garbage(wire: Wire) -> Filter:
    """Return what sends bytes that are no record, and ends the connection."""

    def happens(_before: int, _size: int) -> Iterator[Item]:
        # The first byte is no content type, so that nobody waits for the rest of a record.
        yield Raw(bytes((wire.chance.randrange(0x40, 0x80),)) + wire.chance.randbytes(wire.value - 1))
        yield End(f"{wire.name}: {wire.value} bytes that are no record, then FIN")

    return Cut(At.AFTER_HELLO, happens)


def _alert(level: int, number: int) -> Record:
    return Record(ALERT, _TLS12, bytes((level, number)))


def warned(wire: Wire) -> Filter:
    """Return what sends warning alerts before the ServerHello."""

    def happens(_before: int, _size: int) -> Iterator[Item]:
        yield _alert(_WARNING, _UNRECOGNIZED_NAME)
        yield Note(f"{wire.name}: a first warning unrecognized_name")  # a client may leave before the last
        yield from (_alert(_WARNING, _UNRECOGNIZED_NAME) for _ in range(wire.value - 1))
        yield Note(f"{wire.name}: {wire.value} times warning unrecognized_name")

    return Cut(At.HELLO, happens)


def alerted(number: int) -> Callable[[Wire], Filter]:
    """Return what sends a fatal alert in place of the ServerHello."""

    def make(wire: Wire) -> Filter:
        def happens(_before: int, _size: int) -> Iterator[Item]:
            yield _alert(_FATAL, number)
            yield End(f"{wire.name}: fatal {ALERTS[number]} in place of the ServerHello, then FIN")

        return Cut(At.HELLO, happens)

    return make


_WEAKEST = (0x0001, 0x0002, 0x0004, 0x0005, 0x0003, 0x0008, 0x0006)  # NULL, RC4 and export suites of RSA
_NARROW = (0x1305, 0x1304, 0x1303, 0x1302, 0x1301)  # TLS 1.3, CCM_8 first
_CIPHER_AT = 39  # of a ServerHello message with an empty session id


def downgraded(wire: Wire) -> Filter:
    """Return what names a cipher suite that the client did not offer."""

    def change(message: bytes) -> tuple[bytes, str] | None:
        hello = wire.hello()
        at = _CIPHER_AT + message[38]
        chosen = int.from_bytes(message[at : at + 2], "big")
        pool = _NARROW if chosen in _NARROW else _WEAKEST
        offered = hello.ciphers if hello is not None else ()
        other = next((suite for suite in pool if suite not in offered), None)
        if other is None:
            return None
        changed = message[:at] + other.to_bytes(2, "big") + message[at + 2 :]
        return changed, f"{wire.name}: 0x{other:04x}, which the client did not offer, in place of 0x{chosen:04x}"

    return Rewritten(change)


_MARK = b"DOWNGRD\1"
_MARK_AT = slice(30, 38)  # of a ServerHello message: the end of its random


def marked(wire: Wire) -> Filter:
    """Return what notices RFC 8446's mark of a downgrade in the ServerHello."""

    def change(message: bytes) -> tuple[bytes, str] | None:
        marked = message[_MARK_AT] == _MARK
        return (message, f"{wire.name}: TLS 1.2, with DOWNGRD 01 at the end of the random") if marked else None

    return Rewritten(change)
