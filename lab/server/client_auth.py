"""The server as relying party: asks a client for its certificate, verifies it at the case's time, notes the verdict."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from OpenSSL import SSL, crypto

from lab.errors import InputError
from lab.model.result import DeviceVerdict
from lab.model.scenario import Reason
from lab.server.openssl import verify_words, watch_handshakes
from lab.server.records import CERTIFICATE

__all__ = ["REASONS", "ClientAuth", "Hearing", "ask", "certificates_of"]

REASONS = {
    Reason.NOT_YET_VALID: {9},
    Reason.EXPIRED: {10},
    Reason.UNKNOWN_CA: {2, 18, 19, 20, 21, 27, 29, 30, 31},
    Reason.BAD_SIGNATURE: {4, 7},
    Reason.MALFORMED: {6, 13, 14, 41, 42},
    Reason.REVOKED: {23},
    Reason.NOT_A_CA: {24, 37, 79},
    Reason.PATH_LENGTH: {22, 25, 38},
    Reason.WRONG_USAGE: {26, 28, 32, 39},
    Reason.NAME_CONSTRAINTS: {47, 48, 49, 51, 52, 53},
    Reason.WRONG_HOST: {62, 63, 64},
    Reason.WEAK: {66, 67, 68},
}
"""X509_V_ERR_* of OpenSSL 1.1.1 and later."""

_NONE_CAME, _NONE_WORDS = "SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE", "peer did not return a certificate"
_TLS13 = 0x0304
_HEADER, _LENGTH = 4, 3


@dataclass(frozen=True)
class ClientAuth:
    """How an exhibit asks for a certificate of the client.

    ``anchors`` are DER: all that the server trusts for clients.  It verifies at the time ``at``.  It goes on without a
    certificate unless one is ``required``, and names its anchors to the client if it ``hints``.
    """

    anchors: tuple[bytes, ...]
    at: datetime
    required: bool = True
    hints: bool = True


def ask(context: SSL.Context, auth: ClientAuth) -> None:
    """Have a fresh context ask clients for their certificates; connections note what comes of it in ``Record.device``.

    OpenSSL verifies by its own defaults, for the purpose of TLS clients, and sends the alert.  Raise InputError where
    it cannot read an anchor.
    """
    store = context.get_cert_store()
    assert store is not None
    store.set_time(auth.at)
    for place, der in enumerate(auth.anchors):
        anchor = _anchor(der, place)
        store.add_cert(anchor)
        if auth.hints:
            context.add_client_ca(anchor.to_cryptography())
    mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if auth.required else 0)
    context.set_verify(mode, _judged)
    watch_handshakes(context, _message)


def _anchor(der: bytes, place: int) -> crypto.X509:
    try:
        return crypto.load_certificate(crypto.FILETYPE_ASN1, der)
    except crypto.Error as error:
        raise InputError.one(f"OpenSSL cannot read it: {error}", field=f"anchors[{place}]") from error


class Hearing:
    """What the server has learnt of one client's certificates so far."""

    __slots__ = ("_required", "presented", "refusal", "vouched")

    def __init__(self, auth: ClientAuth) -> None:
        self._required = auth.required
        self.presented: tuple[str, ...] | None = None
        """SHA-256 of each certificate that came; None before the client's Certificate message."""
        self.refusal: tuple[int, int] | None = None
        """OpenSSL's objection, which ends the verification: its code, and the depth."""
        self.vouched = False
        """Whether the verification came to its end without one."""

    def verdict(self) -> DeviceVerdict | None:
        """Return what the server made of it; None where it did not come to a verdict."""
        if self.refusal is not None:
            code, depth = self.refusal
            text = f"{verify_words(code)} (depth {depth})"
            reason = next((reason for reason, codes in REASONS.items() if code in codes), Reason.OTHER)
            return DeviceVerdict(
                presented=self.presented or (), accepted=False, code=str(code), text=text, reason=reason
            )
        if self.presented == () and self._required:
            # which OpenSSL says in its error queue: a lack of certificates is no matter of verification
            return DeviceVerdict(accepted=False, code=_NONE_CAME, text=_NONE_WORDS, reason=Reason.NO_CERTIFICATE)
        if self.presented is not None and (self.vouched or not self.presented):
            return DeviceVerdict(presented=self.presented, accepted=True)
        return None


def _judged(connection: SSL.Connection, _certificate: crypto.X509, code: int, depth: int, ok: int) -> bool:
    """Note what OpenSSL says of each certificate of the path, and leave the verdict to it."""
    hearing: Hearing = connection.get_app_data().device
    if ok:
        hearing.vouched = depth == 0  # where the path ends
    else:
        hearing.refusal = code, depth
    return bool(ok)


def _message(connection: SSL.Connection, version: int, message: bytes) -> None:
    """Note which certificates a client sent."""
    if message[0] == CERTIFICATE:
        hearing: Hearing = connection.get_app_data().device
        hearing.presented = tuple(hashlib.sha256(der).hexdigest() for der in certificates_of(message, version))


def certificates_of(message: bytes, version: int) -> list[bytes]:
    """Return the certificates (DER) of a client's Certificate message, handshake header included.

    ``version`` is as on the wire.  RFC 5246 section 7.4.2, and RFC 8446 section 4.4.2 for TLS 1.3.  OpenSSL has the
    message before it has read it: what is cut short ends the list.
    """
    newest = version == _TLS13
    place = _HEADER + (1 + int.from_bytes(message[_HEADER : _HEADER + 1], "big") if newest else 0) + _LENGTH
    found = []
    while place + _LENGTH <= len(message):
        size = int.from_bytes(message[place : place + _LENGTH], "big")
        place += _LENGTH
        found.append(message[place : place + size])
        place += size
        if newest:
            place += 2 + int.from_bytes(message[place : place + 2], "big")
    return found
