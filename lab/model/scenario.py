"""What a scenario says: entities, certificates, chains, trust stores, times and expectations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, IPvAnyAddress

from lab.model.base import Model, Name, Slug

__all__ = [
    "BOUNDARY",
    "Case",
    "Certificate",
    "Chain",
    "Entity",
    "Expect",
    "Expectation",
    "Feature",
    "NameConstraints",
    "Reason",
    "Scenario",
    "ServerSettings",
    "TlsVersion",
    "TrustStore",
]

BOUNDARY = re.compile(r"(?P<certificate>[a-z0-9][a-z0-9_-]*)\.(?P<end>from|until)(?P<offset>[+-][0-9]+s)?")
"""How a time is said relative to an end of a certificate: ``dst-root.until+1s``."""

KeyType = Literal["rsa2048", "rsa3072", "rsa4096", "ec256", "ec384", "ed25519"]
KeyUsage = Literal[
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
]
Group = Literal["X25519", "P-256", "P-384", "P-521", "X448"]
TlsVersion = Literal["1.0", "1.1", "1.2", "1.3"]
Feature = Literal["tls1.2", "tls1.3", "rsa4096", "ec384", "ed25519"]
"""What not every stack has: a TLS version, or a type of key in anchors, certificates and the handshake."""


class Expect(StrEnum):
    """What a careful relying party does with a case."""

    ACCEPT = "accept"
    REJECT = "reject"
    EITHER = "either"


class Reason(StrEnum):
    """Why a chain is rejected, whatever the stack calls it."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    UNKNOWN_CA = "unknown-ca"
    WRONG_HOST = "wrong-host"
    NOT_A_CA = "not-a-ca"
    PATH_LENGTH = "path-length"
    NAME_CONSTRAINTS = "name-constraints"
    WRONG_USAGE = "wrong-usage"
    BAD_SIGNATURE = "bad-signature"
    WEAK = "weak"
    MALFORMED = "malformed"
    REVOKED = "revoked"
    OTHER = "other"


def _whole_seconds_utc(moment: datetime) -> datetime:
    if moment.microsecond:
        raise ValueError("a certificate's dates are whole seconds")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_whole_seconds_utc)]
"""A date and time with its zone, in whole seconds, kept in UTC."""


class Entity(Model):
    """A name and a key: a root, an intermediate, a site."""

    cn: str | None = None
    """Common name.  An end-entity that has none gets its first DNS name."""
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
    hash: Literal["sha256", "sha384", "sha512"] | None = None
    """Digest of the signature.  By default SHA-256, or SHA-384 under a P-384 key."""
    serial: Annotated[int, Field(gt=0, lt=2**159)] | None = None
    """Serial number; random if not given."""

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer are one entity."""
        return self.subject == self.issuer


class ServerSettings(Model):
    """How the server speaks TLS."""

    host: str
    """The name that clients ask for and check."""
    min_tls: TlsVersion = "1.2"
    """Lowest TLS version offered."""
    max_tls: TlsVersion = "1.3"
    """Highest TLS version offered."""
    security_level: Annotated[int, Field(ge=0, le=5)] | None = None
    """OpenSSL's security level for this scenario's exhibits, where its default is too high."""
    prefer: Literal["server", "client"] = "server"
    """Whose order of ciphers and groups counts."""
    pin: Name | None = None
    """The certificate whose public key is what pinning clients know; by default the end-entity certificate of the
    first chain, which is the one that devices were made with."""
    groups: Annotated[tuple[Group, ...], Field(min_length=1)] | None = None
    """Key exchange groups offered, best first; all of them by default."""


class Chain(Model):
    """What the server sends, in the order sent, end-entity certificate first."""

    send: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Certificates by name."""
    at: Annotated[tuple[str, ...], Field(min_length=1)]
    """When it is served: names of times, or ends of certificates such as ``dst-root.until+1s``."""
    stores: tuple[Name, ...] | None = None
    """The trust stores it is put before; all of them by default."""
    host: str | None = None
    """The name asked for, where it is not the server's."""
    min_tls: TlsVersion | None = None
    """Lowest TLS version offered, where it is not the server's."""
    max_tls: TlsVersion | None = None
    """Highest TLS version offered, where it is not the server's."""
    requires: tuple[Feature, ...] = ()
    """What a client must have for this chain, besides what the scenario requires: its case is unsupported where a
    probe (scenarios/features) has shown that the client lacks it."""


TrustStore = tuple[Name, ...]
"""What a relying party trusts, by name of certificate, in its order.  May be empty."""


class Expectation(Model):
    """What a careful relying party does with a case, and for which reason."""

    expect: Expect
    """accept, reject or either."""
    reason: Reason | None = None
    """Why it rejects."""
    why: str | None = None
    """The author's words, wanted where the expectation is not obvious."""

    def __str__(self) -> str:
        return f"{self.expect}:{self.reason}" if self.reason else str(self.expect)


