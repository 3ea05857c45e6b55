"""A case: one chain, one store and one time of a scenario, or what the lab makes of one by itself."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator

from lab.model.base import Model, Name, Slug

__all__ = ["REVERSED", "Case", "Device", "Expect", "Expectation", "Expected", "Feature", "Origin", "Reason", "Trait"]

Feature = Literal["tls1.0", "tls1.2", "tls1.3", "rsa4096", "ec384", "ed25519"]
"""What not every stack has: a TLS version, or a type of key in anchors, certificates and the handshake."""

Origin = Literal["written", "sweep", "boundary", "order", "remedy", "fault"]
"""Who made a case: the author wrote it, or it comes of a sweep, of a date, of a store's order, of a remedy, of a
fault on the wire."""

Trait = Literal[
    "first-second",
    "last-second",
    "day-before",
    "sent-path-expired",
    "sent-path-invalid",
    "sent-path-last-second",
    "sent-path-stranded",
    "intermediate-anchor",
    "anchor-expired",
    "root-served",
    "ca-served-expired",
    "ca-served-without-signer",
    "store-path-expired",
    "store-path-invalid",
    "store-path-stranded",
    "out-of-sequence",
    "sequence-broken",
    "sequence-expired",
    "sequence-invalid",
    "cross-in-store",
]
"""What is particular about a case, as ``lab/pki/traits.py`` finds it.

``first-second``, ``last-second``
    The moment is one of those of a certificate.
``day-before``
    A certificate begins within a day.
``sent-path-...``
    Of the path that takes the first issuer that was sent, and from the store what is left.
``store-path-...``
    Of the path that takes the first issuer from the store, and from what was sent what is left.
``sequence-...``
    Of the certificates in the very sequence sent, up to the first that an anchor signed.  Each of the three may hold
    what has expired, reach no anchor, or be invalid for any reason.
``out-of-sequence``
    Some certificate is not signed by the next one sent.
``intermediate-anchor``
    An anchor that is not self-signed decides.
``cross-in-store``
    A root stands in the store together with a cross-sign of it.
``ca-served-without-signer``
    Neither the live anchors nor what was served behind it signed some CA."""

REVERSED = "-reversed"
"""What the name of a store ends in when its anchors are tried in the other order."""


class Expect(StrEnum):
    """What a careful relying party does with a case."""

    ACCEPT = "accept"
    REJECT = "reject"
    EITHER = "either"
    FAIL = "fail"
    """The connection must not succeed, however it ends: what is wrong is on the wire."""


class Reason(StrEnum):
    """Why a chain is rejected, whatever the stack calls it."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    UNKNOWN_CA = "unknown-ca"
    WRONG_HOST = "wrong-host"
    NOT_A_CA = "not-a-ca"
    PATH_LENGTH = "path-length"
    NAME_CONSTRAINTS = "name-constraints"
    WRONG_USAGE = "wrong-usage"
    BAD_SIGNATURE = "bad-signature"
    WEAK = "weak"
    MALFORMED = "malformed"
    REVOKED = "revoked"
    NO_CERTIFICATE = "no-certificate"
    """Of a server that requires a certificate of the device and gets none."""
    OTHER = "other"


class Expectation(Model):
    """What a careful relying party does with a case, and for which reason."""

    expect: Expect
    """accept, reject or either."""
    reason: Reason | None = None
    """Why it rejects."""
    why: str | None = None
    """The author's words, wanted where the expectation is not obvious."""

    def __str__(self) -> str:
        return f"{self.expect}:{self.reason}" if self.reason else str(self.expect)


def _expectation(value: object) -> object:
    """Read ``"reject:unknown-ca"`` and ``{ expect = "reject:unknown-ca", why = "..." }`` alike."""
    table = {"expect": value} if isinstance(value, str) else value
    if isinstance(table, dict) and isinstance(table.get("expect"), str) and ":" in table["expect"]:
        expect, _, reason = table["expect"].partition(":")
        if expect != Expect.REJECT:
            raise ValueError(f'only "reject" takes a reason, found "{table["expect"]}"')
        return {**table, "expect": expect, "reason": reason}
    return table


Expected = Annotated[Expectation, BeforeValidator(_expectation)]


class Device(Model):
    """What a device shows of itself when the server asks, and by what the server judges it."""

    send: tuple[Name, ...] = ()
    """The device's certificates, its own first; empty for a device that has none."""
    trust: tuple[Name, ...] = ()
    """The server's trust anchors for devices."""
    required: bool = True
    """Whether the server goes on without a certificate."""
    hints: bool = True
    """Whether the server names the CAs that it trusts."""


class Case(Model):
    """One chain, one store and one time of a scenario, with everything that is particular to it."""

    scenario: Slug
    chain: Name
    """The chain by name; ``send`` is what is sent."""
    store: Name
    """The store by name; ``trust`` is what is trusted."""
    time: str
    """The time as the scenario names it: ``after``, or ``dst-root.until+1s``."""
    at: datetime
    """That time, in UTC."""
    host: str
    """The name that the client asks for."""
    send: tuple[Name, ...]
    """The certificates sent, in this order."""
    trust: tuple[Name, ...]
    """The trust anchors, in this order."""
    expected: Expectation | None = None
    """What the author says; None for a generated case of which the reference relying party decides."""
    requires: tuple[Feature, ...] = ()
    """What a client must have to meet it."""
    device: Device | None = None
    """What the device shows; the case is then about the server's verdict on that."""
    origin: Origin = "written"
    remedy: str | None = None
    """The remedy that made it of the case whose name it begins with."""
    fault: str | None = None
    """The fault on the wire, by its name in the scenario or in the lab's own list, that was added to it."""
    wire: tuple[str, ...] = ()
    """The faults on the wire, by the names of ``lab/server/faults.py``, in this order."""
    endures: Literal["same", "fail"] | None = None
    """Whether what was expected without the faults still is, or the connection must fail; None where the faults
    themselves tell."""

    @property
    def base(self) -> str:
        """The case without remedy and fault: ``long+both@after``."""
        return f"{self.chain}+{self.store}@{self.time}"

    @property
    def faultless(self) -> Case:
        """The same case without any fault on the wire."""
        return self.model_copy(update={"fault": None, "wire": (), "endures": None})

    def with_faults(self, names: tuple[str, ...]) -> Case:
        """Return the same case with more faults on the wire, by the lab's own names for them; itself for none."""
        if not names:
            return self
        fault = "~".join((*([self.fault] if self.fault else []), *names))
        endures = "fail" if self.endures == "fail" else None  # what survives one fault need not survive two
        update = {"fault": fault, "wire": (*self.wire, *names), "endures": endures, "origin": "fault"}
        return self.model_copy(update=update)

    @property
    def name(self) -> str:
        """The case inside its scenario: ``long+both@after``, ``long+both@after,short-chain``, ``...~reset``."""
        remedy = f",{self.remedy}" if self.remedy else ""
        fault = f"~{self.fault}" if self.fault else ""
        return f"{self.base}{remedy}{fault}"

    @property
    def source(self) -> str:
        """The case that a remedy, a fault or another order of the store was put to; empty for any other."""
        if self.origin == "order":
            return f"{self.chain}+{self.store.removesuffix(REVERSED)}@{self.time}"
        if self.fault is not None:
            return self.name.rpartition("~")[0]
        return self.base if self.remedy is not None else ""

    @property
    def id(self) -> str:
        """The case among all: ``letsencrypt-2021/long+both@after``."""
        return f"{self.scenario}/{self.name}"
