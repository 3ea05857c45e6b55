"""The runtime of clients that run elsewhere and dial in to the lab."""

from __future__ import annotations

import hmac
import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from lab.clients.runtime import Ready, Unready
from lab.clients.session import Session, SessionEnd
from lab.corpus import Client
from lab.errors import ClientError, EngineError

__all__ = ["DialInRuntime"]

_HELLO_S = 10.0
_UNKNOWN_AT_ONCE = 64


class _Dialogue(Protocol):
    """One client that dialled in."""

    transport: Any = None  # zope's interfaces mean nothing to a type checker
    factory: _Doorway

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.session: Session | None = None

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        self.transport.setTcpNoDelay(True)
        self.session = Session(self._reactor, self, self.transport.getHost().host, self.transport.getPeer().host)
        self.factory.arrived(self)

    def write(self, data: bytes) -> None:
        """Send bytes to the client."""
        self.transport.write(data)

    def kill(self) -> None:
        """Hang up: the process is not ours to end."""
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        assert self.session is not None
        self.session.received(data)

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: ARG002, N802 - Twisted's name
        assert self.session is not None
        self.session.lost("it hung up")
        self.factory.left(self)


class _Doorway(Factory):
    """Lets in clients that show the token and name a column that is wanted."""

    noisy = False

    def __init__(self, reactor: Any, token: str, say: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._token = token
        self._say = say
        self.inside: set[_Dialogue] = set()
        self.wanted: set[str] = set()
        self.free: dict[str, list[Session]] = {}
        self.waiting: dict[str, list[Deferred[Session]]] = {}

    def buildProtocol(self, addr: Any) -> _Dialogue | None:  # type: ignore[override]  # noqa: ARG002, N802
        if len(self.inside) - sum(map(len, self.free.values())) > _UNKNOWN_AT_ONCE + len(self.wanted):
            return None
        dialogue = _Dialogue(self._reactor)
        dialogue.factory = self
        return dialogue

    def arrived(self, dialogue: _Dialogue) -> None:
        self.inside.add(dialogue)
        Deferred.fromCoroutine(self._welcome(dialogue))

    def left(self, dialogue: _Dialogue) -> None:
        self.inside.discard(dialogue)
        for free in self.free.values():
            if dialogue.session in free:
                free.remove(dialogue.session)

    async def _welcome(self, dialogue: _Dialogue) -> None:
        assert dialogue.session is not None
        peer = dialogue.transport.getPeer().host
        try:
            hello = await dialogue.session.greeting(_HELLO_S)
        except SessionEnd as end:
            self._say(f"{peer} dialled in, but said no hello: {end}")
            return
        column = hello.column or ""
        if not hmac.compare_digest((hello.token or "").encode(), self._token.encode()):
            self._say(f"{peer} dialled in without the run's token: turned away")
            dialogue.session.kill()
        elif column not in self.wanted:
            self._say(f'{peer} dialled in as "{column}", which is not part of this run: turned away')
            dialogue.session.kill()
        elif self.waiting.get(column):
            self.waiting[column].pop(0).callback(dialogue.session)
        else:
            self.free.setdefault(column, []).append(dialogue.session)


class DialInRuntime:
    """Waits for clients that dial in at ``host:port`` and show ``token``; ``say`` tells a person who was turned away.

    ``patience`` is how many seconds a column may take to come, or to come back after the lab hung up on it.
    """

    name = "dial"

    def __init__(
        self,
        reactor: Any,
        address: tuple[str, int],
        token: str,
        *,
        patience: float = 120.0,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._reactor = reactor
        self._address = address
        self._patience = patience
        self._doorway = _Doorway(reactor, token, say)
        self._port: Any = None

    @property
    def interface(self) -> str:
        """The address that is listened on; each session's ``lab_address`` says how its client reaches the lab."""
        return self._address[0]

    @property
    def port(self) -> int:
        """The port that is listened on, once ``prepare`` is done."""
        return int(self._port.getHost().port)

    async def reached_at(self) -> str:
        """Return where clients reach the lab: the address that is listened on, or where that is any, this host's."""
        host = self._address[0]
        if host not in {"", "0.0.0.0", "::"}:  # noqa: S104 - looked for, not listened on
            return host
        try:
            return socket.gethostbyname(socket.gethostname())
        except OSError as error:
            raise EngineError(f"this machine's name has no address that clients could be told: {error}") from error

    async def prepare(self, clients: Sequence[Client]) -> dict[str, Ready | Unready]:
        """Open the door; nothing is built here."""
        self._doorway.wanted = {client.name for client in clients}
        if self._port is None:
            host, port = self._address
            self._port = self._reactor.listenTCP(port, self._doorway, interface=host)
        return {client.name: Ready("") for client in clients}

    async def start(self, client: Client) -> Session:
        """Return a client that dialled in as this column; raise ClientError where none comes in time."""
        free = self._doorway.free.get(client.name)
        if free:
            return free.pop(0)
        arrival: Deferred[Session] = Deferred()
        self._doorway.waiting.setdefault(client.name, []).append(arrival)
        timer = self._reactor.callLater(self._patience, arrival.cancel)
        arrival.addErrback(self._nobody, client.name)
        try:
            return await arrival
        finally:
            if timer.active():
                timer.cancel()
            if arrival in self._doorway.waiting[client.name]:
                self._doorway.waiting[client.name].remove(arrival)

    def _nobody(self, _failure: Failure, name: str) -> Session:
        raise ClientError(name, f"did not dial in within {self._patience:g} s")

    async def close(self) -> None:
        """Close the door, and hang up on everyone."""
        if self._port is not None:
            await self._port.stopListening()
        sessions = [dialogue.session for dialogue in self._doorway.inside if dialogue.session is not None]
        for session in sessions:
            session.kill()
        await DeferredList([session.gone for session in sessions])
