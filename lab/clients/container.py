"""The runtime in which clients are Docker containers; the only module that knows Docker."""

from __future__ import annotations

import re
import shutil
import socket
import tempfile
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound, NotFound
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThread

from lab.clients.build import build_context, build_key, in_parallel, input_digest
from lab.clients.runtime import Ready, Unready, owner, owner_alive
from lab.clients.session import Session
from lab.corpus import Client
from lab.errors import ClientError, EngineError

__all__ = ["ContainerRuntime", "engine_answers", "sweep"]

_SUITE = "bookworm"
_OURS = "org.tlslab"
_OWNER = "org.tlslab.owner"
_FRAME_HEADER = 8
_STDERR = 2
_TAIL = 2000


def engine_answers() -> bool:
    """Tell whether a Docker engine answers where the environment says that it is."""
    try:
        engine = docker.from_env(timeout=10)
    except DockerException:
        return False
    try:
        return bool(engine.ping())
    except (DockerException, OSError):
        return False
    finally:
        engine.close()


class _Attached(Protocol):
    """The attached stdin, stdout and stderr of a container, as the engine's API frames them.

    A frame is a byte that names the stream, three zeros, and a big-endian length of four bytes (Docker Engine API,
    "Attach to a container").
    """

    transport: Any = None  # zope's interfaces mean nothing to a type checker

    def __init__(self, reactor: Any, lab_address: str, address: str, end: Callable[[], str]) -> None:
        self._reactor = reactor
        self._end = end
        self._buffer = bytearray()
        self.session = Session(reactor, self, lab_address, address)

    def write(self, data: bytes) -> None:
        """Send bytes to the container's stdin."""
        if self.transport is not None:
            self.transport.write(data)

    def kill(self) -> None:
        """Remove the container; ``lost`` follows when that is done."""
        if self.transport is not None:
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self._buffer += data
        while len(self._buffer) >= _FRAME_HEADER:
            length = int.from_bytes(self._buffer[4:_FRAME_HEADER], "big")
            if len(self._buffer) < _FRAME_HEADER + length:
                return
            stream, body = self._buffer[0], bytes(self._buffer[_FRAME_HEADER : _FRAME_HEADER + length])
            del self._buffer[: _FRAME_HEADER + length]
            (self.session.received_stderr if stream == _STDERR else self.session.received)(body)

    def connectionLost(self, reason: Any = None) -> None:  # noqa: ARG002, N802 - Twisted's name
        ending = deferToThread(self._end)
        ending.addCallbacks(self.session.lost, lambda failure: self.session.lost(failure.getErrorMessage()))


