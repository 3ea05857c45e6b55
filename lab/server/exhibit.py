"""An exhibit: one chain with its key and TLS settings, and the OpenSSL context that shows it, made once."""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from tempfile import NamedTemporaryFile
from typing import Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from OpenSSL import SSL, crypto

from lab.errors import InputError
from lab.model.scenario import TlsVersion
from lab.server.client_auth import ClientAuth, ask
from lab.server.faults import Fault
from lab.server.openssl import set_groups
from lab.server.witness import Record, observe

__all__ = ["GROUPS", "Exhibit"]

GROUPS = "X25519:P-256:P-384:P-521:X448"
"""Key exchange groups, best first: the quick ones, since a probe measures verification and not arithmetic."""

_NUMBERS = {
    "1.0": SSL.TLS1_VERSION,
    "1.1": SSL.TLS1_1_VERSION,
    "1.2": SSL.TLS1_2_VERSION,
    "1.3": SSL.TLS1_3_VERSION,
}
_WEAK = re.compile(
    b"|".join(
        re.escape(bytes.fromhex(oid))
        for oid in ("06092a864886f70d010104", "06092a864886f70d010105", "06072a8648ce3d0401")
    )
)
"""The object identifiers of md5WithRSAEncryption, sha1WithRSAEncryption and ecdsa-with-SHA1, as DER."""
_FLIGHT = 32 * 1024  # more than any hello
_NO_AUTO_CHAIN = 0x8  # SSL_MODE_NO_AUTO_CHAIN; pyOpenSSL has no name for it


def _words(error: SSL.Error | crypto.Error) -> str:
    """Return OpenSSL's own words for an error: the reasons of its queue."""
    queue = error.args[0] if error.args else ()
    reasons = [str(entry[-1]) for entry in queue if isinstance(entry, tuple) and entry]
    return "; ".join(reason for reason in reasons if reason) or "OpenSSL gave no reason"


def _withhold_tickets(connection: SSL.Connection) -> None:
    """Switch tickets off in the middle of the hello.

    OpenSSL 1.1.1 and later send two TLS 1.3 tickets even under ``SSL_OP_NO_TICKET``, and pyOpenSSL has no
    ``SSL_CTX_set_num_tickets``.  But a server name callback that turns the option *on* makes OpenSSL drop a ticket
    that it had planned; OpenSSL makes this call for every hello, with a name or without.
    """
    connection.set_options(SSL.OP_NO_TICKET)


