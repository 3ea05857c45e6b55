"""What the witness alone says of a board: every alert, every ending, every disagreement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.board import CERTIFICATE_ALERTS, Ending, combined, endings, seen, together
from lab.model.result import Observed, Witness
from lab.model.scenario import Reason
from lab.model.wire import Stage
from lab.server.witness import ALERTS

OFFERED = Witness(connections=1, hello="01", certificates=("aa",), tls="1.3")
"""A connection to which the certificates were sent, and no more."""
CLOSED = ["", "close-notify", "fin", "reset", "deadline", "lab"]
BROKEN_OFF = ["close-notify", "fin", "reset"]
DONE = {"handshake": True, "data": 20, "request": True, "answered": True, "closed": "close-notify"}


def witness(**changes):
    return OFFERED.model_copy(update=changes)


ALERT_OR_NONE = st.none() | st.sampled_from(sorted(ALERTS.values())).map(lambda name: f"fatal {name}")
WITNESSES = st.builds(
    Witness,
    connections=st.just(1),
    hello=st.sampled_from(["", "01"]),
    certificates=st.sampled_from([(), ("aa",)]),
    alert=ALERT_OR_NONE,
    alert_sent=ALERT_OR_NONE,
    handshake=st.booleans(),
    resumed=st.booleans(),
    data=st.sampled_from([0, 1, 400]),
    bytes_in=st.integers(0, 1000),
    closed=st.sampled_from(CLOSED),
)
LEARNED = st.frozensets(
    st.builds(Ending, st.sampled_from(["", "decrypt_error"]), st.sampled_from(CLOSED), st.booleans())
)


@pytest.mark.parametrize("data", [1, 400])
@pytest.mark.parametrize("closed", CLOSED)
def test_data_after_the_handshake_is_acceptance(data, closed):
    """A finished handshake and any application data: accepted, in whatever protocol and however it then ends."""
    assert seen(witness(handshake=True, data=data, closed=closed)).observed is Observed.ACCEPTED


@pytest.mark.parametrize(("alert", "reason"), CERTIFICATE_ALERTS.items())
@pytest.mark.parametrize("level", ["fatal", "warning"])
@pytest.mark.parametrize("handshake", [False, True])
def test_an_alert_about_certificates_is_a_rejection(alert, reason, level, handshake):
    """The six alerts that speak of the server's certificates reject, with what they tell of the reason."""
    found = seen(witness(alert=f"{level} {alert}", handshake=handshake, closed="fin"))
    assert (found.observed, found.reason, found.code) == (Observed.REJECTED, reason, alert)


@pytest.mark.parametrize("alert", sorted(set(ALERTS.values()) - set(CERTIFICATE_ALERTS) - {"close_notify"}))
@pytest.mark.parametrize("learned", [(), frozenset({Ending("", "fin", handshake=False)})])
def test_any_other_alert_is_a_failure(alert, learned):
    """handshake_failure, protocol_version, internal_error, access_denied and all the rest say nothing of a chain."""
    found = seen(witness(alert=f"fatal {alert}", closed="fin"), learned)
    assert (found.observed, found.stage, found.code) == (Observed.FAILED, Stage.HANDSHAKE, alert)


def test_decrypt_error_is_learned():
    """decrypt_error rejects only a board's chains whose must-reject controls ended with it: then a signature is bad."""
    end = witness(alert="fatal decrypt_error", closed="fin")
    assert seen(end).observed is Observed.FAILED
    found = seen(end, endings([end]))
    assert (found.observed, found.reason) == (Observed.REJECTED, Reason.BAD_SIGNATURE)


@pytest.mark.parametrize("closed", BROKEN_OFF)
@pytest.mark.parametrize("handshake", [False, True])
@pytest.mark.parametrize("as_closed", BROKEN_OFF)
@pytest.mark.parametrize("as_handshake", [False, True])
def test_silence_is_learned(closed, handshake, as_closed, as_handshake):
    """Broken off without an alert: rejected exactly where a must-reject control ended the very same way."""
    learned = endings([witness(closed=as_closed, handshake=as_handshake)])
    found = seen(witness(closed=closed, handshake=handshake), learned)
    same = (closed, handshake) == (as_closed, as_handshake)
    assert found.observed is (Observed.REJECTED if same else Observed.FAILED)
    assert found.reason is (Reason.OTHER if same else None)


@pytest.mark.parametrize("closed", BROKEN_OFF)
def test_silence_without_a_lesson_says_nothing(closed):
    """A board whose controls all ended with alerts has not taught what a silent ending means."""
    assert seen(witness(closed=closed)).observed is Observed.FAILED


@pytest.mark.parametrize("closed", ["", "deadline", "lab"])
@pytest.mark.parametrize("learned", [None, ()])
def test_what_the_lab_ended_is_no_rejection(closed, learned):
    """A board that hangs has not rejected, and teaches nothing, even in a must-reject control."""
    end = witness(closed=closed)
    assert seen(end, learned).observed is Observed.FAILED
    assert endings([end]) == frozenset()


