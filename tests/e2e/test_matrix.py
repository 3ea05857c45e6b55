"""The matrix itself: real clients, the incidents, and the public statements of what broke."""

from __future__ import annotations

import pytest

from lab.corpus import Corpus

pytestmark = pytest.mark.e2e

SEED = ("openssl-1.0.2q", "openssl-1.0.2q+trusted-first", "mbedtls-2.28.3", "bearssl-0.6")
BLOG = "Old Let's Encrypt Root Certificate Expiration and OpenSSL 1.0.2, OpenSSL blog, 2021-09-13"


def outcome(cell):
    """Return what must be the same however a cell was measured."""
    return cell["observed"], cell["stage"], cell["code"], cell["reason"], cell["verdict"]


def outcomes(done):
    return {(cell["scenario"], cell["case"], cell["client"]): outcome(cell) for cell in done.document["cells"]}


ELSEWHERE = {
    "crl": "java-17+check-revocation",
    "duplicate-extension": "gnutls-3.7.9",
    "globalsign-2016": "java-17+check-revocation",
    "long-serial": "rustls-0.20.8",
    "must-staple": "gnutls-3.7.9",
    "negative-serial": "rustls-0.20.8",
    "ocsp-responder": "java-17+check-revocation",
    "ocsp-stapling": "gnutls-3.7.9",
}
"""The scenarios in which no seed column does different things, and a column that does."""


@pytest.fixture(scope="module")
def letsencrypt(tlslab):
    """Return one run of letsencrypt-2021 before the seed clients."""
    done = tlslab("run", "letsencrypt-2021", "--client", "seed", "--runtime", "process", "--format", "json")
    assert done.status == 0, done.err
    return done


def the_cell(done, case, client):
    (cell,) = done.cells(case=case, client=client)
    return cell


def test_openssl_1_0_2_rejects_although_it_holds_the_new_root(letsencrypt):
    """OpenSSL blog, 2021-09-13: 1.0.2 prefers the path it was sent, which ends at an expired root: code 10, known."""
    cell = the_cell(letsencrypt, "long+both@after", "openssl-1.0.2q")
    assert (cell["observed"], cell["code"], cell["reason"]) == ("rejected", "10", "expired")
    assert (cell["verdict"], cell["source"]) == ("known", BLOG)
    assert cell["witness"]["alert"] == "fatal certificate_expired"


def test_trusted_first_repairs_it(letsencrypt):
    """The same blog's workaround: with trusted-first the same library takes the path to the new root."""
    cell = the_cell(letsencrypt, "long+both@after", "openssl-1.0.2q+trusted-first")
    assert (cell["observed"], cell["verdict"]) == ("accepted", "pass")


@pytest.mark.parametrize("case", ["long+new@after", "short+both@after"])
def test_the_other_remedies_repair_it(letsencrypt, case):
    """Removing the old root from the store, or serving the short chain, repairs 1.0.2q."""
    assert the_cell(letsencrypt, case, "openssl-1.0.2q")["verdict"] == "pass"


@pytest.mark.parametrize("client", SEED)
def test_everyone_connects_before(letsencrypt, client):
    """One second before the root expires, every client with both roots connects."""
    assert the_cell(letsencrypt, "long+both@before", client)["observed"] == "accepted"


def test_a_witness_stands_behind_every_cell(letsencrypt):
    """Each cell was one connection, with the client's own hello, and no session was resumed."""
    for cell in letsencrypt.document["cells"]:
        witness = cell["witness"]
        assert (witness["connections"], witness["resumed"], witness["server_name"]) == (1, False, "shop.example"), cell
        assert witness["certificates"], cell


def test_twenty_runs_agree(tlslab, letsencrypt):
    """Shuffled order, one job or eight: the cells are the same, and each is one connection."""
    expected = outcomes(letsencrypt)
    for seed in range(20):
        jobs = "8" if seed % 2 else "1"
        done = tlslab(
            *("run", "letsencrypt-2021", "--client", "seed", "--runtime", "process", "--format", "json"),
            *("--seed", str(seed), "--jobs", jobs),
        )
        assert outcomes(done) == expected, f"seed {seed}, jobs {jobs}"
        assert sum(cell["witness"]["connections"] for cell in done.document["cells"]) == len(expected)


def test_a_process_for_each_probe_agrees(tlslab, letsencrypt):
    """What a client did before has no part in a cell: a new process for each gives the same."""
    done = tlslab(
        *("run", "letsencrypt-2021", "--client", "seed", "--runtime", "process", "--format", "json"),
        "--process-per-probe",
    )
    assert outcomes(done) == outcomes(letsencrypt)


@pytest.fixture(scope="module")
def catalogue(tlslab):
    """Return a run of all scenarios of the repository before the seed clients."""
    return tlslab("run", "--client", "seed", "--runtime", "process", "--format", "json", folders=False)


def test_every_scenario_of_the_repository_is_as_its_files_say(catalogue):
    """Nothing new, nothing fixed, nothing inconclusive, exit status 0."""
    cells = catalogue.document["cells"]
    assert [cell for cell in cells if cell["verdict"] not in {"pass", "known", "open", "unsupported"}] == []
    assert catalogue.status == 0
    assert catalogue.document["missing"] == []


def test_in_every_scenario_something_changes(catalogue):
    """What a scenario is about makes a difference: some column does one thing in one case and another in another.

    Where that is no seed column, ``tests/docker/test_fleet.py`` asks the one that is named.
    """
    done: dict[tuple[str, str], set[str]] = {}
    for cell in catalogue.document["cells"]:
        done.setdefault((cell["scenario"], cell["client"]), set()).add(cell["observed"])
    changes = {scenario for (scenario, _), observed in done.items() if len(observed) > 1}
    generated = {slug for slug, file in Corpus().scenarios.items() if "sweep" in file.scenario.tags}
    assert {scenario for scenario, _ in done} - changes - generated == set(ELSEWHERE)
