"""Report and witness, joined."""

from __future__ import annotations

import pytest

from lab.model.case import Reason
from lab.model.result import DeviceVerdict, Observed, Witness
from lab.model.wire import Probe, Report
from lab.observe import observe

PROBE = Probe(id="1", host="127.0.0.1", port=1, server_name="shop.example", anchors="", time=1000, timeout_ms=1)
SERVED = Witness(
    connections=1, certificates=("ab",), handshake=True, request=True, answered=True, closed="close-notify"
)
REFUSED = Witness(connections=1, certificates=("ab",), alert="fatal unknown_ca", closed="fin")


def report(outcome: str, **more: object) -> Report:
    return Report.model_validate({"v": 1, "id": "1", "outcome": outcome, **more})


def test_client_and_witness_agree():
    """What both say is what was observed, in the client's words."""
    accepted = observe(PROBE, report("accepted", stage="http", tls="1.2"), SERVED)
    assert (accepted.observed, accepted.tls) == (Observed.ACCEPTED, "1.2")
    rejected = observe(PROBE, report("rejected", stage="handshake", code="19", text="x", reason="unknown-ca"), REFUSED)
    assert (rejected.observed, rejected.code, rejected.text, rejected.reason) == ("rejected", "19", "x", "unknown-ca")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"connections": 0}, "no connection"),
        ({"handshake": False}, "no finished handshake"),
        ({"resumed": True}, "resumed session"),
        ({"certificates": ()}, "did not send its certificates"),
        ({"request": False}, "no whole request"),
        ({"answered": False}, "no whole request"),
    ],
)
def test_an_acceptance_needs_the_whole_exchange(change, said):
    """Whoever says accepted without a full handshake, certificates and an answered request is contradicted."""
    observation = observe(PROBE, report("accepted"), SERVED.model_copy(update=change))
    assert observation.observed is Observed.CONTRADICTED
    assert said in observation.text


@pytest.mark.parametrize("change", [{"connections": 0}, {"certificates": ()}, {"request": True}])
def test_a_rejection_needs_the_certificates_sent_and_no_request(change):
    """Nobody can reject a chain that was not sent, and nobody who rejects it goes on to ask for a page."""
    observation = observe(
        PROBE, report("rejected", stage="handshake", reason="expired"), REFUSED.model_copy(update=change)
    )
    assert observation.observed is Observed.CONTRADICTED
    assert observation.reason is None


def test_a_store_that_cannot_be_loaded_is_a_rejection_without_a_connection():
    """At stage load no connection is needed."""
    observation = observe(PROBE, report("rejected", stage="load", reason="malformed"), Witness())
    assert (observation.observed, observation.stage) == (Observed.REJECTED, "load")


def test_a_refused_connection_is_no_rejection():
    """Who never connected is unreachable; a handshake that fails is failed."""
    assert observe(PROBE, report("failed", stage="connect"), Witness()).observed is Observed.UNREACHABLE
    assert observe(PROBE, report("failed", stage="connect"), REFUSED).observed is Observed.FAILED
    assert observe(PROBE, report("failed", stage="handshake"), REFUSED).observed is Observed.FAILED


@pytest.mark.parametrize(
    ("clock", "observed"), [(1000, "accepted"), (1002, "accepted"), (1003, "contradicted"), (0, "contradicted")]
)
def test_a_stack_that_read_another_time_was_not_asked_this_question(clock, observed):
    """A clock that is not the case's makes the cell worthless, whatever the verdict."""
    assert observe(PROBE, report("accepted", clock=clock), SERVED).observed == observed


GIVEN = PROBE.model_copy(update={"client_chain": "chain", "client_key": "key"})
GOOD = DeviceVerdict(presented=("cd",), accepted=True)
BAD = DeviceVerdict(
    presented=("cd",), accepted=False, code="10", text="certificate has expired (depth 0)", reason=Reason.EXPIRED
)
NONE = DeviceVerdict(accepted=False, code="SSL_R", text="no certificate came", reason=Reason.NO_CERTIFICATE)


