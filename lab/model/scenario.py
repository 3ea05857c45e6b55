"""What a scenario says: entities, certificates, chains, trust stores, times and expectations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lab.model.base import Model, Name, Slug
from lab.model.case import REVERSED, Case, Device, Expect, Expectation, Expected, Feature, Reason
from lab.model.entity import Certificate, Entity, Moment, NameConstraints
from lab.model.revocation import StapleSays
from lab.model.variants import BOUNDARIES, Remedy, WireFault, boundaries, faulted, remedied

__all__ = [
    "BOUNDARY",
    "Case",
    "Certificate",
    "Chain",
    "Device",
    "Entity",
    "Expect",
    "Expectation",
    "Feature",
    "Moment",
    "NameConstraints",
    "Reason",
    "Scenario",
    "ServerSettings",
    "Swept",
    "TlsVersion",
    "TrustStore",
]

BOUNDARY = re.compile(r"(?P<certificate>[a-z0-9][a-z0-9_-]*)\.(?P<end>from|until)(?P<offset>[+-][0-9]+s)?")
"""How a time is said relative to an end of a certificate: ``dst-root.until+1s``."""

Group = Literal["X25519", "P-256", "P-384", "P-521", "X448"]
TlsVersion = Literal["1.0", "1.1", "1.2", "1.3"]


class ServerSettings(Model):
    """How the server speaks TLS."""

    host: str
    """The name, or the address, that clients ask for and check."""
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


class Swept(Model):
    """Where a chain of a sweep comes from."""

    family: str
    """Its name in the file, with the braces: ``deep-{depth}``."""
    values: dict[str, str | int | float]
    """What stood in the braces."""


def _times(value: object) -> object:
    return (value,) if value == BOUNDARIES else value


class Chain(Model):
    """What the server sends, in the order sent, end-entity certificate first."""

    send: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Certificates by name."""
    at: Annotated[tuple[str, ...], BeforeValidator(_times), Field(min_length=1)]
    """When it is served: names of times, ends of certificates such as ``dst-root.until+1s``, or ``boundaries`` for
    the seconds before, at and after every date that bears on the case (the device's, where it shows certificates)."""
    stores: tuple[Name, ...] | None = None
    """The trust stores it is put before; all of them by default."""
    host: str | None = None
    """The name or address asked for, where it is not the server's."""
    min_tls: TlsVersion | None = None
    """Lowest TLS version offered, where it is not the server's."""
    max_tls: TlsVersion | None = None
    """Highest TLS version offered, where it is not the server's."""
    security_level: Annotated[int, Field(ge=0, le=5)] | None = None
    """OpenSSL's security level of the server, where it is not the scenario's: TLS 1.0 and 1.1 need 0."""
    requires: tuple[Feature, ...] = ()
    """What a client must have for this chain, besides what the scenario requires: its case is unsupported where a
    probe (scenarios/features) has shown that the client lacks it."""
    device: tuple[Name, ...] | None = None
    """What the device shows when the server asks: certificates by name, its own first; an empty list for a device that
    has none.  The expectation is then about the *server's* verdict on it, at the case's time."""
    device_store: Name | None = None
    """The store that the server trusts for devices; ``stores`` stay what the client trusts."""
    device_required: bool = True
    """Whether the server ends a handshake in which the device shows no certificate, or only asks for one."""
    device_hints: bool = True
    """Whether the server names the CAs that it trusts for devices (RFC 8446 section 4.2.4): some clients choose a
    certificate by that, or decide to show none."""
    staple: StapleSays = False
    """Whether the server staples an OCSP response about the end-entity certificate for who asks for one (RFC 6066
    section 8), and what it says; ``true`` for the truth."""
    swept: Swept | None = None
    """Set by the lab for a chain that a sweep made; never by an author."""


