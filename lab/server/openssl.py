"""The two things that pyOpenSSL binds but does not offer; nothing else of the lab touches its private parts."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL, _util

__all__ = ["cipher_name", "set_groups"]

_lib: Any = _util.lib
_ffi: Any = _util.ffi


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
