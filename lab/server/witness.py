"""What was seen of one connection, collected as it happens, and the witness that is made of it."""

from __future__ import annotations

from typing import Literal

from OpenSSL import SSL

from lab.model.result import Witness
from lab.server.client_auth import Hearing
from lab.server.hello import ClientHello

__all__ = ["ALERTS", "Closed", "Record", "alert_name", "further", "observe"]

Closed = Literal["", "close-notify", "fin", "reset", "deadline", "lab"]

_LEVELS = {1: "warning", 2: "fatal"}

ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
"""Names of alerts: RFC 8446 section 6, and those of its predecessors."""

_CERTIFICATE_WRITTEN = b"SSLv3/TLS write certificate"


def alert_name(code: int) -> str:
    """Return an alert as the witness writes it, ``fatal unknown_ca``, from OpenSSL's ``level << 8 | description``."""
    level, description = code >> 8, code & 0xFF
    return f"{_LEVELS.get(level, level)} {ALERTS.get(description, description)}"


class Record:
    """What is known of one connection so far.  Times are the reactor's seconds, sizes are raw bytes.

    ``*_at`` are positions in the bytes that the server made: what ends there was sent when ``bytes_out``, which
    counts only what the kernel has taken, has come as far.  ``notes`` are what faults did, each with such a position.
    """

    __slots__ = (
        "accepted",
        "alert",
        "alert_sent",
        "answer_at",
        "bytes_in",
        "bytes_out",
        "certificate_at",
        "certificate_made",
        "cipher",
        "closed",
        "data",
        "device",
        "digests",
        "ended",
        "handshaken",
        "hello",
        "notes",
        "peer_closed",
        "request",
        "stapled",
        "tls",
    )

    def __init__(self, digests: tuple[str, ...], accepted: float) -> None:
        self.digests = digests
        self.accepted = accepted
        self.ended = accepted
        self.handshaken: float | None = None
        self.hello: ClientHello | None = None
        self.tls: str | None = None
        self.cipher: str | None = None
        self.alert: str | None = None
        self.alert_sent: str | None = None
        self.certificate_made = False
        self.certificate_at: int | None = None
        self.stapled = ""  # the SHA-256 of the OCSP response that goes out with the certificates
        self.answer_at: int | None = None
        self.notes: list[tuple[int, str]] = []
        self.device: Hearing | None = None
        self.data = 0
        self.request = False
        self.peer_closed = False
        self.bytes_in = 0
        self.bytes_out = 0
        self.closed: Closed = ""

    def _sent(self, position: int | None) -> bool:
        return position is not None and self.bytes_out >= position

    @property
    def rank(self) -> tuple[bool, bool, bool, bool, bool, int]:
        """How far the connection came: the greater, the further."""
        return (
            self._sent(self.answer_at),
            self.request,
            self.handshaken is not None,
            self._sent(self.certificate_at),
            self.hello is not None,
            self.bytes_in,
        )

    def noted(self, position: int, text: str) -> None:
        """Take note of what a fault did if the bytes up to ``position`` are sent."""
        if self.notes and self._sent(position) and _fault(self.notes[-1][1]) == _fault(text):
            self.notes.pop()  # there may be one a record, and only the last counts
        self.notes.append((position, text))

    @property
    def faults(self) -> tuple[str, ...]:
        """What each fault that took effect did, in words: the last that is true of it."""
        return tuple({_fault(text): text for position, text in self.notes if self._sent(position)}.values())

    def witness(self, connections: int = 1) -> Witness:
        """Return what was seen, as the witness of a probe that made this many connections."""
        hello = self.hello
        done = self.handshaken
        return Witness(
            connections=connections,
            hello=hello.raw.hex() if hello else "",
            server_name=hello.server_name if hello else None,
            versions=hello.versions if hello else (),
            ciphers=hello.ciphers if hello else (),
            clock=hello.clock if hello else None,
            certificates=self.digests if self._sent(self.certificate_at) else (),
            status_request=hello.asks_status if hello else False,
            staple=self.stapled if self._sent(self.certificate_at) else "",
            tls=self.tls,
            cipher=self.cipher,
            alert=self.alert,
            alert_sent=self.alert_sent,
            handshake=done is not None,
            # every suite that an exhibit offers authenticates by certificate: only resumption leaves it out
            resumed=done is not None and not self.certificate_made,
            device=self.device.verdict() if self.device is not None else None,
            data=self.data,
            request=self.request,
            answered=self._sent(self.answer_at),
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            closed=self.closed,
            faults=self.faults,
            ms=round((self.ended - self.accepted) * 1000, 3),
            handshake_ms=None if done is None else round((done - self.accepted) * 1000, 3),
        )


def _fault(note: str) -> str:
    return note.partition(":")[0]


def observe(connection: SSL.Connection, where: int, code: int) -> None:
    """Note what OpenSSL reports of a connection whose app data is a Record: the info callback of every context."""
    record = connection.get_app_data()
    if where == SSL.SSL_CB_ACCEPT_LOOP:
        if not record.certificate_made and connection.get_state_string() == _CERTIFICATE_WRITTEN:
            record.certificate_made = True
    elif where & SSL.SSL_CB_ALERT:
        if not code & 0xFF:
            record.peer_closed |= bool(where & SSL.SSL_CB_READ)
        elif where & SSL.SSL_CB_READ:
            record.alert = _graver(record.alert, alert_name(code))
        else:
            record.alert_sent = _graver(record.alert_sent, alert_name(code))


def _graver(known: str | None, new: str) -> str:
    """Return the alert that tells more: the first fatal one, or else the first."""
    if known is None or (new.startswith("fatal") and not known.startswith("fatal")):
        return new
    return known


def further(known: Record | None, new: Record) -> Record:
    """Return the record of the connection that came further, the new one of equals: it describes their probe."""
    return known if known is not None and known.rank > new.rank else new
