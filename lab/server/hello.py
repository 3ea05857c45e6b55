"""Reads a ClientHello off the wire before TLS starts, and a ServerHello off what TLS answers; pure, bounded, total."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["LIMIT", "ClientHello", "HelloReader", "Progress", "ServerHello", "read_server_hello", "version_name"]

LIMIT = 64 * 1024
"""Most bytes that are read in search of one ClientHello, record headers included."""

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_HELLO = 2
_SERVER_NAME = 0
_SUPPORTED_GROUPS = 10
_SUPPORTED_VERSIONS = 43
_KEY_SHARE = 51
_STATUS_REQUEST, _OCSP = 5, b"\1"  # RFC 6066 section 8: the type, and the one kind of status
_MAX_RECORD = 2**14
_MAJOR = 3  # of every version since SSL 3.0
_HEADER = 5
_V2_LEAST = 9  # type, version and three lengths

_VERSIONS = {0x0002: "ssl2", 0x0300: "ssl3", 0x0301: "1.0", 0x0302: "1.1", 0x0303: "1.2", 0x0304: "1.3"}


def version_name(number: int) -> str:
    """Return how the lab writes a protocol version: ``1.2``, ``ssl3``, or ``0x7f1c`` for one that has no name."""
    return _VERSIONS.get(number) or f"0x{number:04x}"


def _is_grease(number: int) -> bool:
    """Tell whether a number is one of those reserved to be ignored (RFC 8701 section 2)."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF  # noqa: PLR2004 - RFC 8701's own pattern


@dataclass(frozen=True, slots=True)
class ClientHello:
    """A ClientHello (RFC 8446 section 4.1.2), as far as it could be read.

    ``raw`` is the whole handshake message with its header.  ``versions`` are those of supported_versions (without
    GREASE, in the client's order) or else legacy_version alone, which is then the highest one.  ``clock`` is
    gmt_unix_time, the first four bytes of the random (RFC 5246 section 7.4.1.2).  ``sslv2`` marks the old compatible
    form (RFC 5246 appendix E.2), which has neither a name nor extensions.  ``shares`` are the groups of the key shares
    (RFC 8446 section 4.2.8), ``groups`` those that are supported (section 4.2.7), both without GREASE.
    ``asks_status`` tells whether it asks for a stapled OCSP response (RFC 6066 section 8).  A malformed message leaves
    the fields behind its fault empty.
    """

    raw: bytes
    server_name: str | None = None
    versions: tuple[str, ...] = ()
    ciphers: tuple[int, ...] = ()
    clock: int | None = None
    sslv2: bool = False
    shares: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    asks_status: bool = False


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What a ServerHello or HelloRetryRequest settles (RFC 8446 section 4.1.3): version, and cipher suite number."""

    version: str
    cipher: int


class Progress(Enum):
    """How far a HelloReader is."""

    MORE = auto()
    """The message may still become a ClientHello."""
    COMPLETE = auto()
    """``hello`` is there."""
    NOT_TLS = auto()
    """These bytes are no ClientHello, or too long a one."""


class _Short(Exception):  # noqa: N818 - it never leaves this module
    """The bytes end before the field does."""


class _Foreign(Exception):  # noqa: N818 - it never leaves this module
    """These bytes are no ClientHello."""


class _Fields:
    """Takes fixed and length-prefixed fields off bytes, in order."""

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._end = data, 0, len(data)

    def take(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        if self._at > self._end:
            raise _Short
        return self._data[start : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, prefix: int) -> bytes:
        return self.take(self.number(prefix))

    def __bool__(self) -> bool:
        return self._at < self._end


def _pairs(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data) - 1, 2))


def _extensions(fields: _Fields) -> dict[int, bytes]:
    """Return a hello's extensions by number, the first one where a number comes twice."""
    found: dict[int, bytes] = {}
    if fields:
        within = _Fields(fields.vector(2))
        while within:
            number = within.number(2)
            found.setdefault(number, within.vector(2))
    return found


def _server_name(extension: bytes) -> str | None:
    """Return the host_name of a server_name extension (RFC 6066 section 3)."""
    names = _Fields(_Fields(extension).vector(2))
    while names:
        kind, name = names.number(1), names.vector(2)
        if kind == 0:
            return name.decode("ascii", "backslashreplace")
    return None


def _parse(raw: bytes) -> ClientHello:
    """Read a whole ClientHello message; what cannot be read stays empty."""
    fields = _Fields(raw)
    clock: int | None = None
    name: str | None = None
    versions: tuple[str, ...] = ()
    ciphers: tuple[int, ...] = ()
    shares: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    asks_status = False
    try:
        fields.take(4)
        versions = (version_name(fields.number(2)),)
        clock = fields.number(4)
        fields.take(28)
        fields.vector(1)
        ciphers = _pairs(fields.vector(2))
        fields.vector(1)
        extensions = _extensions(fields)
        if (offered := extensions.get(_SUPPORTED_VERSIONS)) is not None:
            listed = _pairs(_Fields(offered).vector(1))
            versions = tuple(version_name(number) for number in listed if not _is_grease(number))
        if (named := extensions.get(_SERVER_NAME)) is not None:
            name = _server_name(named)
        if (supported := extensions.get(_SUPPORTED_GROUPS)) is not None:
            groups = tuple(group for group in _pairs(_Fields(supported).vector(2)) if not _is_grease(group))
        shares = _shares(extensions.get(_KEY_SHARE))
        asks_status = extensions.get(_STATUS_REQUEST, b"")[:1] == _OCSP
    except _Short:
        pass
    return ClientHello(raw, name, versions, ciphers, clock, shares=shares, groups=groups, asks_status=asks_status)


