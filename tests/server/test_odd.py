"""Certificates that OpenSSL cannot show: a raw client receives them to the byte, and the witness is as exact."""

from __future__ import annotations

import dataclasses
import hashlib
import socket

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from lab.errors import InputError
from lab.model.scenario import Certificate, Entity, Scenario
from lab.pki.keys import KeyRing
from lab.pki.mint import mint
from lab.pki.mutations import BYTES
from lab.server.exhibit import Exhibit
from lab.server.imposter import OddConnection, connection_class
from lab.server.records import CERTIFICATE, Messages, RecordReader

HOST = "shop.example"
SPOILT = {name: BYTES[name] for name in ("long-length", "trailing-bytes", "truncated")}


@pytest.fixture(scope="module", params=["rsa2048", "ec256"])
def plain(request, tmp_path_factory, self_signed):
    """Return an exhibit of two certificates with nothing wrong, whose leaf has a key of each type."""
    ring = KeyRing(tmp_path_factory.mktemp("cache") / "keys")
    site, other = (ring.key("odd", name, request.param) for name in ("site", "other"))
    return Exhibit((self_signed(site), self_signed(other)), ring.pem("odd", "site", request.param))


def spoilt(plain, place, name, **more):
    """Return the exhibit with one certificate spoilt."""
    chain = list(plain.chain)
    chain[place] = SPOILT[name](chain[place])
    return dataclasses.replace(plain, chain=tuple(chain), odd=True, **more)


def sent_in_the_open(wire, port):
    """Say a TLS 1.2 hello and return the certificates of the Certificate message, read off the wire."""
    with wire.connect(port) as raw:
        raw.sendall(wire.records(wire.hello()))
        reader, messages, message = RecordReader(), Messages(), b""
        while piece := raw.recv(65536):
            for record in reader.feed(piece):
                for span in messages.feed(record.fragment):
                    if span.kind == CERTIFICATE:
                        message += record.fragment[span.start : span.end]
                        if span.ends:
                            return list(entries(message[7:]))
    return []


def entries(listed):
    """Yield the entries of a certificate_list (RFC 5246 7.4.2)."""
    while listed:
        size = int.from_bytes(listed[:3], "big")
        yield listed[3 : 3 + size]
        listed = listed[3 + size :]


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("name", SPOILT)
def test_bytes_arrive_as_they_are(lane, plain, wire, name, place):
    """What OpenSSL would refuse or tidy up goes out to the byte, and the witness has its digests."""
    shown = spoilt(plain, place, name)
    assert shown.refusal
    lane.show(shown)
    received = sent_in_the_open(wire, lane.port)
    seen = lane.settled()
    assert tuple(received) == shown.chain
    assert seen.certificates == tuple(hashlib.sha256(der).hexdigest() for der in received)
    assert (seen.handshake, seen.resumed, seen.tls) == (False, False, "1.2")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_that_does_not_look_is_served(lane, plain, wire, version):
    """OpenSSL takes a length in another form: it finishes, by the right key, and is answered."""
    shown = spoilt(plain, 0, "long-length", min_tls=version, max_tls=version)
    lane.show(shown)
    wire.get(lane.port)
    seen = lane.settled()
    assert (seen.handshake, seen.request, seen.answered, seen.tls) == (True, True, True, version)
    assert seen.certificates == shown.digests


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_that_cannot_read_it_says_so(lane, plain, wire, version):
    """OpenSSL as a client ends the handshake over a truncated leaf, and its alert reaches the witness."""
    lane.show(spoilt(plain, 0, "truncated", min_tls=version, max_tls=version))
    connection = wire.tls_client(lane.port)
    with pytest.raises(SSL.Error):
        connection.do_handshake()
    connection.sock_shutdown(socket.SHUT_RDWR)
    connection.close()
    seen = lane.settled()
    assert seen.certificates
    assert not seen.handshake
    assert seen.alert is not None


def test_openssl_serves_whatever_it_can(plain):
    """An odd exhibit that OpenSSL shows as it is stays with OpenSSL, and a sound one that it refuses is an error."""
    fine = dataclasses.replace(plain, odd=True)
    assert (fine.refusal, connection_class(fine) is OddConnection) == ("", False)
    assert connection_class(spoilt(plain, 0, "long-length")) is OddConnection
    with pytest.raises(InputError, match="another encoding"):
        dataclasses.replace(spoilt(plain, 0, "trailing-bytes"), odd=False).context()


def test_old_digests_are_shown_to_everybody(lane, wire, tmp_path):
    """A leaf signed with SHA-1 goes out by tlslite-ng, to a client that does not name that digest too."""
    ring = KeyRing(tmp_path / "keys")
    entities = {"ca": Entity(key="rsa2048"), "site": Entity(dns=("shop.example",))}
    certificates = {
        "ca": Certificate(subject="ca", issuer="ca"),
        "site": Certificate(subject="site", issuer="ca", hash="sha1"),
    }
    said = {"schema": 1, "slug": "odd", "title": "", "date": "2024-06-01", "summary": "", "server": {"host": HOST}}
    rest = {name: {} for name in ("chains", "stores", "times")}
    made = mint(Scenario.model_validate({**said, **rest, "entities": entities, "certificates": certificates}), ring)
    shown = Exhibit(
        tuple(one.public_bytes(Encoding.DER) for one in made.named(["site"])), made.key_of("site"), odd=True
    )
    lane.show(shown)
    assert sent_in_the_open(wire, lane.port) == list(shown.chain)
    assert connection_class(shown) is OddConnection
