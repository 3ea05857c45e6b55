"""The client's report and the server's witness make an observation.  Pure."""

from __future__ import annotations

from lab.model.result import Observation, Observed, Witness
from lab.model.wire import Outcome, Probe, Report, Stage

__all__ = ["observe"]

_CLOCK_TOLERANCE = 2
"""Seconds by which a stack's clock may have moved on during a probe."""


def observe(probe: Probe, report: Report, witness: Witness, stderr: str = "") -> Observation:
    """Return what happened: what the client says, unless the witness contradicts it."""
    observed, objection = _observed(probe, report, witness)
    said = f"the client says {report.outcome}" + (f" ({report.code} {report.text})" if report.code else "")
    return Observation(
        observed=observed,
        stage=report.stage,
        code=report.code,
        text=f"{objection}; {said}" if objection else report.text,
        reason=report.reason if observed is Observed.REJECTED else None,
        tls=report.tls,
        path=report.path,
        clock=report.clock,
        stderr=stderr,
    )


def _observed(probe: Probe, report: Report, witness: Witness) -> tuple[Observed, str]:
    """Return what was observed and, where the witness or the clock contradicts the client, in which point."""
    if report.clock is not None and abs(report.clock - probe.time) > _CLOCK_TOLERANCE:
        return Observed.CONTRADICTED, f"its clock read {report.clock}, not the {probe.time} that it was told"
    if report.outcome is Outcome.ACCEPTED:
        objection = _against_acceptance(witness)
        return (Observed.CONTRADICTED, objection) if objection else (Observed.ACCEPTED, "")
    if report.outcome is Outcome.REJECTED:
        return _rejection(report, witness)
    if report.outcome is Outcome.UNSUPPORTED:
        return Observed.UNSUPPORTED, ""
    if report.stage is Stage.CONNECT and witness.connections == 0:
        return Observed.UNREACHABLE, ""
    return Observed.FAILED, ""


def _rejection(report: Report, witness: Witness) -> tuple[Observed, str]:
    objection = _against_rejection(report, witness)
    if not objection:
        return Observed.REJECTED, ""
    if witness.faults and not witness.certificates:
        return Observed.FAILED, ""  # what it took for a rejection is what a fault on the wire looked like to it
    return Observed.CONTRADICTED, objection


def _against_acceptance(witness: Witness) -> str:
    if witness.connections == 0:
        return "the server saw no connection"
    if not witness.handshake:
        return "the server saw no finished handshake"
    if witness.resumed:
        return "the server saw a resumed session, in which no certificate is verified"
    if not witness.certificates:
        return "the server did not send its certificates"
    if not (witness.request and witness.answered):
        return "the server saw no whole request, or could not answer it"
    return ""


def _against_rejection(report: Report, witness: Witness) -> str:
    if report.stage is Stage.LOAD:
        return ""
    if witness.connections == 0:
        return "the server saw no connection"
    if not witness.certificates:
        return "the server had not sent its certificates"
    if witness.request:
        return "the server had received a whole request"
    return ""
