"""Devices that a server judges, end to end: the seed columns, and clients that have no certificate to show."""

from __future__ import annotations

import stat
import subprocess

import pytest

pytestmark = pytest.mark.e2e

SEED = {"openssl-1.0.2q", "openssl-1.0.2q+trusted-first", "mbedtls-2.28.3", "bearssl-0.6"}


@pytest.fixture(scope="module")
def run(tlslab):
    """Return one run of the scenarios about devices, before the seed columns and a client without certificates."""
    names = [word for name in (*sorted(SEED), "rogue-1+honest") for word in ("--client", name)]
    slugs = ["device-*", "clientauth-eku-2026"]
    done = tlslab("run", *slugs, *names, "--runtime", "process", "--format", "json", "--output", "devices")
    assert done.status == 0, done.err
    return done


def outcomes(done, case):
    return {cell["client"]: cell["observed"] for cell in done.cells(case=case) if cell["client"] in SEED}


@pytest.mark.parametrize(
    ("incident", "remedy"),
    [
        ("renewed+public@renewal", "private-ca"),
        ("made+hub@made.until+1s", "renew"),
        ("older+hub@moved", "trust-both"),
        ("required+hub@now", "enrol"),
        ("alone+hub@now", "whole-chain"),
    ],
)
def test_every_incident_and_its_remedy(run, incident, remedy):
    """Each seed column is turned away in the incident, by the server's word, and let in by the remedy."""
    assert outcomes(run, incident) == dict.fromkeys(SEED, "rejected")
    assert outcomes(run, f"{incident},{remedy}") == dict.fromkeys(SEED, "accepted")


def test_the_server_s_code_stands_in_every_cell(run):
    """Whatever a stack calls the alert, code, reason and words of a rejection are OpenSSL's, the same for all."""
    for case, code, reason in (
        ("renewed+public@renewal", "26", "wrong-usage"),
        ("made+hub@made.from-1s", "9", "not-yet-valid"),
        ("outliving+hub@meter-ca.until+1s", "10", "expired"),
        ("required+hub@now", "SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE", "no-certificate"),
    ):
        cells = [cell for cell in run.cells(case=case) if cell["client"] in SEED]
        assert {(cell["code"], cell["reason"], cell["verdict"]) for cell in cells} == {(code, reason, "pass")}
        assert len({cell["said"] for cell in cells}) == 3  # the two columns of OpenSSL say the same
        assert all(cell["witness"]["device"]["accepted"] is False for cell in cells)


def test_the_last_second_is_a_device_s_own(run):
    """Validity includes both ends, and the server's clock is the case's to the second."""
    assert outcomes(run, "made+hub@made.until") == dict.fromkeys(SEED, "accepted")
    assert outcomes(run, "made+hub@made.from") == dict.fromkeys(SEED, "accepted")


def test_a_client_that_has_nothing_to_show_is_unsupported(run):
    """Whoever's hello has no client-cert is not probed where it would need one, and is probed where nobody has one."""
    (cell,) = run.cells(case="newer+hub@moved", client="rogue-1+honest")
    assert (cell["observed"], cell["verdict"]) == ("unsupported", "unsupported")
    assert 'its hello has no "client-cert"' in cell["text"]
    assert cell["witness"]["connections"] == 0
    (bare,) = run.cells(case="requested+hub@now", client="rogue-1+honest")
    assert (bare["observed"], bare["verdict"]) == ("accepted", "pass")
    (asked,) = run.cells(case="required+hub@now", client="rogue-1+honest")
    assert (asked["observed"], asked["verdict"], asked["reason"]) == ("rejected", "pass", "no-certificate")


def test_a_device_as_files(tlslab, tmp_path):
    """``mint`` writes the device's side too, its key for its owner alone, and openssl agrees that it is a client."""
    done = tlslab("mint", "device-missing-intermediate/whole+hub@now", "-o", str(tmp_path))
    assert done.status == 0, done.err
    assert "accept for the device" in done.out
    assert stat.S_IMODE((tmp_path / "device-key.pem").stat().st_mode) == 0o600
    trust = ["-CAfile", "device-anchors.pem", "-untrusted", "device-chain.pem", "device-chain.pem"]
    command = ["openssl", "verify", "-attime", "1780876800", "-purpose", "sslclient", *trust]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout == "device-chain.pem: OK\n"
    done = tlslab("mint", "device-no-certificate/required+hub@now", "-o", str(tmp_path / "bare"))
    assert sorted(one.name for one in (tmp_path / "bare").iterdir()) == [
        "anchors.pem", "chain.pem", "device-anchors.pem", "key.pem",
    ]  # fmt: skip
