"""CAs that trustme mints whole: which entities leave name and dates free enough, and their kept pairs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lab.model.scenario import Certificate, Entity, Scenario
from lab.pki.keys import KeyRing, WantedKey, load_key

__all__ = ["Pair", "trustme_entities", "trustme_pairs"]

_KEY_TYPES = {"ec256": trustme.KeyType.ECDSA, "rsa2048": trustme.KeyType.RSA}
_PATH_LENGTH = 9
"""pathLenConstraint of trustme's roots: one more issuing entity than this may be in a path, and no more."""
_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_UNTIL = datetime(3000, 1, 1, tzinfo=UTC)
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


@dataclass(frozen=True)
class Pair:
    """A CA that trustme minted: its certificate, and its private key as PKCS #8 PEM."""

    certificate: x509.Certificate
    key_pem: bytes


def trustme_entities(scenario: Scenario) -> dict[str, str]:
    """Return the entities that trustme mints, each after its issuer, with the name of their only certificate.

    trustme cannot date a CA, give it a common name, reuse a key, leave out a path length or cross-sign; nor can it
    go on where its parent is not its own, because that one's path length may be spent.
    """
    if not _within_trustme(scenario):
        return {}
    fitting = {
        said.subject: name
        for name, said in scenario.certificates.items()
        if _leaves_free(scenario.entities[said.subject], said)
        and scenario.issues(said.subject)
        and sum(other.subject == said.subject for other in scenario.certificates.values()) == 1
    }
    ordered: dict[str, str] = {}
    waiting = True
    while waiting:
        ready = {
            entity: name
            for entity, name in fitting.items()
            if entity not in ordered
            and (scenario.certificates[name].self_issued or scenario.certificates[name].issuer in ordered)
        }
        ordered |= ready
        waiting = bool(ready)
    return ordered


def trustme_pairs(scenario: Scenario, ring: KeyRing) -> dict[str, Pair]:
    """Return the certificate and key of every entity that trustme mints, made once and then kept in the ring."""
    pairs: dict[str, Pair] = {}
    depths: dict[str, int] = {}
    for entity, name in trustme_entities(scenario).items():
        issuer = scenario.certificates[name].issuer
        depths[entity] = 0 if issuer == entity else depths[issuer] + 1
        pairs[entity] = _kept(scenario, entity, None if issuer == entity else pairs[issuer], depths[entity], ring)
    return pairs


def _within_trustme(scenario: Scenario) -> bool:
    """Tell whether no path can be longer than trustme's path length, and no moment outside its dates."""
    issuers = {said.issuer for said in scenario.certificates.values()}
    first, last = scenario.span()
    return len(issuers) <= _PATH_LENGTH + 1 and first >= _FROM and last < _UNTIL


def _leaves_free(entity: Entity, said: Certificate) -> bool:
    named = any(part is not None for part in (entity.cn, entity.c, entity.st, entity.l)) or "" in (entity.o, entity.ou)
    named = named or bool(entity.dns or entity.raw_dns or entity.ip)
    bound = entity.same_key_as or entity.same_key_id_as or entity.key not in _KEY_TYPES or entity.strings != "utf8"
    asked = said.model_dump(exclude={"subject", "issuer", "ca"}, exclude_defaults=True)
    return not (named or bound or asked or said.ca is False)


def _kept(scenario: Scenario, entity: str, parent: Pair | None, depth: int, ring: KeyRing) -> Pair:
    said = scenario.entities[entity]

    def make() -> bytes:
        # create_child_ca() does the same, but takes neither organisation nor unit, and forgets a kept parent's depth.
        ca = trustme.CA(
            parent_cert=_load(parent) if parent else None,
            path_length=_PATH_LENGTH - depth,
            organization_name=said.o,
            organization_unit_name=said.ou,
            key_type=_KEY_TYPES[said.key],
        )
        key = load_key(ca.private_key_pem.bytes())
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + ca.cert_pem.bytes()

    def check(held: bytes) -> Pair:
        found = _CERTIFICATE.search(held)
        if found is None:
            raise ValueError("no certificate")
        pair = Pair(x509.load_pem_x509_certificate(found.group()), held[: found.start()])
        if load_key(pair.key_pem).public_key() != pair.certificate.public_key():
            raise ValueError("this key is another certificate's")
        return pair

    # Another parent, name or depth makes another certificate: the label tells them apart.
    issued_by = parent.certificate.public_bytes(Encoding.DER) if parent else b""
    label = sha256(repr((said.o, said.ou, depth, issued_by)).encode()).hexdigest()[:16]
    return check(ring.keep(WantedKey(scenario.slug, entity, said.key), label, make, check))


def _load(pair: Pair) -> trustme.CA:
    return trustme.CA.from_pem(pair.certificate.public_bytes(Encoding.PEM), pair.key_pem)
