"""One connection to an exhibit: reads the hello, speaks TLS, answers one HTTP request, closes, and leaves a record."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from lab.server.chaos.items import Sent
from lab.server.chaos.relay import Relay
from lab.server.chaos.stage import opened
from lab.server.client_auth import Hearing
from lab.server.exhibit import Exhibit
from lab.server.hello import HelloReader, Progress, read_server_hello
from lab.server.openssl import cipher_name
from lab.server.records import CERTIFICATE, HANDSHAKE, SERVER_HELLO
from lab.server.records import Record as TlsRecord
from lab.server.witness import Closed, Record

__all__ = ["ANSWER", "Limits", "ServerConnection"]

_BODY = b"tlslab: you are connected\n"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(_BODY)
    + _BODY
)
"""What every whole request is answered with."""

_CHUNK = 32 * 1024  # more than any flight of ours, so that one read empties OpenSSL's buffer


@dataclass(frozen=True)
class Limits:
    """What one connection, or one lane, may cost."""

    handshake_s: float = 10.0
    """Seconds from accept to the handshake's end."""
    idle_s: float = 10.0
    """Seconds without a byte from the client, once the handshake is over."""
    connections: int = 8
    """Connections that a lane has open at once; one more is closed unread."""
    request_bytes: int = 16 * 1024
    """Longest HTTP request."""
    drain_bytes: int = 64 * 1024
    """Bytes that are read and thrown away after the server's last word."""


class _State(Enum):
    HELLO = auto()
    HANDSHAKE = auto()
    REQUEST = auto()
    OVER = auto()
    """The server has said its last word and waits for the client to close."""


