"""The lines between the lab and a client: hello, probe, report.  One JSON object a line; unknown fields are ignored."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lab.model.base import Model
from lab.model.scenario import Reason

__all__ = ["MAX_LINE", "Hello", "Outcome", "Probe", "Report", "Stage"]

MAX_LINE = 4 * 1024 * 1024
"""Longest line that either side reads, in bytes."""


class Outcome(StrEnum):
    """What a client may say of a probe.  Everything else that may happen is for the lab to name."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


class Stage(StrEnum):
    """How far a probe came."""

    LOAD = "load"
    CONNECT = "connect"
    HANDSHAKE = "handshake"
    HTTP = "http"
    HARNESS = "harness"


class _Line(Model):
    model_config = ConfigDict(extra="ignore")

    v: Literal[1]
    """Version of the dialogue."""


class Hello(_Line):
    """A client's first line: who it is."""

    client: Annotated[str, Field(max_length=100)]
    """The stack."""
    version: Annotated[str, Field(max_length=300)]
    """What the library itself says of its version."""
    clock: Literal["native", "faketime", "real"]
    """Who decides what time the stack believes."""
    can: tuple[str, ...] = ()
    """Versions and features that the build has."""
    options: tuple[str, ...] = ()
    """Where the driver leaves the stack's defaults."""
    column: str | None = None
    """The column, said by a client that dials in."""
    token: str | None = None
    """The run's token, shown by a client that dials in."""


class Probe(Model):
    """One connection to make."""

    v: Literal[1] = 1
    id: str
    """Comes back in the report."""
    host: str
    """Where to connect: a numeric address."""
    port: int
    """The port of the session's lane."""
    server_name: str
    """The name to send and to check, or an address to check alone (RFC 6066 section 3)."""
    anchors: str
    """Trust anchors as PEM, in the store's order; empty for an empty store."""
    time: int
    """What time it is, in seconds since 1970-01-01T00:00:00Z."""
    timeout_ms: int
    """How long the probe may take, in milliseconds."""
    client_chain: str | None = None
    """What the client is to show when the server asks: PEM, its own certificate first; only for a client whose hello
    ``can`` "client-cert"."""
    client_key: str | None = None
    """The private key of its first certificate: PKCS #8 PEM."""
    pins: tuple[str, ...] | None = None
    """Public keys in PEM that the client knows its server by; only for a client whose hello ``can`` "pins"."""


class Report(_Line):
    """What came of a probe, in the stack's own words."""

    id: str
    outcome: Outcome
    stage: Stage | None = None
    code: Annotated[str, Field(max_length=200)] = ""
    """The stack's own code."""
    text: Annotated[str, Field(max_length=4000)] = ""
    """The stack's own words for that code."""
    reason: Reason | None = None
    """The normalised reason of a rejection."""
    tls: str | None = None
    """TLS version negotiated: ``1.2``."""
    path: tuple[str, ...] | None = None
    """SHA-256 (lower-case hex) of each certificate of the path that the stack built, where it can tell."""
    clock: int | None = None
    """The time that the stack read, in seconds since 1970-01-01T00:00:00Z, where it can tell."""
