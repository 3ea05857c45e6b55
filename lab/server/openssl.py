"""The few things that pyOpenSSL binds but does not offer; nothing else of the lab touches its private parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL, _util

__all__ = ["cipher_name", "set_groups", "verify_words", "watch_handshakes"]

_lib: Any = _util.lib
_ffi: Any = _util.ffi

_HANDSHAKE = 22
"""Content type of handshake messages (RFC 8446 section 5.1)."""


def set_groups(context: SSL.Context, groups: str) -> bool:
    """Set the key exchange groups of a fresh context in order, ``X25519:P-256``; say whether OpenSSL took them.

    pyOpenSSL's public ``set_tmp_ecdh`` knows a single group only.
    """
    setter = getattr(_lib, "SSL_CTX_set1_curves_list", None)
    taken = setter is not None and setter(context._context, groups.encode()) == 1  # noqa: SLF001 - see the first line
    if not taken:
        _lib.ERR_clear_error()
    return taken


def cipher_name(connection: SSL.Connection, number: int) -> str:
    """Return OpenSSL's name of a cipher suite by its number, or ``0xc02b`` where it has none.

    pyOpenSSL's public ``get_cipher_name`` is silent until the handshake's end, so also about every rejection.
    """
    finder = getattr(_lib, "SSL_CIPHER_find", None)
    if finder is not None:
        found = finder(connection._ssl, _ffi.new("unsigned char[]", number.to_bytes(2, "big")))  # noqa: SLF001
        if found != _ffi.NULL:
            return str(_ffi.string(_lib.SSL_CIPHER_get_name(found)).decode())
    return f"0x{number:04x}"


def verify_words(code: int) -> str:
    """Return OpenSSL's words for a code of X509_V_ERR."""
    return str(_ffi.string(_lib.X509_verify_cert_error_string(code)).decode())


def watch_handshakes(context: SSL.Context, note: Callable[[SSL.Connection, int, bytes], None]) -> None:
    """Call ``note`` with each handshake message that a fresh context's connections receive, before OpenSSL reads it.

    It is given the connection, the version as on the wire (0x0304 for TLS 1.3) and the message with its header, never
    empty.  pyOpenSSL tells of no message, and under TLS 1.3 they are encrypted on the wire.
    """

    def said(*told: Any) -> None:
        sent, version, kind, data, size, ssl, _ = told
        connection = SSL.Connection._reverse_mapping.get(ssl)  # noqa: SLF001 - see the first line
        if not sent and kind == _HANDSHAKE and size and connection is not None:
            note(connection, version, bytes(_ffi.buffer(data, size)))

    callback = _ffi.callback("void (*)(int, int, int, const void *, size_t, SSL *, void *)", said)
    _lib.SSL_CTX_set_msg_callback(context._context, callback)  # noqa: SLF001
    context._lab_watches = callback  # type: ignore[attr-defined]  # noqa: SLF001 - OpenSSL does not keep it alive