def _shares(extension: bytes | None) -> tuple[int, ...]:
    groups = []
    shares = _Fields(_Fields(extension).vector(2)) if extension else _Fields(b"")
    while shares:
        groups.append(shares.number(2))
        shares.vector(2)
    return tuple(group for group in groups if not _is_grease(group))


def _parse_v2(raw: bytes) -> ClientHello:
    """Read an SSLv2-compatible hello: only the TLS suites among its three-byte ones are kept."""
    fields = _Fields(raw)
    version = ""
    ciphers: tuple[int, ...] = ()
    try:
        fields.take(1)
        version = version_name(fields.number(2))
        sizes = [fields.number(2) for _ in range(3)]
        specs = fields.take(sizes[0])
        ciphers = tuple(
            int.from_bytes(specs[i + 1 : i + 3], "big") for i in range(0, len(specs) - 2, 3) if not specs[i]
        )
    except _Short:
        pass
    return ClientHello(raw, versions=(version,) if version else (), ciphers=ciphers, sslv2=True)


class HelloReader:
    """Collects one ClientHello from bytes as they come, over as many records as it takes (RFC 8446 section 5.1).

    Feed it until it says something other than ``Progress.MORE``; ``hello`` is then the message, or None.  It never
    raises, and keeps no more than ``LIMIT`` bytes.
    """

    __slots__ = ("_at", "_buffer", "_message", "_progress", "hello")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._message = bytearray()
        self._at = 0
        self._progress = Progress.MORE
        self.hello: ClientHello | None = None

    def feed(self, data: bytes) -> Progress:
        """Take bytes as they came from the network and say how far that brought us."""
        if self._progress is Progress.MORE:
            self._buffer += data[: LIMIT + 1 - len(self._buffer)]
            try:
                self.hello = self._read_v2() if self._buffer[:1] >= b"\x80" else self._read()
            except _Foreign:
                self._progress = Progress.NOT_TLS
            else:
                if self.hello is not None:
                    self._progress = Progress.COMPLETE
                elif len(self._buffer) > LIMIT:
                    self._progress = Progress.NOT_TLS
        return self._progress

    def _read(self) -> ClientHello | None:
        message = self._message
        while (fragment := self._fragment()) is not None:
            message += fragment
            if message[0] != _CLIENT_HELLO:
                raise _Foreign
            whole = 4 + int.from_bytes(message[1:4], "big")
            if len(message) >= 4 and whole > LIMIT:  # noqa: PLR2004 - a handshake header
                raise _Foreign
            if len(message) >= max(4, whole):
                return _parse(bytes(message[:whole]))
        return None

    def _fragment(self) -> bytes | None:
        """Return what the next record carries, or None where it is not all there."""
        header = self._buffer[self._at : self._at + _HEADER]
        if not header:
            return None
        if header[0] != _HANDSHAKE or (len(header) > 1 and header[1] != _MAJOR):
            raise _Foreign
        if len(header) < _HEADER:
            return None
        size = int.from_bytes(header[3:], "big")
        if not 0 < size <= _MAX_RECORD:
            raise _Foreign
        start = self._at + _HEADER
        if len(self._buffer) < start + size:
            return None
        self._at = start + size
        return bytes(self._buffer[start : self._at])

    def _read_v2(self) -> ClientHello | None:
        buffer = self._buffer
        if bytes(buffer[2:3]) not in (b"", b"\1") or bytes(buffer[3:4]) not in (b"", b"\0", b"\3"):
            raise _Foreign
        size = int.from_bytes(buffer[:2], "big") & 0x7FFF
        if len(buffer) < 2 or len(buffer) < 2 + size:  # noqa: PLR2004 - a version 2 header
            return None
        if size < _V2_LEAST:
            raise _Foreign
        return _parse_v2(bytes(buffer[2 : 2 + size]))


def read_server_hello(flight: bytes) -> ServerHello | None:
    """Return what a server's first flight settles, or None where it does not start with a ServerHello."""
    try:
        fields = _Fields(flight)
        kind, _, size = fields.number(1), fields.take(2), fields.number(2)
        message = _Fields(fields.take(size))
        if kind != _HANDSHAKE or message.number(1) != _SERVER_HELLO:
            return None
        body = _Fields(message.vector(3))
        version = body.number(2)
        body.take(32)
        body.vector(1)
        cipher = body.number(2)
        body.take(1)
        chosen = _extensions(body).get(_SUPPORTED_VERSIONS, b"")
    except _Short:
        return None
    return ServerHello(version_name(int.from_bytes(chosen, "big") if chosen else version), cipher)
