"""The fleet: every column's controls, and the public statements of what broke.

Without more, one column of every stack is built and checked, and the rest is named as left out; with
``TLSLAB_FLEET=all`` every column is.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from functools import cache

import pytest

from lab.corpus import Client, Corpus
from lab.judge import in_range
from lab.run import said_version
from tests.e2e.test_matrix import ELSEWHERE

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]

SUITES = (None, "bookworm", "trixie")
"""Those whose base images are made for the tests, in the order in which a stack's column is chosen."""

FOR_THE_ORACLES = (
    "openssl-1.0.2q+trusted-first",
    "openssl-1.0.2q+partial-chain",
    "openssl-1.1.1g",
    "openssl-3.0",
    "node-0.10.0",
    "node-0.10.48",
    *ELSEWHERE.values(),
)


def chosen() -> list[Client]:
    """Return the columns to build: all, or one of each stack and those that the oracles speak of."""
    every = list(Corpus().sound().clients.values())
    if os.environ.get("TLSLAB_FLEET") == "all":
        return every
    first: dict[str, Client] = {}
    for suite in SUITES:
        for client in every:
            if client.column.suite == suite:
                first.setdefault(client.home.manifest.stack, client)
    names = {client.name for client in first.values()} | set(FOR_THE_ORACLES)
    return [client for client in every if client.name in names]


CHOSEN = [client.name for client in chosen()]
LEFT_OUT = [name for name in Corpus().clients if name not in CHOSEN]

# Who said it, as the scenario cites it; whom it speaks of (columns, and the range of their library's version); case;
# what they do.
LETSENCRYPT, ADDTRUST = "letsencrypt-2021", "addtrust-2020"
OPENSSL_BLOG = "Old Let's Encrypt Root Certificate Expiration and OpenSSL 1.0.2, OpenSSL blog, 2021-09-13"
FORUM_BROKEN = "DST Root CA X3 expiration, Let's Encrypt community, topics 143816 and 143817"
SENSORS = "opendata-stuttgart/sensors-software issue 1015"
FLUTTER = "dart-lang/tools issue 1240: certificate has expired on Android 7.0"
PARTIAL = "X509_VERIFY_PARAM_set_flags(3), OpenSSL manual: X509_V_FLAG_PARTIAL_CHAIN"
ANCHOR_DATES = "openssl/openssl issue 16763: an anchor's notAfter"
LAST_SECOND = "openssl/openssl issue 15124: the last second of validity"
WEBPKI = "rustls/webpki, src/verify_cert.rs: a trust anchor has no dates"
EQUIFAX = "wolfSSL/wolfssl issue 360"
DEPTH = "Mbed TLS, mbedtls_config.h: MBEDTLS_X509_MAX_INTERMEDIATE_CA"
GEN_Y = "Certificates of Let's Encrypt, documentation, July 2026"
STARFIELD = (
    "ACM will no longer cross sign certificates with Starfield Class 2 starting August 2024, "
    "AWS Security Blog, 2024-06-27"
)
CERTUM = "SSL.com Legacy Cross-signed Root Certificate Expiring on September 11, 2023, SSL.com blog"
PUSH = "Apple Push Notification service server certificate update, Apple Developer Forums, thread 673698"
SKETCH = "dzurikmiroslav/esp32-evse issue 46"
WORKAROUND = "openssl-users, Rob Stradling, September 2021: Workaround 0 for OpenSSL 0.9.8m and newer"

