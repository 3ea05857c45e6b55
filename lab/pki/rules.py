"""The rules that one path is held to (RFC 5280 section 6.1), and which of them the standards leave open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from lab.model.scenario import Reason
from lab.pki.constraints import Subtrees
from lab.pki.facts import Facts, facts, signed_by
from lab.pki.hostname import Match, match_host

__all__ = ["Failure", "check_path"]

_ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
_SERVER = ExtendedKeyUsageOID.SERVER_AUTH, "serverAuth"
_CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH, "clientAuth"


@dataclass(frozen=True)
class Failure:
    """One rule that one certificate of a path does not satisfy."""

    certificate: str
    """The certificate's name, or its SHA-256 where it has none."""
    rule: str
    """The rule in words, with its source."""
    reason: Reason
    open: bool = False
    """Whether the standards leave it to the implementation to reject for this."""

    def __str__(self) -> str:
        return f"{self.certificate}: {self.rule}"


@dataclass(frozen=True)
class _State:
    """What the certificates above leave to those below (RFC 5280 section 6.1.2)."""

    subtrees: Subtrees
    path_length: int | None = None

    def below(self, said: Facts) -> _State:
        """Return the state below a certificate (6.1.4(g), (l) and (m)); a self-issued one takes no length."""
        left = self.path_length
        if left and not said.self_issued:
            left -= 1
        own = said.basic_constraints.path_length if said.basic_constraints else None
        lengths = [length for length in (left, own) if length is not None]
        subtrees = self.subtrees.narrowed(said.name_constraints) if said.name_constraints else self.subtrees
        return _State(subtrees, min(lengths, default=None))


_TOP = _State(Subtrees())


def check_path(
    path: Sequence[x509.Certificate],
    anchor: x509.Certificate | None,
    *,
    at: datetime,
    host: str | None,
    name: Callable[[x509.Certificate], str],
) -> list[Failure]:
    """Return what is wrong with a path, end-entity certificate first, in the order in which 6.1 meets it.

    That is from the anchor down to the end-entity certificate, whose host name comes last; without a ``host`` it has to
    authenticate a TLS client.  The anchor is a name and
    a key: whatever else it says makes a failure that is ``open`` (6.2, RFC 5937).  Without an anchor the path is
    incomplete, and its last certificate's signature is not looked at.
    """
    walk = list(_walk(path, anchor, _TOP, at=at, host=host, name=name))
    if anchor is None:
        return walk
    restricted = _walk(path, anchor, _TOP.below(facts(anchor)), at=at, host=host, name=name)
    further = [failure for failure in restricted if failure not in walk]
    doubts = [*_shape(facts(anchor), host), *_dates(anchor, at), *_key(facts(anchor))]
    return [
        *(Failure(name(anchor), f"as a trust anchor: {rule}", reason, open=True) for rule, reason, _ in doubts),
        *walk,
        *(replace(failure, rule=f"{failure.rule}, by the trust anchor's", open=True) for failure in further),
    ]


_Found = Iterator[tuple[str, Reason, bool]]
"""Rule, reason, and whether it is open."""


def _walk(
    path: Sequence[x509.Certificate],
    anchor: x509.Certificate | None,
    state: _State,
    *,
    at: datetime,
    host: str | None,
    name: Callable[[x509.Certificate], str],
) -> Iterator[Failure]:
    issuer = anchor
    for certificate in reversed(path):
        found: list[tuple[str, Reason, bool]] = []
        if issuer is not None and not signed_by(certificate, issuer):
            rule = f"the key of {name(issuer)} did not make its signature (RFC 5280 6.1.3(a)(1))"
            found.append((rule, Reason.BAD_SIGNATURE, False))
        said = facts(certificate)
        if said.malformed:
            found.append(_unreadable(said))
        else:
            found += _every(certificate, said, at)
            final = certificate is path[0]
            if final or not said.self_issued:
                found += _names(certificate, said, state.subtrees)
            found += _end_entity(said, host) if final else _intermediate(said, state, host)
        yield from (Failure(name(certificate), rule, reason, is_open) for rule, reason, is_open in found)
        state, issuer = state.below(said), certificate


def _every(certificate: x509.Certificate, said: Facts, at: datetime) -> _Found:
    yield from _dates(certificate, at)
    yield from _key(said)
    if said.weak_hash:
        yield f"signed with {said.weak_hash}", Reason.WEAK, True
    yield from (*_encoding(said), *_unknown(said))


