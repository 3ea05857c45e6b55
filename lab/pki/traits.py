"""What is particular about a case, as stacks see it: traits that tell for which cases a known deviation holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509

from lab.model.case import Trait
from lab.pki.facts import facts, signed_by
from lab.pki.names import fingerprint
from lab.pki.reference import reference
from lab.pki.rules import check_path

__all__ = ["sent_path", "sequence", "store_path", "traits"]


def store_path(served: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return the path that a stack builds which prefers what it holds, and stops at the first anchor that signed."""
    path = [served[0]]
    while path[-1] not in anchors and not _self_signed(path[-1]):
        pool = (*anchors, *(one for one in served[1:] if one not in path))
        issuer = next((one for one in pool if signed_by(path[-1], one)), None)
        if issuer is None:
            break
        path.append(issuer)
    return path


def sequence(served: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]) -> tuple[int, bool]:
    """Return how many certificates, in the very sequence sent, lead to the first that an anchor signed, and whether."""
    for number, one in enumerate(served, start=1):
        if any(signed_by(one, anchor) or one == anchor for anchor in anchors):
            return number, True
        if number == len(served) or not signed_by(one, served[number]):
            return number, False
    return len(served), False


def sent_path(served: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return the path that a stack builds which prefers what it was sent to what it holds.

    From the end-entity certificate each next one is the first of the served that issued it; the store is asked only
    where none is left, or for the trusted twin of a root that was served.  Its last certificate is an anchor, unless
    the path leads nowhere.
    """
    path = [served[0]]
    while not _self_signed(path[-1]):
        issuer = next((one for one in served[1:] if one not in path and signed_by(path[-1], one)), None)
        if issuer is None:
            break
        path.append(issuer)
    if len(path) > 1 and _self_signed(path[-1]):
        path.pop()  # the store has the last word: the first of its anchors that fits, which may be a twin
    if path[-1] not in anchors:
        path += [anchor for anchor in anchors if signed_by(path[-1], anchor)][:1]
    return path


def traits(
    served: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], at: datetime, host: str
) -> frozenset[Trait]:
    """Return the traits of a chain before a store, at a moment, for a host name."""
    path = sent_path(served, anchors)
    every = (*served, *anchors)
    roots = [anchor for anchor in anchors if _self_signed(anchor)]
    with_all, with_roots = (reference(served, store, at, host) for store in (anchors, roots))
    length, anchored = sequence(served, anchors)
    ours = store_path(served, anchors)
    found: dict[Trait, bool] = {
        "sent-path-invalid": _invalid(path, anchors, at, host),
        "store-path-invalid": _invalid(ours, anchors, at, host),
        "sequence-invalid": not anchored or _invalid(served[:length], anchors, at, host),
        "first-second": any(at == one.not_valid_before_utc for one in every),
        "last-second": any(at == one.not_valid_after_utc for one in every),
        "day-before": any(timedelta(0) < one.not_valid_before_utc - at <= timedelta(days=1) for one in every),
        "sent-path-expired": any(at > one.not_valid_after_utc for one in path),
        "sent-path-last-second": any(at == one.not_valid_after_utc for one in path),
        "sent-path-stranded": not _ends_at(path, anchors),
        "intermediate-anchor": (with_all.expect, with_all.reason) != (with_roots.expect, with_roots.reason),
        "anchor-expired": any(at > one.not_valid_after_utc for one in anchors),
        "root-served": any(_self_signed(one) for one in served[1:]),
        "ca-served-expired": any(at > one.not_valid_after_utc for one in served[1:]),
        "store-path-expired": any(at > one.not_valid_after_utc for one in ours),
        "store-path-stranded": not _ends_at(ours, anchors),
        "out-of-sequence": not all(map(signed_by, served, served[1:])),
        "sequence-broken": not anchored,
        "sequence-expired": any(at > one.not_valid_after_utc for one in served[:length]),
        "cross-in-store": any(
            facts(one).entity == facts(root).entity for one in anchors if one not in roots for root in roots
        ),
        "ca-served-without-signer": _without_signer(served, [one for one in anchors if at <= one.not_valid_after_utc]),
    }
    return frozenset(trait for trait, holds in found.items() if holds)


def _invalid(path: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], at: datetime, host: str) -> bool:
    """Tell whether anything, open or not, is wrong with this very path, or it reaches no anchor."""
    *below, last = path
    if last in anchors and below:
        return bool(check_path(below, last, at=at, host=host, name=fingerprint))
    anchor = next((one for one in anchors if signed_by(last, one)), None)
    return anchor is None or bool(check_path(path, anchor, at=at, host=host, name=fingerprint))


def _ends_at(path: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]) -> bool:
    return path[-1] in anchors


def _without_signer(served: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]) -> bool:
    """Tell whether a served CA has no signer among the anchors and the CAs that were served behind it."""
    known = list(anchors)
    for one in reversed(served[1:]):
        if one not in known and not any(signed_by(one, signer) for signer in known):
            return True
        known.append(one)
    return False


def _self_signed(certificate: x509.Certificate) -> bool:
    return facts(certificate).self_issued and signed_by(certificate, certificate)
