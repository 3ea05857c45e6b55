"""What the controls want to see, above all of a client that meets an imposter."""

from __future__ import annotations

import pytest

from lab.clients.controls import SCENARIO, check, control_cases
from lab.corpus import Corpus
from lab.model.result import Observation, Witness

CONTROLS = control_cases(Corpus().scenarios[SCENARIO].scenario)
(IMPOSTER,) = [control for control in CONTROLS if control.imposter]
SHOWN = Witness(connections=1, certificates=("0a",))


def outcome(observed, stage, witness=SHOWN, cannot=()):
    result = check(IMPOSTER, "column", cannot, Observation(observed=observed, stage=stage), witness)
    return result.outcome, result.why


def test_the_imposter_shows_the_good_chain():
    """There are six controls; the last is the first one's chain, shown by someone else."""
    names = ["good", "twin-root", "other-host", "expired", "not-yet-valid", "imposter"]
    assert [control.name for control in CONTROLS] == names
    assert IMPOSTER.case == CONTROLS[0].case


@pytest.mark.parametrize("observed", ["rejected", "failed"])
def test_ending_the_handshake_is_right(observed):
    """Whether a stack calls it a matter of verification or of the handshake is its own affair."""
    assert outcome(observed, "handshake") == ("ok", "")


@pytest.mark.parametrize(
    ("observed", "stage", "why"),
    [
        ("accepted", "http", "must end the handshake, was accepted"),
        ("timeout", None, "must end the handshake, was timeout"),
        ("crashed", None, "must end the handshake, was crashed"),
        ("unsupported", None, "must end the handshake, was unsupported"),
        ("contradicted", "handshake", "must end the handshake, was contradicted"),
        ("unreachable", "connect", "must end the handshake, was unreachable"),
        ("failed", "http", "must end the handshake, failed at http"),
        ("failed", None, "must end the handshake, failed at an unknown stage"),
    ],
)
def test_nothing_else_is(observed, stage, why):
    """A crash, a hang or a failure elsewhere does not show that a signature was checked."""
    assert outcome(observed, stage) == ("failed", f"imposter {why}")


def test_the_server_must_have_shown_its_certificates():
    """Who left before the certificates came has not checked who signs for them."""
    found = outcome("failed", "handshake", Witness(connections=1))
    assert found == ("failed", "imposter must end after the certificates, the server had not sent them")


def test_the_server_must_not_have_finished():
    """A client that finished the handshake and only then said no has not minded the signature."""
    witness = Witness(connections=1, certificates=("0a",), handshake=True)
    found = outcome("rejected", "handshake", witness)
    assert found == ("failed", "imposter must end the handshake, the server saw it finished")


def test_no_client_may_declare_not_to_check_the_key():
    """A declared lack of other checks does not excuse this one."""
    assert outcome("accepted", "http", cannot=("chain", "host", "dates"))[0] == "failed"
