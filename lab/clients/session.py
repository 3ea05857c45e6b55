"""One client that is running: its hello, its probes one after the other, and its end."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred

from lab.clients.dialogue import Dialogue, RemoteProtocolError
from lab.model.wire import Hello, Probe, Report

__all__ = ["Deadline", "Ended", "Session", "SessionEnd", "Transport", "Violation"]

_STDERR_KEPT = 8 * 1024

M = TypeVar("M", Hello, Report)


class SessionEnd(Exception):  # noqa: N818 - the end of a session is not always an error
    """The session is over; it answers no more."""


class Ended(SessionEnd):
    """The client closed its output or its process ended; the text says how."""


class Violation(SessionEnd):
    """The client broke the dialogue; the text says how."""


class Deadline(SessionEnd):
    """The client did not answer in time."""


class Transport(Protocol):
    """What a runtime gives to a session."""

    def write(self, data: bytes) -> None:
        """Send bytes to the client."""

    def kill(self) -> None:
        """End the client at once; ``Session.lost`` is called when it is gone."""


class Session:
    """A client that has been started.

    A runtime feeds it with ``received``, ``received_stderr`` and, once, ``lost``.  ``gone`` is a Deferred that fires
    with None when nothing of the client is left.  ``lab_address`` is the numeric address at which this client reaches
    the lab, ``address`` the one that the lab sees it come from.
    """

    def __init__(
        self, reactor: Any, transport: Transport, lab_address: str = "127.0.0.1", address: str = "127.0.0.1"
    ) -> None:
        self._reactor = reactor
        self._transport = transport
        self._dialogue = Dialogue()
        self._hello: Deferred[Hello] | None = Deferred()
        self._greeted = self._hello
        self._report: Deferred[Report] | None = None
        self._stderr = bytearray()
        self._end: SessionEnd | None = None
        self._killed = False
        self.lab_address = lab_address
        self.address = address
        self.hello: Hello | None = None
        self.gone: Deferred[None] = Deferred()

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._end is None

    async def greeting(self, seconds: float) -> Hello:
        """Return the client's hello; raise SessionEnd if none comes in time."""
        if self.hello is None:
            self.hello = await self._within(seconds, self._greeted)
        return self.hello

    async def ask(self, probe: Probe, seconds: float) -> Report:
        """Send a probe and return its report; raise SessionEnd, after which the client is being killed."""
        if self._end is not None:
            raise self._end
        report: Deferred[Report] = Deferred()
        self._report = report
        self._transport.write(self._dialogue.send_probe(probe))
        return await self._within(seconds, report)

    async def _within(self, seconds: float, answer: Deferred[M]) -> M:
        timer = self._reactor.callLater(seconds, self._finish, Deadline(f"no answer within {seconds:g} s"))
        try:
            return await answer
        finally:
            if timer.active():
                timer.cancel()

    def received(self, data: bytes) -> None:
        """Take what the client wrote."""
        try:
            messages = self._dialogue.receive(data)
        except RemoteProtocolError as error:
            self._finish(Violation(str(error)))
            return
        for message in messages:
            if isinstance(message, Hello):
                hello, self._hello = self._hello, None
                if hello is not None:
                    hello.callback(message)
            else:
                report, self._report = self._report, None
                if report is not None:
                    report.callback(message)

    def received_stderr(self, data: bytes) -> None:
        """Keep the end of what the client prints for people."""
        self._stderr += data
        del self._stderr[:-_STDERR_KEPT]

    def stderr_tail(self) -> str:
        """Return the end of what the client printed on stderr since this was last asked."""
        text = self._stderr.decode(errors="backslashreplace")
        self._stderr.clear()
        return text

    def lost(self, how: str) -> None:
        """Note that the client is gone; ``how`` says by which exit status or signal."""
        self._finish(Ended(how))
        if not self.gone.called:
            self.gone.callback(None)

    def kill(self) -> None:
        """End the client at once; harmless when it has ended."""
        self._finish(Ended("ended by the lab"))

    def _finish(self, end: SessionEnd) -> None:
        if self._end is None:
            self._end = end
            waiting = [one for one in (self._hello, self._report) if one is not None]
            self._hello = self._report = None
            for deferred in waiting:
                deferred.errback(end)
        if not self._killed:
            self._killed = True
            self._transport.kill()
