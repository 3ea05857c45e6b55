"""The relay between TLS and the transport: sends what the filters make of a server's records, when they say so."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, Protocol

from lab.server.chaos.acts import Wire
from lab.server.chaos.filters import Watch
from lab.server.chaos.items import Done, End, Filter, Item, Note, Pause, Reset, Sent, Stall, through
from lab.server.faults import Fault
from lab.server.hello import ClientHello
from lab.server.records import Raw, Record, RecordReader

__all__ = ["Port", "Relay"]

_FOR_EVER = 24 * 3600.0  # longer than any probe may last
_TURN = 0.002
_TURNS = 500  # as many turns as a RST waits for the bytes before it to leave
_SIOCOUTQNSD = 0x894B  # Linux: bytes of a socket that are not sent yet
_TCP_INFO = 11
_SEGMENTS_AT = 156  # tcpi_data_segs_out, since Linux 4.6


class Port(Protocol):
    """What a relay needs of its connection."""

    transport: Any

    @property
    def drained(self) -> bool:
        """Whether the kernel has taken all that was written."""

    def write(self, data: bytes) -> int:
        """Write bytes, and return how many were written since the beginning."""

    def end(self) -> None:
        """Send a FIN."""

    def reset(self) -> None:
        """Send a RST."""

    def extend(self, seconds: float) -> None:
        """Put the connection's deadline off."""

    def noted(self, position: int, text: str) -> None:
        """Take note of a fault that took effect if the bytes up to ``position`` are sent."""

    def said(self, message: Sent, position: int) -> None:
        """Take note that a handshake message ends at ``position``."""


class Relay:
    """Sends one connection's bytes as its faults will have it.

    ``take`` and ``close`` stand for writing to the transport and for a FIN.  ``go_on`` is to be called when the port
    has drained.  ``chance``, ``hello`` and ``chain`` as in Wire.
    """

    def __init__(  # noqa: PLR0917 - what there is
        self,
        clock: Any,
        port: Port,
        faults: Iterable[Fault],
        chance: Random,
        hello: Callable[[], ClientHello | None],
        chain: tuple[bytes, ...],
    ) -> None:
        made = [fault.kind.make(Wire(fault.name, fault.value, chance, hello, chain)) for fault in faults]
        self._filters: tuple[Filter, ...] = (*made, Watch())
        self._clock = clock
        self._port = port
        self._reader = RecordReader()
        self._queue: deque[Item] = deque()
        self._written = 0
        self._timer: Any = None
        self._silent = False
        self._dribble: deque[int] = deque()
        self._apart = ""
        self._segments: int | None = None
        self._singles = 0

    @property
    def quiet(self) -> bool:
        """Whether close_notify is withheld."""
        return any(one.quiet for one in self._filters)

    def accepted(self, read: Callable[[], None]) -> None:
        """Do what comes first, and then call ``read``."""
        items = [item for one in self._filters for item in one.accepted()]
        self._queue.extend([*items, Done(read)])
        self.go_on()

    def take(self, data: bytes, then: Callable[[], None] | None = None) -> None:
        """Send bytes that TLS has made; call ``then`` when what stands for them has been written."""
        if self._silent:
            return
        items: list[Item] = list(self._reader.feed(data))
        self._queue.extend(through(self._filters, [*items, Done(then)] if then else items))
        self.go_on()

    def close(self, *, answered: bool) -> None:
        """Send what is left, and a FIN."""
        if self._silent:
            return
        self._queue.extend(through(self._filters, [*self._reader.rest(), End(orderly=answered)]))
        self.go_on()

    def stop(self) -> None:
        """Do nothing more: the connection is gone."""
        self._silent = True
        self._queue.clear()
        self._dribble.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def go_on(self) -> None:
        """Do what can be done now."""
        while not self._silent and not self._waits():
            if self._dribble:
                self._drip()
            elif self._queue:
                # what is no bytes has its place behind those before it
                if not isinstance(self._queue[0], Record | Raw) and not self._port.drained:
                    return
                self._do(self._queue.popleft())
            else:
                return

    def _waits(self) -> bool:
        return self._timer is not None and self._timer.active()

    def _wait(self, seconds: float, turn: Callable[[], None] | None = None) -> None:
        self._timer = self._clock.callLater(seconds, turn or self.go_on)

    def _do(self, item: Item) -> None:
        match item:
            case Record() if item.apart:
                self._begin_apart(item)
            case Record() | Raw():
                self._write(item.data + b"".join(self._following()))
            case Note():
                self._port.noted(self._written, item.text)
            case Sent():
                self._port.said(item, self._written)
            case Done():
                item.call()
            case Pause():
                self._port.extend(item.seconds)
                self._wait(item.seconds, lambda: self._resume(item.note))
            case Stall():
                self._port.extend(_FOR_EVER)
                self._fall_silent(item.note)
            case End():
                self._fall_silent(item.note)
                self._port.end()
            case Reset():
                self._reset(item.note, _TURNS)

    def _following(self) -> Iterator[bytes]:
        """Take what may go out in the same write, so that no client answers half a flight that TLS made as one."""
        while self._queue and isinstance(item := self._queue[0], Record | Raw):
            if isinstance(item, Record) and item.apart:
                return
            self._queue.popleft()
            yield item.data

    def _write(self, data: bytes) -> None:
        self._written = self._port.write(data)

    def _resume(self, note: str) -> None:
        self._port.noted(self._written, note)
        self.go_on()

    def _fall_silent(self, note: str) -> None:
        self._silent = True
        if note:
            self._port.noted(self._written, note)

    def _reset(self, note: str, turns: int) -> None:
        """Send a RST when everything before it has left: it would take the rest along."""
        self._silent = True
        if turns and _unsent(self._port.transport):
            self._wait(_TURN, lambda: self._reset(note, turns - 1))
            return
        self._port.noted(self._written, note)
        self._port.reset()

    def _begin_apart(self, record: Record) -> None:
        self._apart = record.apart
        self._dribble.extend(record.data)
        if self._segments is None:
            self._segments = _segments(self._port.transport)

    def _drip(self) -> None:
        """Send one byte, once the kernel has sent those before: else it would put them into one segment."""
        if _unsent(self._port.transport):
            self._wait(_TURN)
            return
        self._write(bytes((self._dribble.popleft(),)))
        self._singles += 1
        if self._dribble:
            self._wait(0.0)
        else:
            self._note_segments()

    def _note_segments(self) -> None:
        now = _segments(self._port.transport)
        counted = "" if now is None or self._segments is None else f" in {now - self._segments} segments"
        self._port.noted(self._written, f"{self._apart}: {self._singles} writes of one byte{counted}")


def _unsent(transport: Any) -> bool:
    """Tell whether the kernel holds bytes that it has not sent yet; where it does not say, it does not."""
    try:
        held = fcntl.ioctl(transport.getHandle().fileno(), _SIOCOUTQNSD, bytes(4))
    except OSError:
        return False
    return int.from_bytes(held, sys.byteorder) > 0


def _segments(transport: Any) -> int | None:
    """Return how many segments with data a socket has sent, or None where the kernel does not say."""
    try:
        said = transport.getHandle().getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _SEGMENTS_AT + 4)
    except OSError:
        return None
    return struct.unpack_from("I", said, _SEGMENTS_AT)[0] if len(said) == _SEGMENTS_AT + 4 else None