TrustStore = tuple[Name, ...]
"""What a relying party trusts, by name of certificate, in its order.  May be empty."""


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
    """What a client must have to meet any case: ``tls1.0``, ``tls1.2``, ``tls1.3`` (that version), ``rsa4096``,
    ``ec384``, ``ed25519`` (keys of that type, in anchors, certificates and the handshake).  Where a probe has shown
    that it lacks that, the case is unsupported."""
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
    expect: dict[Name, dict[Name, dict[str, Expected]]] = Field(default_factory=dict)
    """Chain, store, time: what a careful relying party does.  Only generated cases may go without."""
    parameters: dict[Name, Any] = Field(default_factory=dict)
    """Values that stand in the file as ``{name}``: dates of a policy that moved."""
    sweep: dict[Name, Any] = Field(default_factory=dict)
    """Values over which tables whose names hold ``{name}`` are repeated: ``"1..12"``, or a list."""
    orders: Literal["all"] | tuple[Name, ...] = ()
    """Stores that are tried in the other order as well; ``all`` for every one with two anchors or more."""
    remedies: dict[Name, Remedy] = Field(default_factory=dict)
    """Changes that are said to help."""
    faults: dict[Name, WireFault] = Field(default_factory=dict)
    """Faults on the wire that are added to cases."""
    why_generated: str = ""
    """The author's words on generated cases in which the oracles disagree."""

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

    def span(self) -> tuple[datetime, datetime]:
        """Return the first and the last of the moments that the author names: times, and ends of certificates."""
        moments = list(self.times.values())
        moments += [self.moment(time) for chain in self.chains.values() for time in chain.at if time != BOUNDARIES]
        moments = moments or [datetime(self.date.year, self.date.month, self.date.day, tzinfo=UTC)]
        return min(moments), max(moments)

    def stores_of(self, chain: str) -> tuple[str, ...]:
        """Return the stores that a chain is put before, in the scenario's order."""
        chosen = self.chains[chain].stores
        return tuple(self.stores) if chosen is None else chosen

    def cases(self) -> Iterator[Case]:
        """Yield every case in the order of the file: chain, then store, then time.

        What the lab makes of a case by itself stands right behind it: its remedies and faults; the boundaries where
        the chain says so, and the store's other order last.
        """
        clocks = {name: self.moment(one.clock) for name, one in self.remedies.items() if one.clock is not None}
        for chain_name, chain in self.chains.items():
            for store in self.stores_of(chain_name):
                written = [self._case(chain_name, store, time) for time in chain.at if time != BOUNDARIES]
                for case in written:
                    yield case
                    yield from remedied(case, self.remedies, clocks)
                    yield from faulted(case, self.faults)
                if BOUNDARIES in chain.at:
                    yield from self._boundaries(chain_name, store, written)
                if self._turned(store):
                    for case in written:
                        update = {"store": store + REVERSED, "trust": case.trust[::-1], "origin": "order"}
                        yield case.model_copy(update=update)

    def _case(self, chain_name: str, store: str, time: str, at: datetime | None = None) -> Case:
        chain = self.chains[chain_name]
        origin = "sweep" if chain.swept is not None else "written" if at is None else "boundary"
        return Case(
            scenario=self.slug,
            chain=chain_name,
            store=store,
            time=time,
            at=self.moment(time) if at is None else at,
            host=chain.host or self.server.host,
            send=chain.send,
            trust=self.stores[store],
            expected=self.expect.get(chain_name, {}).get(store, {}).get(time),
            requires=tuple(dict.fromkeys((*self.requires, *chain.requires))),
            device=self._device(chain),
            origin=origin,
        )

    def _device(self, chain: Chain) -> Device | None:
        if chain.device is None or chain.device_store is None:
            return None
        return Device(
            send=chain.device,
            trust=self.stores[chain.device_store],
            required=chain.device_required,
            hints=chain.device_hints,
        )

    def _boundaries(self, chain_name: str, store: str, written: list[Case]) -> Iterator[Case]:
        chain = self.chains[chain_name]
        known = {case.at for case in written}
        device = self._device(chain)
        sent, trusted = (device.send, device.trust) if device and device.send else (chain.send, self.stores[store])
        for time, at in boundaries((*sent, *trusted), self.certificates, sent[0], self.span()):
            if at not in known:
                yield self._case(chain_name, store, time, at)

    def _turned(self, store: str) -> bool:
        """Tell whether a store is tried in the other order: asked for, of some length, and not written by itself."""
        asked = self.orders == "all" or store in self.orders
        known = {self.stores[other] for other in self.stores}
        return asked and len(self.stores[store]) > 1 and self.stores[store][::-1] not in known

    def issues(self, entity: str) -> bool:
        """Tell whether an entity signs a certificate of this scenario."""
        return any(certificate.issuer == entity for certificate in self.certificates.values())

    def is_ca(self, certificate: str) -> bool:
        """Tell whether a certificate's basicConstraints says CA."""
        said = self.certificates[certificate].ca
        return self.issues(self.certificates[certificate].subject) if said is None else said

    def certificate_of(self, entity: str) -> str | None:
        """Return the name of an entity's first certificate, None where it has none."""
        return next((name for name, said in self.certificates.items() if said.subject == entity), None)

    @property
    def points(self) -> bool:
        """Whether a certificate holds an address at the lab's HTTP port."""
        return any(said.points for said in self.certificates.values())

    def key_owner(self, entity: str) -> str:
        """Return the entity whose key ``entity`` uses: its own name, or the one it was rebranded from."""
        owner, seen = entity, {entity}
        while (source := self.entities[owner].same_key_as) is not None and source not in seen:
            seen.add(source)
            owner = source
        return owner
