"""Every fault on the wire: a client that survives it, a cell in which it does damage, and the proof that it was there.

``TLSLAB_FLEET=all`` asks every column, otherwise those are asked that are known to differ.  That the proof of the
witness is true, ``tests/server/test_faults_seen.py`` shows.
"""

from __future__ import annotations

import os

import pytest

from lab.server.faults import CATALOGUE
from tests.docker.test_fleet import CHOSEN

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]

DIFFERING = ["bearssl-0.6", "java-17", "mbedtls-2.28.3", "micropython-1.25.0", "openssl-1.0.2k", "openssl-3.0"]
COLUMNS = CHOSEN if os.environ.get("TLSLAB_FLEET") == "all" else DIFFERING

# Harmless by default, harmful to whoever has less time: seconds of a probe's deadline for 3000 ms of the fault.
DELAYS, DEADLINE = {"delay-accept", "delay-hello", "delay-certificate"}, 1.0

NOBODY_MINDS = {
    "hello-retry-request": "all 53 columns that speak TLS 1.3 answer it: RFC 8446 makes everybody able to",
    "split-record": "all 74 columns read a stream: a TCP without bounds of segments is all that they know",
    "no-close-notify": "the lab's answers say how long they are, so that all 74 columns know it whole without one",
}
"""Faults that did no damage in any column of the fleet, measured 2026-11-24, and why."""


def chosen(names):
    return [word for name in names for word in ("--client", name)]


@pytest.fixture(scope="module")
def measured(tlslab):
    """Return the cells of the good chain by column, under each fault ("" for none)."""
    assert set(DIFFERING) <= set(CHOSEN)
    form = ("--runtime", "docker", "--format", "json")
    done = tlslab("run", "wire-faults", *chosen(COLUMNS), *form, folders=False, timeout=3600)
    found = {}
    for cell in done.document["cells"]:
        case, _, fault = cell["case"].partition("~")
        if case == "good+root@now":
            found.setdefault(fault, {})[cell["client"]] = cell
    return found


@pytest.fixture(scope="module")
def hurried(tlslab):
    """Return, by fault, the cells of clients that have less time than the fault takes."""
    found = {}
    for fault in sorted(DELAYS):
        form = ("--runtime", "docker", "--format", "json", "--timeout", str(DEADLINE), "--fault", f"{fault}=3000")
        done = tlslab(
            "run", "root-included", *chosen(["bearssl-0.6"]), "--fault", f"{fault}=3000", *form, folders=False
        )
        found[fault] = [cell for cell in done.document["cells"] if cell["expected"] == "accept"]
    return found


def shown(cell, fault):
    """Tell whether the witness says that a fault took effect, as a single line of its own."""
    return [one.partition(":")[0] for one in cell["witness"]["faults"]] == [fault]


def survives(cell, fault):
    """Tell whether a client did, under a fault that took effect, what a careful one does."""
    wanted = {"same": {"accepted"}, "either": {"accepted", "failed"}, "fail": {"failed", "rejected"}}
    return shown(cell, fault) and cell["observed"] in wanted[CATALOGUE[fault].consequence]


def harmed(measured, cell, fault):
    """Tell whether a client lost a connection to a good chain that it makes without the fault, or was led astray."""
    accepts = measured[""][cell["client"]]["observed"] == "accepted"
    return accepts and shown(cell, fault) and (cell["observed"] != "accepted" or cell["verdict"] == "exposure")


@pytest.mark.parametrize("fault", CATALOGUE)
def test_somebody_survives_it(measured, fault):
    """A client connects through what must make no difference, and ends cleanly what must fail."""
    assert [name for name, cell in measured[fault].items() if survives(cell, fault)]


@pytest.mark.parametrize("fault", sorted(CATALOGUE.keys() - DELAYS - NOBODY_MINDS.keys()))
def test_it_does_damage(measured, fault):
    """A client loses the good chain that it connects to without the fault, and the witness proves that it was there."""
    assert [name for name, cell in measured[fault].items() if harmed(measured, cell, fault)]


@pytest.mark.parametrize("fault", sorted(DELAYS))
def test_a_delay_does_damage_to_who_is_in_a_hurry(hurried, fault):
    """A client whose deadline is shorter than the delay never connects."""
    assert hurried[fault]
    for cell in hurried[fault]:
        assert cell["observed"] in {"failed", "timeout"}, cell
        assert not cell["witness"]["handshake"], cell


@pytest.mark.parametrize("fault", sorted(NOBODY_MINDS))
def test_what_nobody_minds(measured, fault):
    """Where a fault is said to harm nobody, it took effect, and everybody to whom it was shown connected."""
    cells = [cell for cell in measured[fault].values() if shown(cell, fault)]
    assert cells
    assert {cell["client"]: cell["observed"] for cell in cells if cell["observed"] != "accepted"} == {}


def test_nothing_is_left_unexplained(measured):
    """Whatever a fault does to a column is listed with its reason: there is no new outage, exposure or crash."""
    cells = [cell for cells in measured.values() for cell in cells.values()]
    assert [cell for cell in cells if cell["verdict"] not in {"pass", "open", "known"}] == []
