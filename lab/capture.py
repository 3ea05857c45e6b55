"""A packet capture of a probe, by tcpdump."""

from __future__ import annotations

import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ClientCreator, Factory, ProcessProtocol, Protocol
from twisted.internet.task import deferLater

from lab.errors import InputError, LabError

__all__ = ["Capture"]

_READY = b"listening on"
_LOOKS, _LOOK_S = 100, 0.05


class Capture(ProcessProtocol):
    """tcpdump on all interfaces, restricted to TCP, from ``start`` to ``stop``.  It needs the right to capture."""

    transport: Any = None  # zope's interfaces mean nothing to a type checker

    def __init__(self, reactor: Any, path: Path) -> None:
        self._reactor = reactor
        self._path = path
        self._said = b""
        self._ready: Deferred[None] = Deferred()
        self._ended: Deferred[None] = Deferred()

    @classmethod
    async def start(cls, reactor: Any, path: Path) -> Capture:
        """Begin to capture into ``path``; return once packets are seen.

        Raise InputError where there is no tcpdump, LabError with its words where it does not start.
        """
        program = shutil.which("tcpdump") or shutil.which("tcpdump", path="/usr/sbin:/sbin")
        if program is None:
            raise InputError.one("there is no tcpdump", field="--pcap", remedy="apt-get install tcpdump")
        capture = cls(reactor, path)
        # Without immediate mode the last packets may still be in the kernel when it is told to stop.
        arguments = [program, "-i", "any", "--immediate-mode", "-U", "-n", "-w", str(path), "tcp"]
        reactor.spawnProcess(capture, program, arguments, env={})
        await capture._ready
        return capture

    def errReceived(self, data: bytes) -> None:  # noqa: D102, N802 - Twisted's name
        self._said += data
        if _READY in self._said and not self._ready.called:
            self._ready.callback(None)

    def processEnded(self, reason: Any) -> None:  # noqa: ARG002, D102, N802 - Twisted's name
        if not self._ready.called:
            self._ready.errback(LabError(f"tcpdump does not start: {self._said.decode(errors='replace').strip()}"))
        self._ended.callback(None)

    async def stop(self) -> None:
        """End the capture; return when the file is whole.

        tcpdump writes no more once it is told to stop, whatever is still on its way to it.  So a last connection sends
        a mark, and what came before the mark is in the file when the mark is.
        """
        mark = secrets.token_hex(16).encode()
        port = self._reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        creator: Any = ClientCreator  # untyped, and the typed endpoints import what the lab does not need
        last = await creator(self._reactor, Protocol).connectTCP("127.0.0.1", port.getHost().port)
        last.transport.write(b"the capture ends here " + mark)
        for _ in range(_LOOKS):
            if mark in self._path.read_bytes():
                break
            await deferLater(self._reactor, _LOOK_S)
        last.transport.abortConnection()
        await port.stopListening()
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("INT")
        await self._ended
