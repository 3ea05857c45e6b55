"""The reference relying party: what a careful one does with a chain, a trust store, a day and a host, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from lab.model.scenario import Expect, Reason
from lab.pki.names import fingerprint
from lab.pki.paths import MAX_STEPS, Path, Search
from lab.pki.rules import Failure, check_path

__all__ = ["Failure", "Opinion", "reference"]

Names = Callable[[str], str | None] | Mapping[str, str]


@dataclass(frozen=True)
class Opinion:
    """What the reference relying party thinks of a case."""

    expect: Expect
    reason: Reason | None
    """Of a rejection, and of what keeps ``either`` from being ``accept``: see ``reference``."""
    path: tuple[str, ...]
    """The path judged, end-entity certificate first, the anchor last: names, or SHA-256 of what has no name."""
    why: str
    """One sentence: the path taken, or the rule that failed at which certificate, or what is left open."""
    failures: tuple[Failure, ...] = ()
    """All that is wrong with that path, in the order of the walk from the anchor."""
    complete: bool = True
    """Whether every path was looked at; otherwise ``expect`` is never ``reject``."""


def reference(
    served: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    at: datetime,
    host: str | None,
    names: Names | None = None,
    *,
    max_steps: int = MAX_STEPS,
) -> Opinion:
    """Judge a chain, end-entity certificate first, by RFC 5280 section 6.1 and RFC 9525.

    With a ``host`` it is a server's, for serverAuth and that name; without one a client's, for clientAuth.

    ``accept``: some path satisfies every rule.  ``either``: some path fails only where the standards leave it open
    (an anchor's dates and constraints, EKU nesting, weak algorithms, a leaf that is itself the anchor).  ``reject``:
    no path is even that good.  The order of the anchors is no input, nor that of the certificates after the first.

    Of several failing paths the best one speaks: one that ends at an anchor before one that ends nowhere, good
    signatures before forged ones, then the fewest failures, the fewest open ones, the shortest, and the first by
    name.  Its reason is the first failure on the walk from the anchor down to the end-entity certificate and its
    host name.  Raises ValueError if nothing is served.
    """
    if not served:
        raise ValueError("a chain has at least its end-entity certificate")
    name = _namer(names)
    search = Search(served, anchors, max_steps)
    best: _Judged | None = None
    for path in search.signed():
        judged = _Judged.of(path, at, host, name)
        best = judged if best is None else min(best, judged, key=_Judged.rank)
        if not best.failures:
            return best.opinion(complete=True)
    for anchor in search.leaf_anchors():
        judged = _Judged.of_leaf(search.served[0], anchor, at, host, name)
        best = judged if best is None else min(best, judged, key=_Judged.rank)
    gave_up = search.gave_up
    if best is None and not gave_up:
        forged = [_Judged.of(path, at, host, name) for path in search.forged()]
        best = min(forged, key=_Judged.rank, default=None)
    if best is None:
        best = _Judged.of(search.stranded(), at, host, name)
    return best.opinion(complete=not gave_up)


def _namer(names: Names | None) -> Callable[[x509.Certificate], str]:
    look_up: Callable[[str], str | None] = (lambda _: None) if names is None else _getter(names)

    def name(certificate: x509.Certificate) -> str:
        digest = fingerprint(certificate)
        return look_up(digest) or digest

    return name


def _getter(names: Names) -> Callable[[str], str | None]:
    return names.get if isinstance(names, Mapping) else names


@dataclass(frozen=True)
class _Judged:
    """A path with what is wrong with it."""

    names: tuple[str, ...]
    failures: tuple[Failure, ...]

    @classmethod
    def of(cls, path: Path, at: datetime, host: str | None, name: Callable[[x509.Certificate], str]) -> _Judged:
        failures = check_path(path.certificates, path.anchor, at=at, host=host, name=name)
        shown = [name(certificate) for certificate in path.certificates]
        if path.anchor is None:
            rule = "no trust anchor is its issuer, and nothing that was served leads to one (RFC 5280 6.1)"
            failures.insert(0, Failure(shown[-1], rule, Reason.UNKNOWN_CA))
        else:
            shown.append(name(path.anchor))
        return cls(tuple(shown), tuple(failures))

    @classmethod
    def of_leaf(
        cls,
        leaf: x509.Certificate,
        anchor: x509.Certificate,
        at: datetime,
        host: str | None,
        name: Callable[[x509.Certificate], str],
    ) -> _Judged:
        rule = "it is itself the trust anchor, and a path begins below its anchor (RFC 5280 6.1)"
        failures = check_path((leaf,), None, at=at, host=host, name=name)
        return cls((name(leaf), name(anchor)), (Failure(name(leaf), rule, Reason.UNKNOWN_CA, open=True), *failures))

    @property
    def hard(self) -> list[Failure]:
        return [failure for failure in self.failures if not failure.open]

    def rank(self) -> tuple[int, int, int, tuple[str, ...], tuple[str, ...]]:
        reasons = tuple(str(failure.reason) for failure in self.hard)
        return len(self.hard), len(self.failures), len(self.names), reasons, self.names

    def opinion(self, *, complete: bool) -> Opinion:
        way = " < ".join(self.names)
        if not self.failures:
            return Opinion(Expect.ACCEPT, None, self.names, f"{way}", complete=complete)
        if self.hard and complete:
            return Opinion(Expect.REJECT, self.hard[0].reason, self.names, f"{way}: {self.hard[0]}", self.failures)
        if self.hard:
            why = f"the search gave up before every path was tried; the best so far, {way}: {self.hard[0]}"
            return Opinion(Expect.EITHER, self.hard[0].reason, self.names, why, self.failures, complete=False)
        why = f"{way}: left open by the standards: " + "; ".join(map(str, self.failures))
        return Opinion(Expect.EITHER, self.failures[0].reason, self.names, why, self.failures, complete=complete)
