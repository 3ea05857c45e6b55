"""The fleet: every column's controls, and the public statements of what broke.

Without more, one column of every stack is built and checked, and the rest is named as left out; with
``TLSLAB_FLEET=all`` every column is.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

import pytest

from lab.corpus import Client, Corpus
from lab.judge import in_range
from lab.run import said_version

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]

SUITES = (None, "bookworm", "trixie")
"""Those whose base images are made for the tests, in the order in which a stack's column is chosen."""

FOR_THE_ORACLES = ("openssl-1.0.2q+trusted-first", "openssl-1.1.1g", "openssl-3.0", "node-0.10.0", "node-0.10.48")


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

# Who said it; whom it speaks of (columns, and the range of their library's version); case; what they do.
ORACLES = [
    ("OpenSSL blog, 2021-09-13", "openssl-1.0.2*,!*+trusted-first", "", "long+both@after", "rejected"),
    ("OpenSSL blog, 2021-09-13, workaround 2", "openssl-1.0.2*+trusted-first", "", "long+both@after", "accepted"),
    ("OpenSSL blog, 2021-09-13, workaround 1", "openssl-1.0.2*", "", "long+new@after", "accepted"),
    ("OpenSSL blog, 2021-09-13", "openssl-*", ">=1.1.0", "long+both@after", "accepted"),
    ("Let's Encrypt forum 143816: OpenSSL before 1.1.0", "node-*", "<1.1.0", "long+both@after", "rejected"),
    ("Let's Encrypt forum 143816: the alternate, short chain", "node-*", ">=1.0.0", "short+both@after", "accepted"),
    ("Let's Encrypt forum 143817: both chains end at ISRG Root X1", "go-*", "", "long+both@after", "accepted"),
    ("openssl issue 12006: 1.0.1t fails where 1.1.1 does not", "node-*", "<1.1.0", "long+both@reported", "rejected"),
    (
        "openssl issue 12006: 1.0.1t fails where 1.1.1 does not",
        "openssl-*",
        ">=1.1.0",
        "long+both@reported",
        "accepted",
    ),
    ("GnuTLS 3.6.14 release notes", "ffmpeg-*", "", "long+both@reported", "rejected"),
    ("GnuTLS 3.6.14 release notes", "gnutls-*", ">=3.6.14", "long+both@reported", "accepted"),
    ("wolfSSL issue 4443", "wolfssl-*,!*+date-err-okay", "<5.0", "long+both@after", "rejected"),
]


@pytest.fixture(scope="module")
def checked(tlslab):
    """Return what ``tlslab clients`` says of the chosen columns: built as images, controls run."""
    names = [word for name in CHOSEN for word in ("--client", name)]
    done = tlslab("clients", *names, "--runtime", "docker", "--format", "json", folders=False, timeout=3600)
    return {one["name"]: one for one in done.document["clients"]}


@pytest.fixture(scope="module")
def measured(tlslab):
    """Return the two incidents of which others have written, before the chosen columns."""
    names = [word for name in CHOSEN for word in ("--client", name)]
    incidents = ("letsencrypt-2021", "addtrust-2020")
    return tlslab("run", *incidents, *names, "--runtime", "docker", "--format", "json", folders=False, timeout=3600)


@pytest.mark.parametrize("name", CHOSEN)
def test_a_column_is_built_and_passes_its_controls(checked, name):
    """Each column is the library that it says, and verifies: chain, host, dates, and the server's key."""
    assert checked[name]["controls"] == "ok", checked[name]
    assert checked[name]["digest"]


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_said(name):
    """A column that this run does not build is named; TLSLAB_FLEET=all builds it."""
    pytest.skip(f"{name} is left out: TLSLAB_FLEET=all builds every column")


def test_nothing_new_in_the_incidents(measured):
    """Every cell of every chosen column is as its file of deviations says."""
    wrong = [cell for cell in measured.document["cells"] if cell["verdict"] not in {"pass", "known", "open"}]
    assert wrong == []
    assert measured.status == 0


@pytest.mark.parametrize(("said_by", "columns", "versions", "case", "observed"), ORACLES)
def test_the_public_statements_hold(measured, said_by, columns, versions, case, observed):  # noqa: PLR0917 - a row
    """What was publicly said to break, or not to, does so here, in every column that it speaks of."""
    version = {one["name"]: said_version(one["version"]) for one in measured.document["clients"]}
    wanted, *others = columns.split(",")
    cells = [
        cell
        for cell in measured.cells(case=case)
        if fnmatchcase(cell["client"], wanted)
        and not any(fnmatchcase(cell["client"], other.removeprefix("!")) for other in others)
        and in_range(version[cell["client"]], versions)
    ]
    if not cells:
        pytest.skip(f"{said_by}: none of {columns} {versions} is among the chosen columns")
    assert {cell["client"]: cell["observed"] for cell in cells} == {cell["client"]: observed for cell in cells}
