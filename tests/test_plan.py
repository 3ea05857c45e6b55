"""A plan: every case before every column, in an order that the seed decides."""

from __future__ import annotations

from itertools import groupby

import pytest

from lab.corpus import Corpus
from lab.plan import Plan

CORPUS = Corpus()
FILES = tuple(CORPUS.scenarios[slug] for slug in ("letsencrypt-2021", "addtrust-2020"))
NATIVE, FROZEN = CORPUS.clients["openssl-1.0.2q"], CORPUS.clients["curl-7.88.1"]


@pytest.mark.parametrize("client", [NATIVE, FROZEN], ids=lambda one: one.name)
def test_every_case_once_in_the_seeds_order(client):
    """Nothing is left out or met twice; the same seed gives the same order, another seed another one."""
    plan = Plan(FILES, (client,), seed=7)
    order = [case.id for case in plan.order(client)]
    assert sorted(order) == sorted(case.id for case in plan.cases)
    assert order == [case.id for case in Plan(FILES, (client,), seed=7).order(client)]
    assert order != [case.id for case in Plan(FILES, (client,), seed=8).order(client)]
    assert order != [case.id for case in plan.cases]


def test_columns_have_orders_of_their_own():
    """Two columns do not meet the cases in the same order."""
    plan = Plan(FILES, (NATIVE,), seed=7)
    other = CORPUS.clients["bearssl-0.6"]
    assert [case.id for case in plan.order(NATIVE)] != [case.id for case in plan.order(other)]


def test_a_frozen_clock_is_set_once_a_moment():
    """A column whose every moment costs a process meets the cases of one moment together, in a seeded order."""
    order = Plan(FILES, (FROZEN,), seed=7).order(FROZEN)
    moments = [moment for moment, _ in groupby(order, key=lambda case: case.at)]
    assert len(moments) == len(set(moments)) > 2
    assert moments != sorted(moments)
    native = Plan(FILES, (NATIVE,), seed=7).order(NATIVE)
    assert len(list(groupby(native, key=lambda case: case.at))) > len(moments)


def test_what_is_done_is_left_out():
    """A resumed run meets the rest only, in the order that it would have had."""
    plan = Plan(FILES, (NATIVE,), seed=7)
    first, *rest = plan.order(NATIVE)
    assert plan.order(NATIVE, [first.id]) == rest
