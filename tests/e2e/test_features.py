"""What clients lack is probed once, and what they cannot meet is unsupported, without a connection."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.e2e

COLUMNS = ("openssl-1.0.2q", "bearssl-0.6", "rogue-1+honest", "rogue-1+crash-ed25519")
NATIVE = {"openssl-1.0.2q": "1407742E", "bearssl-0.6": "326"}


def records(folder, kind):
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    return [entry["record"] for entry in map(json.loads, lines) if entry["kind"] == kind]


@pytest.fixture(scope="module")
def town(tlslab, workplace):
    """Return one run of modern-town before old and new clients, and its folder."""
    names = [word for name in COLUMNS for word in ("--client", name)]
    output = workplace / "features"
    done = tlslab("run", "modern-town", *names, "--runtime", "process", "--format", "json", "--output", str(output))
    (folder,) = output.iterdir()
    return done, folder


def the_cell(done, chain, client):
    (cell,) = done.cells(chain=chain, client=client)
    return cell


@pytest.mark.parametrize("client", sorted(NATIVE))
def test_what_old_clients_lack_is_unsupported(town, client):
    """The cell names the feature and the stack's own code for its lack, and the server saw nobody."""
    done, _folder = town
    cell = the_cell(done, "newest", client)
    assert (cell["observed"], cell["verdict"], cell["code"]) == ("unsupported", "unsupported", NATIVE[client])
    assert f"it lacks tls1.3: its probe failed at handshake: {NATIVE[client]}" in cell["text"]
    assert cell["witness"]["connections"] == 0
    assert the_cell(done, "edwards", client)["verdict"] == "unsupported"
    assert the_cell(done, "plain", client)["verdict"] == "pass"


def test_a_client_that_has_all_is_measured(town):
    """A probe that is accepted leaves the cells to be measured as usual."""
    done, _folder = town
    assert {cell["verdict"] for cell in done.cells(client="rogue-1+honest")} == {"pass"}
    assert the_cell(done, "newest", "rogue-1+honest")["witness"]["tls"] == "1.3"


def test_a_crash_is_no_lack(town):
    """A client that crashes at a probe is started again for the rest, and its cells are measured."""
    done, folder = town
    assert {cell["verdict"] for cell in done.cells(client="rogue-1+crash-ed25519")} == {"pass"}
    found = {one["name"]: one["outcome"] for one in records(folder, "feature") if one["column"].endswith("ed25519")}
    assert found == {"tls1.2": "has", "tls1.3": "has", "ed25519": "unknown"}


def test_only_what_is_required_is_probed(town):
    """Each column meets the probe of each required feature once, and of no other."""
    _done, folder = town
    probed = [(one["column"], one["name"]) for one in records(folder, "feature")]
    assert sorted(probed) == sorted((name, one) for name in COLUMNS for one in ("tls1.2", "tls1.3", "ed25519"))


def test_a_resumed_run_knows_what_was_probed(tlslab, town, tmp_path):
    """After a cut at the first cell, --resume fills the cells from the probes on record and makes none anew."""
    done, folder = town
    cut = tmp_path / "cut"
    cut.mkdir()
    lines = (folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (cut / "ledger.jsonl").write_bytes(b"".join(line for line in lines if not line.startswith(b'{"kind":"cell"')))
    again = tlslab("run", "--resume", str(cut), "--format", "json")
    assert len(records(cut, "feature")) == len(records(folder, "feature"))

    def said(one):
        return {(cell["case"], cell["client"]): (cell["observed"], cell["code"], cell["text"]) for cell in one.cells()}

    assert said(again) == said(done)


def test_check_shows_what_a_client_lacks(tlslab):
    """``clients check`` prints every feature beside the controls, in the stack's own words."""
    done = tlslab("clients", "check", "bearssl-0.6", "--runtime", "process")
    assert done.status == 0, done.err
    rows = [line.split() for line in done.out.splitlines()]
    assert ["bearssl-0.6", "tls1.3", "lacks", "failed", "326", "BR_ERR_RECV_FATAL_ALERT"] in rows
    assert ["bearssl-0.6", "ec384", "has", "accepted"] in rows
