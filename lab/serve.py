"""The server alone: doors that show an exhibit to whoever comes, and tell of each connection when it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from lab.errors import InputError, Problem, did_you_mean
from lab.model.result import Witness
from lab.model.scenario import Scenario
from lab.pki.keys import KeyRing
from lab.pki.mint import Minted, mint, wanted_keys
from lab.replay import Unplayable, steady
from lab.server.connection import Limits, ServerConnection
from lab.server.exhibit import Exhibit
from lab.server.imposter import connection_class

__all__ = ["Door", "Visit", "minted_for", "stay", "story_of"]

T = TypeVar("T")


@dataclass(frozen=True)
class Visit(Generic[T]):
    """A connection that is over: what was shown to it, where it came from, and what was seen of it."""

    shown: T
    peer: str
    witness: Witness


class Door(Factory, Generic[T]):
    """One listening port for anybody; unlike a lane it keeps the witness of every connection.

    ``visited`` is called with each visit when its connection has closed.  A connection that comes while nothing is
    shown is closed unread.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        host: str,
        visited: Callable[[Visit[T]], None],
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self.host = host
        self.port = 0
        self._reactor = reactor
        self._visited = visited
        self._limits = limits
        self._listening: Any = None
        self._shown: Sequence[tuple[T, Exhibit]] = ()
        self._turn = 0
        self._open: set[ServerConnection] = set()

    @property
    def busy(self) -> bool:
        """Whether a connection is open."""
        return bool(self._open)

    def open(self, port: int = 0) -> None:
        """Listen; raise InputError where the system says no."""
        try:
            self._listening = self._reactor.listenTCP(port, self, backlog=50, interface=self.host)
        except Exception as error:
            raise InputError.one(f"cannot listen on {self.host}:{port}: {error}") from error
        self.port = self._listening.getHost().port

    def show(self, what: T, exhibit: Exhibit) -> None:
        """Show an exhibit, known as ``what``, to every connection that is accepted from now on."""
        self.show_in_turn([(what, exhibit)])

    def show_in_turn(self, shown: Sequence[tuple[T, Exhibit]]) -> None:
        """Show exhibits in turn, one a connection, from now on: the servers behind a load balancer."""
        for _what, exhibit in shown:
            exhibit.prepare()
        self._shown, self._turn = tuple(shown), 0

    def abort(self) -> None:
        """Close what is open."""
        for connection in tuple(self._open):
            connection.abort("lab")

    def close(self) -> Deferred[None]:
        """Stop listening and close what is open; fires when the port is free."""
        self._shown = ()
        self.abort()
        listening, self._listening = self._listening, None
        return maybeDeferred(listening.stopListening) if listening is not None else maybeDeferred(lambda: None)

    def buildProtocol(self, addr: IAddress | None) -> ServerConnection | None:  # noqa: N802 - twisted's name
        """Return what serves a new connection, or None to close it at once."""
        if not self._shown or len(self._open) >= self._limits.connections:
            return None
        what, exhibit = self._shown[self._turn % len(self._shown)]
        self._turn += 1
        peer = f"{getattr(addr, 'host', '?')}:{getattr(addr, 'port', 0)}"

        def gone(connection: ServerConnection) -> None:
            self._open.discard(connection)
            self._visited(Visit(what, peer, connection.record.witness()))

        serve = connection_class(exhibit)
        connection = serve(self._reactor, exhibit, self._limits, gone)
        self._open.add(connection)
        return connection


def story_of(visit: Visit[T], clock: datetime) -> str:
    """Return a line about a visit: who came, for which name, with which versions, how it went and how it ended."""
    seen = visit.witness
    if not seen.hello:
        story = ", ".join([f"sent no ClientHello ({seen.closed})", *seen.faults])
        return f"{clock:%H:%M:%S}  {visit.peer}  {story}"
    asked = f"for {seen.server_name}" if seen.server_name else "for no name"
    offered = f"offers TLS {', '.join(seen.versions)}" if seen.versions else "offers no TLS version"
    if seen.handshake:
        went = f"handshake finished (TLS {seen.tls})"
    else:
        went = "handshake not finished, certificates " + ("sent" if seen.certificates else "not sent")
    parts = [asked, offered, went]
    if seen.data:
        parts.append("HTTP request answered" if seen.answered else f"{seen.data} bytes of data")
    if seen.device is not None:
        shown = f"{len(seen.device.presented)} certificates shown" if seen.device.presented else "no certificate shown"
        parts.append(f"{shown}, " + ("accepted" if seen.device.accepted else f"rejected: {seen.device.text}"))
    parts += [f"alert {seen.alert}"] if seen.alert else []
    parts += [f"our alert {seen.alert_sent}"] if seen.alert_sent else []
    parts += seen.faults
    return f"{clock:%H:%M:%S}  {visit.peer}  " + ", ".join([*parts, f"closed by {seen.closed}"])


def minted_for(
    scenarios: Iterable[Scenario], ring: KeyRing, moment: str | None, now: datetime
) -> dict[str, tuple[Scenario, Minted]]:
    """Mint scenarios, by slug: at their own dates, or shifted so that the time called ``moment`` is now.

    Where a certificate ends within a day from that time, the scenario is shifted a little further, on the same side.
    Raise InputError with every scenario that has no such time or cannot be shifted to it.
    """
    every = list(scenarios)
    ring.prepare(key for scenario in every for key in wanted_keys(scenario))
    made: dict[str, tuple[Scenario, Minted]] = {}
    problems: list[Problem] = []
    for scenario in every:
        told = mint(scenario, ring)
        if moment is None:
            made[scenario.slug] = scenario, told
            continue
        file = f"{scenario.slug}/scenario.toml"
        try:
            at = scenario.moment(moment)
            shift = now.replace(microsecond=0) - steady(at, _ends(told.certificates))
        except KeyError:
            remedy = did_you_mean(moment, scenario.times)
            problems.append(Problem(file=file, field="times", found=f'no time is called "{moment}"', remedy=remedy))
        except Unplayable as why:
            problems.append(Problem(file=file, found=f'"{moment}" cannot be now: {why}'))
        else:
            made[scenario.slug] = scenario, mint(scenario, ring, shift=shift)
    if problems:
        raise InputError(problems)
    return made


def _ends(certificates: Mapping[str, Any]) -> Iterable[datetime]:
    for certificate in certificates.values():
        yield from (certificate.not_valid_before_utc, certificate.not_valid_after_utc)


async def stay(doors: Iterable[Door[T]]) -> None:
    """Keep doors open until this is cancelled, and close them then."""
    forever: Deferred[None] = Deferred()
    try:
        await forever
    finally:
        await DeferredList([door.close() for door in doors], consumeErrors=True)
