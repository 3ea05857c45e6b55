"""The server as relying party: devices with good, bad and no certificates, over real sockets, in TLS 1.2 and 1.3."""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from lab.model.case import Reason
from lab.server.client_auth import REASONS, ClientAuth, certificates_of

BOTH = pytest.mark.parametrize("version", ["1.2", "1.3"])
NUMBERS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
AT = dt.datetime(2021, 6, 1, tzinfo=dt.UTC)
CLIENT, SERVER = x509.ExtendedKeyUsageOID.CLIENT_AUTH, x509.ExtendedKeyUsageOID.SERVER_AUTH


@dataclasses.dataclass(frozen=True)
class Party:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self):
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def digest(self):
        return hashlib.sha256(self.der).hexdigest()


def certify(name, issuer=None, *, usage=None, start=2020, end=2022):
    """Return a party of this name; a CA where it has no usage, self-signed where it has no issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(start, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(end, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return Party(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


@pytest.fixture(scope="module")
def world():
    """Return devices by what is the matter with them, and the CAs that made them."""
    root, other = certify("Device Root"), certify("Other Root")
    issuer = certify("Device Issuer", root)
    return {
        "root": root,
        "issuer": issuer,
        "other": other,
        "good": certify("good", issuer, usage=CLIENT),
        "expired": certify("expired", issuer, usage=CLIENT, end=2021),
        "young": certify("young", issuer, usage=CLIENT, start=2022, end=2023),
        "server": certify("server", issuer, usage=SERVER),
        "stranger": certify("stranger", other, usage=CLIENT),
    }


@pytest.fixture
def meet(lane, exhibit, wire, world):
    """Return a callable that lets a device meet a server, and returns what the device read and the witness."""

    def go(shown, version, *, store=("root",), **auth):
        asks = ClientAuth(tuple(world[name].der for name in store), AT, **auth)
        lane.show(dataclasses.replace(exhibit, min_tls=version, max_tls=version, client_auth=asks))

        def setup(context):
            if shown:
                own, *above = (world[name] for name in shown)
                context.use_certificate(own.certificate)
                context.use_privatekey(own.key)
                for one in above:
                    context.add_extra_chain_cert(one.certificate)

        connection = wire.tls_client(lane.port, setup, version=NUMBERS[version])
        answer, named = b"", []
        try:
            connection.do_handshake()
            names = connection.get_client_ca_list(as_cryptography=True)
            named = [name.rfc4514_string() for name in names]
            connection.sendall(wire.REQUEST)
            answer = wire.read_all(connection.recv)
        except SSL.Error:  # the server's alert
            pass
        finally:
            connection.sock_shutdown(2)
            connection.close()
        return answer, lane.settled(), named

    return go


@BOTH
@pytest.mark.parametrize("required", [True, False])
def test_a_good_device_is_served(meet, world, version, required):
    """A device whose certificates are in order at the case's time, long past by now, is accepted and answered."""
    answer, seen, _ = meet(("good", "issuer"), version, required=required)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (seen.handshake, seen.answered, seen.resumed, seen.alert_sent) == (True, True, False, None)
    assert seen.device.accepted
    assert seen.device.presented == (world["good"].digest, world["issuer"].digest)
    assert (seen.device.code, seen.device.text, seen.device.reason) == ("", "", None)


REFUSED = {
    "expired": (("expired", "issuer"), "10", "certificate has expired (depth 0)", "expired", "certificate_expired"),
    "not yet valid": (("young", "issuer"), "9", "certificate is not yet valid", "not-yet-valid", "bad_certificate"),
    "wrong EKU": (("server", "issuer"), "26", "purpose (depth 0)", "wrong-usage", "unsupported_certificate"),
    "unknown issuer": (("stranger",), "20", "unable to get local issuer certificate", "unknown-ca", "unknown_ca"),
    "issuer not sent": (("good",), "20", "unable to get local issuer certificate", "unknown-ca", "unknown_ca"),
    "issuer above another root": (("good", "other"), "20", "unable to get local issuer", "unknown-ca", "unknown_ca"),
}