@implementer(IPullProducer)
class ServerConnection(Protocol):
    """Serves an exhibit to one connection, and calls ``gone`` with itself once when that is closed.

    It drives OpenSSL through memory BIOs and writes to the socket at once, a flight a write, so that ``record`` knows
    what the kernel has taken; the rest waits, with this protocol as the transport's pull producer.
    """

    transport: Any

    def __init__(
        self, reactor: Any, exhibit: Exhibit, limits: Limits, gone: Callable[[ServerConnection], None]
    ) -> None:
        self.record = Record(exhibit.digests, reactor.seconds())
        if exhibit.client_auth is not None:
            self.record.device = Hearing(exhibit.client_auth)
        self._reactor = reactor
        self._exhibit = exhibit
        self._context = exhibit.context()
        self._limits = limits
        self._gone = gone
        self._state = _State.HELLO
        self._reader = HelloReader()
        self._early: list[bytes] = []
        self._tls: SSL.Connection | None = None
        self._timer: Any = None
        self._request = b""
        self._made = 0  # bytes that TLS has produced
        self._unsent = b""
        self._lent = 0  # bytes that the transport holds for us
        self._blocked = False
        self._broken = False
        self._drained = 0
        self._relay = self._faults()

    # --- the transport's side

    def connectionMade(self) -> None:  # noqa: N802 - twisted's name
        """Start the clock of the handshake."""
        self.transport.setTcpNoDelay(True)
        self._timer = self._reactor.callLater(self._limits.handshake_s, self.abort, "deadline")
        if self._relay is not None:
            self.transport.pauseProducing()
            self._relay.accepted(self.transport.resumeProducing)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - twisted's name
        """Take bytes from the client, whatever they are."""
        self.record.bytes_in += len(data)
        if self.record.closed:
            return
        if self._tls is None:
            self._early.append(data)
            if self._reader.feed(data) is Progress.MORE:
                return
            data = self._start()
        tls = self._tls
        assert tls is not None
        try:
            tls.bio_write(data)
            if self._state is _State.HANDSHAKE:
                self._handshake(tls)
            if self._state is _State.REQUEST:
                self._timer.reset(self._limits.idle_s)
                self._read_request(tls)
            elif self._state is _State.OVER:
                self._drain(tls, len(data))
        except SSL.WantReadError:
            if self._state is not _State.OVER:
                self._flush(tls)
        except SSL.Error:  # also an orderly close_notify
            self._finish(tls)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802 - twisted's name
        """Complete the record.  TLS is not told, so it writes no alert that nobody would receive."""
        record = self.record
        record.ended = self._reactor.seconds()
        if not record.closed:
            record.closed = self._how_closed(reason)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._tls = None
        if self._relay is not None:
            self._relay.stop()
        self._gone(self)

    def abort(self, why: Closed) -> None:
        """Drop the connection at once; ``why`` is how the witness says that it closed."""
        if not self.record.closed:
            self.record.closed = why
        self.transport.abortConnection()

    def _how_closed(self, reason: Failure) -> Closed:
        if self.record.peer_closed:
            return "close-notify"
        return "fin" if isinstance(reason.value, ConnectionDone) and not self._broken else "reset"

    # --- TLS

    def _start(self) -> bytes:
        """Hand over from the hello's reader to TLS, and return the bytes that came so far."""
        self.record.hello = self._reader.hello
        self._tls = self._open_tls()
        self._state = _State.HANDSHAKE
        early, self._early = b"".join(self._early), []
        return early

    def _open_tls(self) -> SSL.Connection:
        tls = opened(self._context, self._exhibit, self.record.hello)
        tls.set_accept_state()
        tls.set_app_data(self.record)
        return tls

    def _handshake(self, tls: SSL.Connection) -> None:
        """Go as far as the bytes allow; raise WantReadError where more are needed."""
        tls.do_handshake()
        self.record.handshaken = self._reactor.seconds()
        self._state = _State.REQUEST

    def _read_request(self, tls: SSL.Connection) -> None:
        """Read until the request is whole, then answer; raise WantReadError where more is needed."""
        while b"\r\n\r\n" not in self._request:
            data = tls.recv(_CHUNK)
            self.record.data += len(data)
            self._request += data
            if len(self._request) > self._limits.request_bytes:
                self._finish(tls)
                return
        self.record.request = True
        tls.send(ANSWER)
        self._finish(tls, answered=True)

    def _finish(self, tls: SSL.Connection, *, answered: bool = False) -> None:
        """Say the last word: close_notify where TLS still can, then a FIN; from now on only wait for the client."""
        if self._state is _State.OVER:
            self._leave()
            return
        if self._state is _State.REQUEST and not (self._relay is not None and self._relay.quiet):
            with suppress(SSL.Error):
                tls.shutdown()
        self._state = _State.OVER
        self._flush(tls)
        self._timer.reset(self._limits.idle_s)
        if self._relay is not None:
            self._relay.take(b"", self._note_answer if answered else None)
            self._relay.close(answered=answered)
            return
        if answered:
            self._note_answer()
        self._end_writing()

    def _note_answer(self) -> None:
        self.record.answer_at = self._made

    def _drain(self, tls: SSL.Connection, size: int) -> None:
        """Throw away what comes after the last word, until the client's close_notify or too much of it."""
        self._drained += size
        if self._drained > self._limits.drain_bytes:
            self.abort("lab")
            return
        while True:
            tls.recv(_CHUNK)

    def _leave(self) -> None:
        """Close, unless the client is about to do so itself."""
        if self.record.peer_closed:
            self.transport.loseConnection()

    # --- what goes out

    def _flush(self, tls: SSL.Connection) -> None:
        """Send what TLS has produced, as one write."""
        try:
            flight = tls.bio_read(_CHUNK)
            while not len(flight) % _CHUNK:
                flight += tls.bio_read(_CHUNK)
        except SSL.WantReadError:
            return
        if self._relay is not None:
            self._relay.take(flight, self._note_certificate if self.record.certificate_made else None)
            return
        if not self._made:
            self._note_server_hello(tls, flight)
        self._made += len(flight)
        if self.record.certificate_made and self.record.certificate_at is None:
            self.record.certificate_at = self._made
        self._send(flight)

    def _note_server_hello(self, tls: SSL.Connection, flight: bytes) -> None:
        settled = read_server_hello(flight)
        if settled is not None:
            self.record.tls = settled.version
            self.record.cipher = cipher_name(tls, settled.cipher)

    def _send(self, data: bytes) -> None:
        if self._broken:
            return
        if self._blocked:
            self._unsent += data
            return
        taken = self.transport.writeSomeData(data)
        if not isinstance(taken, int):
            # The kernel has told of the reset here and will not tell the reader again, who may still find an alert.
            self._broken = True
            return
        self.record.bytes_out += taken
        if taken < len(data):
            self._unsent = data[taken:]
            self._blocked = True
            self.transport.registerProducer(self, False)  # noqa: FBT003 - twisted's signature

    def resumeProducing(self) -> None:  # noqa: N802 - twisted's name
        """Learn that the transport has sent all it had, and give it the rest."""
        self.record.bytes_out += self._lent
        self._lent = len(self._unsent)
        rest, self._unsent = self._unsent, b""
        if rest:
            self.transport.write(rest)
        else:
            self.transport.unregisterProducer()
            self._blocked = False
            if self._relay is not None:
                self._relay.go_on()
            elif self._state is _State.OVER:
                self._end_writing()

    def stopProducing(self) -> None:  # noqa: N802 - twisted's name
        """Learn that the transport is gone; connectionLost says so too."""

    def _end_writing(self) -> None:
        """Send a FIN, once everything before it is sent."""
        if self._blocked or self.record.closed:
            return
        try:
            self.transport.getHandle().shutdown(socket.SHUT_WR)
        except OSError:  # the client was quicker
            return
        self._leave()

    # --- what faults need of it

    def _faults(self) -> Relay | None:
        faults, seed = self._exhibit.faults, self._exhibit.seed
        if not faults:
            return None
        chance = Random(seed)  # noqa: S311 - to be repeated, not to be secret
        return Relay(self._reactor, self, faults, chance, lambda: self.record.hello, self._exhibit.chain)

    @property
    def drained(self) -> bool:
        """Whether the kernel has taken all that was written."""
        return not self._blocked

    def write(self, data: bytes) -> int:
        """Write bytes past the faults, and return how many were written since the beginning."""
        self._made += len(data)
        self._send(data)
        return self._made

    def end(self) -> None:
        """Send a FIN."""
        self._end_writing()

    def reset(self) -> None:
        """Send a RST."""
        self.abort("lab")

    def extend(self, seconds: float) -> None:
        """Put the deadline off."""
        if self._timer.active():
            self._timer.delay(seconds)

    def noted(self, position: int, text: str) -> None:
        """Take note of a fault that took effect if the bytes up to ``position`` are sent."""
        self.record.noted(position, text)

    def said(self, message: Sent, position: int) -> None:
        """Take note of a handshake message that ends at ``position``."""
        if message.kind == CERTIFICATE:
            self.record.certificate_at = position
        elif message.kind == SERVER_HELLO and self._tls is not None:
            self._note_server_hello(self._tls, TlsRecord(HANDSHAKE, b"\3\3", message.message).data)

    def _note_certificate(self) -> None:
        # in TLS 1.3 it cannot be seen in the record that carries it
        if self.record.tls == "1.3" and self.record.certificate_at is None:
            self.record.certificate_at = self._made
