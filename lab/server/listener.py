"""Lanes: a port that belongs to one client session, shows one exhibit at a time, and knows whose connection it saw."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from lab.model.result import Witness
from lab.server.connection import Limits, ServerConnection
from lab.server.exhibit import Exhibit
from lab.server.imposter import connection_class
from lab.server.witness import Record, further

__all__ = ["Lane", "Limits"]


class _Probe:
    """What a lane sees while one exhibit is shown."""

    __slots__ = ("best", "connections", "exhibit", "open", "settling", "timer")

    def __init__(self, exhibit: Exhibit) -> None:
        self.exhibit = exhibit
        self.connections = 0
        self.open: set[ServerConnection] = set()
        self.best: Record | None = None
        self.settling: Deferred[Witness] | None = None
        self.timer: Any = None

    def gone(self, connection: ServerConnection) -> None:
        """Keep the record of a connection that has closed, if it came furthest; settle if it was the last."""
        self.open.discard(connection)
        self.best = further(self.best, connection.record)
        if self.settling is not None and not self.open:
            settling, self.settling = self.settling, None
            if self.timer.active():
                self.timer.cancel()
            settling.callback(self.witness())

    def abort(self) -> None:
        """Close what is open."""
        for connection in tuple(self.open):
            connection.abort("lab")

    def witness(self) -> Witness:
        return self.best.witness(self.connections) if self.best else Witness(connections=self.connections)


class Lane(Factory):
    """One listening port for one client session: show an exhibit, let the client probe, ask what was seen.

    ``stray`` counts the connections that came while nothing was shown: they are closed unread.  ``reactor`` is any
    that listens on TCP and keeps time; the deadlines of connections are ``limits``.
    """

    noisy = False

    def __init__(self, reactor: Any, interface: str = "127.0.0.1", limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self.host = interface
        self.port = 0
        self.stray = 0
        self._reactor = reactor
        self._limits = limits
        self._listening: Any = None
        self._probe: _Probe | None = None

    def open(self, port: int = 0) -> None:
        """Listen, on a port that the system chooses unless one is given: ``host`` and ``port`` say where.

        Raise twisted's CannotListenError where the system says no.
        """
        self._listening = self._reactor.listenTCP(port, self, backlog=50, interface=self.host)
        self.port = self._listening.getHost().port

    def show(self, exhibit: Exhibit) -> None:
        """Show an exhibit from now on and begin a new probe; connections of an earlier one are closed.

        Raise InputError where OpenSSL cannot show it.
        """
        exhibit.prepare()
        self._accept_waiting()
        earlier, self._probe = self._probe, _Probe(exhibit)
        if earlier is not None:
            earlier.abort()

    def settled(self, grace_s: float) -> Deferred[Witness]:
        """Fire with the probe's witness when its connections have closed, after ``grace_s`` seconds by closing them.

        At once where none is open.  The exhibit is taken down then: what comes later is stray.  Without an exhibit,
        or where the next one is shown first, the witness is of what was seen by then.
        """
        self._accept_waiting()
        fired: Deferred[Witness] = Deferred()
        probe = self._probe
        if probe is None:
            fired.callback(Witness())
        elif probe.open:
            assert probe.settling is None, "a probe settles once"
            probe.settling = fired
            probe.timer = self._reactor.callLater(grace_s, probe.abort)
            fired.addCallback(self._taken_down, probe)
        else:
            fired.callback(self._taken_down(probe.witness(), probe))
        return fired

    def close(self) -> Deferred[None]:
        """Stop listening and close what is open; fires when the port is free."""
        probe, self._probe = self._probe, None
        if probe is not None:
            probe.abort()
        listening, self._listening = self._listening, None
        return maybeDeferred(listening.stopListening) if listening is not None else maybeDeferred(lambda: None)

    def buildProtocol(self, addr: IAddress | None) -> ServerConnection | None:  # noqa: ARG002, N802 - twisted's name
        """Return what serves a new connection, or None to close it at once."""
        probe = self._probe
        if probe is None:
            self.stray += 1
            return None
        probe.connections += 1
        if len(probe.open) >= self._limits.connections:
            return None
        serve = connection_class(probe.exhibit)
        connection = serve(self._reactor, probe.exhibit, self._limits, probe.gone)
        probe.open.add(connection)
        return connection

    def _accept_waiting(self) -> None:
        """Accept what the kernel has already connected, so that it counts for the probe that it came for."""
        if self._listening is not None:
            self._listening.doRead()

    def _taken_down(self, witness: Witness, probe: _Probe) -> Witness:
        if self._probe is probe:
            self._probe = None
        return witness
