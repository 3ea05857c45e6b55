"""What came of a run: observation, witness, verdict, cell, and the run's header."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from lab.model.base import Model
from lab.model.case import Expectation, Feature, Origin, Reason, Trait
from lab.model.wire import Stage

__all__ = [
    "Cell",
    "CertificateRecord",
    "ColumnState",
    "Control",
    "DeviceRecord",
    "DeviceVerdict",
    "ExhibitRecord",
    "FeatureProbe",
    "Observation",
    "Observed",
    "RemedyRecord",
    "Run",
    "Verdict",
    "Witness",
]


class Observed(StrEnum):
    """What happened, never guessed."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    UNREACHABLE = "unreachable"
    CONTRADICTED = "contradicted"


class Verdict(StrEnum):
    """What observation and expectation mean together."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    KNOWN = "known"
    OPEN = "open"
    UNSUPPORTED = "unsupported"
    FIXED = "fixed"
    INCONCLUSIVE = "inconclusive"
    FAULT = "fault"
    OUTAGE = "outage"
    EXPOSURE = "exposure"
    NONE = "none"
    """The column failed a control: nothing may be said."""


class Observation(Model):
    """What happened to one probe."""

    observed: Observed
    stage: Stage | None = None
    """How far it came."""
    code: str = ""
    """The stack's own code."""
    text: str = ""
    """The stack's own words, or the lab's where the stack said nothing."""
    reason: Reason | None = None
    """The normalised reason of a rejection."""
    said: str = ""
    """The client's own words, where the verdict is the server's and not its own."""
    tls: str | None = None
    """TLS version as the client says."""
    path: tuple[str, ...] | None = None
    """SHA-256 of each certificate of the path that the stack built, where it can tell."""
    clock: int | None = None
    """The time the stack says it read, in seconds since 1970."""
    stderr: str = ""
    """What the client printed on stderr during the probe (its tail)."""


class DeviceVerdict(Model):
    """What the server made of the certificates that the client showed of itself."""

    presented: tuple[str, ...] = ()
    """SHA-256 of each certificate that the client sent, in its order; empty where it sent none."""
    accepted: bool
    """Whether the server went on."""
    code: str = ""
    """OpenSSL's own code: a number of X509_V_ERR, or a name of SSL_R."""
    text: str = ""
    """OpenSSL's own words for it, with the depth."""
    reason: Reason | None = None
    """The normalised reason of a rejection."""


class Witness(Model):
    """What the server saw of one probe."""

    connections: int = 0
    """Connections that the lane saw during the probe."""
    hello: str = ""
    """The ClientHello message (handshake header included), hex; empty where none came."""
    server_name: str | None = None
    """The name that the client sent (RFC 6066 section 3)."""
    versions: tuple[str, ...] = ()
    """TLS versions offered."""
    ciphers: tuple[int, ...] = ()
    """Cipher suites offered, in the client's order."""
    certificates: tuple[str, ...] = ()
    """SHA-256 of each certificate of the Certificate message as sent; empty where none was fully sent."""
    status_request: bool = False
    """Whether the client asked for a stapled OCSP response (RFC 6066 section 8)."""
    staple: str = ""
    """SHA-256 of the OCSP response that was sent with the certificates; empty where none was."""
    asked: tuple[str, ...] = ()
    """What the client asked the lab's HTTP port during the probe, each with what it was told: ``ocsp site: revoked``,
    ``crl site: good``, ``issuer of site: r3``."""
    tls: str | None = None
    """TLS version negotiated."""
    cipher: str | None = None
    """Cipher suite negotiated."""
    alert: str | None = None
    """The alert that the client sent: ``fatal certificate_expired``."""
    alert_sent: str | None = None
    """The alert that the server sent."""
    handshake: bool = False
    """Whether the handshake finished."""
    resumed: bool = False
    """Whether a session was resumed: never wanted."""
    device: DeviceVerdict | None = None
    """Its verdict on the device; None where it asked for no certificate, or the client never answered."""
    data: int = 0
    """Bytes of application data received, whatever their protocol."""
    request: bool = False
    """Whether a whole HTTP request came."""
    answered: bool = False
    """Whether the answer was fully handed to the network."""
    bytes_in: int = 0
    """Bytes received."""
    bytes_out: int = 0
    """Bytes sent."""
    closed: Literal["", "close-notify", "fin", "reset", "deadline", "lab"] = ""
    """How the connection ended."""
    faults: tuple[str, ...] = ()
    """The faults on the wire that really took effect, and what each did: ``truncated-certificate: 312 of 2711 bytes,
    then FIN``."""
    ms: float = 0.0
    """From accept to close, in milliseconds."""
    handshake_ms: float | None = None
    """From accept to the handshake's end, in milliseconds."""
    clock: int | None = None
    """gmt_unix_time of ClientHello.random: some stacks put their clock there."""


