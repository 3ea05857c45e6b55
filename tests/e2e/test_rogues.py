"""Clients that misbehave: each is named, and nobody else is the worse for it."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import columns, ours

pytestmark = pytest.mark.e2e

EXPECTED = {
    "hang": ("timeout", "fault"),
    "crash": ("crashed", "fault"),
    "exit": ("crashed", "fault"),
    "fork": ("crashed", "fault"),
    "mute": ("timeout", "fault"),
    "megabytes": ("failed", "inconclusive"),
    "nonsense": ("failed", "inconclusive"),
    "other-id": ("failed", "inconclusive"),
    "unreachable": ("unreachable", "inconclusive"),
    "boast": ("contradicted", "inconclusive"),
    "wrong-clock": ("contradicted", "inconclusive"),
}
BROKEN_HARNESS = {"megabytes", "nonsense", "other-id"}


def test_misbehaviour_is_named_and_contained(tlslab):
    """A client that hangs, crashes, floods, lies or babbles is named as such, and the others' cells are right."""
    names = ["honest", *EXPECTED]
    done = tlslab(
        "run",
        "rogue-town",
        *columns(*names),
        "--runtime",
        "process",
        "--jobs",
        "4",
        "--timeout",
        "1",
        "--format",
        "json",
    )
    assert done.status == 3, done.err
    assert len(done.document["cells"]) == 4 * len(names)
    for name, (observed, verdict) in EXPECTED.items():
        for cell in done.cells(client=f"rogue-1+{name}", chain="rogue"):
            assert (cell["observed"], cell["verdict"]) == (observed, verdict), cell
            assert f"about to {name}" in cell["stderr"], cell
    for cell in done.document["cells"]:
        if cell["chain"] == "plain" or cell["client"] == "rogue-1+honest":
            assert cell["verdict"] == "pass", cell
    assert ours() == []


@pytest.mark.parametrize("name", sorted(BROKEN_HARNESS))
def test_a_broken_harness_makes_the_run_fail_with_3(tlslab, name):
    """A client that breaks the dialogue is a broken harness: status 3, whatever the verdicts say."""
    done = tlslab("run", "rogue-town", *columns(name), "--runtime", "process", "--fail-on", "never", "--format", "json")
    assert done.status == 3, done.err


@pytest.mark.parametrize(
    ("name", "control"), [("skip-chain", "twin-root"), ("skip-host", "other-host"), ("skip-dates", "expired")]
)
def test_a_liar_fails_the_control_made_for_it(tlslab, name, control):
    """A client that really shakes hands but skips a check gets no verdict, and the run says why and ends with 3."""
    done = tlslab("run", "rogue-town", *columns(name, "honest"), "--runtime", "process", "--format", "json")
    assert done.status == 3
    assert done.cells(client=f"rogue-1+{name}") == []
    assert {cell["verdict"] for cell in done.cells(client="rogue-1+honest")} == {"pass"}
    (state,) = [one for one in done.document["clients"] if one["name"] == f"rogue-1+{name}"]
    assert f"{control} must be rejected, was accepted" in state["controls"]


def test_a_client_that_skips_the_key_fails_the_imposter(tlslab):
    """A client that verifies the chain but not that the server has its key passes every control but that one."""
    done = tlslab("run", "rogue-town", *columns("skip-key", "honest"), "--runtime", "process", "--format", "json")
    assert done.status == 3
    assert done.cells(client="rogue-1+skip-key") == []
    assert {cell["verdict"] for cell in done.cells(client="rogue-1+honest")} == {"pass"}
    (state,) = [one for one in done.document["clients"] if one["name"] == "rogue-1+skip-key"]
    assert state["controls"] == "imposter: imposter must end the handshake, was accepted"


def test_an_answer_that_comes_twice_breaks_the_dialogue(tlslab):
    """A second report for one probe could be taken for the next one's: the session ends there."""
    done = tlslab("run", "rogue-town", *columns("twice"), "--runtime", "process", "--format", "json")
    assert done.status in {0, 3}
    for cell in done.document["cells"]:
        assert cell["verdict"] in {"pass", "inconclusive", "fault"}, cell
