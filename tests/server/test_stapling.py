"""A stapled OCSP response goes to who asks for it, as openssl s_client sees it, and the witness tells."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from OpenSSL import SSL

VERSIONS = {"1.2": ("-tls1_2", SSL.TLS1_2_VERSION), "1.3": ("-tls1_3", SSL.TLS1_3_VERSION)}


@pytest.fixture(scope="module")
def stapled(pki, exhibit):
    """An exhibit with a response of its end-entity's own making: who signed it is the client's business."""
    site, issuer = (x509.load_der_x509_certificate(der) for der in (pki.site, pki.intermediate))
    key = serialization.load_pem_private_key(pki.key_pem, None)
    now = site.not_valid_before_utc
    response = (
        ocsp.OCSPResponseBuilder()
        .add_response(site, issuer, hashes.SHA1(), ocsp.OCSPCertStatus.REVOKED, now, None, now, None)
        .responder_id(ocsp.OCSPResponderEncoding.HASH, site)
        .sign(key, hashes.SHA256())
    )
    return replace(exhibit, staple=response.public_bytes(serialization.Encoding.DER))


def s_client(port, *arguments):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "shop.example", *arguments]
    return subprocess.run(command, input="", capture_output=True, text=True, timeout=60, check=False).stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_openssl_sees_the_staple(lane, stapled, version):
    """Who asks gets the very response in TLS 1.2 and 1.3, and its digest is in the witness."""
    lane.show(stapled)
    said = s_client(lane.port, "-status", VERSIONS[version][0])
    witness = lane.settled()
    assert "OCSP Response Status: successful" in said
    assert "Cert Status: revoked" in said
    assert witness.status_request
    assert witness.staple == hashlib.sha256(stapled.staple).hexdigest()


@pytest.mark.parametrize("version", VERSIONS)
def test_who_does_not_ask_gets_none(lane, stapled, wire, version):
    """Without status_request nothing is stapled, and the witness says neither."""
    lane.show(stapled)
    wire.get(lane.port, version=VERSIONS[version][1])
    witness = lane.settled()
    assert witness.handshake
    assert (witness.status_request, witness.staple) == (False, "")


def test_a_server_without_a_staple_sends_none(lane, exhibit):
    """Who asks a server that has none sees none, and the witness tells that it asked."""
    lane.show(exhibit)
    said = s_client(lane.port, "-status")
    witness = lane.settled()
    assert "OCSP response: no response sent" in said
    assert (witness.status_request, witness.staple) == (True, "")
