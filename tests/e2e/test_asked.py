"""Whole runs with the HTTP port: whose question it was, and that nobody can stop or outlive a run by it."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest
from cryptography import x509

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def town(tlslab, workplace):
    """Return a run in which two clients ask at every probe, one floods the port, and one never asks, four at once."""
    names = [word for name in ("ask", "ask-too", "flood", "honest") for word in ("--client", f"rogue-1+{name}")]
    output = str(workplace / "asked")
    return tlslab(
        "run", "asked-town", *names, "--runtime", "process", "--jobs", "4", "--format", "json", "--output", output
    )


@pytest.mark.parametrize("client", ["rogue-1+ask", "rogue-1+ask-too"])
def test_a_cell_knows_what_its_client_asked(town, client):
    """Each probe has its own question, once, although another client asks the same at the same time."""
    cells = town.cells(client=client)
    assert len(cells) == 4
    for cell in cells:
        assert list(cell["witness"]["asked"]) == [f"issuer of {cell['chain']}: root"]
        assert cell["verdict"] == "pass"


def test_who_never_asks_is_not_said_to(town):
    """Nobody else's question is found in the cells of a client that asks nothing."""
    assert [cell["witness"]["asked"] for cell in town.cells(client="rogue-1+honest")] == [[]] * 4


def test_a_flood_stops_nobody(town):
    """A client that floods the port gets its cells, as all the others do, and the run ends well."""
    assert {cell["verdict"] for cell in town.document["cells"]} == {"pass"}
    assert (town.status, len(town.document["cells"])) == (0, 16)
    assert "Traceback" not in town.err


def test_nothing_outlives_the_run(town, workplace):
    """When the run is over, the port that its certificates name is closed."""
    (ledger,) = (workplace / "asked").glob("*/ledger.jsonl")
    exhibits = [
        entry["record"] for entry in map(json.loads, ledger.read_text().splitlines()) if entry["kind"] == "exhibit"
    ]
    leaf = next(one for one in exhibits if one["scenario"] == "asked-town")["chain"][0]
    certificate = x509.load_pem_x509_certificate(leaf["pem"].encode())
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    there = urlsplit(access[0].access_location.value)
    assert town.status == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((there.hostname, there.port))
