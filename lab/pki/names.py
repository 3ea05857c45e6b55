"""Names of entities, subtrees and certificates, and whether two names are the same (RFC 5280 section 7)."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_network
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type  # NameAttribute takes a string type, and only this names one
from cryptography.x509.oid import NameOID, ObjectIdentifier

from lab.model.scenario import Entity

__all__ = ["Canonical", "alternative_names", "canonical", "common_name", "distinguished", "fingerprint", "subtree"]

_UB_COMMON_NAME = 64
"""RFC 5280 appendix A.1: longest common name, in characters."""

_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*")
"""What a PrintableString may hold (X.680 section 41.4)."""

_TYPES = {"utf8": _ASN1Type.UTF8String, "printable": _ASN1Type.PrintableString}

Canonical: TypeAlias = tuple[frozenset[tuple[ObjectIdentifier, str | bytes]], ...]


def common_name(entity: Entity) -> str | None:
    """Return an entity's common name: its own, else its first DNS name or address, where that fits into one."""
    if entity.cn is not None:
        return None if entity.cn is False else entity.cn
    first = next(iter([*entity.dns, *map(str, entity.ip)]), None)
    return first if first is not None and len(first) <= _UB_COMMON_NAME else None


def distinguished(entity: Entity, slug: str, name: str) -> x509.Name:
    """Return an entity's distinguished name, in the order C, ST, L, O, OU, CN.

    One that the author did not name at all is told from the others by scenario and entity; ``cn = false`` names it,
    and leaves it empty where nothing else is said.  A country is always a PrintableString (RFC 5280 appendix A.1).
    Raises ValueError where an attribute is too long, empty or unprintable.
    """
    chosen = _TYPES[entity.strings]
    said = [
        (NameOID.COUNTRY_NAME, entity.c),
        (NameOID.STATE_OR_PROVINCE_NAME, entity.st),
        (NameOID.LOCALITY_NAME, entity.l),
        (NameOID.ORGANIZATION_NAME, entity.o),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, entity.ou),
        (NameOID.COMMON_NAME, common_name(entity)),
    ]
    if entity.cn is not False and all(value is None for _, value in said):
        said = [
            (NameOID.ORGANIZATION_NAME, "tlslab"),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, slug),
            (NameOID.COMMON_NAME, name),
        ]
    attributes = []
    for oid, value in said:
        if value is not None:
            if not value:
                raise ValueError("an attribute of a name is empty")
            kind = _ASN1Type.PrintableString if oid == NameOID.COUNTRY_NAME else chosen
            if kind is _ASN1Type.PrintableString and not _PRINTABLE.fullmatch(value):
                raise ValueError(f'"{value}" does not fit into a PrintableString')
            attributes.append(x509.NameAttribute(oid, value, kind))
    return x509.Name(attributes)


def alternative_names(entity: Entity) -> x509.SubjectAlternativeName | None:
    """Return an entity's DNS names and addresses as an extension, or None; raise ValueError for a name not in ASCII."""
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in entity.dns]
    names += [x509.DNSName._init_without_validation(name) for name in entity.raw_dns]  # noqa: SLF001 - no other way in
    names += [x509.IPAddress(address) for address in entity.ip]
    return x509.SubjectAlternativeName(names) if names else None


def subtree(text: str) -> x509.GeneralName:
    """Return a name constraint's base: an IP network where it reads as one, else a DNS name (RFC 5280 4.2.1.10)."""
    try:
        return x509.IPAddress(ip_network(text))
    except ValueError:
        return x509.DNSName(text)


def _fold(value: str | bytes) -> str | bytes:
    if isinstance(value, bytes):
        return value
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


@lru_cache(maxsize=1024)
def canonical(name: x509.Name) -> Canonical:
    """Return a name in the form in which equal names are equal: string types, case and runs of spaces do not count.

    RFC 5280 section 7.1; the folding is RFC 4518's, as far as Unicode's own NFKC and case folding give it.
    """
    return tuple(frozenset((part.oid, _fold(part.value)) for part in rdn) for rdn in name.rdns)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return a certificate's SHA-256 as lower-case hex, the form in which clients report paths."""
    return sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