class Control(Model):
    """What came of one control of one column."""

    column: str
    name: str
    """The control: ``good``, ``wrong-host``, ..."""
    outcome: Literal["ok", "failed", "not-checked"]
    why: str = ""
    """What went wrong, or why it was not checked."""
    observation: Observation
    witness: Witness


class FeatureProbe(Model):
    """Whether one column has one feature, as found by a chain that needs it."""

    column: str
    name: Feature
    outcome: Literal["has", "lacks", "unknown"]
    """``unknown`` where the probe ended otherwise than cleanly: nothing is then taken as lacking."""
    observation: Observation
    witness: Witness


class Cell(Model):
    """A case before a client: what was expected, what happened, what the server saw, what it means."""

    scenario: str
    case: str
    """``long+both@after``"""
    chain: str
    store: str
    time: str
    at: datetime
    client: str
    """The column's name."""
    expected: Expectation
    observation: Observation
    witness: Witness
    verdict: Verdict
    marked: bool = False
    """A pass whose reason is another one than expected."""
    why: str = ""
    """Why the verdict is what it is, in words."""
    source: str = ""
    """The source of a known deviation."""
    ms: float = 0.0
    """From the probe's sending to its cell, in milliseconds."""

    @property
    def id(self) -> str:
        """``letsencrypt-2021/long+both@after@openssl-1.0.2q``, as ``tlslab reproduce`` takes it."""
        return f"{self.scenario}/{self.case}@{self.client}"


class CertificateRecord(Model):
    """A certificate as evidence."""

    name: str
    """Its name in the scenario."""
    subject: str
    """RFC 4514 string."""
    issuer: str
    """RFC 4514 string."""
    serial: str
    """Lower-case hex."""
    not_before: datetime
    not_after: datetime
    key: str
    """Type and size of the key: ``rsa2048``."""
    sha256: str
    """Lower-case hex."""
    pem: str


class RemedyRecord(Model):
    """A remedy of a case that was run without it."""

    name: str
    title: str
    why: str = ""
    column: str | None = None
    """Which other column it is to use; None where it is a case of its own, named after this one."""


class DeviceRecord(Model):
    """What the device was given to show, and whom the server trusted."""

    chain: tuple[CertificateRecord, ...]
    anchors: tuple[CertificateRecord, ...]
    required: bool
    """Whether the server went on without a certificate."""


class ExhibitRecord(Model):
    """What a case put before its clients, and what would have been right."""

    scenario: str
    title: str
    """The scenario's title."""
    date: str
    """The scenario's date, ISO 8601."""
    case: str
    chain: tuple[CertificateRecord, ...]
    anchors: tuple[CertificateRecord, ...]
    device: DeviceRecord | None = None
    """Of a case about the device's certificates."""
    path: tuple[str, ...] = ()
    """Names of the certificates of the path that the reference relying party took."""
    reference: str = ""
    """Its words: the path, or the rule that failed and where."""
    origin: Origin = "written"
    """Who made the case."""
    base: str = ""
    """The case that it was made of: the incident of a remedy, the store in its written order, the wire without fault.
    Empty for any other."""
    family: str = ""
    """The sweep's chain with its store and time: ``deep-{depth}+root@now``; the chain and store of boundaries."""
    values: dict[str, str | int | float] = Field(default_factory=dict)
    """What stood in the sweep's braces."""
    remedies: tuple[RemedyRecord, ...] = ()
    """The remedies of this case."""
    traits: tuple[Trait, ...] = ()
    """What is particular about it."""
    staple: str = ""
    """What the stapled OCSP response says, and its SHA-256: ``good, 6a5f...``.  Empty where none is served."""


class ColumnState(Model):
    """A column as it took part in a run."""

    name: str
    stack: str
    version: str
    """What the library itself said; empty if the client never started."""
    digest: str = ""
    """Digest of the inputs of its build."""
    runtime: str
    clock: str
    state: Literal["ok", "control-failed", "unbuilt", "harness"] = "ok"
    why: str = ""


class Run(Model):
    """The header of a ledger."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    id: str
    lab: str
    """Version of the lab."""
    started: datetime
    seed: int
    """Orders the probes."""
    jobs: int
    runtime: str
    timeout_ms: int
    scenarios: dict[str, str]
    """Slug and SHA-256 of each scenario's file."""
    cases: tuple[str, ...]
    """Ids of the cases, in the order of the files."""
    columns: tuple[str, ...]
    """Names of the columns, in order."""
    faults: tuple[str, ...] = ()
    """Faults on the wire that were added to every case."""
    given: tuple[str, ...] = ()
    """Clients given on the command line: ``image:NAME``, ``command:LINE``."""
