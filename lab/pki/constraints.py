"""Name constraints: inside which subtrees the names of a path's certificates must lie (RFC 5280 section 4.2.1.10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from cryptography import x509

from lab.pki.hostname import Match
from lab.pki.names import canonical

__all__ = ["Subtrees", "within"]

_PROCESSED = (x509.DNSName, x509.IPAddress, x509.DirectoryName)


def within(name: x509.GeneralName, base: x509.GeneralName, *, overlap: bool = False) -> Match:
    """Tell whether a name lies inside a subtree of its own form.

    With ``overlap``, a wildcard that only touches the subtree is OPEN: whether it counts as excluded is not said.
    """
    if isinstance(name, x509.DNSName) and isinstance(base, x509.DNSName):
        return _within_dns(name.value.lower(), base.value.lower(), overlap=overlap)
    if isinstance(name, x509.DirectoryName) and isinstance(base, x509.DirectoryName):
        prefix = canonical(base.value)
        return Match.YES if canonical(name.value)[: len(prefix)] == prefix else Match.NO
    if isinstance(name, x509.IPAddress) and isinstance(base, x509.IPAddress):
        address, network = name.value, base.value
        if isinstance(address, IPv4Address | IPv6Address) and isinstance(network, IPv4Network | IPv6Network):
            return Match.YES if address in network else Match.NO
    return Match.NO


def _within_dns(name: str, base: str, *, overlap: bool) -> Match:
    if base.startswith("."):
        # A leading dot is defined for URIs only; stacks read it as "below", ignore it, or refuse the constraint.
        return Match.NO if _within_dns(name, base[1:], overlap=overlap) is Match.NO else Match.OPEN
    if not base or name == base or name.endswith("." + base):
        return Match.YES
    return Match.OPEN if overlap and name.startswith("*.") and base.partition(".")[2] == name[2:] else Match.NO


@dataclass(frozen=True)
class Subtrees:
    """What the certificates above leave to the names below."""

    permitted: tuple[tuple[x509.GeneralName, ...], ...] = ()
    """One entry for each certificate that permitted anything: a name must satisfy all of them (6.1.4(g)(1))."""
    excluded: tuple[x509.GeneralName, ...] = ()

    def narrowed(self, further: x509.NameConstraints) -> Subtrees:
        """Return these subtrees, narrowed by a certificate's own constraints."""
        permitted = tuple(further.permitted_subtrees or ())
        return Subtrees(
            (*self.permitted, permitted) if permitted else self.permitted,
            (*self.excluded, *(further.excluded_subtrees or ())),
        )

    def judge(self, names: Iterable[x509.GeneralName]) -> Iterator[tuple[str, Match]]:
        """Yield what is wrong with these names in words, with NO where it certainly is, and OPEN where it may be."""
        for name in names:
            for level in self.permitted:
                bases = [base for base in level if type(base) is type(name)]
                if not bases:
                    continue
                verdict = Match.best(within(name, base) for base in bases)
                if not isinstance(name, _PROCESSED):
                    yield f"{name} is of a form whose constraints are not processed", Match.NO
                elif verdict is not Match.YES:
                    yield f"{name.value} is not inside a permitted subtree", verdict
            for base in self.excluded:
                if type(base) is not type(name):
                    continue
                verdict = within(name, base, overlap=True)
                if not isinstance(name, _PROCESSED):
                    yield f"{name} is of a form whose constraints are not processed", Match.NO
                elif verdict is not Match.NO:
                    yield f"{name.value} is inside an excluded subtree", _inverse(verdict)


def _inverse(verdict: Match) -> Match:
    return Match.NO if verdict is Match.YES else verdict
