"""Scenarios become exhibits: minted once, then served, trusted and described from here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lab.errors import InputError, Problem
from lab.expectation import expected, handed, opinion, particulars
from lab.judge import Chaos
from lab.model.case import Device, Reason, Trait
from lab.model.result import CertificateRecord, DeviceRecord, ExhibitRecord, RemedyRecord, Witness
from lab.model.revocation import said
from lab.model.scenario import Case, Certificate, Expect, Expectation, Scenario, Swept, TlsVersion
from lab.model.variants import named
from lab.pki.addresses import NOWHERE
from lab.pki.encoding import serial_number
from lab.pki.keys import KeyRing
from lab.pki.mint import Minted, mint, wanted_keys
from lab.pki.reference import Opinion
from lab.pki.status import Spoken, ocsp_response
from lab.server.chaos.stage import staged
from lab.server.client_auth import ClientAuth
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
    device: Device | None
    """How devices are asked, and who is trusted for them."""
    at: datetime | None
    """When, where that makes another one: where devices are judged, where an OCSP response is stapled, or where
    certificates name the HTTP port."""


@dataclass
class Gallery:
    """The exhibits, anchors and records of scenarios.  Nothing is minted twice.

    ``keylog`` is a file to which the secrets of every connection are appended, in NSS key log format, for whoever
    reads a capture.  ``seed`` decides what is random in faults on the wire.  ``port`` is
    the address of the lab's HTTP port, which certificates may name.
    """

    scenarios: Mapping[str, Scenario]
    ring: KeyRing
    keylog: Path | None = None
    seed: int = 0
    port: str = NOWHERE
    _minted: dict[str, Minted] = field(default_factory=dict)
    _moments: dict[tuple[str, datetime], Minted] = field(default_factory=dict)
    _exhibits: dict[_Key, Exhibit] = field(default_factory=dict)
    _staples: dict[tuple[str, str, str, datetime], Spoken] = field(default_factory=dict)
    _anchors: dict[tuple[str, tuple[str, ...], datetime | None], str] = field(default_factory=dict)
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

    def minted_for(self, case: Case) -> Minted:
        """Return the certificates of a case: its scenario's.

        Where they name the lab's HTTP port, they are others for each moment: what a client fetched and kept at one
        moment would be found again at another by its address, or by its serial number.
        """
        if not self.scenarios[case.scenario].points or self.port == NOWHERE:
            return self.minted(case.scenario)
        key = (case.scenario, case.at)
        if key not in self._moments:
            port = f"{self.port}/{case.at:%Y%m%dT%H%M%SZ}"
            self._moments[key] = mint(self.scenarios[case.scenario], self.ring, port=port)
        return self._moments[key]

    def exhibit(self, case: Case, lowest: TlsVersion | None = None, *, imposter: bool = False) -> Exhibit:
        """Return what the server shows in a case.

        ``lowest`` is the lowest TLS version for a client that has no better one; a scenario or a chain that names its
        own keeps it.  The security level of that exhibit alone is lowered with it.  ``imposter`` as in Exhibit.
        """
        server = self.scenarios[case.scenario].server
        chain = self.scenarios[case.scenario].chains[case.chain]
        if lowest is not None and (chain.min_tls is not None or "min_tls" in server.model_fields_set):
            lowest = None
        staple = self.staple(case)
        device = None if case.device is None else case.device.model_copy(update={"send": ()})
        dated = staple or device or self.scenarios[case.scenario].points
        key = _Key(
            case.scenario,
            case.chain,
            case.send,
            lowest,
            imposter,
            case.id if case.wire else "",
            device,
            case.at if dated else None,
        )
        if key not in self._exhibits:
            minted = self.minted_for(case)
            level = server.security_level if chain.security_level is None else chain.security_level
            self._exhibits[key] = Exhibit(
                chain=tuple(_der(one) for one in minted.named(case.send)),
                key_pem=minted.key_of(case.send[0]),
                min_tls=lowest or chain.min_tls or server.min_tls,
                max_tls=chain.max_tls or server.max_tls,
                security_level=0 if lowest is not None else level,
                prefer=server.prefer,
                groups=":".join(server.groups or ()) or GROUPS,
                imposter=imposter,
                odd=any(_odd(self.scenarios[case.scenario].certificates[name]) for name in case.send),
                client_auth=self._client_auth(case, minted),
                staple=staple.der if staple else b"",
            )
            if case.wire:
                file, field = f"{case.scenario}/scenario.toml", f"faults.{case.fault}.wire"
                faults = read_faults(case.wire, file=file, field=field)
                self._exhibits[key] = staged(self._exhibits[key], faults, f"{self.seed}/{case.id}")
            if self.keylog is not None:
                self._exhibits[key].context().set_keylog_callback(self._log_secret)
        return self._exhibits[key]

    @staticmethod
    def _client_auth(case: Case, minted: Minted) -> ClientAuth | None:
        asked = case.device
        if asked is None:
            return None
        anchors = tuple(_der(one) for one in minted.named(asked.trust))
        return ClientAuth(anchors, case.at, required=asked.required, hints=asked.hints)

    def staple(self, case: Case) -> Spoken | None:
        """Return the OCSP response that is stapled in a case, None where none is."""
        says = said(self.scenarios[case.scenario].chains[case.chain].staple)
        if says is None:
            return None
        key = (case.scenario, case.send[0], says, case.at)
        if key not in self._staples:
            self._staples[key] = ocsp_response(self.minted_for(case), case.send[0], says, case.at)
        return self._staples[key]

    def points(self, case: Case) -> bool:
        """Tell whether a certificate of a case names the lab's HTTP port."""
        certificates = self.scenarios[case.scenario].certificates
        return any(certificates[name].points for name in (*case.send, *case.trust))

    def owed(self, case: Case, witness: Witness) -> Expectation:
        """Return what is expected of the client that the witness saw: who was not told of a revocation is free."""
        expectation = self.expected(case)
        if expectation.reason is not Reason.REVOKED or handed(case, self.minted_for(case), witness):
            return expectation
        return Expectation(expect=Expect.EITHER, why="it did not ask, and so was not told that anything is revoked")

    def _log_secret(self, _connection: object, line: bytes) -> None:
        assert self.keylog is not None
        with os.fdopen(os.open(self.keylog, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.write(line + b"\n")

    def anchors(self, case: Case) -> str:
        """Return the trust anchors of a case as PEM, in the store's order."""
        key = (case.scenario, case.trust, case.at if self.scenarios[case.scenario].points else None)
        if key not in self._anchors:
            self._anchors[key] = self.minted_for(case).pem(case.trust).decode("ascii")
        return self._anchors[key]

    def identity(self, case: Case) -> tuple[str, str] | None:
        """Return what the device shows in a case, as PEM, and the private key to it; None where it has nothing."""
        if case.device is None or not case.device.send:
            return None
        minted = self.minted_for(case)
        send = case.device.send
        return minted.pem(send).decode("ascii"), minted.key_of(send[0]).decode("ascii")

    def expected(self, case: Case) -> Expectation:
        """Return what a careful relying party does with a case, written or generated."""
        if case.id not in self._expected:
            self._expected[case.id] = expected(case, self.opinion(case))
        return self._expected[case.id]

    def opinion(self, case: Case) -> Opinion:
        """Return what the reference relying party makes of a case, faults on the wire apart."""
        key = case.faultless.id
        if key not in self._opinions:
            self._opinions[key] = opinion(case, self.minted_for(case))
        return self._opinions[key]

    def chaos(self, case: Case, witness: Witness) -> Chaos | None:
        """Return what the witness and the expectations say of a case's faults on the wire, None where it has none."""
        return Chaos(bool(witness.faults), self.expected(case.faultless)) if case.wire else None

    def traits(self, case: Case) -> frozenset[Trait]:
        """Return what is particular about a case."""
        if case.id not in self._traits:
            self._traits[case.id] = particulars(case, self.minted_for(case))
        return self._traits[case.id]

    def pin(self, case: Case) -> str:
        """Return the public key, in PEM, by which pinning clients know the server of a case."""
        scenario = self.scenarios[case.scenario]
        name = scenario.server.pin or next(iter(scenario.chains.values())).send[0]
        key = self.minted_for(case).certificates[name].public_key()
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
        scenario, minted = self.scenarios[case.scenario], self.minted_for(case)
        thought = self.opinion(case)
        return ExhibitRecord(
            scenario=case.scenario,
            title=scenario.title,
            date=scenario.date.isoformat(),
            case=case.name,
            chain=_records(case.send, minted.named(case.send)),
            anchors=_records(case.trust, minted.named(case.trust)),
            device=_device_record(case.device, minted),
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
            staple=f"{staple.word}, {sha256(staple.der).hexdigest()}" if (staple := self.staple(case)) else "",
        )


def _family(case: Case, swept: Swept | None) -> str:
    """Return what a generated case shares with its kin; empty for one that stands by itself."""
    if case.origin == "sweep" and swept is not None:
        return f"{swept.family}+{case.store}@{case.time}"
    return f"{case.chain}+{case.store}" if case.origin == "boundary" else ""


def _device_record(device: Device | None, minted: Minted) -> DeviceRecord | None:
    if device is None:
        return None
    return DeviceRecord(
        chain=_records(device.send, minted.named(device.send)),
        anchors=_records(device.trust, minted.named(device.trust)),
        required=device.required,
    )


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