def cut(verdict: DeviceVerdict | None, **more: object) -> Witness:
    """Return the witness of a handshake that the server ended with this verdict."""
    return REFUSED.model_copy(update={"device": verdict, "alert": None, **more})


@pytest.mark.parametrize(
    "said",
    [
        report("failed", stage="http", code="-12", text="an alert came"),
        report("failed", stage="handshake", code="-12", text="an alert came"),
        report("rejected", stage="handshake", code="60", text="expired, they say", reason="expired"),
    ],
)
def test_a_device_that_the_server_rejects_is_rejected(said):
    """Whatever a client makes of the alert, code, words and reason are the server's; its own are kept beside."""
    observation = observe(GIVEN, said, cut(BAD), device=True)
    assert (observation.observed, observation.stage) == (Observed.REJECTED, "handshake")
    assert (observation.code, observation.reason) == ("10", "expired")
    assert observation.text == "certificate has expired (depth 0)"
    assert observation.said == f"{said.outcome} at {said.stage}: {said.code} {said.text}"


def test_a_device_that_the_server_accepts_has_to_connect():
    """The server's yes is not enough: without a finished exchange nothing was accepted."""
    served = SERVED.model_copy(update={"device": GOOD})
    accepted = observe(GIVEN, report("accepted", stage="http"), served, device=True)
    assert (accepted.observed, accepted.said) == (Observed.ACCEPTED, "")
    failed = observe(GIVEN, report("failed", stage="http", code="1", text="lost"), served, device=True)
    assert (failed.observed, failed.stage, failed.text) == (Observed.FAILED, "http", "lost")
    missed = observe(GIVEN, report("accepted"), served.model_copy(update={"answered": False}), device=True)
    assert missed.observed is Observed.CONTRADICTED


def test_whoever_claims_to_be_in_is_contradicted_by_a_server_that_refused():
    """A client that says accepted where the server ended the handshake is believed no more than elsewhere."""
    observation = observe(GIVEN, report("accepted", stage="http"), cut(BAD), device=True)
    assert observation.observed is Observed.CONTRADICTED


@pytest.mark.parametrize("verdict", [None, GOOD])
def test_a_client_that_rejects_the_server_gives_no_verdict_on_the_device(verdict):
    """What it says of the server is evidence in words, never the observation."""
    said = report("rejected", stage="handshake", code="20", text="unknown", reason="unknown-ca")
    observation = observe(GIVEN, said, cut(verdict), device=True)
    assert (observation.observed, observation.reason) == (Observed.FAILED, None)
    assert observation.text == "the client rejected the server, which is no verdict on the device: 20 unknown"


def test_a_certificate_that_a_client_keeps_to_itself_is_missed():
    """A device that had something to show and showed nothing is told from one that had nothing."""
    said = report("failed", stage="http")
    assert observe(GIVEN, said, cut(NONE), device=True).text == (
        "no certificate came; the client sent none of the certificates that it was given"
    )
    assert observe(PROBE, said, cut(NONE), device=True).text == "no certificate came"
    asked = SERVED.model_copy(update={"device": DeviceVerdict(accepted=True)})
    withheld = observe(GIVEN, report("accepted", stage="http"), asked, device=True)
    assert withheld.observed is Observed.CONTRADICTED
    assert "showed none of the certificates that it was given" in withheld.text
    assert observe(PROBE, report("accepted", stage="http"), asked, device=True).observed is Observed.ACCEPTED


def test_a_server_that_never_asked_has_judged_nobody():
    """A client that got in without being asked for a certificate proves nothing about the device."""
    observation = observe(GIVEN, report("accepted", stage="http"), SERVED, device=True)
    assert observation.observed is Observed.CONTRADICTED
    assert "was not asked for a certificate" in observation.text


def test_a_device_on_another_clock_was_not_asked_this_question():
    """The client's clock counts here as well, even where the server rejects."""
    observation = observe(GIVEN, report("failed", stage="http", clock=5), cut(BAD), device=True)
    assert observation.observed is Observed.CONTRADICTED
