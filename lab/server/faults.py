"""The catalogue of faults on the wire: what a server can do wrong, or oddly, and what a relying party makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from lab.errors import InputError, Problem, did_you_mean
from lab.model.scenario import TlsVersion
from lab.server.chaos import acts
from lab.server.chaos.acts import Wire
from lab.server.chaos.filters import Apart, At, Coalesced, First, OneByte, Oversized, Quiet, Retried, Shown
from lab.server.chaos.items import Filter, Reset
from lab.server.witness import ALERTS

__all__ = ["CATALOGUE", "Consequence", "Fault", "Parameter", "consequence", "fault_records", "read_faults"]

Consequence = Literal["same", "either", "fail"]
"""What a fault does to what is expected: ``same``, nothing; ``either``, a valid chain may be accepted or the
connection fail; ``fail``, the connection must fail."""

_GRAVITY: tuple[Consequence, ...] = ("same", "either", "fail")
_WRITTEN = re.compile(r"(?P<name>[a-z0-9-]+)(?:=(?P<value>[0-9]{1,9}))?")


@dataclass(frozen=True)
class Parameter:
    """A number that a fault takes: ``delay-hello=800``."""

    unit: str
    default: int
    lowest: int
    highest: int


@dataclass(frozen=True)
class Kind:
    """An entry of the catalogue.

    ``make`` returns the filter that does it, or notices it where TLS itself does.  ``max_tls`` is the highest version
    that an exhibit then speaks: "1.2" where the fault needs handshake messages that are not encrypted.
    """

    name: str
    summary: str
    consequence: Consequence
    references: tuple[str, ...]
    make: Callable[[Wire], Filter]
    parameter: Parameter | None = None
    max_tls: TlsVersion | None = None
    needs: TlsVersion | None = None
    """The version that a client must offer for the fault to take effect."""

    def read(self, value: str | None) -> Fault:
        """Return the fault with a number as it was written; raise ValueError where it takes none, or not that one."""
        if self.parameter is None:
            if value is not None:
                raise ValueError(f'"{self.name}" takes no number')
            return Fault(self, 0, self.name)
        if value is None:
            return Fault(self, self.parameter.default, self.name)
        lowest, highest = self.parameter.lowest, self.parameter.highest
        if not lowest <= int(value) <= highest:
            raise ValueError(f'"{self.name}" takes {lowest} to {highest} {self.parameter.unit}, not {int(value)}')
        return Fault(self, int(value), f"{self.name}={int(value)}")


@dataclass(frozen=True)
class Fault:
    """A fault of the catalogue with its number; ``name`` is how it is written: ``delay-hello=800``."""

    kind: Kind
    value: int
    name: str


def fault_records() -> list[dict[str, object]]:
    """Return the catalogue as data: name, summary, consequence, references, parameter and TLS versions."""
    return [
        {
            "name": kind.name,
            "summary": kind.summary,
            "consequence": kind.consequence,
            "references": list(kind.references),
            "parameter": asdict(kind.parameter) if kind.parameter is not None else None,
            "max_tls": kind.max_tls,
            "needs": kind.needs,
        }
        for kind in CATALOGUE.values()
    ]


def read_faults(names: Iterable[str], *, file: str = "", field: str = "") -> tuple[Fault, ...]:
    """Return faults by their names, ``NAME`` or ``NAME=NUMBER``; raise InputError with every name that is none."""
    faults: list[Fault] = []
    problems: list[Problem] = []
    for name in names:
        match = _WRITTEN.fullmatch(name)
        kind = CATALOGUE.get(match["name"]) if match else None
        if match is None or kind is None:
            remedy = did_you_mean(name.partition("=")[0], CATALOGUE)
            problems.append(Problem(file=file, field=field, found=f'no fault is called "{name}"', remedy=remedy))
            continue
        try:
            faults.append(kind.read(match["value"]))
        except ValueError as error:
            problems.append(Problem(file=file, field=field, found=str(error)))
    if problems:
        raise InputError(problems)
    return tuple(faults)


def consequence(faults: Iterable[Fault]) -> Consequence:
    """Return what several faults together do to what is expected: the gravest of what each does."""
    return max((fault.kind.consequence for fault in faults), key=_GRAVITY.index, default="same")


_MS = Parameter("ms", 500, 1, 600_000)
_FRAGMENTED = "RFC 8446 section 5.1: handshake messages may be coalesced, or fragmented across several records"
_ABORTED = "RFC 9293 section 3.10.7: a RST ends the connection"
_LENGTH = "RFC 8446 section 4: a message is as long as its header says; section 6: decode_error otherwise"

_KINDS = (
    Kind(
        "delay-accept",
        "accepts the connection, and waits before it reads the ClientHello",
        "same",
        ("RFC 9293 section 3.8: a peer may be slow",),
        lambda wire: First(acts.pause(wire, "before the ClientHello was read")),
        _MS,
    ),
    Kind(
        "delay-hello",
        "waits before the ServerHello",
        "same",
        ("RFC 9293 section 3.8: a peer may be slow",),
        acts.delayed(At.HELLO, "before the ServerHello"),
        _MS,
    ),
    Kind(
        "delay-certificate",
        "waits between ServerHello and Certificate; under TLS 1.3, before the encrypted records of which one holds it",
        "same",
        ("RFC 9293 section 3.8: a peer may be slow",),
        acts.delayed(At.CERTIFICATE, "before the Certificate"),
        _MS,
    ),
    Kind(
        "one-byte-records",
        "puts every byte of the handshake messages from ServerHello to ServerHelloDone into a record of its own",
        "same",
        (_FRAGMENTED,),
        lambda wire: OneByte(wire.name),
        max_tls="1.2",
    ),
    Kind(
        "split-record",
        "sends the records of its first flight with every byte in a TCP segment of its own",
        "same",
        ("RFC 9293 section 3.7: TCP keeps no bounds of segments", "RFC 8446 section 5: records"),
        lambda wire: Apart(wire.name, wire.value),
        Parameter("bytes", 4096, 6, 65_536),
    ),
    Kind(
        "coalesced-messages",
        "puts the messages from ServerHello to ServerHelloDone into one record",
        "same",
        (_FRAGMENTED,),
        lambda wire: Coalesced(wire.name),
        max_tls="1.2",
    ),
    Kind(
        "hello-retry-request",
        "asks, under TLS 1.3, for a key share of a group that the client supports and sent none for",
        "same",
        ("RFC 8446 section 4.1.4: HelloRetryRequest",),
        lambda wire: Retried(wire.name),
        needs="1.3",
    ),
    Kind(
        "too-long-chain",
        "sends so many more certificates behind the chain that the Certificate message is that long",
        "same",
        ("RFC 8446 section 4.4.2: a Certificate message may have up to 2^24-1 bytes",),
        lambda wire: Shown(f"{wire.name}: begins {len(wire.chain)} certificates, {sum(map(len, wire.chain))} bytes"),
        Parameter("KiB", 40, 20, 60),
    ),
    Kind(
        "no-close-notify",
        "closes with a FIN after the whole answer, without a close_notify",
        "same",
        ("RFC 8446 section 6.1: close_notify", "RFC 9112 section 8: a body of known length is whole without one"),
        lambda wire: Quiet(wire.name),
    ),
    Kind(
        "warning-alerts",
        "sends warning alerts (unrecognized_name) before the ServerHello",
        "same",
        ("RFC 6066 section 3: a warning of unrecognized_name, which is no error",),
        acts.warned,
        Parameter("alerts", 1, 1, 4),
        max_tls="1.2",
    ),
    Kind(
        "warning-flood",
        "sends a great many warning alerts (unrecognized_name) before the ServerHello",
        "either",
        ("CVE-2016-8610: a flood of warnings that was never refused", "RFC 5246 section 7.2.2"),
        acts.warned,
        Parameter("alerts", 1000, 5, 20_000),
        max_tls="1.2",
    ),
    Kind(
        "stall-after-server-hello",
        "sends nothing after the ServerHello, for ever",
        "fail",
        ("RFC 8446 section 4.4: no client has seen the server's Finished",),
        acts.stalled,
    ),
    Kind(
        "reset-before-hello",
        "resets the connection when it has been accepted",
        "fail",
        (_ABORTED,),
        lambda wire: First(Reset(f"{wire.name}: RST, and no ClientHello was read")),
    ),
    Kind(
        "reset-before-certificate",
        "resets the connection after the ServerHello; under TLS 1.3, before the encrypted records",
        "fail",
        (_ABORTED,),
        acts.reset(At.CERTIFICATE),
    ),
    Kind(
        "reset-inside-certificate",
        "resets the connection in the middle of the Certificate message",
        "fail",
        (_ABORTED,),
        acts.reset(At.INSIDE_CERTIFICATE),
        max_tls="1.2",
    ),
    Kind(
        "reset-after-certificate",
        "resets the connection after the Certificate message",
        "fail",
        (_ABORTED,),
        acts.reset(At.AFTER_CERTIFICATE),
        max_tls="1.2",
    ),
    Kind(
        "truncated-certificate",
        "sends half of the Certificate message, whose header promises all of it, then a FIN",
        "fail",
        (_LENGTH,),
        acts.truncated,
        max_tls="1.2",
    ),
    Kind(
        "garbage-after-server-hello",
        "sends bytes that are no record after the ServerHello, then a FIN",
        "fail",
        ("RFC 8446 section 5: unexpected_message for a content type that there is not",),
        acts.garbage,
        Parameter("bytes", 512, 1, 65_536),
    ),
    Kind(
        "oversized-record",
        "puts Certificate to ServerHelloDone into one record of more than 2^14+2048 bytes, sound but for its size",
        "fail",
        ("RFC 5246 section 6.2: a record's length must not exceed 2^14, encrypted 2^14+2048",),
        lambda wire: Oversized(wire.name),
        max_tls="1.2",
    ),
    Kind(
        "downgrade-version",
        "speaks TLS 1.2 to a client that offers TLS 1.3, with the mark of a downgrade in its random; all else is right",
        "fail",
        ("RFC 8446 section 4.1.3: a client must abort with illegal_parameter",),
        acts.marked,
        max_tls="1.2",
        needs="1.3",
    ),
    Kind(
        "downgrade-cipher",
        "names in the ServerHello a cipher suite that the client did not offer",
        "fail",
        ("RFC 8446 section 4.1.3, RFC 5246 section 7.4.1.3: a client must abort with illegal_parameter",),
        acts.downgraded,
    ),
    *(
        Kind(
            f"alert-{name.replace('_', '-')}",
            f"sends a fatal alert, {name}, in place of the ServerHello, then a FIN",
            "fail",
            ("RFC 8446 section 6.2: a fatal alert ends the connection",),
            acts.alerted(number),
        )
        for number, name in ALERTS.items()
        if name not in {"close_notify", "user_canceled", "no_renegotiation"}  # none of these is ever fatal
    ),
)

CATALOGUE = {kind.name: kind for kind in _KINDS}
"""Every fault, by name."""
