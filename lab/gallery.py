"""Scenarios become exhibits: minted once, then served, trusted and described from here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lab.errors import InputError, Problem
from lab.expectation import expected, opinion, particulars
from lab.judge import Chaos
from lab.model.case import Trait
from lab.model.result import CertificateRecord, ExhibitRecord, RemedyRecord, Witness
from lab.model.scenario import Case, Certificate, Expectation, Scenario, Swept, TlsVersion
from lab.model.variants import named
from lab.pki.encoding import serial_number
from lab.pki.keys import KeyRing
from lab.pki.mint import Minted, mint, wanted_keys
from lab.pki.reference import Opinion
from lab.server.chaos.stage import staged
from lab.server.exhibit import GROUPS, Exhibit
from lab.server.faults import read_faults

__all__ = ["Gallery"]


class _Key(NamedTuple):
    """What tells one exhibit from another."""

    scenario: str
    chain: str
    send: tuple[str, ...]
    lowest: TlsVersion | None
    imposter: bool
    faulted: str


@dataclass
class Gallery:
    """The exhibits, anchors and records of scenarios.  Nothing is minted twice.

    ``keylog`` is a file to which the secrets of every connection are appended, in NSS key log format, for whoever
    reads a capture.  ``seed`` decides what is random in faults on the wire.
    """

    scenarios: Mapping[str, Scenario]
    ring: KeyRing
    keylog: Path | None = None
    seed: int = 0
    _minted: dict[str, Minted] = field(default_factory=dict)
    _exhibits: dict[_Key, Exhibit] = field(default_factory=dict)
    _anchors: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    _expected: dict[str, Expectation] = field(default_factory=dict)
    _opinions: dict[str, Opinion] = field(default_factory=dict)
    _traits: dict[str, frozenset[Trait]] = field(default_factory=dict)

    def minted(self, slug: str) -> Minted:
        """Return the certificates of a scenario."""
        if not self._minted:
            # All at once, because slow keys are made in parallel.
            self.ring.prepare(key for scenario in self.scenarios.values() for key in wanted_keys(scenario))
        if slug not in self._minted:
            self._minted[slug] = mint(self.scenarios[slug], self.ring)
        return self._minted[slug]

    def exhibit(self, case: Case, lowest: TlsVersion | None = None, *, imposter: bool = False) -> Exhibit:
        """Return what the server shows in a case.

        ``lowest`` is the lowest TLS version for a client that has no better one; a scenario or a chain that names its
        own keeps it.  The security level of that exhibit alone is lowered with it.  ``imposter`` as in Exhibit.
        """
        server = self.scenarios[case.scenario].server
        chain = self.scenarios[case.scenario].chains[case.chain]
        if lowest is not None and (chain.min_tls is not None or "min_tls" in server.model_fields_set):
            lowest = None
        key = _Key(case.scenario, case.chain, case.send, lowest, imposter, case.id if case.wire else "")
        if key not in self._exhibits:
            minted = self.minted(case.scenario)
            self._exhibits[key] = Exhibit(
                chain=tuple(_der(one) for one in minted.named(case.send)),
                key_pem=minted.key_of(case.send[0]),
                min_tls=lowest or chain.min_tls or server.min_tls,
                max_tls=chain.max_tls or server.max_tls,
                security_level=0 if lowest is not None else server.security_level,
                prefer=server.prefer,
                groups=":".join(server.groups or ()) or GROUPS,
                imposter=imposter,
                odd=any(_odd(self.scenarios[case.scenario].certificates[name]) for name in case.send),
            )
            if case.wire:
                file, field = f"{case.scenario}/scenario.toml", f"faults.{case.fault}.wire"
                faults = read_faults(case.wire, file=file, field=field)
                self._exhibits[key] = staged(self._exhibits[key], faults, f"{self.seed}/{case.id}")
            if self.keylog is not None:
                self._exhibits[key].context().set_keylog_callback(self._log_secret)
        return self._exhibits[key]

    def _log_secret(self, _connection: object, line: bytes) -> None:
        assert self.keylog is not None
        with os.fdopen(os.open(self.keylog, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.write(line + b"\n")

    def anchors(self, case: Case) -> str:
        """Return the trust anchors of a case as PEM, in the store's order."""
        key = (case.scenario, case.trust)
        if key not in self._anchors:
            self._anchors[key] = self.minted(case.scenario).pem(case.trust).decode("ascii")
        return self._anchors[key]

    def expected(self, case: Case) -> Expectation:
        """Return what a careful relying party does with a case, written or generated."""
        if case.id not in self._expected:
            self._expected[case.id] = expected(case, self.opinion(case))
        return self._expected[case.id]

    def opinion(self, case: Case) -> Opinion:
        """Return what the reference relying party makes of a case, faults on the wire apart."""
        key = case.faultless.id
        if key not in self._opinions:
            self._opinions[key] = opinion(case, self.minted(case.scenario))
        return self._opinions[key]

    def chaos(self, case: Case, witness: Witness) -> Chaos | None:
        """Return what the witness and the expectations say of a case's faults on the wire, None where it has none."""
        return Chaos(bool(witness.faults), self.expected(case.faultless)) if case.wire else None

    def traits(self, case: Case) -> frozenset[Trait]:
        """Return what is particular about a case."""
        if case.id not in self._traits:
            self._traits[case.id] = particulars(case, self.minted(case.scenario))
        return self._traits[case.id]

    def pin(self, case: Case) -> str:
        """Return the public key, in PEM, by which pinning clients know the server of a case."""
        scenario = self.scenarios[case.scenario]
        name = scenario.server.pin or next(iter(scenario.chains.values())).send[0]
        key = self.minted(case.scenario).certificates[name].public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return key.public_bytes(serialization.Encoding.PEM, form).decode()

    def check(self) -> None:
        """Build every exhibit's TLS context, so that nothing is found wanting in the middle of a run.

        Raise InputError with every scenario that cannot be served.
        """
        problems: list[Problem] = []
        for scenario in self.scenarios.values():
            for case in scenario.cases():
                try:
                    self.exhibit(case).context()
                except InputError as error:
                    problems += error.problems
        if problems:
            raise InputError(list(dict.fromkeys(problems)))

    def record(self, case: Case) -> ExhibitRecord:
        """Return what a case puts before its clients, and what the reference relying party makes of it."""
        scenario, minted = self.scenarios[case.scenario], self.minted(case.scenario)
        thought = self.opinion(case)
        return ExhibitRecord(
            scenario=case.scenario,
            title=scenario.title,
            date=scenario.date.isoformat(),
            case=case.name,
            chain=_records(case.send, minted.named(case.send)),
            anchors=_records(case.trust, minted.named(case.trust)),
            path=tuple(thought.path),
            reference=thought.why,
            origin=case.origin,
            base=case.source,
            family=_family(case, scenario.chains[case.chain].swept),
            values=swept.values if (swept := scenario.chains[case.chain].swept) else {},
            remedies=tuple(
                RemedyRecord(name=name, title=remedy.title, why=remedy.why, column=remedy.column)
                for name, remedy in scenario.remedies.items()
                if case.origin == "written" and named(case, remedy.of)
            ),
            traits=tuple(sorted(self.traits(case))),
        )


def _family(case: Case, swept: Swept | None) -> str:
    """Return what a generated case shares with its kin; empty for one that stands by itself."""
    if case.origin == "sweep" and swept is not None:
        return f"{swept.family}+{case.store}@{case.time}"
    return f"{case.chain}+{case.store}" if case.origin == "boundary" else ""


def _odd(said: Certificate) -> bool:
    return bool(said.mutations) or said.hash in {"md5", "sha1"}


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _records(names: Sequence[str], certificates: Sequence[x509.Certificate]) -> tuple[CertificateRecord, ...]:
    return tuple(
        CertificateRecord(
            name=name,
            subject=one.subject.rfc4514_string(),
            issuer=one.issuer.rfc4514_string(),
            serial=f"{serial_number(one):x}",
            not_before=one.not_valid_before_utc,
            not_after=one.not_valid_after_utc,
            key=_key(one),
            sha256=one.fingerprint(hashes.SHA256()).hex(),
            pem=one.public_bytes(serialization.Encoding.PEM).decode(),
        )
        for name, one in zip(names, certificates, strict=True)
    )


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ec{key.key_size}"
    return type(key).__name__.removesuffix("PublicKey").removeprefix("_").lower()
