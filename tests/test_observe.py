"""Report and witness, joined."""

from __future__ import annotations

import pytest

from lab.model.result import Observed, Witness
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
