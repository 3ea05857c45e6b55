"""The runtime in which clients are child processes of the lab."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import DeferredList
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from lab.clients.build import Built, build_all
from lab.clients.runtime import Ready, Unready, owner, owner_alive
from lab.clients.session import Session
from lab.corpus import Client
from lab.errors import ClientError

__all__ = ["ProcessRuntime", "sweep"]

_MARK = "TLSLAB_OWNER"
_LAST_WORDS_S = 0.5


class _Child(ProcessProtocol):
    """Hands what a child process writes to its session."""

    transport: Any = None  # zope's interfaces mean nothing to a type checker

    def __init__(self, reactor: Any, mark: str) -> None:
        self._reactor = reactor
        self._mark = mark
        self._orphans: Any = None
        self.session = Session(reactor, self)

    def write(self, data: bytes) -> None:
        """Send bytes to the child's stdin."""
        if self.transport is not None:
            self.transport.writeToChild(0, data)

    def kill(self) -> None:
        """Kill the child."""
        with suppress(ProcessExitedAlready):
            if self.transport is not None:
                self.transport.signalProcess(signal.SIGKILL.name.removeprefix("SIG"))

    def outReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self.session.received(data)

    def errReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self.session.received_stderr(data)

    def processExited(self, reason: Failure) -> None:  # noqa: ARG002, N802 - Twisted's name
        # What it wrote last is still in the pipes; but children of its own may hold them open for ever.
        self._orphans = self._reactor.callLater(_LAST_WORDS_S, self._end_orphans)

    def _end_orphans(self) -> None:
        sweep(self._mark)
        self.transport.loseConnection()

    def processEnded(self, reason: Failure) -> None:  # noqa: N802 - Twisted's name
        if self._orphans is not None and self._orphans.active():
            self._orphans.cancel()
        self.session.lost(_how(reason))


def _how(reason: Failure) -> str:
    value = reason.value
    if isinstance(value, ProcessDone):
        return "exit status 0"
    number = getattr(value, "signal", None)
    if number is not None:
        with suppress(ValueError):
            return f"signal {signal.Signals(number).name}"
        return f"signal {number}"
    return f"exit status {getattr(value, 'exitCode', '?')}"


class ProcessRuntime:
    """Builds and runs clients on this machine; lanes are on loopback.

    ``cache`` is the folder that keeps builds.
    """

    name = "process"
    interface = "127.0.0.1"

    def __init__(self, reactor: Any, cache: Path) -> None:
        self._reactor = reactor
        self._cache = cache
        self._sessions: set[Session] = set()
        self._programs: dict[str, Path] = {}
        self._started = 0

    async def reached_at(self) -> str:
        """Return the address on which lanes listen: loopback."""
        return self.interface

    async def prepare(self, clients: Sequence[Client]) -> dict[str, Ready | Unready]:
        """Build natively what is not built, in parallel; clear away what a killed lab left running."""
        sweep()
        built = await build_all(self._reactor, clients, self._cache)
        self._programs = {name: one.program for name, one in built.items() if isinstance(one, Built)}
        return {name: Ready(one.digest) if isinstance(one, Built) else one for name, one in built.items()}

    async def start(self, client: Client) -> Session:
        """Start a client's program; raise ClientError where it is not built."""
        program = self._programs.get(client.name)
        if program is None:
            raise ClientError(client.name, "is not built")
        arguments = [str(program)]
        for option in client.column.options:
            arguments += ["--option", option]
        self._started += 1
        mark = f"{owner()}:{self._started}"
        child = _Child(self._reactor, mark)
        # A marked environment, so that the next run finds what a killed lab left behind.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC", "LC_ALL": "C", _MARK: mark}
        try:
            self._reactor.spawnProcess(child, str(program), arguments, env=environment, path="/")
        except OSError as error:
            raise ClientError(client.name, f"cannot be started: {error}") from error
        self._sessions.add(child.session)
        child.session.gone.addCallback(lambda _none: self._sessions.discard(child.session))
        return child.session

    async def close(self) -> None:
        """Kill every client, and wait until all are gone."""
        sessions = list(self._sessions)
        for session in sessions:
            session.kill()
        await DeferredList([session.gone for session in sessions])
        sweep(owner())


def sweep(mark: str | None = None) -> int:
    """Kill the processes that labs which no longer run left behind, or those whose mark begins with ``mark``.

    A client that forked leaves children that its own end does not take along: the mark in their environment does.
    Return how many were killed.
    """
    killed = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            found = _mark_in((entry / "environ").read_bytes())
            if found and (f"{found}:".startswith(f"{mark}:") if mark is not None else not owner_alive(found)):
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
    return killed


def _mark_in(environment: bytes) -> str:
    prefix = f"{_MARK}=".encode()
    marks = [one[len(prefix) :] for one in environment.split(b"\0") if one.startswith(prefix)]
    return marks[0].decode(errors="replace") if marks else ""
