"""The lab's HTTP port: answers about the certificates of the case that a client probes, and knows who asked what.

OCSP by GET and POST (RFC 6960 appendix A), CRLs and issuers' certificates by GET (RFC 5280 sections 4.2.1.13 and
4.2.2.1).  What is said is made when it is asked for: at the moment of the case, which is the client's clock.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from lab.errors import EngineError
from lab.model.revocation import said
from lab.model.scenario import Case
from lab.pki.addresses import issuer_of
from lab.pki.mint import Minted
from lab.pki.status import crl, ocsp_refusal, ocsp_response

__all__ = ["Bounds", "Repository", "Turn"]

_SLOW_S = 2.0
"""How late a slow answer is: within the patience of those who have any, and seen in a cell's milliseconds."""
_OCSP, _CRL, _CERTIFICATE = b"application/ocsp-response", b"application/pkix-crl", b"application/pkix-cert"


@dataclass(frozen=True)
class Bounds:
    """What one connection, and one peer's address, may cost."""

    seconds: float = 10.0
    """From accept to close, whatever it does."""
    request_bytes: int = 16 * 1024
    """What is read of one connection."""
    connections: int = 16
    """Connections that one address has open at once; one more is closed unread."""


class _Bounded(ProtocolWrapper):
    """Ends a connection that lasts too long, or says too much."""

    factory: Any
    transport: Any
    _timer: Any = None
    _read = 0

    def makeConnection(self, transport: Any) -> None:  # noqa: N802 - twisted's name
        super().makeConnection(transport)  # type: ignore[no-untyped-call]
        self._timer = self.factory.reactor.callLater(self.factory.bounds.seconds, transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - twisted's name
        self._read += len(data)
        if self._read > self.factory.bounds.request_bytes:
            self.transport.abortConnection()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802 - twisted's name
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


class _Door(WrappingFactory):
    protocol = _Bounded
    noisy = False

    def __init__(self, site: Any, reactor: Any, bounds: Bounds) -> None:
        super().__init__(site)  # type: ignore[no-untyped-call]
        self.reactor = reactor
        self.bounds = bounds

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802 - twisted's name
        host = getattr(addr, "host", "")
        same = sum(one.transport is not None and one.getPeer().host == host for one in self.protocols)
        return None if same >= self.bounds.connections else super().buildProtocol(addr)


class _Answer(NamedTuple):
    """What is answered: a body of some type; None for no answer at all.  ``what`` tells of it in words."""

    body: bytes | None
    kind: bytes
    what: str
    late: bool = False


@dataclass
class Turn:
    """One client's probe of a case: while it lasts, the repository answers that client about the case's certificates.

    ``asked`` is what was asked, in order, each with what was answered: ``ocsp site: revoked``.
    """

    case: Case
    minted: Minted
    asked: list[str] = field(default_factory=list)


class Repository(Resource):
    """Listens at ``interface`` on a port that the system chooses, once ``open``.

    A client is known by the address that it comes from.  Clients that share one, as all do on loopback, take turns
    at cases whose certificates point here; so what is asked during a turn is the client's whose turn it is.
    """

    isLeaf = True  # noqa: N815 - twisted's name

    def __init__(self, reactor: Any, interface: str, bounds: Bounds = Bounds()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.host = interface
        self.port = 0
        self.stray = 0
        self._reactor = reactor
        self._bounds = bounds
        self._turns: dict[str, Turn] = {}
        self._locks: dict[str, DeferredLock] = {}
        self._door: _Door | None = None
        self._listening: Any = None

    @property
    def address(self) -> str:
        """Where it is reached: ``http://127.0.0.1:20002``."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def open(self) -> None:
        """Listen; raise EngineError where the system says no."""
        site: Any = Site(self, reactor=self._reactor, timeout=self._bounds.seconds)  # type: ignore[no-untyped-call]
        site.noisy = False
        site.displayTracebacks = False
        site.log = lambda request: None  # noqa: ARG005 - the witness tells
        self._door = _Door(site, self._reactor, self._bounds)
        try:
            self._listening = self._reactor.listenTCP(0, self._door, backlog=50, interface=self.host)
        except Exception as error:
            raise EngineError(f"the lab's HTTP port cannot be opened at {self.host}: {error}") from error
        self.port = self._listening.getHost().port

    def close(self) -> Deferred[None]:
        """Stop listening and drop what is open; fires when the port is free."""
        self._drop()
        listening, self._listening = self._listening, None
        return maybeDeferred(listening.stopListening) if listening is not None else maybeDeferred(lambda: None)

    async def begin(self, peer: str, turn: Turn) -> Callable[[], None]:
        """Begin a client's turn when nobody else's from its address is under way; return what ends it."""
        lock = self._locks.setdefault(peer, DeferredLock())
        await lock.acquire()
        self._turns[peer] = turn

        def end() -> None:
            del self._turns[peer]
            self._drop(peer)
            lock.release()

        return end

    def _drop(self, peer: str | None = None) -> None:
        """Drop the connections of one address, or all: what is left of a probe is in nobody's way."""
        if self._listening is not None:
            self._listening.doRead()  # what the kernel has connected already
        for one in tuple(self._door.protocols) if self._door is not None else ():
            if peer is None or one.getPeer().host == peer:
                one.transport.abortConnection()

    def render(self, request: Any) -> bytes | int:
        """Answer whoever asks; who has no turn gets 503."""
        request.setHeader(b"connection", b"close")
        turn = self._turns.get(request.getClientAddress().host)
        if turn is None:
            self.stray += 1
            request.setResponseCode(503)
            return b""
        answer = _answer(turn, request)
        if answer is None:
            request.setResponseCode(404)
            return b""
        if answer.body is None:
            turn.asked.append(answer.what)
            request.loseConnection()
            return NOT_DONE_YET
        request.setHeader(b"content-type", answer.kind)
        if not answer.late:
            turn.asked.append(answer.what)
            return answer.body
        timer = self._reactor.callLater(_SLOW_S, _finish, request, turn, answer)
        request.notifyFinish().addErrback(_gave_up, timer, turn, answer)
        return NOT_DONE_YET


def _finish(request: Any, turn: Turn, answer: _Answer) -> None:
    turn.asked.append(answer.what)
    request.write(answer.body or b"")
    request.finish()


def _gave_up(_reason: Any, timer: Any, turn: Turn, answer: _Answer) -> None:
    if timer.active():
        timer.cancel()
        turn.asked.append(f"{answer.what.partition(':')[0]}: gave up waiting")


def _answer(turn: Turn, request: Any) -> _Answer | None:
    """Return what a request is answered; None where it asks for nothing that the case's scenario has."""
    moment, kind, slug, name, *rest = [*(unquote_to_bytes(part) for part in request.postpath), b"", b"", b"", b""]
    certificate = name.decode("ascii", "replace").partition(".")[0]
    scenario = turn.minted.scenario
    if (
        moment != f"{turn.case.at:%Y%m%dT%H%M%SZ}".encode()
        or slug != scenario.slug.encode()
        or certificate not in scenario.certificates
    ):
        return None
    if kind == b"ocsp":
        body = _posted(request) if request.method == b"POST" else _in_path(request)
        return _ocsp(turn, certificate, body)
    if request.method not in {b"GET", b"HEAD"} or rest[:-4]:
        return None
    if kind == b"crl":
        return _crl(turn, certificate)
    return _issuer(turn, certificate) if kind == b"issuer" else None


def _posted(request: Any) -> bytes:
    return request.content.read() if request.content is not None else b""


def _in_path(request: Any) -> bytes:
    """Return what is in the path behind ``/MOMENT/ocsp/SCENARIO/CERTIFICATE/``: base64, of which slashes are a part."""
    encoded = unquote_to_bytes(request.uri.split(b"?")[0].split(b"/", 5)[-1])
    try:
        return base64.b64decode(encoded)
    except (binascii.Error, ValueError):
        return b""


def _ocsp(turn: Turn, certificate: str, body: bytes) -> _Answer | None:
    says = said(turn.minted.scenario.certificates[certificate].ocsp)
    if says is None:
        return None
    label = f"ocsp {certificate}"
    refusal = ocsp.OCSPResponseStatus
    if says == "unreachable":
        return _Answer(None, _OCSP, f"{label}: no answer")
    try:
        asked = ocsp.load_der_ocsp_request(body)
        serial = asked.serial_number
    except ValueError:
        return _Answer(ocsp_refusal(refusal.MALFORMED_REQUEST), _OCSP, f"{label}: not understood")
    if serial != turn.minted.certificates[certificate].serial_number:
        return _Answer(ocsp_refusal(refusal.UNAUTHORIZED), _OCSP, f"{label}: not about that")
    if says == "try-later":
        return _Answer(ocsp_refusal(refusal.TRY_LATER), _OCSP, f"{label}: try later")
    spoken = ocsp_response(turn.minted, certificate, says, turn.case.at, asked)
    return _Answer(spoken.der, _OCSP, f"{label}: {spoken.word}", late=says == "slow")


def _crl(turn: Turn, certificate: str) -> _Answer | None:
    says = said(turn.minted.scenario.certificates[certificate].crl)
    if says is None:
        return None
    if says == "unreachable":
        return _Answer(None, _CRL, f"crl {certificate}: no answer")
    spoken = crl(turn.minted, certificate, says, turn.case.at)
    return _Answer(spoken.der, _CRL, f"crl {certificate}: {spoken.word}", late=says == "slow")


def _issuer(turn: Turn, certificate: str) -> _Answer | None:
    name = issuer_of(turn.minted.scenario, certificate)
    if name is None:
        return None
    der = turn.minted.certificates[name].public_bytes(Encoding.DER)
    return _Answer(der, _CERTIFICATE, f"issuer of {certificate}: {name}")