def _shape(said: Facts, host: str | None) -> _Found:
    """Yield why an anchor may be refused before it is used: it cannot be read, or says that it is no issuer."""
    if said.malformed:
        yield _unreadable(said)
    else:
        yield from (*_issuer(said, host), *_encoding(said), *_unknown(said))


def _unreadable(said: Facts) -> tuple[str, Reason, bool]:
    return f"cannot be read: {said.malformed}", Reason.MALFORMED, False


def _dates(certificate: x509.Certificate, at: datetime) -> _Found:
    moment = at.replace(microsecond=0)
    if moment < certificate.not_valid_before_utc:
        start = certificate.not_valid_before_utc.isoformat()
        yield f"not valid before {start} (RFC 5280 4.1.2.5)", Reason.NOT_YET_VALID, False
    if moment > certificate.not_valid_after_utc:
        yield f"not valid after {certificate.not_valid_after_utc.isoformat()} (RFC 5280 4.1.2.5)", Reason.EXPIRED, False


def _encoding(said: Facts) -> _Found:
    for rule in said.irregular:
        yield rule, Reason.MALFORMED, True


def _unknown(said: Facts) -> _Found:
    for oid in said.unknown_critical:
        yield f"critical extension {oid} is not known (RFC 5280 4.2)", Reason.OTHER, False


def _key(said: Facts) -> _Found:
    if said.weak_key:
        yield f"its key is small: {said.weak_key}", Reason.WEAK, True


def _names(certificate: x509.Certificate, said: Facts, subtrees: Subtrees) -> _Found:
    names: list[x509.GeneralName] = list(said.alternative_names)
    if certificate.subject.rdns:
        names.append(x509.DirectoryName(certificate.subject))
    for words, verdict in subtrees.judge(names):
        yield f"{words} (RFC 5280 4.2.1.10)", Reason.NAME_CONSTRAINTS, verdict is Match.OPEN


def _intermediate(said: Facts, state: _State, host: str | None) -> _Found:
    if state.path_length == 0 and not said.self_issued:
        rule = "one intermediate more than a path length above allows (RFC 5280 6.1.4(l))"
        yield rule, Reason.PATH_LENGTH, False
    yield from _issuer(said, host)


def _issuer(said: Facts, host: str | None) -> _Found:
    """Yield what keeps a certificate from being an issuer (RFC 5280 6.1.4(k) and (n))."""
    purpose, purpose_name = _CLIENT if host is None else _SERVER
    if said.basic_constraints is None or not said.basic_constraints.ca:
        yield "not a CA by its basicConstraints (RFC 5280 6.1.4(k))", Reason.NOT_A_CA, False
    if said.key_usage is not None and not said.key_usage.key_cert_sign:
        yield "keyUsage without keyCertSign (RFC 5280 6.1.4(n))", Reason.WRONG_USAGE, False
    if said.purposes is not None and not {purpose, _ANY} & set(said.purposes):
        yield f"a CA's extended key usage without {purpose_name}, which 6.1 does not nest", Reason.WRONG_USAGE, True


def _end_entity(said: Facts, host: str | None) -> _Found:
    """Yield what keeps a certificate from authenticating a TLS server of this name, or a TLS client."""
    purpose, purpose_name = _CLIENT if host is None else _SERVER
    if said.purposes is not None and purpose not in said.purposes:
        if _ANY in said.purposes:
            yield (
                "only anyExtendedKeyUsage, which applications may refuse (RFC 5280 4.2.1.12)",
                Reason.WRONG_USAGE,
                True,
            )
        else:
            yield f"extended key usage without {purpose_name} (RFC 5280 4.2.1.12)", Reason.WRONG_USAGE, False
    usage = said.key_usage
    if usage is not None and not usage.digital_signature:
        # TLS 1.3 wants the bit (RFC 8446 4.4.2.2); up to 1.2 a key exchange without a signature needs one of these two.
        # A client always signs (RFC 5246 7.4.8).
        other = host is not None and (usage.key_encipherment or usage.key_agreement)
        yield "keyUsage without digitalSignature (RFC 8446 4.4.2.2)", Reason.WRONG_USAGE, other
    if host is None:
        return
    match = match_host(said.alternative_names, host)
    if match is not Match.YES:
        yield f"not for {host} (RFC 9525 6)", Reason.WRONG_HOST, match is Match.OPEN
