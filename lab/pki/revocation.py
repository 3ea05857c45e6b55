"""What a careful relying party that asks makes of revocation, which RFC 5280 section 6.1 leaves outside a path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from lab.model.revocation import said
from lab.model.scenario import Case, Chain, Expect, Reason
from lab.pki.mint import Minted
from lab.pki.reference import Opinion
from lab.pki.status import word

__all__ = ["REVOKED", "STAPLE", "told", "with_revocation"]

STAPLE = "the stapled response"
"""Who says what is stapled."""
REVOKED = "revoked"
_GOOD = "good"


def told(minted: Minted, name: str, chain: Chain | None, at: datetime) -> Iterator[tuple[str, str]]:
    """Yield what a client can be told about a certificate, by whom: ``("the CRL", "revoked")``.

    ``chain`` is the one that is served where the certificate is its end-entity's, so that a staple is about it.
    """
    certificate = minted.scenario.certificates[name]
    for who, field in (
        (STAPLE, chain.staple if chain is not None else False),
        ("the OCSP responder", certificate.ocsp),
        ("the CRL", certificate.crl),
    ):
        says = said(field)
        if says is not None:
            yield who, word(minted, name, says, at)


def with_revocation(case: Case, minted: Minted, judge: Callable[[tuple[str, ...]], Opinion]) -> Opinion:
    """Return the opinion of one who asks everybody that a case offers.

    ``judge`` is the opinion without revocation, of certificates by name.  Whoever is told by a valid answer that a
    certificate is revoked does not use it (RFC 6066 section 8, RFC 5280 section 6.3.3): where no path is left without
    those, ``reject``, for ``revoked``.  What no answer settles is for policy (RFC 5280 section 6.3): ``either`` where
    all that was said of a certificate on the path is unsatisfactory (expired, unknown, from the wrong signer, none),
    and where a certificate promises a staple (RFC 7633) that is not served.
    """
    plain = judge(case.send)
    if plain.expect is Expect.REJECT:
        return plain
    chain = minted.scenario.chains[case.chain]
    answers = {
        name: dict(told(minted, name, chain if place == 0 else None, case.at)) for place, name in enumerate(case.send)
    }
    revoked = [name for name, given in answers.items() if REVOKED in given.values()]
    kept = tuple(name for name in case.send if name not in revoked)
    best = judge(kept) if revoked and kept and kept[0] == case.send[0] else plain
    if revoked and (best is plain or best.expect is Expect.REJECT):
        who = next(who for who, says in answers[revoked[0]].items() if says == REVOKED)
        why = f"{' < '.join(plain.path)}: {revoked[0]} is revoked, says {who} (RFC 5280 6.3, RFC 6066 8)"
        return Opinion(Expect.REJECT, Reason.REVOKED, plain.path, why)
    doubts = list(_doubts(best, answers))
    if minted.scenario.certificates[case.send[0]].must_staple and not chain.staple:
        doubts.append(f"{case.send[0]} promises a staple that is not served (RFC 7633 4.2.3)")
    if not doubts or best.expect is not Expect.ACCEPT:
        return best
    why = f"{best.why}: left to policy: " + "; ".join(doubts)
    return Opinion(Expect.EITHER, Reason.OTHER, best.path, why, complete=best.complete)


def _doubts(best: Opinion, answers: dict[str, dict[str, str]]) -> Iterator[str]:
    for name, given in answers.items():
        if name in best.path and given and _GOOD not in given.values():
            words = ", ".join(f"{who}: {says}" for who, says in given.items())
            yield f"what is said of {name} settles nothing ({words}; RFC 5280 6.3)"