class ContainerRuntime:
    """Builds and runs clients as containers on a private network; lanes are at that network's gateway.

    The network is internal: from it a container reaches the gateway, which is this machine, and nothing else.
    Containers run with a read-only root, no capabilities, no new privileges, and limits on memory and processes.
    """

    name = "docker"

    def __init__(self, reactor: Any, cache: Path) -> None:
        self._reactor = reactor
        self._cache = cache
        self._engine = docker.from_env(timeout=120)
        self._run = uuid.uuid4().hex[:8]
        self._labels = {_OURS: "", _OWNER: owner()}
        self._network: Any = None
        self._gateway = ""
        self._images: dict[str, str] = {}
        self._sessions: set[Session] = set()
        self._working: set[Deferred[Any]] = set()
        self._count = 0

    @property
    def interface(self) -> str:
        """The gateway of the private network."""
        return self._gateway

    async def reached_at(self) -> str:
        """Make the private network where it is not there, and return its gateway's address; raise EngineError."""
        if self._network is None:
            await self._in_thread(self._open_network)
        return self._gateway

    async def prepare(self, clients: Sequence[Client]) -> dict[str, Ready | Unready]:
        """Clear away what a killed lab left, make the network, and build the images that are not there."""
        await self.reached_at()
        built = await in_parallel(self._reactor, self._image, clients, build_key)
        self._images = {name: one for name, one in built.items() if isinstance(one, str)}
        return {name: Ready(one.rpartition(":")[2]) if isinstance(one, str) else one for name, one in built.items()}

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do what blocks in a thread.  Who waits may be cancelled; the thread cannot, and ``close`` waits for it."""
        working = deferToThread(work, *arguments)
        waiting: Deferred[Any] = Deferred(lambda _cancelled: None)
        self._working.add(working)

        def done(result: Any) -> None:
            self._working.discard(working)
            if not waiting.called:
                waiting.callback(result)

        working.addBoth(done)
        return await waiting

    def _open_network(self) -> None:
        try:
            sweep(self._engine)
            self._network = self._engine.networks.create(
                f"tlslab-{self._run}", driver="bridge", internal=True, labels=self._labels
            )
            self._network.reload()
            self._gateway = self._network.attrs["IPAM"]["Config"][0]["Gateway"].partition("/")[0]
        except (DockerException, OSError, LookupError) as error:
            raise EngineError(f"the Docker engine made no private network: {error}") from error

    def _image(self, client: Client) -> str | Unready:
        if client.image:
            return self._given(client.image)
        stack, version = client.home.manifest.stack, client.column.version
        base = f"debian:{client.column.suite or _SUITE}-slim"
        try:
            digest = input_digest(client, f"image\0{self._base_id(base)}")
            tag = f"tlslab/{stack}:{re.sub(r'[^A-Za-z0-9_.-]', '_', version)}-{digest[:16]}"
            if not self._engine.images.list(name=tag):
                failure = self._build(client, tag, base)
                if failure is not None:
                    return failure
        except DockerException as error:
            return Unready(f"the Docker engine does not build its image: {error}")
        return tag

    def _given(self, image: str) -> str | Unready:
        """Return an image that is not ours to build, by its id, so that a tag that moves cannot change a run."""
        try:
            return str(self._engine.images.get(image).id)
        except ImageNotFound:
            return Unready(f'the engine has no image "{image}": docker pull {image}')
        except DockerException as error:
            return Unready(f'the engine does not tell of the image "{image}": {error}')

    def _base_id(self, base: str) -> str:
        """Return the id of a base image, which is pulled where it is not there; raise DockerException."""
        try:
            return str(self._engine.images.get(base).id)
        except ImageNotFound:
            try:
                return str(self._engine.images.pull(base).id)
            except DockerException as error:
                suite = base.removeprefix("debian:").removesuffix("-slim")
                raise DockerException(f"no {base}, nor a registry to pull it from: tools/base-image {suite}") from error

    def _build(self, client: Client, tag: str, base: str) -> Unready | None:
        stack = client.home.manifest.stack
        context = Path(tempfile.mkdtemp(prefix="tlslab-context-"))
        try:
            failure = build_context(client, context, self._cache)
            if failure is not None:
                return failure
            self._engine.images.build(
                path=str(context),
                dockerfile=f"{stack}/Dockerfile",
                tag=tag,
                buildargs={"VERSION": client.column.version, "BASE": base, **client.column.make},
                platform=client.column.platforms[0] if client.column.platforms else None,
                labels={"org.tlslab.client": client.name},
                rm=True,
                forcerm=True,
            )
        except BuildError as error:
            log = "".join(str(line.get("stream", line.get("error", ""))) for line in error.build_log)
            return Unready(f"its image does not build: {error.msg}: {log[-_TAIL:].strip()}")
        finally:
            shutil.rmtree(context, ignore_errors=True)
        return None

    async def start(self, client: Client) -> Session:
        """Start a container of a client; raise ClientError where the engine does not."""
        image = self._images.get(client.name)
        if image is None:
            raise ClientError(client.name, "has no image")
        self._count += 1
        name = f"tlslab-{self._run}-{re.sub(r'[^A-Za-z0-9_.-]', '-', client.name)}-{self._count}"
        try:
            container, stream, address = await self._in_thread(self._launch, client, image, name)
        except (DockerException, OSError) as error:
            raise ClientError(client.name, f"its container does not start: {error}") from error
        protocol = _Attached(self._reactor, self._gateway, address, lambda: _remove(container))
        session = protocol.session
        self._sessions.add(session)
        session.gone.addCallback(lambda _none: self._sessions.discard(session))
        # The reactor duplicates the descriptor; ours is closed: the socket, and the stream that holds it open.
        factory = _Once(protocol)
        self._reactor.adoptStreamConnection(stream.fileno(), socket.AF_UNIX, factory)
        getattr(stream, "_sock", stream).close()
        stream.close()
        return session

    def _launch(self, client: Client, image: str, name: str) -> tuple[Any, Any, str]:
        limits = client.home.manifest.build
        container = self._engine.containers.create(
            image,
            command=[word for option in client.column.options for word in ("--option", option)],
            name=name,
            labels=self._labels,
            network=self._network.name,
            platform=client.column.platforms[0] if client.column.platforms else None,
            stdin_open=True,
            init=True,
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit=f"{limits.memory}m",
            memswap_limit=f"{limits.memory}m",
            pids_limit=limits.processes,
            tmpfs={"/tmp": "size=64m,mode=1777,noexec,nosuid,nodev"},  # noqa: S108 - the container's own
            user="65534:65534",
            environment={"TZ": "UTC", "LC_ALL": "C"},
            log_config={"type": "none"},
        )
        try:
            # Attached before it starts, so that no byte is missed.
            stream = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            container.start()
            container.reload()
            networks = container.attrs["NetworkSettings"]["Networks"]
        except BaseException:
            with suppress(DockerException):
                container.remove(force=True)
            raise
        return container, stream, networks[self._network.name]["IPAddress"]

    async def close(self) -> None:
        """Remove every container of ours and the network, and wait until they are gone."""
        await DeferredList(list(self._working))
        sessions = list(self._sessions)
        for session in sessions:
            session.kill()
        await DeferredList([session.gone for session in sessions])
        await deferToThread(self._clear)

    def _clear(self) -> None:
        with suppress(DockerException):
            sweep(self._engine, self._labels[_OWNER])
        self._engine.close()


class _Once:
    """A factory for one protocol that exists already."""

    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: Any) -> Protocol:  # noqa: ARG002, N802 - Twisted's name
        return self._protocol

    def doStart(self) -> None:  # noqa: N802 - Twisted's name
        """Nothing to start."""

    def doStop(self) -> None:  # noqa: N802 - Twisted's name
        """Nothing to stop."""


def _remove(container: Any) -> str:
    """Remove a container and say how it ended."""
    how = "removed"
    with suppress(DockerException, LookupError):
        container.reload()
        state = container.attrs["State"]
        if not state["Running"]:
            how = "killed for want of memory" if state["OOMKilled"] else f"exit status {state['ExitCode']}"
    with suppress(NotFound, APIError):
        container.remove(force=True)
    return how


def sweep(engine: Any, mark: str | None = None) -> int:
    """Remove containers and networks of labs that no longer run, or those of one owner; return how many."""
    ours = {"label": _OWNER}
    gone = 0
    for container in engine.containers.list(all=True, filters=ours, ignore_removed=True):
        if _is_left(container.labels.get(_OWNER, ""), mark):
            with suppress(DockerException):
                container.remove(force=True)
                gone += 1
    for network in engine.networks.list(filters=ours):
        if _is_left((network.attrs.get("Labels") or {}).get(_OWNER, ""), mark):
            with suppress(DockerException):
                network.remove()
                gone += 1
    return gone


def _is_left(found: str, mark: str | None) -> bool:
    return found == mark if mark is not None else not owner_alive(found)
