"""A second opinion on a case, by ``cryptography.x509.verification``, which has web-PKI rules of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import product

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    ClientVerifier,
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    ServerVerifier,
    Store,
    VerificationError,
)

from lab.model.scenario import Expect
from lab.pki.facts import facts, signed_by
from lab.pki.names import canonical
from lab.pki.unread import Unread

__all__ = ["BEYOND", "SecondOpinion", "second_opinion"]

BEYOND = {
    "profile": "it wants extensions, and their criticality, as the CA/B Forum's baseline requirements do; "
    "RFC 5280 section 6.1 does not: an end-entity certificate that says CA, an EKU that must not be critical",
    "algorithm": "it knows only the algorithms of the baseline requirements (7.1.3): no Ed25519, no SHA-1, "
    "no RSA below 2048 bits",
    "name-types": "it compares names byte for byte; by RFC 5280 section 7.1 string type and case do not count",
    "self-issued": "it counts self-issued intermediates towards a path length; RFC 5280 6.1.4(l) does not",
    "dns-constraint": "it refuses a DNS name constraint that begins with a dot, where RFC 5280 4.2.1.10 is silent",
    "budget": "it gives up after 128 signatures, which loops of cross-signs soon cost; a path may exist all the same",
    "encoding": "it holds every certificate to the profile of RFC 5280 section 4 (serial numbers, dates), for which "
    "section 6.1 does not reject; and what it cannot read it cannot be asked about",
    "host": "it takes no host that is neither a DNS name nor an address",
}
"""Where its rules go beyond RFC 5280, and it therefore has no opinion here."""

_MIN_RSA = 2048
_MAX_DEPTH = 255


@dataclass(frozen=True)
class SecondOpinion:
    """``expect`` is accept or reject, or None for no opinion; ``why`` is in its words, ``beyond`` a key of BEYOND."""

    expect: Expect | None
    why: str
    beyond: str | None = None


def second_opinion(
    served: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], at: datetime, host: str | None
) -> SecondOpinion:
    """Ask ``cryptography`` about a chain; it treats an anchor as a certificate, dates and constraints included.

    Where it rejects under its own profile but accepts under the rules of RFC 5280 alone, it has no opinion; nor has
    it one where it rejects what it was never made to process (``BEYOND``).  Without a ``host`` the chain is a client's.
    Raises ValueError if nothing is served.
    """
    if not served:
        raise ValueError("a chain has at least its end-entity certificate")
    unread = next((one for one in (*served, *anchors) if isinstance(one, Unread)), None)
    if not anchors or unread is not None:
        empty = SecondOpinion(Expect.REJECT, "the trust store is empty")
        return empty if unread is None else SecondOpinion(None, unread.why, "encoding")
    try:
        subject = None if host is None else _subject(host)
        plain, relaxed = _verifiers(anchors, at, subject, depth=min(len(served), _MAX_DEPTH))
    except ValueError as error:
        return SecondOpinion(None, str(error), "host")
    refusal = _verify(plain, served)
    if refusal is None:
        overlooked = any(facts(one).malformed for one in served)
        return SecondOpinion(None if overlooked else Expect.ACCEPT, "accepted", "encoding" if overlooked else None)
    relaxed_refusal = _verify(relaxed, served)
    if relaxed_refusal is None:
        return SecondOpinion(None, refusal, "profile")
    if "Exceeded maximum" in refusal + relaxed_refusal:
        return SecondOpinion(None, refusal, "budget")
    beyond = next((name for name, holds in _quirks([*served, *anchors]) if holds), None)
    return SecondOpinion(None if beyond else Expect.REJECT, refusal, beyond)


def _subject(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host.removesuffix("."))


def _verify(verifier: ServerVerifier | ClientVerifier, served: Sequence[x509.Certificate]) -> str | None:
    """Return why it refuses, or None where it does not."""
    try:
        verifier.verify(served[0], list(served[1:]))
    except VerificationError as error:
        return str(error)
    return None


def _verifiers(
    anchors: Sequence[x509.Certificate], at: datetime, subject: x509.DNSName | x509.IPAddress | None, *, depth: int
) -> tuple[ServerVerifier, ServerVerifier] | tuple[ClientVerifier, ClientVerifier]:
    """Return a verifier with its own profile, and one with RFC 5280's extension rules only."""
    builder = PolicyBuilder().store(Store(list(anchors))).time(at.astimezone(UTC).replace(microsecond=0))
    builder = builder.max_chain_depth(depth)
    either_way = Criticality.AGNOSTIC
    ca_policy = (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, either_way, _must_be_ca)
        .may_be_present(x509.KeyUsage, either_way, _must_sign_certificates)
    )
    ee_policy = ExtensionPolicy.permit_all()
    if subject is None:
        ee_policy = ee_policy.may_be_present(x509.ExtendedKeyUsage, either_way, _must_be_a_client)
    else:
        ee_policy = ee_policy.require_present(x509.SubjectAlternativeName, either_way, None)
        ee_policy = ee_policy.may_be_present(x509.ExtendedKeyUsage, either_way, _must_serve)
    relaxed = builder.extension_policies(ca_policy=ca_policy, ee_policy=ee_policy)
    if subject is None:
        return builder.build_client_verifier(), relaxed.build_client_verifier()
    return builder.build_server_verifier(subject), relaxed.build_server_verifier(subject)


