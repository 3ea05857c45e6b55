"""OCSP responses and CRLs say what they are told to, dated by the case's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from lab.pki.status import crl, ocsp_refusal, ocsp_response

AT = datetime(2022, 1, 1, tzinfo=UTC)
STATUS = ocsp.OCSPCertStatus


@pytest.fixture(scope="module")
def world(minted):
    """A root, and sites of its own, one of which was revoked for a while."""
    entities = {"root": {"cn": "Root"}, "site": {"dns": ["shop.example"]}}
    held = {"revoked": AT - timedelta(days=9), "reinstated": AT + timedelta(days=9)}
    certificates = {"root": ("root", "root"), "site": ("site", "root"), "held": ("site", "root", held)}
    return minted(entities, certificates)


def signed(key, response):
    try:
        key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(response.signature_hash_algorithm))
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "says", "status", "means"),
    [
        ("site", "honest", STATUS.GOOD, "good"),
        ("held", "honest", STATUS.REVOKED, "revoked"),
        ("held", "slow", STATUS.REVOKED, "revoked"),
        ("held", "good", STATUS.GOOD, "good"),
        ("site", "revoked", STATUS.REVOKED, "revoked"),
        ("site", "unknown", STATUS.UNKNOWN, "unknown"),
    ],
)
def test_a_response_says_what_it_is_told(world, name, says, status, means):
    """The status is the one that is asked for, about that certificate, signed by its issuer, and in its time."""
    spoken = ocsp_response(world, name, says, AT)
    read = ocsp.load_der_ocsp_response(spoken.der)
    assert (read.certificate_status, spoken.word) == (status, means)
    assert read.serial_number == world.certificates[name].serial_number
    assert signed(world.certificates["root"].public_key(), read)
    assert read.this_update_utc < AT < read.next_update_utc


def test_revocation_ends(world):
    """What was reinstated is good again from that very second on, and not before."""
    end = AT + timedelta(days=9)
    assert ocsp_response(world, "held", "honest", end).word == "good"
    assert ocsp_response(world, "held", "honest", end - timedelta(seconds=1)).word == "revoked"


def test_flaws_of_a_response(world):
    """Expired and future ones are good but out of their time; the wrong signer is the subject, which says who it is."""
    old = ocsp.load_der_ocsp_response(ocsp_response(world, "site", "expired", AT).der)
    young = ocsp.load_der_ocsp_response(ocsp_response(world, "site", "not-yet-valid", AT).der)
    assert old.next_update_utc < AT < young.this_update_utc
    wrong = ocsp.load_der_ocsp_response(ocsp_response(world, "site", "wrong-signer", AT).der)
    assert wrong.certificates == [world.certificates["site"]]
    assert not signed(world.certificates["root"].public_key(), wrong)
    assert signed(world.certificates["site"].public_key(), wrong)


def test_a_request_is_answered_in_its_own_words(world):
    """The response names the certificate by the request's digest, and gives its nonce back."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        world.certificates["site"], world.certificates["root"], hashes.SHA256()
    )
    request = builder.add_extension(x509.OCSPNonce(b"once"), critical=False).build()
    read = ocsp.load_der_ocsp_response(ocsp_response(world, "site", "honest", AT, request).der)
    assert isinstance(read.hash_algorithm, hashes.SHA256)
    assert read.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"once"


def test_a_refusal_is_no_response():
    """A responder that cannot say says which error it is (RFC 6960 section 2.3)."""
    read = ocsp.load_der_ocsp_response(ocsp_refusal(ocsp.OCSPResponseStatus.TRY_LATER))
    assert read.response_status is ocsp.OCSPResponseStatus.TRY_LATER


def test_a_list_names_what_is_revoked_then(world):
    """The issuer's list holds each of its certificates that is revoked at that moment, and no other."""
    spoken = crl(world, "site", "honest", AT)
    read = x509.load_der_x509_crl(spoken.der)
    assert spoken.word == "good"
    assert [one.serial_number for one in read] == [world.certificates["held"].serial_number]
    assert read.is_signature_valid(world.certificates["root"].public_key())
    assert read.last_update_utc < AT < read.next_update_utc
    assert crl(world, "held", "honest", AT).word == "revoked"
    assert not list(x509.load_der_x509_crl(crl(world, "held", "honest", AT + timedelta(days=9)).der))


def test_flaws_of_a_list(world):
    """An expired list is past its next update, and the wrong signer is not the issuer."""
    assert x509.load_der_x509_crl(crl(world, "site", "expired", AT).der).next_update_utc < AT
    wrong = x509.load_der_x509_crl(crl(world, "site", "wrong-signer", AT).der)
    assert not wrong.is_signature_valid(world.certificates["root"].public_key())
