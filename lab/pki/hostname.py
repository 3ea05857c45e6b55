"""Whether a certificate is for the name that was asked for (RFC 9525 section 6)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from ipaddress import ip_address

from cryptography import x509

__all__ = ["Match", "match_dns", "match_host"]


class Match(StrEnum):
    """An answer of rules that leave some questions to the implementation."""

    YES = "yes"
    NO = "no"
    OPEN = "open"
    """The standards leave it to the implementation."""

    @classmethod
    def best(cls, matches: Iterable[Match]) -> Match:
        """Return YES where any of them is, else OPEN where any is, else NO."""
        found = set(matches)
        return next((match for match in (cls.YES, cls.OPEN) if match in found), cls.NO)


def match_dns(presented: str, host: str) -> Match:
    """Match a DNS name of a certificate with the one asked for, both as A-labels.

    Labels are compared without regard to ASCII case, and to that alone: a U-label matches nothing.  A wildcard counts
    only as the whole left-most label, and stands for exactly one label (RFC 9525 section 6.3).  ``*`` and ``*.com``
    are OPEN: public suffixes are no part of the rules, and many stacks refuse such names.  So is a host that ends in
    a dot, as absolute names do: no RFC says whether the dot is part of what is compared.  In a certificate such a name
    is not one of the preferred syntax (RFC 5280 section 4.2.1.6), and matches no other spelling.
    """
    if not (presented.isascii() and host.isascii()):
        return Match.NO
    name, asked = presented.lower(), host.lower()
    wanted = asked.removesuffix(".")
    if asked != wanted:
        name = name.removesuffix(".")
    if not wanted or "" in (*name.split("."), *wanted.split(".")):
        return Match.NO
    star, _, rest = name.partition(".")
    if "*" not in name:
        match = Match.YES if name == wanted else Match.NO
    elif star != "*" or "*" in rest or rest != wanted.partition(".")[2]:
        match = Match.NO
    else:
        match = Match.YES if "." in rest else Match.OPEN
    return Match.OPEN if match is Match.YES and asked != wanted else match


def match_host(names: Iterable[x509.GeneralName], host: str) -> Match:
    """Match the subject alternative names of a certificate with a host: a DNS name, or an address in its text form.

    An address matches addresses only, and a DNS name DNS names only.  The common name never counts (section 2).
    """
    try:
        address = ip_address(host)
    except ValueError:
        return Match.best(match_dns(name.value, host) for name in names if isinstance(name, x509.DNSName))
    return Match.best(
        Match.YES if name.value == address else Match.NO for name in names if isinstance(name, x509.IPAddress)
    )
