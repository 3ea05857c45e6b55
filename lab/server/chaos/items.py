"""What passes between the filters of a relay: records, and what else is to happen to the connection, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lab.server.records import Raw, Record

__all__ = ["Done", "End", "Filter", "Item", "Note", "Pause", "Reset", "Sent", "Stall", "through"]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before anything else is sent."""

    seconds: float
    note: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Abort the connection with a RST."""

    note: str


@dataclass(frozen=True, slots=True)
class End:
    """Send a FIN, and nothing else; ``orderly`` after the whole answer."""

    note: str = ""
    orderly: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Send nothing more, for ever."""

    note: str


@dataclass(frozen=True, slots=True)
class Note:
    """Everything that makes a fault what it is stands before this."""

    text: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A whole handshake message of this type stands before this; ``message`` is it, where it is a ServerHello."""

    kind: int
    message: bytes = b""


@dataclass(frozen=True, slots=True)
class Done:
    """Everything that TLS had made by some moment stands before this; ``call`` is called when it is written."""

    call: Callable[[], None]


Item = Record | Raw | Pause | Reset | End | Stall | Note | Sent | Done


class Filter:
    """Passes on what a server does as it is: the base of every fault on the wire."""

    quiet = False
    """Whether the server closes without a close_notify."""

    def accepted(self) -> Iterator[Item]:
        """Yield what is to happen before the first byte of the client is read."""
        return iter(())

    def feed(self, item: Item) -> Iterator[Item]:
        """Yield what becomes of an item."""
        yield item


def through(filters: Iterable[Filter], items: Iterable[Item]) -> Iterable[Item]:
    """Return what filters, one after the other, make of items."""
    for one in filters:
        items = [made for item in items for made in one.feed(item)]
    return items