def _stapled(connection: SSL.Connection, staple: bytes | None) -> bytes:
    """Return the OCSP response for a client that asked for one, and note it in the record."""
    staple = staple or b""
    connection.get_app_data().stapled = hashlib.sha256(staple).hexdigest()
    return staple


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One served thing: two exhibits are the same only if they are one object.

    ``chain`` is DER in the order sent, end-entity certificate first; nothing is added to it, left out or put in
    order.  ``key_pem`` is the end-entity's private key, not encrypted.  ``security_level`` is OpenSSL's (0 to 5), or
    None for its default; TLS 1.0 and 1.1 need 0.  ``prefer`` says whose order of ciphers and groups counts,
    ``groups`` which there are, best first, joined by colons.  An ``imposter`` shows the chain, but signs with
    ``wrong_key_pem``.  An ``odd`` chain may hold certificates that OpenSSL cannot show: then ``refusal`` says why, and
    tlslite-ng shows it (``lab/server/imposter.py``).  ``faults`` happen on the wire (``lab/server/chaos``); what is
    random in them, ``seed`` decides.  ``client_auth`` says how it asks for a certificate of the client, if at all.
    ``staple`` is the OCSP response in DER that whoever asks gets with the chain; empty for none.
    """

    chain: tuple[bytes, ...]
    key_pem: bytes = field(repr=False)
    min_tls: TlsVersion = "1.2"
    max_tls: TlsVersion = "1.3"
    security_level: int | None = None
    prefer: Literal["server", "client"] = "server"
    groups: str = GROUPS
    imposter: bool = False
    odd: bool = False
    faults: tuple[Fault, ...] = ()
    seed: str = ""
    client_auth: ClientAuth | None = None
    staple: bytes = field(default=b"", repr=False)

    @cached_property
    def wrong_key_pem(self) -> bytes:
        """A fresh key of the same type as ``key_pem``, as PEM."""
        right = serialization.load_pem_private_key(self.key_pem, None, unsafe_skip_rsa_key_validation=True)
        wrong: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
        if isinstance(right, rsa.RSAPrivateKey):
            wrong = rsa.generate_private_key(65537, right.key_size)
        elif isinstance(right, ec.EllipticCurvePrivateKey):
            wrong = ec.generate_private_key(right.curve)
        else:
            wrong = ed25519.Ed25519PrivateKey.generate()
        return wrong.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def prepare(self) -> None:
        """Make now what takes a moment, so that it is not a connection's; raise InputError as ``context`` does."""
        self.context()
        if self.imposter:
            _ = self.wrong_key_pem

    @cached_property
    def refusal(self) -> str:
        """Why OpenSSL cannot show an odd chain, in words; empty where it can, or is to raise InputError.

        Besides bytes that it would change, there are certificates that it loads and then does not choose, such as one
        with an extension twice: a rehearsal with a client that takes everything shows that.  An end-entity certificate
        signed with MD5 or SHA-1 it keeps from a client that does not name the digest (RFC 8446 4.2.3), which is then
        not put to the test.
        """
        if not self.odd:
            return ""
        try:
            _check_encoding(self.chain)
        except InputError as error:
            return str(error)
        if _WEAK.search(self.chain[0]):
            return "OpenSSL keeps a certificate signed with MD5 or SHA-1 from whoever does not ask for one"
        return _rehearse(self._made(load=True), {self.min_tls, self.max_tls})

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """SHA-256 of each certificate as sent, lower-case hex."""
        return tuple(hashlib.sha256(der).hexdigest() for der in self.chain)

    def context(self) -> SSL.Context:
        """Return the context that shows this exhibit, made at the first call; without the chain if that is refused.

        Raise InputError where OpenSSL cannot show it: a certificate or key that it refuses or would encode
        differently, a key that does not fit the certificate, a version range that is empty.
        """
        return self._context

    @cached_property
    def _context(self) -> SSL.Context:
        return self._made(load=not self.refusal)

    def _made(self, *, load: bool) -> SSL.Context:
        if float(self.min_tls) > float(self.max_tls):
            raise InputError.one(f"{self.min_tls} is above {self.max_tls}", field="min_tls")
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(_NUMBERS[self.min_tls])
        context.set_max_proto_version(_NUMBERS[self.max_tls])
        options = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION
        if self.prefer == "server":
            options |= SSL.OP_CIPHER_SERVER_PREFERENCE
        context.set_options(options)
        context.set_mode(_NO_AUTO_CHAIN)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_tlsext_servername_callback(_withhold_tickets)
        context.set_info_callback(observe)
        set_groups(context, self.groups)
        if self.client_auth is not None:
            ask(context, self.client_auth)
        if self.staple:
            context.set_ocsp_server_callback(_stapled, self.staple)
        if self.security_level is not None:
            # before the certificate: its key is judged when it is loaded
            try:
                context.set_cipher_list(f"DEFAULT@SECLEVEL={self.security_level}".encode())
            except SSL.Error as error:
                raise InputError.one(f"{self.security_level}: {_words(error)}", field="security_level") from error
        if load:
            self._load(context)
        return context

    def _load(self, context: SSL.Context) -> None:
        """Load chain and key as OpenSSL's own readers do, from files that only we can read and that are gone after.

        pyOpenSSL's loaders from memory want objects of ``cryptography``, whose parser is stricter than OpenSSL's and
        whose check of an RSA key takes up to 0.3 s.
        """
        _check_encoding(self.chain)
        if b"PRIVATE KEY" not in self.key_pem or b"ENCRYPTED" in self.key_pem:
            raise InputError.one("no private key in PEM without a passphrase", field="key_pem")
        certificates = "".join(ssl.DER_cert_to_PEM_cert(der) for der in self.chain).encode()
        for where, pem, load in (
            ("chain", certificates, context.use_certificate_chain_file),
            ("key_pem", self.key_pem, context.use_privatekey_file),
        ):
            with NamedTemporaryFile(prefix="tlslab-") as file:  # mode 0600
                file.write(pem)
                file.flush()
                try:
                    load(file.name)
                except SSL.Error as error:
                    raise InputError.one(_words(error), field=where) from error
        try:
            context.check_privatekey()
        except SSL.Error as error:
            raise InputError.one(
                f"the key does not fit the certificate: {_words(error)}",
                field="key_pem",
                remedy="use the key of the chain's first certificate",
            ) from error


def _rehearse(context: SSL.Context, versions: set[TlsVersion]) -> str:
    """Return why a server with this context would not finish its first flight, in OpenSSL's words; else nothing."""
    for version in sorted(versions):
        client_context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        client_context.set_cipher_list(b"DEFAULT@SECLEVEL=0")
        client_context.set_max_proto_version(_NUMBERS[version])
        client, server = SSL.Connection(client_context, None), SSL.Connection(context, None)
        client.set_connect_state()
        server.set_accept_state()
        server.set_app_data(Record((), 0))
        with suppress(SSL.WantReadError):
            client.do_handshake()
        server.bio_write(client.bio_read(_FLIGHT))
        try:
            server.do_handshake()
        except SSL.WantReadError:
            continue
        except SSL.Error as error:
            return _words(error)
    return ""


def _check_encoding(chain: Sequence[bytes]) -> None:
    """Refuse what OpenSSL cannot read, and what it would send in other bytes than given."""
    if not chain:
        raise InputError.one("an exhibit needs a certificate", field="chain")
    for place, der in enumerate(chain):
        where = f"chain[{place}]"
        try:
            read = crypto.load_certificate(crypto.FILETYPE_ASN1, der)
        except crypto.Error as error:
            raise InputError.one(_words(error), field=where) from error
        if crypto.dump_certificate(crypto.FILETYPE_ASN1, read) != der:
            raise InputError.one("OpenSSL would send it in another encoding", field=where)
