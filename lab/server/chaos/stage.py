"""What faults need of an exhibit: another version, more certificates, a group for which the client sent no share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from lab.server.exhibit import Exhibit
from lab.server.faults import Fault
from lab.server.hello import ClientHello
from lab.server.openssl import set_groups

__all__ = ["opened", "staged"]

_GROUPS = {"X25519": 0x1D, "P-256": 0x17, "P-384": 0x18, "P-521": 0x19, "X448": 0x1E}
_FILLERS = 5  # few, because stacks also count certificates, and that is another limit
# private, of the number that is kept for examples (RFC 5612)
_PADDING = x509.ObjectIdentifier("1.3.6.1.4.1.32473.1")
_KIB = 1024


def staged(exhibit: Exhibit, faults: Iterable[Fault], seed: str) -> Exhibit:
    """Return the exhibit that shows the same with faults on the wire, all chance in them decided by ``seed``.

    Its lowest TLS version stays: a fault that needs one below it does not take effect there, and nothing else breaks.
    """
    faults = tuple(faults)
    chain, highest = exhibit.chain, exhibit.max_tls
    for fault in faults:
        if fault.kind.max_tls is not None:
            highest = max(exhibit.min_tls, min(highest, fault.kind.max_tls))
        if fault.kind.name == "too-long-chain":
            chain = (*chain, *_fillers(fault.value * _KIB - sum(map(len, chain))))
    return replace(exhibit, chain=chain, max_tls=highest, faults=faults, seed=seed)


def opened(context: SSL.Context, exhibit: Exhibit, hello: ClientHello | None) -> SSL.Connection:
    """Return a connection of an exhibit's context, as its faults want it for a client with this hello."""
    group = _unshared(exhibit, hello) if any(one.kind.name == "hello-retry-request" for one in exhibit.faults) else None
    if group is None:
        return SSL.Connection(context, None)
    set_groups(context, group)  # a connection keeps what its context had when it was made
    try:
        return SSL.Connection(context, None)
    finally:
        set_groups(context, exhibit.groups)


def _unshared(exhibit: Exhibit, hello: ClientHello | None) -> str | None:
    """Return a group of the exhibit that a TLS 1.3 client supports and sent no share for, if there is one."""
    if hello is None or "1.3" not in hello.versions or exhibit.max_tls != "1.3":
        return None
    names = exhibit.groups.split(":")
    return next((name for name in names if _GROUPS[name] in hello.groups and _GROUPS[name] not in hello.shares), None)


@lru_cache(maxsize=16)
def _fillers(size: int) -> tuple[bytes, ...]:
    """Return unrelated certificates of ``size`` bytes together, more or less."""
    if size <= 0:
        return ()
    key = ec.generate_private_key(ec.SECP256R1())
    bare = len(_filler(key, 0, 0))
    return tuple(_filler(key, place, max(0, size // _FILLERS - bare)) for place in range(_FILLERS))


def _filler(key: ec.EllipticCurvePrivateKey, place: int, padding: int) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"tlslab filler {place}")])
    builder: Any = (
        x509.CertificateBuilder(name, name, key.public_key(), place + 1)
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2049, 12, 31, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if padding:
        value = b"\4\x82" + padding.to_bytes(2, "big") + bytes(padding)
        builder = builder.add_extension(x509.UnrecognizedExtension(_PADDING, value), critical=False)
    made: x509.Certificate = builder.sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.DER)
