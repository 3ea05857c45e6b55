"""The dialogue with one client, as a protocol without a transport: it is fed bytes and gives messages."""

from __future__ import annotations

import json
from enum import Enum, auto

from pydantic import ValidationError

from lab.model.wire import MAX_LINE, Hello, Probe, Report

__all__ = ["Dialogue", "LocalProtocolError", "RemoteProtocolError", "State"]

_QUOTED = 200


class LocalProtocolError(Exception):
    """The lab broke the dialogue: our fault."""


class RemoteProtocolError(Exception):
    """The client broke the dialogue: its harness is at fault."""


class State(Enum):
    """Where a dialogue stands."""

    GREETING = auto()
    IDLE = auto()
    PROBING = auto()
    BROKEN = auto()


class Dialogue:
    """A client says hello, then answers each probe with one report that bears its id.

    Anything else breaks the dialogue for good: what a client says afterwards could belong to any probe.
    """

    def __init__(self) -> None:
        self.state = State.GREETING
        self._buffer = bytearray()
        self._id = ""

    def send_probe(self, probe: Probe) -> bytes:
        """Return the line for a probe; raise LocalProtocolError unless the client has none to answer."""
        if self.state is not State.IDLE:
            raise LocalProtocolError(f"a probe cannot be sent while {self.state.name}")
        line = probe.model_dump_json(exclude_none=True).encode() + b"\n"
        if len(line) > MAX_LINE:
            raise LocalProtocolError(f"a probe of {len(line)} bytes is longer than a line may be ({MAX_LINE})")
        self.state = State.PROBING
        self._id = probe.id
        return line

    def receive(self, data: bytes) -> list[Hello | Report]:
        """Take what the client wrote and return the messages that are complete; raise RemoteProtocolError."""
        if self.state is State.BROKEN:
            return []
        self._buffer += data
        messages = []
        try:
            while (end := self._buffer.find(b"\n")) >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                messages.append(self._message(line))
            self._check_length()
        except RemoteProtocolError:
            self.state = State.BROKEN
            self._buffer.clear()
            raise
        return messages

    def _check_length(self) -> None:
        if len(self._buffer) > MAX_LINE:
            raise RemoteProtocolError(f"a line of more than {MAX_LINE} bytes")

    def _message(self, line: bytes) -> Hello | Report:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise RemoteProtocolError(f"a line that is no JSON: {_quote(line)}") from None
        model = Hello if self.state is State.GREETING else Report
        try:
            message = model.model_validate(value)
        except ValidationError as error:
            details = "; ".join(
                ".".join(map(str, one["loc"])) + f": {one['msg']}" for one in error.errors(include_url=False)[:5]
            )
            raise RemoteProtocolError(f"no {model.__name__.lower()}: {details}: {_quote(line)}") from None
        if isinstance(message, Hello):
            self.state = State.IDLE
            return message
        if self.state is not State.PROBING:
            raise RemoteProtocolError(f'a report for "{message.id}" although nothing was asked')
        if message.id != self._id:
            raise RemoteProtocolError(f'a report for "{message.id}" where "{self._id}" was asked')
        self.state = State.IDLE
        return message


def _quote(line: bytes) -> str:
    text = line[:_QUOTED].decode(errors="backslashreplace")
    return repr(text) + ("..." if len(line) > _QUOTED else "")
