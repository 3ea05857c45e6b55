"""What the witness alone says of a board that runs its own firmware and reports nothing.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from lab.model.result import Observation, Observed, Witness
from lab.model.scenario import Reason
from lab.model.wire import Stage

__all__ = ["CERTIFICATE_ALERTS", "Ending", "combined", "endings", "seen", "together"]

CERTIFICATE_ALERTS = {
    "bad_certificate": Reason.OTHER,
    "unsupported_certificate": Reason.OTHER,
    "certificate_revoked": Reason.REVOKED,
    "certificate_expired": Reason.EXPIRED,
    "certificate_unknown": Reason.OTHER,
    "unknown_ca": Reason.UNKNOWN_CA,
}
"""The alerts that speak of the server's certificates (RFC 8446 section 6.2), and as much of the reason as they tell.

Not among them: what speaks of the client's own certificate (``certificate_required``, ``access_denied``) or of a
stapled status, which the lab does not send; and ``decrypt_error``, for which see ``seen``.
"""

_DECRYPT_ERROR = "decrypt_error"


class Ending(NamedTuple):
    """How a connection ended after the certificates, where no alert speaks of them.

    ``alert`` is empty or ``decrypt_error``, ``closed`` as in Witness, ``handshake`` whether it had finished: some
    boards look at the host name only then.
    """

    alert: str
    closed: str
    handshake: bool


def _alert(witness: Witness) -> str:
    """Return the client's alert without its level, which RFC 8446 tells receivers to ignore."""
    return (witness.alert or "").rpartition(" ")[2]


def _ending(witness: Witness) -> Ending | None:
    """Return how a connection ended, or None where that can be no rejection.

    It must be the board that ended it, after the whole Certificate message, saying nothing of any other cause.
    """
    alert = _alert(witness)
    silent = not alert and witness.closed in {"close-notify", "fin", "reset"}
    if not witness.certificates or witness.data or witness.resumed or witness.alert_sent is not None:
        return None
    return Ending(alert, witness.closed, witness.handshake) if silent or alert == _DECRYPT_ERROR else None


def endings(witnesses: Iterable[Witness]) -> frozenset[Ending]:
    """Return the endings that a must-reject control teaches: those that mean a rejection only by comparison."""
    return frozenset(ending for witness in witnesses if (ending := _ending(witness)) is not None)


def seen(witness: Witness, learned: Collection[Ending] | None = ()) -> Observation:  # noqa: PLR0911 - one a rule
    """Return what one connection says.

    A finished handshake and any application data: accepted.  An alert that speaks of certificates: rejected.  A
    connection that the board ended otherwise is rejected only where it ended as one of ``learned``, the endings of
    the board's own must-reject controls; ``decrypt_error`` is one of these, because OpenSSL says it of a certificate
    with a forged signature, and others of a forged handshake.  ``learned`` is None in such a control itself: the good
    chain connected, so what ends there ends because of the one thing that was changed.
    """
    alert = _alert(witness)
    if not witness.hello:
        return _failed(Stage.CONNECT, "it connected, but sent no ClientHello", witness)
    if witness.resumed:
        text = "it resumed a session, in which no certificate is verified"
        return Observation(observed=Observed.CONTRADICTED, text=text, tls=witness.tls)
    if witness.handshake and witness.data:
        return Observation(observed=Observed.ACCEPTED, tls=witness.tls)
    if not witness.certificates:
        return _failed(Stage.HANDSHAKE, f"{_how(witness)}, before the certificates were sent", witness)
    if alert in CERTIFICATE_ALERTS:
        return _rejected(witness, alert, f"it sent {alert}", CERTIFICATE_ALERTS[alert])
    ending = _ending(witness)
    if ending is not None and (learned is None or ending in learned):
        text = f"{_how(witness)}, as in its must-reject controls" if learned is not None else _how(witness)
        if alert:
            return _rejected(witness, alert, text, Reason.BAD_SIGNATURE)
        return _rejected(witness, witness.closed, text, Reason.OTHER)
    stage = Stage.HTTP if witness.handshake else Stage.HANDSHAKE
    unlike = ", unlike any of its must-reject controls" if ending is not None else ""
    return _failed(stage, _how(witness) + unlike, witness)


def _how(witness: Witness) -> str:
    """Say in words how a connection ended."""
    alert = _alert(witness)
    when = " after the handshake" if witness.handshake else ""
    if alert:
        return f"it sent {alert}{when}"
    if witness.alert_sent is not None:
        return f"the lab sent {witness.alert_sent.rpartition(' ')[2]}{when}"
    if witness.closed in {"", "deadline", "lab"}:
        return f"it fell silent{when} until the lab closed"
    return f"it broke off{when} without an alert ({witness.closed})"


def _failed(stage: Stage, text: str, witness: Witness) -> Observation:
    return Observation(observed=Observed.FAILED, stage=stage, code=_alert(witness), text=text, tls=witness.tls)


def _rejected(witness: Witness, code: str, text: str, reason: Reason) -> Observation:
    return Observation(
        observed=Observed.REJECTED, stage=Stage.HANDSHAKE, code=code, text=text, reason=reason, tls=witness.tls
    )


def together(witnesses: Sequence[Witness], learned: Collection[Ending] | None = ()) -> Observation:
    """Return what all connections of one case say together.

    Boards try again, so there may be many: they must agree, or nothing can be said.  Connections that speak no TLS
    (a port scan, a health check) count only where there is no other.
    """
    if not witnesses:
        return Observation(observed=Observed.UNREACHABLE, stage=Stage.CONNECT, text="it made no connection")
    speaking = [witness for witness in witnesses if witness.hello] or witnesses
    every = [seen(witness, learned) for witness in speaking]
    kinds = {one.observed for one in every}
    if len(kinds) > 1:
        said = "; ".join(f"{_count(every, kind)} {kind}" for kind in Observed if kind in kinds)
        text = f"its {len(every)} connections disagree: {said}"
        return Observation(observed=Observed.FAILED, stage=Stage.HANDSHAKE, text=text)
    first = every[0]
    if first.observed is Observed.REJECTED:
        reasons = {one.reason for one in every}
        told = reasons - {Reason.OTHER}
        reason = next(iter(told)) if len(told) == 1 else Reason.OTHER
        return next((one for one in every if one.reason is reason), first.model_copy(update={"reason": reason}))
    return first


def _count(every: Iterable[Observation], kind: Observed) -> int:
    return sum(one.observed is kind for one in every)


def combined(witnesses: Sequence[Witness]) -> Witness:
    """Return one witness of a case: the connection that came furthest, the last of equals, and how many there were."""
    if not witnesses:
        return Witness()
    furthest = max(reversed(witnesses), key=_rank)
    return furthest.model_copy(update={"connections": len(witnesses)})


def _rank(witness: Witness) -> tuple[bool, bool, bool, bool, bool, int]:
    return (
        witness.answered,
        bool(witness.data),
        witness.handshake,
        bool(witness.certificates),
        bool(witness.hello),
        witness.bytes_in,
    )
