"""Traits: what is particular about the cases of a scenario whose story is known."""

from __future__ import annotations

import pytest

from lab.corpus import Corpus
from lab.expectation import particulars
from lab.pki.keys import KeyRing
from lab.pki.mint import mint


@pytest.fixture(scope="module")
def traits(tmp_path_factory):
    """Return the traits of every case of a few scenarios, by slug and name."""
    ring = KeyRing(tmp_path_factory.mktemp("keys"))
    found = {}
    for slug in ("half-the-fleet", "wrong-order", "topology-two-roots", "expired-service-2018"):
        scenario = Corpus().scenarios[slug].scenario
        minted = mint(scenario, ring)
        found.update({case.id: particulars(case, minted) for case in scenario.cases()})
    return found


@pytest.mark.parametrize(
    ("case", "holds", "not_so"),
    [
        ("half-the-fleet/machine-a+both@october", {"sent-path-expired", "anchor-expired"}, {"store-path-expired"}),
        ("half-the-fleet/machine-a+new@october", {"sent-path-stranded"}, {"sequence-broken", "anchor-expired"}),
        ("half-the-fleet/machine-b+both@october", {"anchor-expired"}, {"sent-path-expired", "sent-path-stranded"}),
        ("wrong-order/swapped+root@now", {"out-of-sequence", "sequence-broken"}, {"sent-path-invalid"}),
        ("wrong-order/root-first+root@now", {"root-served"}, {"store-path-stranded"}),
        (
            "topology-two-roots/a-first-by-a-name-constraints+both@now",
            {"sent-path-invalid", "store-path-invalid"},
            {"sent-path-expired"},
        ),
        ("topology-two-roots/b-first-by-a-expired+both@now", {"ca-served-expired"}, {"sent-path-invalid"}),
        ("expired-service-2018/as-made+device@last-second", {"last-second", "sent-path-last-second"}, {"day-before"}),
    ],
)
def test_traits(traits, case, holds, not_so):
    """Each trait holds where the story says so, and not where it says otherwise."""
    assert holds <= traits[case]
    assert not not_so & traits[case]