ORACLES = [
    (OPENSSL_BLOG, "openssl-1.0.2*,!*+trusted-first", "", f"{LETSENCRYPT}/long+both@after", "rejected"),
    (OPENSSL_BLOG, "openssl-1.0.2*+trusted-first", "", f"{LETSENCRYPT}/long+both@after", "accepted"),
    (OPENSSL_BLOG, "openssl-1.0.2*", "", f"{LETSENCRYPT}/long+new@after", "accepted"),
    (OPENSSL_BLOG, "openssl-*", ">=1.1.0", f"{LETSENCRYPT}/long+both@after", "accepted"),
    (FORUM_BROKEN, "node-*", "<1.1.0", f"{LETSENCRYPT}/long+both@after", "rejected"),
    (FORUM_BROKEN, "node-*", ">=1.0.0", f"{LETSENCRYPT}/short+both@after", "accepted"),
    (FORUM_BROKEN, "go-*", "", f"{LETSENCRYPT}/long+both@after", "accepted"),
    ("openssl/openssl issue 12006, 2020", "node-*", "<1.1.0", f"{ADDTRUST}/long+both@reported", "rejected"),
    ("openssl/openssl issue 12006, 2020", "openssl-*", ">=1.1.0", f"{ADDTRUST}/long+both@reported", "accepted"),
    (
        "GnuTLS 3.6.14 release notes and issue 1008, 2020-06-03",
        "ffmpeg-*",
        "",
        f"{ADDTRUST}/long+both@reported",
        "rejected",
    ),
    (
        "GnuTLS 3.6.14 release notes and issue 1008, 2020-06-03",
        "gnutls-*",
        ">=3.6.14",
        f"{ADDTRUST}/long+both@reported",
        "accepted",
    ),
    ("wolfSSL/wolfssl issue 4443", "wolfssl-*,!*+date-err-okay", "<5.0", f"{LETSENCRYPT}/long+both@after", "rejected"),
    (LAST_SECOND, "openssl-*", "", f"{LETSENCRYPT}/long+old@dst-root.until", "rejected"),
    (WEBPKI, "rustls-*", "", f"{LETSENCRYPT}/long+old@after", "accepted"),
    (WORKAROUND, "openssl-*", "", "workaround-0/long+edited@after", "accepted"),
    (WORKAROUND, "openssl-*", "", "workaround-0/long+true-root@after", "rejected"),
    (SENSORS, "bearssl-0.6", "", "letsencrypt-x1-cross-end/before-renewal+sensor@before-march", "accepted"),
    (SENSORS, "bearssl-0.6", "", "letsencrypt-x1-cross-end/renewed+sensor@march", "rejected"),
    (SENSORS, "bearssl-0.6", "", "letsencrypt-x1-cross-end/renewed-long+sensor@march", "accepted"),
    (FLUTTER, "boringssl-*", "", "android-711/long-2021+android-7@dst-root.until+1s", "rejected"),
    (EQUIFAX, "wolfssl-*", "<5.5.4", "roots-1024-2015/crossed+modern@spring", "rejected"),
    (ANCHOR_DATES, "openssl-*", "", "entrust-root-2026/renewed+old@after", "rejected"),
    (PARTIAL, "openssl-*,!*+partial-chain", "", "intermediate-as-anchor/full+dv@now", "rejected"),
    (PARTIAL, "openssl-*+partial-chain", "", "intermediate-as-anchor/full+dv@now", "accepted"),
    (DEPTH, "mbedtls-*", "", "deep-chain/deep-8+root@now", "accepted"),
    (DEPTH, "mbedtls-*", "", "deep-chain/deep-9+root@now", "rejected"),
    (GEN_Y, "openssl-*", "", "letsencrypt-gen-y-2026/rsa+x1@june", "accepted"),
    (GEN_Y, "openssl-*", "", "letsencrypt-gen-y-2026/rsa-bare+x1@june", "rejected"),
    (STARFIELD, "openssl-*,!*+partial-chain", "", "amazon-starfield-2024/after+class2@autumn", "rejected"),
    (STARFIELD, "openssl-*", "", "amazon-starfield-2024/after+g2@autumn", "accepted"),
    (CERTUM, "openssl-*", ">=1.1.0", "sslcom-certum-2023/bridged+modern@after", "accepted"),
    (PUSH, "java-*", "", "apple-push-2021/aaa+geotrust@day-2021", "rejected"),
    (PUSH, "java-*", "", "apple-push-2021/aaa+both-2021@day-2021", "accepted"),
    (SKETCH, "mbedtls-*", "", "github-move-2024/in-2024+global@march-8", "rejected"),
]

INCIDENTS = (LETSENCRYPT, ADDTRUST)
"""Those that every chosen column is put before, spoken of or not."""


def spoken_of(columns: str, name: str) -> bool:
    """Tell whether a row's columns, a glob and globs that it leaves out, mean a column."""
    wanted, *others = columns.split(",")
    return fnmatchcase(name, wanted) and not any(fnmatchcase(name, other.removeprefix("!")) for other in others)


@pytest.fixture(scope="module")
def corpus():
    """Return the repository's scenarios and clients."""
    return Corpus().sound()


