"""Entities and certificates, as a scenario says them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, IPvAnyAddress, StrictBool

from lab.model.base import Model, Name
from lab.model.revocation import CrlSays, OcspSays

__all__ = ["Certificate", "Entity", "KeyType", "KeyUsage", "Moment", "Mutation", "NameConstraints"]

KeyType = Literal["rsa1024", "rsa2048", "rsa3072", "rsa4096", "rsa8192", "ec256", "ec384", "ec521", "ed25519"]
KeyUsage = Literal[
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
]
Mutation = Literal[
    "negative-serial",
    "zero-serial",
    "long-serial",
    "zero-validity",
    "inverted-validity",
    "generalized-time",
    "null-in-name",
    "unknown-critical-extension",
    "unknown-extension",
    "duplicate-extension",
    "wrong-aki",
    "no-aki",
    "differing-algorithms",
    "version-1",
    "no-basic-constraints",
    "empty-subject",
    "trailing-bytes-in-extension",
    "bad-signature",
    "long-length",
    "trailing-bytes",
    "truncated",
]
"""What may be wrong with a certificate on purpose; ``lab/pki/mutations.py`` says what each does, and its source."""


def _whole_seconds_utc(moment: datetime) -> datetime:
    if moment.microsecond:
        raise ValueError("a certificate's dates are whole seconds")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_whole_seconds_utc)]
"""A date and time with its zone, in whole seconds, kept in UTC."""


class Entity(Model):
    """A name and a key: a root, an intermediate, a site."""

    cn: str | Literal[False] | None = None
    """Common name.  An end-entity that has none gets its first DNS name; ``false`` leaves it out, and the whole subject
    empty where no other attribute is given."""
    o: str | None = None
    """Organisation."""
    ou: str | None = None
    """Organisational unit."""
    c: Annotated[str, Field(min_length=2, max_length=2)] | None = None
    """Country, two letters."""
    st: str | None = None
    """State or province."""
    l: str | None = None  # noqa: E741 - the attribute's name in RFC 4514
    """Locality."""
    key: KeyType = "ec256"
    """Type and size of the key."""
    same_key_as: Name | None = None
    """Another entity whose key this one uses: the rebranded CA.  ``key`` is then that entity's."""
    same_key_id_as: Name | None = None
    """Another entity whose key identifier this one's certificates carry, although the key differs."""
    strings: Literal["utf8", "printable"] = "utf8"
    """ASN.1 string type of the name's attributes."""
    dns: tuple[str, ...] = ()
    """DNS names for the subject alternative name of its end-entity certificates."""
    raw_dns: tuple[str, ...] = ()
    """DNS names that stand there in UTF-8 as written, although only ASCII may: U-labels."""
    ip: tuple[IPvAnyAddress, ...] = ()
    """IP addresses for the subject alternative name."""

    @property
    def named(self) -> bool:
        """Whether the author gave it a distinguished name, so that nobody else may choose one."""
        return any((self.cn, self.o, self.ou, self.c, self.st, self.l))


class NameConstraints(Model):
    """RFC 5280 section 4.2.1.10, for DNS names and IP networks (``192.0.2.0/24``)."""

    permitted: tuple[str, ...] = ()
    """Subtrees inside which every name must lie."""
    excluded: tuple[str, ...] = ()
    """Subtrees inside which no name may lie."""
    critical: bool = True
    """Whether the extension is critical."""


class Certificate(Model):
    """One signature: an issuer entity vouches for a subject entity."""

    subject: Name
    """The entity that is vouched for."""
    issuer: Name
    """The entity that signs."""
    not_before: Moment | None = Field(default=None, alias="from")
    """First second of validity."""
    not_after: Moment | None = Field(default=None, alias="until")
    """Last second of validity, itself included (RFC 5280 section 4.1.2.5)."""
    ca: bool | None = None
    """Whether basicConstraints says CA.  By default: the subject issues a certificate of this scenario."""
    path_length: Annotated[int, Field(ge=0, le=255)] | None = None
    """pathLenConstraint of a CA."""
    key_usage: tuple[KeyUsage, ...] | None = None
    """Key usages, critical.  By default the profile's; an empty list leaves the extension out."""
    eku: tuple[str, ...] | None = None
    """Extended key usages (``serverAuth``, ``clientAuth``, ``any`` or dotted), not critical.
    By default serverAuth for an end-entity, none for a CA; an empty list leaves the extension out."""
    name_constraints: NameConstraints | None = None
    """Name constraints of a CA."""
    san_critical: bool | None = None
    """Whether the subject alternative name is critical.  By default where the subject is empty (RFC 5280 4.2.1.6)."""
    hash: Literal["md5", "sha1", "sha256", "sha384", "sha512"] | None = None
    """Digest of the signature.  By default SHA-256, or SHA-384 under a P-384 key; MD5 takes an RSA key."""
    serial: Annotated[int, Field(gt=0, lt=2**159)] | None = None
    """Serial number; random if not given."""
    mutations: tuple[Mutation, ...] = ()
    """What is wrong with it on purpose; but for that the issuer's signature is good."""
    ocsp: OcspSays = False
    """Whether it names the lab's OCSP responder, and what that says; ``true`` for the truth."""
    crl: CrlSays = False
    """Whether it names a CRL of its issuer at the lab's HTTP port, and what is there; ``true`` for the truth."""
    aia: StrictBool | Name = False
    """Whether it says where its issuer's certificate is: ``true`` for the issuer's first, or a certificate by name."""
    must_staple: bool = False
    """Whether it carries the TLS feature extension with status_request (RFC 7633), not critical."""
    revoked: Moment | None = None
    """From when on its issuer says that it is revoked."""
    reinstated: Moment | None = None
    """From when on its issuer says again that it is not."""

    def revoked_at(self, at: datetime) -> bool:
        """Tell whether its issuer says at a moment that it is revoked."""
        if self.revoked is None or at < self.revoked:
            return False
        return self.reinstated is None or at < self.reinstated

    @property
    def points(self) -> bool:
        """Whether it holds an address at the lab's HTTP port."""
        return bool(self.ocsp or self.crl or self.aia)

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer are one entity."""
        return self.subject == self.issuer
