"""A scenario's certificates: minted by trustme where the author leaves it free, by ``cryptography`` everywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import MappingProxyType

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lab.errors import InputError, Problem
from lab.model.scenario import Scenario
from lab.pki import profile
from lab.pki.addresses import NOWHERE, addresses
from lab.pki.authorities import Pair, trustme_entities, trustme_pairs
from lab.pki.keys import KeyRing, WantedKey, load_key
from lab.pki.mutations import mutated
from lab.pki.names import alternative_names, distinguished, fingerprint
from lab.pki.unread import Unread

__all__ = ["Minted", "mint", "wanted_keys"]

_CA_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_CA_UNTIL = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
"""A CA's dates where nobody says any: the last that UTCTime can tell (RFC 5280 section 4.1.2.5), so that no stack
trips over an encoding that is not the scenario's point."""
_BEFORE = timedelta(days=30)
_AFTER = timedelta(days=60)
"""An end-entity certificate without dates: so long before the scenario's first moment, and after its last one."""
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""Beyond these there is no date to write down."""


def wanted_keys(scenario: Scenario) -> list[WantedKey]:
    """Return the keys that minting a scenario takes, so that a caller can prepare those of many scenarios at once.

    Keys of the CAs that trustme mints are not among them: trustme makes its own.
    """
    free = trustme_entities(scenario)
    owners = dict.fromkeys(scenario.key_owner(entity) for entity in scenario.entities)
    return [WantedKey(scenario.slug, owner, scenario.entities[owner].key) for owner in owners if owner not in free]


@dataclass(frozen=True)
class Minted:
    """A scenario's certificates and keys.  Names that the scenario does not have raise KeyError."""

    scenario: Scenario
    certificates: Mapping[str, x509.Certificate]
    """Every certificate by its name in the scenario, in the scenario's order.

    One that ``cryptography`` cannot read is ``lab.pki.unread.Unread``: its bytes, and otherwise its sound twin.
    """
    keys: Mapping[str, bytes] = field(repr=False)
    """Every entity's private key as PKCS #8 PEM."""
    shift: timedelta = timedelta(0)
    """By how much its dates are moved."""

    def key_pem(self, entity: str) -> bytes:
        """Return an entity's private key as PKCS #8 PEM."""
        return self.keys[entity]

    def authority(self, entity: str) -> trustme.CA:
        """Return an issuing entity as a CA that issues with trustme's own profile.

        Where it has several certificates, the CA carries the first self-signed one, else the first, in the order of
        the file.  It knows no parent, so what it issues comes without intermediates.  Raises KeyError for an entity
        that issues nothing or has no certificate, InputError for an Ed25519 key, which trustme cannot sign with.
        """
        said = self.scenario.certificates
        own = sorted(
            (name for name in said if said[name].subject == entity and self.scenario.issues(entity)),
            key=lambda name: not said[name].self_issued,
        )
        if not own:
            raise KeyError(entity)
        owner = self.scenario.entities[self.scenario.key_owner(entity)]
        if owner.key == "ed25519":
            raise InputError.one(
                "trustme cannot issue from an Ed25519 key",
                file=_file(self.scenario),
                field=f"entities.{entity}.key",
                remedy="its certificates of the scenario itself are minted all the same",
            )
        if isinstance(self.certificates[own[0]], Unread):
            raise InputError.one(
                "trustme cannot issue from a certificate that cannot be read",
                file=_file(self.scenario),
                field=f"certificates.{own[0]}.mutations",
                remedy="its certificates of the scenario itself are minted all the same",
            )
        return trustme.CA.from_pem(self.certificates[own[0]].public_bytes(Encoding.PEM), self.keys[entity])

    def named(self, names: Iterable[str]) -> list[x509.Certificate]:
        """Return certificates by their names, in that order: a chain, or a trust store."""
        return [self.certificates[name] for name in names]

    def pem(self, names: Iterable[str]) -> bytes:
        """Return certificates by their names as PEM, in that order; empty for none."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.named(names))

    def key_of(self, certificate: str) -> bytes:
        """Return the private key that belongs to a certificate, as PKCS #8 PEM."""
        return self.keys[self.scenario.certificates[certificate].subject]

    def name_of(self, sha256: str) -> str | None:
        """Return the name of the certificate with this SHA-256 (hex), or None where it is none of this scenario's."""
        return self._names.get(sha256.lower())

    @cached_property
    def _names(self) -> dict[str, str]:
        return {fingerprint(certificate): name for name, certificate in self.certificates.items()}