@pytest.fixture(scope="module")
def checked(tlslab):
    """Return what ``tlslab clients`` says of the chosen columns: built as images, controls run."""
    names = [word for name in CHOSEN for word in ("--client", name)]
    done = tlslab("clients", *names, "--runtime", "docker", "--format", "json", folders=False, timeout=3600)
    return {one["name"]: one for one in done.document["clients"]}


@pytest.fixture(scope="module")
def measured(tlslab):
    """Return the two incidents of which most has been written, before the chosen columns."""
    names = [word for name in CHOSEN for word in ("--client", name)]
    return tlslab("run", *INCIDENTS, *names, "--runtime", "docker", "--format", "json", folders=False, timeout=3600)


@pytest.fixture(scope="module")
def run_of(tlslab, measured):
    """Return a function to a scenario's run: the incidents', or one before the chosen columns that rows speak of."""

    @cache
    def of(scenario: str):
        if scenario in INCIDENTS:
            return measured
        rows = [columns for _, columns, _, case, _ in ORACLES if case.startswith(f"{scenario}/")]
        names = [name for name in CHOSEN if any(spoken_of(columns, name) for columns in rows)]
        arguments = [word for name in names for word in ("--client", name)]
        command = ("run", scenario, *arguments, "--runtime", "docker", "--format", "json")
        return tlslab(*command, folders=False, timeout=3600) if names else None

    return of


@pytest.mark.parametrize("name", CHOSEN)
def test_a_column_is_built_and_passes_its_controls(checked, name):
    """Each column is the library that it says, and verifies: chain, host, dates, and the server's key."""
    assert checked[name]["controls"] == "ok", checked[name]
    assert checked[name]["digest"]


def test_what_no_seed_column_shows_another_does(tlslab):
    """In the scenarios in which the seed columns do one thing only, the named column does several."""
    names = [word for name in sorted(set(ELSEWHERE.values())) for word in ("--client", name)]
    done = tlslab("run", *ELSEWHERE, *names, "--runtime", "docker", "--format", "json", folders=False, timeout=3600)
    for scenario, client in ELSEWHERE.items():
        observed = {cell["observed"] for cell in done.cells(scenario=scenario, client=client)}
        assert len(observed) > 1, (scenario, client, observed)
    assert done.status == 0


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_said(name):
    """A column that this run does not build is named; TLSLAB_FLEET=all builds it."""
    pytest.skip(f"{name} is left out: TLSLAB_FLEET=all builds every column")


def test_nothing_new_in_the_incidents(measured):
    """Every cell of every chosen column is as its file of deviations says."""
    wrong = [cell for cell in measured.document["cells"] if cell["verdict"] not in {"pass", "known", "open"}]
    assert wrong == []
    assert measured.status == 0


@pytest.mark.parametrize("row", ORACLES, ids=lambda row: f"{row[3]}-{row[1]}{row[2]}")
def test_the_public_statements_hold(run_of, row):
    """What was publicly said to break, or not to, does so here, in every column that it speaks of."""
    said_by, columns, versions, case, observed = row
    scenario, _, name = case.partition("/")
    done = run_of(scenario)
    cells = []
    if done is not None:
        version = {one["name"]: said_version(one["version"]) for one in done.document["clients"]}
        cells = [
            cell
            for cell in done.cells(scenario=scenario, case=name)
            if spoken_of(columns, cell["client"]) and in_range(version[cell["client"]], versions)
        ]
    if not cells:
        pytest.skip(f"{said_by}: none of {columns} {versions} is among the chosen columns")
    assert {cell["client"]: cell["observed"] for cell in cells} == {cell["client"]: observed for cell in cells}


@pytest.mark.parametrize("row", ORACLES, ids=lambda row: f"{row[3]}-{row[1]}{row[2]}")
def test_a_statement_is_cited_by_its_scenario(corpus, row):
    """Each statement stands among the references of the scenario whose case it speaks of, and the case is written."""
    said_by, _columns, _versions, case, _observed = row
    slug, _, name = case.partition("/")
    scenario = corpus.scenario(slug).scenario
    assert said_by in scenario.references
    assert name in {one.name for one in scenario.cases()}


def test_there_are_many_statements():
    """The lab is held against at least a dozen distinct public statements."""
    assert len({said_by for said_by, *_ in ORACLES}) >= 12
