"""What is expected of a case: the author's word, else the reference relying party's, and what faults leave of it."""

from __future__ import annotations

from lab.model.case import Device, Trait
from lab.model.result import Witness
from lab.model.scenario import Case, Expect, Expectation, Reason
from lab.pki.addresses import fetchable
from lab.pki.mint import Minted
from lab.pki.reference import Opinion, reference
from lab.pki.revocation import REVOKED, STAPLE, told, with_revocation
from lab.pki.traits import traits
from lab.server.faults import consequence, read_faults

__all__ = ["expected", "handed", "opinion", "particulars", "reference_expects"]


def opinion(case: Case, minted: Minted) -> Opinion:
    """Return what the reference relying party makes of a case of the scenario that was minted.

    That is the client, who judges the server; or the server, in a case about what the device shows.
    """
    if case.device is not None and not case.device.send:
        return _bare(case.device)
    if case.device is not None:
        send, trust = minted.named(case.device.send), minted.named(case.device.trust)
        return reference(send, trust, case.at, None, minted.name_of)

    def judge(send: tuple[str, ...]) -> Opinion:
        return reference(minted.named(send), minted.named(case.trust), case.at, case.host, minted.name_of)

    found = with_revocation(case, minted, judge)
    fetched = fetchable(minted.scenario, case.send)
    if found.expect is not Expect.REJECT or found.reason is Reason.REVOKED or not fetched:
        return found
    other = judge((*case.send, *fetched))
    if other.expect is Expect.REJECT:
        return found
    why = f"{found.why}; who fetches {', '.join(fetched)}, and nobody has to (RFC 5280 4.2.2.1), finds {other.why}"
    return Opinion(Expect.EITHER, found.reason, other.path, why, complete=other.complete)


def _bare(device: Device) -> Opinion:
    """Return the opinion on a device that shows no certificate (RFC 8446 section 4.4.2.4)."""
    if device.required:
        return Opinion(Expect.REJECT, Reason.NO_CERTIFICATE, (), "the server requires a certificate, and there is none")
    return Opinion(Expect.ACCEPT, None, (), "the server goes on without a certificate")


def particulars(case: Case, minted: Minted) -> frozenset[Trait]:
    """Return the traits of a case of the scenario that was minted; none where it is about the device.

    They are what clients stumble over, and there it is the server that judges.
    """
    if case.device is not None:
        return frozenset()
    return traits(minted.named(case.send), minted.named(case.trust), case.at, case.host)


def handed(case: Case, minted: Minted, witness: Witness) -> bool:
    """Tell whether a client asked, and was told by a valid answer, that a certificate of the case is revoked."""
    if any(answer.endswith(": revoked") for answer in witness.asked):
        return True
    chain = minted.scenario.chains[case.chain]
    return bool(witness.staple) and dict(told(minted, case.send[0], chain, case.at))[STAPLE] == REVOKED


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
