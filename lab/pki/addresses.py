"""Where a relying party may ask about a certificate: addresses at the lab's HTTP port, minted into the certificate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID as Access

from lab.model.entity import Certificate
from lab.model.scenario import Scenario

__all__ = ["NOWHERE", "Addresses", "addresses", "fetchable", "issuer_of"]

NOWHERE = "http://lab.invalid"
"""The lab's HTTP port where there is none, as in files that are minted: nobody answers there (RFC 6761)."""


class Addresses(NamedTuple):
    """The addresses in a certificate; empty for one that it does not have."""

    ocsp: str = ""
    crl: str = ""
    issuer: str = ""

    def extensions(self) -> Iterator[x509.ExtensionType]:
        """Yield authorityInfoAccess and cRLDistributionPoints (RFC 5280 sections 4.2.2.1 and 4.2.1.13)."""
        access = [
            x509.AccessDescription(method, x509.UniformResourceIdentifier(address))
            for method, address in ((Access.OCSP, self.ocsp), (Access.CA_ISSUERS, self.issuer))
            if address
        ]
        if access:
            yield x509.AuthorityInformationAccess(access)
        if self.crl:
            where = [x509.UniformResourceIdentifier(self.crl)]
            yield x509.CRLDistributionPoints([x509.DistributionPoint(where, None, None, None)])


def addresses(slug: str, name: str, said: Certificate, port: str) -> Addresses:
    """Return the addresses that a scenario's certificate has where the lab's HTTP port is ``port``.

    Each names scenario and certificate, so that a request tells what it is about.
    """
    return Addresses(
        ocsp=f"{port}/ocsp/{slug}/{name}" if said.ocsp else "",
        crl=f"{port}/crl/{slug}/{name}.crl" if said.crl else "",
        issuer=f"{port}/issuer/{slug}/{name}.crt" if said.aia else "",
    )


def issuer_of(scenario: Scenario, name: str) -> str | None:
    """Return the certificate that is where a certificate says that its issuer's is; None where it does not say."""
    said = scenario.certificates[name]
    return scenario.certificate_of(said.issuer) if said.aia is True else said.aia or None


def fetchable(scenario: Scenario, send: Sequence[str]) -> tuple[str, ...]:
    """Return what a client can fetch that follows caIssuers from what it was sent, step by step."""
    known = list(send)
    for name in known:
        issuer = issuer_of(scenario, name)
        if issuer is not None and issuer not in known:
            known.append(issuer)
    return tuple(known[len(send) :])
