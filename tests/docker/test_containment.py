"""Containers that try what they should not: contained, named, and the rest of the run unharmed."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import columns

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]

EXPECTED = {
    "outside": ("accepted", "contained: "),
    "write-root": ("accepted", "Read-only file system"),
    "fork-bomb": ("crashed", "Resource temporarily unavailable"),
    "megabytes": ("failed", "about to megabytes"),
    "memory": ("crashed", "about to memory"),
    "hang": ("timeout", "about to hang"),
    "fork": ("crashed", "about to fork"),
}


@pytest.fixture(scope="module")
def done(tlslab):
    """Return one run with all of them and an honest one among them."""
    names = columns("honest", *EXPECTED)
    return tlslab("run", "rogue-town", *names, "--runtime", "docker", "--timeout", "2", "--format", "json")


@pytest.mark.parametrize("name", EXPECTED)
def test_it_is_contained_and_named(done, name):
    """No route leads out, nothing can be written, processes, memory and output are bounded; the evidence says so."""
    observed, words = EXPECTED[name]
    (cell,) = done.cells(client=f"rogue-1+{name}", case="rogue+root@now")
    assert cell["observed"] == observed, cell
    assert words in cell["stderr"], cell
    assert "NOT contained" not in cell["stderr"]


def test_the_others_are_unharmed(done):
    """The honest client's cells, and everyone's plain ones, are right."""
    for cell in done.document["cells"]:
        if cell["chain"] == "plain" or cell["client"] == "rogue-1+honest":
            assert cell["verdict"] == "pass", cell
    assert len(done.document["cells"]) == 4 * (1 + len(EXPECTED))


def test_memory_is_named(done):
    """A container that the kernel ended for want of memory says so."""
    (cell,) = done.cells(client="rogue-1+memory", case="rogue+root@now")
    assert "want of memory" in cell["text"], cell
