"""An exhibit is shown exactly as given, or refused with words."""

from __future__ import annotations

import dataclasses

import pytest
from OpenSSL import SSL

from lab.errors import InputError
from lab.server.exhibit import Exhibit


def test_context_is_made_once(exhibit):
    """Every call gives the same context, and another exhibit of the same content another one."""
    assert exhibit.context() is exhibit.context()
    assert dataclasses.replace(exhibit).context() is not exhibit.context()


def test_key_must_fit(pki):
    """A key of another certificate is refused when the context is made."""
    with pytest.raises(InputError) as caught:
        Exhibit((pki.site,), pki.other_key_pem).context()
    assert caught.value.problems[0].field == "key_pem"
    assert "mismatch" in str(caught.value)


def test_unreadable_certificate_is_named_by_its_place(pki):
    """What OpenSSL cannot read is refused with its words and its place in the chain."""
    with pytest.raises(InputError) as caught:
        Exhibit((pki.site, pki.intermediate[:-9]), pki.key_pem).context()
    assert caught.value.problems[0].field == "chain[1]"
    assert caught.value.problems[0].found


def test_certificate_that_would_be_sent_in_other_bytes_is_refused(pki):
    """Bytes behind a certificate, which OpenSSL would silently leave out, are refused."""
    with pytest.raises(InputError, match="another encoding"):
        Exhibit((pki.site + b"\0",), pki.key_pem).context()


@pytest.mark.parametrize(
    "key", [b"", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", b"-----BEGIN PRIVATE KEY-----\nAA==\n"]
)
def test_unusable_key_is_refused(pki, key):
    """A key that is missing, encrypted or broken is refused, and nobody is asked for a passphrase."""
    with pytest.raises(InputError) as caught:
        Exhibit((pki.site,), key).context()
    assert caught.value.problems[0].field == "key_pem"


def test_empty_chain_and_empty_version_range_are_refused(pki):
    """An exhibit without certificate, or without any version, is an input error."""
    with pytest.raises(InputError, match="needs a certificate"):
        Exhibit((), pki.key_pem).context()
    with pytest.raises(InputError, match=r"1\.3 is above 1\.2"):
        Exhibit((pki.site,), pki.key_pem, min_tls="1.3", max_tls="1.2").context()


def test_security_level_does_not_leak(pki):
    """A lowered level admits a weak key for that exhibit alone, before and after."""
    weak = Exhibit((pki.weak,), pki.weak_key_pem)
    with pytest.raises(InputError, match="too small"):
        weak.context()
    dataclasses.replace(weak, security_level=0).context()
    with pytest.raises(InputError, match="too small"):
        dataclasses.replace(weak).context()


def test_key_is_not_in_the_repr(exhibit):
    """An exhibit that is printed does not show its key."""
    assert "PRIVATE" not in repr(exhibit)


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
@pytest.mark.parametrize(("prefer", "group"), [("server", "X25519"), ("client", "secp521r1")])
def test_whose_group_order_counts(lane, wire, pki, version, prefer, group):  # noqa: PLR0917 - fixtures
    """With the server's preference X25519 wins over a client that offers secp521r1 first, key shares for both sent."""
    from OpenSSL._util import lib  # noqa: PLC0415 - the client's own order is private to pyOpenSSL, too

    def order(context: SSL.Context) -> None:
        assert lib.SSL_CTX_set1_curves_list(context._context, b"*P-521:*X25519:P-256") == 1

    lane.show(Exhibit((pki.site,), pki.key_pem, prefer=prefer))
    client = wire.tls_client(lane.port, order, version=version)
    client.do_handshake()
    assert client.get_group_name().lower() == group.lower()
    client.close()


@pytest.mark.parametrize(("prefer", "cipher"), [("server", "256-GCM"), ("client", "128-GCM")])
def test_whose_cipher_order_counts(lane, wire, pki, prefer, cipher):
    """The cipher is the server's first choice, or the client's where the exhibit says so."""
    lane.show(Exhibit((pki.site,), pki.key_pem, max_tls="1.2", prefer=prefer))

    def order(context: SSL.Context) -> None:
        context.set_cipher_list(b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")

    wire.get(lane.port, order)
    assert cipher.replace("-", "") in lane.settled().cipher.replace("-", "").replace("AES", "")