def mint(scenario: Scenario, ring: KeyRing, *, shift: timedelta = timedelta(0), port: str = NOWHERE) -> Minted:
    """Mint every certificate of a scenario whose names all refer to something; keys come from the ring.

    ``shift`` moves every date by that much.  The CAs that trustme mints keep its dates, 2000 to 3000, and so their
    certificates stay the same bytes.  ``port`` is the address of the lab's HTTP port.  Raises InputError with every
    problem at once: a name too long, dates the wrong way round, an unknown key usage; and as ``KeyRing`` does.
    """
    pairs = trustme_pairs(scenario, ring)
    ring.prepare(wanted_keys(scenario))
    parties = _parties(scenario, ring, pairs)
    span = scenario.span()
    certificates: dict[str, x509.Certificate] = {}
    problems: list[Problem] = []
    for name, said in scenario.certificates.items():
        if said.subject in pairs:
            certificates[name] = pairs[said.subject].certificate
            continue
        is_ca = scenario.is_ca(name)
        try:
            start, end = _dates(span, is_ca=is_ca)
            made = profile.sign(
                said,
                subject=parties[said.subject],
                issuer=parties[said.issuer],
                is_ca=is_ca,
                names=alternative_names(scenario.entities[said.subject]),
                dates=((said.not_before or start) + shift, (said.not_after or end) + shift),
                addresses=addresses(scenario.slug, name, said, port),
            )
            if said.mutations or said.hash in {"md5", "sha1"}:
                made = mutated(made, said.mutations, parties[said.issuer].key, said.hash)
            certificates[name] = made
        except (ValueError, TypeError, OverflowError) as error:
            problems.append(Problem(_file(scenario), field=f"certificates.{name}", found=str(error)))
    if problems:
        raise InputError(problems)
    keys = {
        entity: pairs[owner].key_pem
        if (owner := scenario.key_owner(entity)) in pairs
        else ring.pem(scenario.slug, owner, scenario.entities[owner].key)
        for entity in scenario.entities
    }
    return Minted(scenario, MappingProxyType(certificates), MappingProxyType(keys), shift)


def _file(scenario: Scenario) -> str:
    return f"{scenario.slug}/scenario.toml"


def _parties(scenario: Scenario, ring: KeyRing, pairs: Mapping[str, Pair]) -> dict[str, profile.Party]:
    """Return every entity's name, key and key identifier."""
    problems: list[Problem] = []
    names: dict[str, x509.Name] = {}
    keys = {}
    for entity, said in scenario.entities.items():
        owner = scenario.key_owner(entity)
        if owner in pairs:
            keys[entity] = load_key(pairs[owner].key_pem)
        else:
            keys[entity] = ring.key(scenario.slug, owner, scenario.entities[owner].key)
        try:
            names[entity] = (
                pairs[entity].certificate.subject if entity in pairs else distinguished(said, scenario.slug, entity)
            )
        except ValueError as error:
            problems.append(Problem(_file(scenario), field=f"entities.{entity}", found=str(error)))
    if problems:
        raise InputError(problems)
    return {
        entity: profile.Party(
            names[entity],
            keys[entity],
            x509.SubjectKeyIdentifier.from_public_key(keys[_key_id_owner(scenario, entity)].public_key()).digest,
        )
        for entity in scenario.entities
    }


def _key_id_owner(scenario: Scenario, entity: str) -> str:
    owner, seen = entity, {entity}
    while (source := scenario.entities[owner].same_key_id_as) is not None and source not in seen:
        seen.add(source)
        owner = source
    return owner


def _dates(span: tuple[datetime, datetime], *, is_ca: bool) -> tuple[datetime, datetime]:
    start, end = max(span[0], _FIRST + _BEFORE) - _BEFORE, min(span[1], _LAST - _AFTER) + _AFTER
    return (min(start, _CA_FROM), max(end, _CA_UNTIL)) if is_ca else (start, end)
