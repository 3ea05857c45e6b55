"""A session's deadlines and ends, on a clock of our own."""

from __future__ import annotations

import json

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from lab.clients.session import Deadline, Ended, Session, Violation
from lab.model.wire import Probe

HELLO = b'{"v":1,"client":"x","version":"X 1","clock":"native"}\n'
PROBE = Probe(id="17", host="127.0.0.1", port=1, server_name="shop.example", anchors="", time=0, timeout_ms=1)


class Pipe:
    """Keeps what was written, and whether the client was killed."""

    def __init__(self):
        self.written = b""
        self.killed = 0

    def write(self, data):
        self.written += data

    def kill(self):
        self.killed += 1


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pipe():
    return Pipe()


@pytest.fixture
def session(clock, pipe):
    return Session(clock, pipe)


def result_of(coroutine):
    """Start a coroutine and return a list that its result or exception will be in."""
    outcome = []
    Deferred.fromCoroutine(coroutine).addCallbacks(outcome.append, lambda failure: outcome.append(failure.value))
    return outcome


def greet(session):
    outcome = result_of(session.greeting(1))
    session.received(HELLO)
    return outcome


def test_a_probe_and_its_report(session, pipe, clock):
    """The report is returned, and no timer is left."""
    assert greet(session)[0].version == "X 1"
    outcome = result_of(session.ask(PROBE, 5))
    assert json.loads(pipe.written)["id"] == "17"
    session.received(b'{"v":1,"id":"17","outcome":"accepted"}\n')
    assert outcome[0].outcome == "accepted"
    assert clock.getDelayedCalls() == []


def test_silence_is_a_deadline_and_kills(session, pipe, clock):
    """A client that does not answer in time is killed at once, and cannot be asked again."""
    greet(session)
    outcome = result_of(session.ask(PROBE, 5))
    clock.advance(4.9)
    assert (outcome, pipe.killed) == ([], 0)
    clock.advance(0.2)
    assert isinstance(outcome[0], Deadline)
    assert pipe.killed == 1
    session.received(b'{"v":1,"id":"17","outcome":"accepted"}\n')
    assert not session.alive
    assert isinstance(result_of(session.ask(PROBE, 5))[0], Deadline)


def test_no_hello_is_a_deadline(session, pipe, clock):
    """A client that starts and says nothing is killed."""
    outcome = result_of(session.greeting(30))
    clock.advance(30)
    assert isinstance(outcome[0], Deadline)
    assert pipe.killed == 1


def test_an_end_names_itself(session, pipe):
    """A client that ends during a probe says with which status; what it printed is kept."""
    greet(session)
    outcome = result_of(session.ask(PROBE, 5))
    session.received_stderr(b"x" * 100_000 + b"assertion failed")
    session.lost("signal SIGABRT")
    assert isinstance(outcome[0], Ended)
    assert str(outcome[0]) == "signal SIGABRT"
    tail = session.stderr_tail()
    assert tail.endswith("assertion failed")
    assert len(tail) == 8192
    assert session.stderr_tail() == ""
    assert session.gone.called


def test_nonsense_is_a_violation(session, pipe):
    """A line that is no report ends the session, and what follows is not listened to."""
    greet(session)
    outcome = result_of(session.ask(PROBE, 5))
    session.received(b"all is well\n")
    assert isinstance(outcome[0], Violation)
    assert pipe.killed == 1


def test_an_end_between_probes_is_met_at_the_next(session):
    """A client that ended while nobody listened is not asked."""
    greet(session)
    session.lost("exit status 0")
    assert isinstance(result_of(session.ask(PROBE, 5))[0], Ended)