@BOTH
@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("wanted", REFUSED.values(), ids=REFUSED)
def test_a_bad_device_is_rejected(meet, world, version, required, wanted):
    """The witness has what the device showed, OpenSSL's first objection in its own words, and the alert."""
    shown, code, text, reason, alert = wanted
    answer, seen, _ = meet(shown, version, required=required)
    assert answer == b""
    assert (seen.handshake, seen.request) == (False, False)
    assert seen.device.presented == tuple(world[name].digest for name in shown)
    assert (seen.device.accepted, seen.device.code, seen.device.reason) == (False, code, reason)
    assert text in seen.device.text
    assert seen.alert_sent == f"fatal {alert}"


@BOTH
def test_no_certificate_where_one_is_required(meet, version):
    """The handshake ends, with TLS 1.3's own alert or with the one that earlier versions have for everything."""
    answer, seen, _ = meet((), version)
    assert (answer, seen.handshake) == (b"", False)
    assert (seen.device.accepted, seen.device.presented, seen.device.reason) == (False, (), Reason.NO_CERTIFICATE)
    assert seen.alert_sent == f"fatal {'certificate_required' if version == '1.3' else 'handshake_failure'}"


@BOTH
def test_no_certificate_where_one_is_only_asked_for(meet, version):
    """The server goes on, and says that it saw none."""
    answer, seen, _ = meet((), version, required=False)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (seen.device.accepted, seen.device.presented) == (True, ())


@BOTH
def test_the_server_trusts_the_device_store_and_nothing_else(meet, version):
    """Neither its own chain's root nor the system's counts: with an empty store nobody is known."""
    _, seen, _ = meet(("good", "issuer"), version, store=())
    assert (seen.device.accepted, seen.device.reason) == (False, Reason.UNKNOWN_CA)


@BOTH
def test_it_names_the_cas_that_it_trusts_or_none(meet, version):
    """Clients that choose by CA are given the names of the store, unless the exhibit keeps them to itself."""
    assert meet(("good", "issuer"), version, store=("root", "other"))[2] == ["CN=Device Root", "CN=Other Root"]
    assert meet(("good", "issuer"), version, hints=False)[2] == []


def test_nothing_is_asked_where_no_device_is_to_be_judged(lane, exhibit, wire):
    """An ordinary exhibit asks for no certificate, and its witness has no verdict."""
    lane.show(exhibit)
    wire.get(lane.port)
    assert lane.settled().device is None


def test_a_client_that_leaves_before_its_certificates_gives_no_verdict(lane, exhibit, wire, world):
    """Whoever is gone after the server's flight was not judged."""
    lane.show(dataclasses.replace(exhibit, client_auth=ClientAuth((world["root"].der,), AT)))
    raw = wire.connect(lane.port)
    raw.sendall(wire.records(wire.hello()))
    assert raw.recv(5)[0] == 22
    wire.reset(raw)
    seen = lane.settled()
    assert seen.certificates
    assert seen.device is None


def test_the_table_of_codes_is_that_of_the_python_client():
    """Both speak of OpenSSL 1.1.1 and later, by number: they may not drift apart."""
    source = Path(__file__).parents[2].joinpath("clients", "python", "driver.py").read_text()
    (theirs,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "REASONS"
    )
    assert {str(reason): codes for reason, codes in REASONS.items()} == theirs


def entry(der, *, newest):
    return len(der).to_bytes(3, "big") + der + (b"\0\0" if newest else b"")


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5), st.booleans(), st.integers(0, 2000))
def test_certificates_are_read_from_messages_whole_or_cut(ders, newest, cut):
    """Every certificate of a whole message is found in its order; a message that is cut short raises nothing."""
    body = b"".join(entry(der, newest=newest) for der in ders)
    message = b"\x0b\0\0\0" + (b"\0" if newest else b"") + len(body).to_bytes(3, "big") + body
    version = 0x0304 if newest else 0x0303
    assert certificates_of(message, version) == ders
    found = certificates_of(message[:cut], version)
    assert found[:-1] == ders[: max(0, len(found) - 1)]