@pytest.mark.parametrize("handshake", [False, True])
def test_in_a_control_any_ending_of_the_board_rejects(handshake):
    """In a must-reject control the one thing that was changed is why the board broke off."""
    assert seen(witness(closed="reset", handshake=handshake), None).observed is Observed.REJECTED


@pytest.mark.parametrize("alert", [None, "fatal bad_certificate", "fatal decrypt_error"])
@pytest.mark.parametrize("learned", [None, ()])
def test_before_the_certificates_nothing_is_rejected(alert, learned):
    """What ends before the whole Certificate message was sent is no verdict on it, whatever the alert says."""
    found = seen(witness(certificates=(), alert=alert, closed="fin"), learned)
    assert (found.observed, found.stage) == (Observed.FAILED, Stage.HANDSHAKE)


def test_an_alert_of_the_server_is_a_failure():
    """Where the server refused (no version in common) nothing was said of certificates, nor is it learned."""
    end = witness(alert_sent="fatal protocol_version", closed="fin")
    assert seen(end, None).observed is Observed.FAILED
    assert endings([end]) == frozenset()


def test_silence_after_the_handshake_is_at_the_http_stage():
    """A board that finishes the handshake and then sends nothing has not been seen to accept."""
    found = seen(witness(handshake=True, closed="deadline"))
    assert (found.observed, found.stage) == (Observed.FAILED, Stage.HTTP)


def test_resumption_is_a_contradiction():
    """A resumed session verifies no certificate, so nothing is concluded from it."""
    assert seen(witness(handshake=True, resumed=True, certificates=(), data=5)).observed is Observed.CONTRADICTED


def test_no_connection_is_unreachable():
    """Silence is unreachable, and its witness has seen no connection."""
    assert together([]).observed is Observed.UNREACHABLE
    assert combined([]) == Witness()


def test_a_port_scan_counts_only_alone():
    """A connection that speaks no TLS is left out beside one that does; alone it is a failure to connect."""
    scan = Witness(connections=1, closed="fin")
    assert together([scan, witness(**DONE), scan]).observed is Observed.ACCEPTED
    assert (together([scan]).observed, together([scan]).stage) == (Observed.FAILED, Stage.CONNECT)


def test_connections_must_agree():
    """Accepted once and rejected once: nothing can be said, and the text says why."""
    found = together([witness(**DONE), witness(alert="fatal unknown_ca", closed="fin")])
    assert found.observed is Observed.FAILED
    assert "disagree: 1 accepted; 1 rejected" in found.text


@pytest.mark.parametrize(
    ("alerts", "reason"),
    [
        (("unknown_ca", "unknown_ca"), Reason.UNKNOWN_CA),
        (("bad_certificate", "certificate_expired"), Reason.EXPIRED),
        (("unknown_ca", "certificate_expired"), Reason.OTHER),
        (("unknown_ca", "certificate_expired", "bad_certificate"), Reason.OTHER),
    ],
)
def test_the_reason_of_several_rejections(alerts, reason):
    """Rejections agree whatever their reasons; a reason is kept where only one was told."""
    found = together([witness(alert=f"fatal {alert}", closed="fin") for alert in alerts])
    assert (found.observed, found.reason) == (Observed.REJECTED, reason)


def test_the_combined_witness_is_the_furthest():
    """The cell's evidence is the connection that came furthest, with the number of all."""
    done = witness(**DONE)
    assert combined([OFFERED, done, Witness(connections=1)]) == done.model_copy(update={"connections": 3})


@given(WITNESSES, LEARNED)
def test_rejection_needs_certificates_and_no_data(one, learned):
    """Acceptance needs handshake and data; rejection needs the certificates, and no data after the handshake."""
    found = seen(one, learned)
    if found.observed is Observed.ACCEPTED:
        assert one.hello
        assert one.handshake
        assert one.data
        assert not one.resumed
    elif found.observed is Observed.REJECTED:
        assert one.certificates
        assert not (one.handshake and one.data)
        assert found.reason is not None
        assert found.code
    else:
        assert found.observed in {Observed.FAILED, Observed.CONTRADICTED}
        assert found.text


@given(WITNESSES, LEARNED)
def test_lessons_only_add_rejections(one, learned):
    """What is learned turns failures into rejections and changes nothing else."""
    before, after = seen(one), seen(one, learned)
    if before != after and before.observed is after.observed:
        assert before.observed is Observed.FAILED
    elif before != after:
        assert (before.observed, after.observed) == (Observed.FAILED, Observed.REJECTED)


@given(st.lists(WITNESSES, min_size=1, max_size=5), st.randoms(use_true_random=False), LEARNED)
def test_the_order_of_connections_does_not_matter(several, random, learned):
    """Observation, reason and stage-free outcome are the same in whichever order a board's connections came."""
    shuffled = list(several)
    random.shuffle(shuffled)
    first, second = together(several, learned), together(shuffled, learned)
    assert (first.observed, first.reason) == (second.observed, second.reason)