def _must_be_ca(_policy: Policy, _certificate: x509.Certificate, said: x509.BasicConstraints) -> None:
    if not said.ca:
        raise ValueError("basicConstraints without cA")


def _must_sign_certificates(_policy: Policy, _certificate: x509.Certificate, said: x509.KeyUsage | None) -> None:
    if said is not None and not said.key_cert_sign:
        raise ValueError("keyUsage without keyCertSign")


def _must_serve(_policy: Policy, _certificate: x509.Certificate, said: x509.ExtendedKeyUsage | None) -> None:
    if said is not None and ExtendedKeyUsageOID.SERVER_AUTH not in said:
        raise ValueError("extended key usage without serverAuth")


def _must_be_a_client(_policy: Policy, _certificate: x509.Certificate, said: x509.ExtendedKeyUsage | None) -> None:
    if said is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in said:
        raise ValueError("extended key usage without clientAuth")


def _quirks(certificates: Sequence[x509.Certificate]) -> list[tuple[str, bool]]:
    """Return which of its limits these certificates touch: there, a rejection of its says nothing."""
    return [
        ("encoding", any(facts(one).irregular or facts(one).malformed for one in certificates)),
        ("algorithm", any(map(_unknown_algorithm, certificates))),
        (
            "name-types",
            any(
                canonical(child.issuer) == canonical(parent.subject)
                and child.issuer.public_bytes() != parent.subject.public_bytes()
                for child, parent in product(certificates, certificates)
            ),
        ),
        ("self-issued", any(map(_rolls_over, certificates)) and any(map(_bounded, certificates))),
        ("dns-constraint", any(map(_dotted_constraint, certificates))),
    ]


def _unknown_algorithm(certificate: x509.Certificate) -> bool:
    said = facts(certificate)
    if said.malformed:
        return False
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size < _MIN_RSA or bool(said.weak_hash)
    return not isinstance(key, ec.EllipticCurvePublicKey) or bool(said.weak_hash)


def _rolls_over(certificate: x509.Certificate) -> bool:
    return facts(certificate).self_issued and not signed_by(certificate, certificate)


def _bounded(certificate: x509.Certificate) -> bool:
    said = facts(certificate).basic_constraints
    return said is not None and said.path_length is not None


def _dotted_constraint(certificate: x509.Certificate) -> bool:
    said = facts(certificate).name_constraints
    subtrees = [*(said.permitted_subtrees or ()), *(said.excluded_subtrees or ())] if said else []
    return any(isinstance(base, x509.DNSName) and base.value.startswith(".") for base in subtrees)
