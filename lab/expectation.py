"""What is expected of a case: the author's word, else the reference relying party's, and what faults leave of it."""

from __future__ import annotations

from lab.model.case import Trait
from lab.model.scenario import Case, Expect, Expectation
from lab.pki.mint import Minted
from lab.pki.reference import Opinion, reference
from lab.pki.traits import traits
from lab.server.faults import consequence, read_faults

__all__ = ["expected", "opinion", "particulars", "reference_expects"]


def opinion(case: Case, minted: Minted) -> Opinion:
    """Return what the reference relying party makes of a case of the scenario that was minted."""
    return reference(minted.named(case.send), minted.named(case.trust), case.at, case.host, minted.name_of)


def particulars(case: Case, minted: Minted) -> frozenset[Trait]:
    """Return the traits of a case of the scenario that was minted."""
    return traits(minted.named(case.send), minted.named(case.trust), case.at, case.host)


def expected(case: Case, said: Opinion) -> Expectation:
    """Return what a careful relying party does with a case, of which the reference relying party says ``said``.

    The author's word goes before the reference's.  Raise InputError where a fault on the wire is none.
    """
    plain = case.expected or reference_expects(said)
    left = case.endures or consequence(read_faults(case.wire))
    if left == "fail":
        return Expectation(expect=Expect.FAIL, why=plain.why)
    if left == "either" and plain.expect is Expect.ACCEPT:
        return Expectation(expect=Expect.EITHER, why="nobody has to put up with that much")
    return plain


def reference_expects(said: Opinion) -> Expectation:
    """Return the reference relying party's opinion as an expectation."""
    return Expectation(expect=said.expect, reason=said.reason if said.expect is Expect.REJECT else None)
