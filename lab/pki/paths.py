"""Search for certification paths in a graph: nodes are names and keys, edges are certificates (RFC 4158)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cryptography import x509

from lab.pki.facts import facts, signed_by

__all__ = ["MAX_CERTIFICATES", "MAX_STEPS", "Path", "Search"]

MAX_STEPS = 5_000
"""Certificates that one search tries before it gives up: cross-signs between n CAs make n! paths."""
MAX_CERTIFICATES = 64
"""Longest path that is looked at, the anchor not counted."""


@dataclass(frozen=True)
class Path:
    """Certificates from the end-entity's upwards, and the anchor that they end at, or None where they end nowhere."""

    certificates: tuple[x509.Certificate, ...]
    anchor: x509.Certificate | None


@dataclass
class Search:
    """A search from the first of the served certificates to any anchor.

    Nothing is tried twice on one path: neither a certificate nor another one for the same name and key, because
    leaving out such a loop makes a path that satisfies whatever the longer one does.  Whether an edge exists is
    decided by names and signatures; key identifiers are hints, and decide only how a failed signature is understood.
    """

    served: Sequence[x509.Certificate]
    anchors: Sequence[x509.Certificate]
    max_steps: int = MAX_STEPS
    gave_up: bool = field(default=False, init=False)
    """Whether a bound was hit, so that there may be paths that nobody looked at."""

    def __post_init__(self) -> None:
        self.served = list(dict.fromkeys(self.served))
        self.anchors = list(dict.fromkeys(self.anchors))

    def signed(self) -> Iterator[Path]:
        """Yield the paths to an anchor on which every signature is good; not those on which the leaf is the anchor."""
        reach = self._reaching()
        parents = {
            child: [parent for parent in self._issuers(child) if parent in reach and signed_by(child, parent)]
            for child in self.served
        }
        yield from self._walk(parents, {child: self._anchors(child, forged=False) for child in self.served})

    def forged(self) -> Iterator[Path]:
        """Yield the paths to an anchor on which some signature is not the named issuer's, though the key ids agree."""
        parents = {child: self._issuers(child) for child in self.served}
        for path in self._walk(parents, {child: self._anchors(child, forged=True) for child in self.served}):
            above = [*path.certificates[1:], *([path.anchor] if path.anchor else [])]
            if not all(map(signed_by, path.certificates, above)):
                yield path

    def stranded(self) -> Path:
        """Return a longest path of good signatures that ends nowhere."""
        parents = {
            child: [parent for parent in self._issuers(child) if signed_by(child, parent)] for child in self.served
        }
        longest = Path((self.served[0],), None)
        for path in self._walk(parents, {child: [] for child in self.served}, stranded=True):
            if len(path.certificates) > len(longest.certificates):
                longest = path
        return longest

    def leaf_anchors(self) -> list[x509.Certificate]:
        """Return the anchors that have the end-entity certificate's own name and key."""
        return [anchor for anchor in self.anchors if facts(anchor).entity == facts(self.served[0]).entity]

    def _reaching(self) -> set[x509.Certificate]:
        """Return the served certificates from which good signatures lead to some anchor: all others are dead ends."""
        reach = {child for child in self.served if self._anchors(child, forged=False)}
        grown = set(reach)
        while grown:
            grown = {
                child
                for child in self.served
                if child not in reach
                and any(signed_by(child, parent) for parent in self._issuers(child) if parent in grown)
            }
            reach |= grown
        return reach

    def _issuers(self, child: x509.Certificate) -> list[x509.Certificate]:
        """Return the served certificates whose key may have signed this one, by name, and then by key or key id."""
        return [parent for parent in self.served if parent is not child and _plausible(child, parent)]

    def _anchors(self, child: x509.Certificate, *, forged: bool) -> list[x509.Certificate]:
        return [anchor for anchor in self.anchors if _plausible(child, anchor) and (forged or signed_by(child, anchor))]

    def _walk(
        self,
        parents: dict[x509.Certificate, list[x509.Certificate]],
        ends: dict[x509.Certificate, list[x509.Certificate]],
        *,
        stranded: bool = False,
    ) -> Iterator[Path]:
        steps = 0
        stack: list[tuple[x509.Certificate, ...]] = [(self.served[0],)]
        while stack:
            path = stack.pop()
            visited = {facts(certificate).entity for certificate in path}
            yield from (Path(path, anchor) for anchor in ends[path[-1]] if facts(anchor).entity not in visited)
            further = [parent for parent in parents[path[-1]] if facts(parent).entity not in visited]
            if stranded and not further:
                yield Path(path, None)
            steps += 1
            if steps + len(stack) > self.max_steps or len(path) >= MAX_CERTIFICATES:
                self.gave_up = self.gave_up or bool(further)
                continue
            stack.extend((*path, parent) for parent in reversed(further))


def _plausible(child: x509.Certificate, parent: x509.Certificate) -> bool:
    """Tell whether the parent's name is the child's issuer, and its key is that issuer's or at least says so."""
    below, above = facts(child), facts(parent)
    if below.issuer != above.entity[0]:
        return False
    ids = below.authority_key_id, above.subject_key_id
    return None in ids or ids[0] == ids[1] or signed_by(child, parent)
