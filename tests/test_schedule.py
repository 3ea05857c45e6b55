"""Which column a free session takes up, and which cells nobody needs to measure."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace

from lab.clients.features import SCENARIO, conclude
from lab.corpus import Corpus
from lab.model.result import Observation, Observed, Witness
from lab.model.wire import Stage
from lab.schedule import Work, choose, required

CASES = tuple(Corpus().scenarios[SCENARIO].scenario.cases())


def work(cases=(), **fields):
    return Work(SimpleNamespace(name="column"), deque(cases), state=None, **fields)


def test_admission_comes_first():
    """A column whose controls are to be run goes before one with cells; one being admitted is left alone."""
    filled, fresh = work(CASES, admission="done"), work(CASES)
    assert choose([filled, fresh]) is fresh
    assert choose([work(CASES, admission="running"), filled]) is filled


def test_most_left_a_session():
    """Among admitted columns the one with the most cells for each of its sessions is next; none is left at the end."""
    much, little = work(CASES[:4], admission="done", sessions=3), work(CASES[:2], admission="done")
    assert choose([much, little]) is little
    assert choose([work(admission="done")]) is None
    assert choose([]) is None


def test_required_once_each():
    """Requirements are gathered in the order of the cases, each once."""
    assert required([*CASES, *CASES]) == ["tls1.0", "tls1.2", "tls1.3", "rsa4096", "ec384", "ed25519"]


def test_what_is_lacking_is_taken_off_the_list():
    """Only the cases that require a feature proven to be lacking are taken, and come with the proof."""
    ended = Observation(observed=Observed.FAILED, stage=Stage.HANDSHAKE)
    lack = conclude("column", "tls1.3", ended, Witness())
    column = work(CASES, features={"tls1.3": lack})
    assert [(case.chain, probe) for case, probe in column.take_unsupported()] == [("tls-1-3", lack)]
    assert [case.chain for case in column.todo] == ["tls-1-0", "tls-1-2", "rsa4096", "ec384", "ed25519"]
    assert column.take_unsupported() == []


def test_giving_up_leaves_nothing():
    """A column that is given up is neither admitted nor filled any more."""
    column = work(CASES, unprobed=deque(["ed25519"]))
    column.give_up()
    assert (choose([column]), list(column.unprobed)) == (None, [])
