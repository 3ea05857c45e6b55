"""The client's report and the server's witness make an observation.  Pure."""

from __future__ import annotations

from lab.model.result import Observation, Observed, Witness
from lab.model.wire import Outcome, Probe, Report, Stage

__all__ = ["observe"]

_CLOCK_TOLERANCE = 2
"""Seconds by which a stack's clock may have moved on during a probe."""


def observe(probe: Probe, report: Report, witness: Witness, stderr: str = "", *, device: bool = False) -> Observation:
    """Return what happened: what the client says, unless the witness contradicts it.

    In a case about the ``device`` it is the server that accepts or rejects, and the client's words are evidence.
    """
    if device:
        return _about_device(probe, report, witness, stderr)
    observed, objection = _observed(probe, report, witness)
    said = f"the client says {_words(report)}"
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


def _words(report: Report) -> str:
    return f"{report.outcome}" + (f" ({report.code} {report.text})" if report.code else "")


def _about_device(probe: Probe, report: Report, witness: Witness, stderr: str) -> Observation:
    """Return what the server made of the device's certificate; where it made nothing of it, why."""
    verdict = witness.device
    own = observe(probe, report, witness, stderr)
    refused = verdict is not None and not verdict.accepted
    if own.observed is Observed.CONTRADICTED:
        return own
    withheld = probe.client_chain is not None and verdict is not None and not verdict.presented
    if verdict is not None and refused:
        text = (
            f"{verdict.text}; the client sent none of the certificates that it was given" if withheld else verdict.text
        )
        update = {"text": text, "reason": verdict.reason, "code": verdict.code, "said": _said(report)}
        return own.model_copy(update={**update, "observed": Observed.REJECTED, "stage": Stage.HANDSHAKE})
    if own.observed is Observed.REJECTED:
        text = f"the client rejected the server, which is no verdict on the device: {own.code} {own.text}"
        return own.model_copy(update={"observed": Observed.FAILED, "reason": None, "text": text})
    if own.observed is Observed.ACCEPTED and (withheld or verdict is None):
        why = "showed none of the certificates that it was given" if withheld else "was not asked for a certificate"
        return own.model_copy(update={"observed": Observed.CONTRADICTED, "text": f"the client connected, but {why}"})
    return own


def _said(report: Report) -> str:
    """Return a client's words where another one's verdict takes their place: stage, code, text."""
    stage = f"{report.outcome} at {report.stage}" if report.stage else str(report.outcome)
    native = " ".join(filter(None, (report.code, report.text)))
    return f"{stage}: {native}" if native else stage


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