def _expectation(value: object) -> object:
    """Read ``"reject:unknown-ca"`` and ``{ expect = "reject:unknown-ca", why = "..." }`` alike."""
    table = {"expect": value} if isinstance(value, str) else value
    if isinstance(table, dict) and isinstance(table.get("expect"), str) and ":" in table["expect"]:
        expect, _, reason = table["expect"].partition(":")
        if expect != Expect.REJECT:
            raise ValueError(f'only "reject" takes a reason, found "{table["expect"]}"')
        return {**table, "expect": expect, "reason": reason}
    return table


Expected = Annotated[Expectation, BeforeValidator(_expectation)]


class Case(Model):
    """One chain, one store and one time of a scenario."""

    scenario: Slug
    chain: Name
    store: Name
    time: str
    """The time as the scenario names it: ``after``, or ``dst-root.until+1s``."""
    at: datetime
    """That time, in UTC."""
    host: str
    """The name that the client asks for."""
    expected: Expectation
    requires: tuple[Feature, ...] = ()
    """What a client must have to meet it."""

    @property
    def name(self) -> str:
        """The case inside its scenario: ``long+both@after``."""
        return f"{self.chain}+{self.store}@{self.time}"

    @property
    def id(self) -> str:
        """The case among all: ``letsencrypt-2021/long+both@after``."""
        return f"{self.scenario}/{self.name}"


class Scenario(Model):
    """One story: who vouches for whom, what is served, who trusts what, and when."""

    schema_version: Literal[1] = Field(alias="schema")
    """Version of this format."""
    slug: Slug
    """The folder's name."""
    title: str
    """One line."""
    date: date
    """The day on which it happened, or will."""
    summary: str
    """What happens, and why it matters."""
    references: tuple[str, ...] = ()
    """Public sources."""
    tags: tuple[str, ...] = ()
    """Words to find it by."""
    requires: tuple[Feature, ...] = ()
    """What a client must have to meet any case: ``tls1.2``, ``tls1.3`` (that version), ``rsa4096``, ``ec384``,
    ``ed25519`` (keys of that type, in anchors, certificates and the handshake).  Where a probe has shown that it
    lacks that, the case is unsupported."""
    entities: dict[Name, Entity]
    """Names and keys."""
    certificates: dict[Name, Certificate]
    """Signatures."""
    server: ServerSettings
    """How the server speaks TLS."""
    chains: dict[Name, Chain]
    """What is served, and when."""
    stores: dict[Name, TrustStore]
    """What relying parties trust."""
    times: dict[Name, Moment]
    """The moments that matter."""
    expect: dict[Name, dict[Name, dict[str, Expected]]]
    """Chain, store, time: what a careful relying party does."""

    def moment(self, time: str) -> datetime:
        """Return the moment that ``time`` names; raise KeyError where it names none."""
        if time in self.times:
            return self.times[time]
        boundary = BOUNDARY.fullmatch(time)
        if boundary is None:
            raise KeyError(time)
        certificate = self.certificates[boundary["certificate"]]
        end = certificate.not_before if boundary["end"] == "from" else certificate.not_after
        if end is None:
            raise KeyError(time)
        return end + timedelta(seconds=int((boundary["offset"] or "0s")[:-1]))

    def stores_of(self, chain: str) -> tuple[str, ...]:
        """Return the stores that a chain is put before, in the scenario's order."""
        chosen = self.chains[chain].stores
        return tuple(self.stores) if chosen is None else chosen

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of the file: chain, then store, then time."""
        for chain_name, chain in self.chains.items():
            for store in self.stores_of(chain_name):
                for time in chain.at:
                    yield Case(
                        scenario=self.slug,
                        chain=chain_name,
                        store=store,
                        time=time,
                        at=self.moment(time),
                        host=chain.host or self.server.host,
                        expected=self.expect[chain_name][store][time],
                        requires=tuple(dict.fromkeys((*self.requires, *chain.requires))),
                    )

    def issues(self, entity: str) -> bool:
        """Tell whether an entity signs a certificate of this scenario."""
        return any(certificate.issuer == entity for certificate in self.certificates.values())

    def is_ca(self, certificate: str) -> bool:
        """Tell whether a certificate's basicConstraints says CA."""
        said = self.certificates[certificate].ca
        return self.issues(self.certificates[certificate].subject) if said is None else said

    def key_owner(self, entity: str) -> str:
        """Return the entity whose key ``entity`` uses: its own name, or the one it was rebranded from."""
        owner, seen = entity, {entity}
        while (source := self.entities[owner].same_key_as) is not None and source not in seen:
            seen.add(source)
            owner = source
        return owner
