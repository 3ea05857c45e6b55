"""Each command as a user types it."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import DATA

pytestmark = pytest.mark.e2e

CELL = "letsencrypt-2021/long+both@after@openssl-1.0.2q"


@pytest.fixture(scope="module")
def run_folder(tlslab, workplace):
    """Return the folder of one run."""
    done = tlslab("run", "letsencrypt-2021", "--client", "openssl-1.0.2q", "--runtime", "process")
    assert done.status == 0, done.err
    (folder,) = (workplace / "results").iterdir()
    return folder


def test_a_run_leaves_every_form(run_folder):
    """Ledger, HTML, JUnit, Markdown and JSON are in the run's folder."""
    names = {path.name for path in run_folder.iterdir()}
    assert names == {"ledger.jsonl", "report.html", "report.md", "report.json", "junit.xml"}


@pytest.mark.parametrize(
    ("form", "beginning"),
    [("html", "<!"), ("junit", "<testsuites"), ("json", "{"), ("markdown", "#"), ("table", "letsencrypt")],
)
def test_a_run_that_is_over_in_another_form(tlslab, run_folder, form, beginning):
    """``report`` prints a run by its name in any form, and nothing else."""
    done = tlslab("report", run_folder.name, "--format", form)
    assert (done.status, done.err) == (0, "")
    assert done.out.lstrip().startswith(beginning)


def test_two_runs_alike(tlslab, run_folder):
    """``diff`` of a run with itself says that nothing changed, and ends with 0."""
    done = tlslab("diff", run_folder.name, str(run_folder))
    assert done.status == 0
    assert "same 40" in done.out


def test_a_cell_is_reproduced(tlslab, run_folder):
    """``reproduce`` makes that probe again, shows everything, and says that it came out the same."""
    done = tlslab("reproduce", run_folder.name, CELL)
    assert done.status == 0, done.err
    for words in (
        "control good: ok",
        '"code": "10"',
        "certificate_expired",
        "the same as in the run",
        "DST Root CA X3",
    ):
        assert words in done.out


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
def test_a_reproduced_cell_is_captured(tlslab, run_folder, tmp_path):
    """With --pcap the packets are captured, and the secrets beside them are for the owner alone."""
    pcap = tmp_path / "cell.pcap"
    done = tlslab("reproduce", run_folder.name, CELL, "--pcap", str(pcap))
    assert done.status == 0, done.err
    assert b"shop.example" in pcap.read_bytes()
    secrets = pcap.with_suffix(".keylog")
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert b"CLIENT_RANDOM " in secrets.read_bytes()


def test_an_unknown_cell_is_answered_with_the_nearest(tlslab, run_folder):
    """A misspelt cell is bad input: status 2, and what would be right."""
    done = tlslab("reproduce", run_folder.name, CELL.replace("both", "bth"))
    assert done.status == 2
    assert f'did you mean "{CELL}"' in done.err


def test_a_case_as_files(tlslab, tmp_path):
    """``mint`` writes chain, key and anchors; the key is its owner's alone, and openssl agrees with the chain."""
    done = tlslab("mint", "letsencrypt-2021/long+new@before", "-o", str(tmp_path))
    assert done.status == 0, done.err
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    command = [
        "openssl",
        "verify",
        "-attime",
        "1633010474",
        "-CAfile",
        "anchors.pem",
        "-untrusted",
        "chain.pem",
        "chain.pem",
    ]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "chain.pem: OK\n"


def test_a_scenario_is_shown(tlslab):
    """``show`` tells the story with its graph, timeline and chains, as text and as Mermaid."""
    done = tlslab("show", "letsencrypt-2021")
    assert done.status == 0, done.err
    for words in ("DST Root CA X3", "2021-09-30", "long", "both-reversed"):
        assert words in done.out
    assert tlslab("show", "letsencrypt-2021", "--format", "mermaid").out.startswith("flowchart")


def test_scenarios_are_listed(tlslab):
    """``scenarios --format json`` is one document with the ids of all cases."""
    (one,) = [
        entry
        for entry in tlslab("scenarios", "--format", "json").document["scenarios"]
        if entry["slug"] == "letsencrypt-2021"
    ]
    assert "letsencrypt-2021/long+both@after" in one["cases"]


def test_every_problem_at_once_and_nothing_started(tlslab, tmp_path):
    """A broken scenario is bad input: status 2, every problem with its place, no traceback, no run."""
    folder = tmp_path / "scenarios" / "broken"
    folder.mkdir(parents=True)
    text = (DATA / "scenarios" / "rogue-town" / "scenario.toml").read_text()
    text = text.replace('issuer = "root" }', 'issuer = "rot" }', 1).replace("2024-06-01\n", "2024-06-31\n")
    text = text.replace('["rogue"], at', '["rouge"], at').replace("empty = { now", "emty = { now", 1)
    (folder / "scenario.toml").write_text(text)
    done = tlslab("--scenarios", str(folder.parent), "run", "broken", "--client", "rogue-1+honest", folders=True)
    assert done.status == 2
    for words in ('did you mean "root"?', "2024-06-31", '"rouge"', '"emty"', "nothing was started"):
        assert words in done.err, done.err
    assert "Traceback" not in done.err


def test_lint_is_green(tlslab):
    """The repository's own scenarios and clients are sound."""
    done = tlslab("lint", folders=False)
    assert (done.status, done.out) == (0, "sound\n"), done.err


def test_clients_are_checked(tlslab):
    """``clients check`` shows every control in the stack's own words, and ends with 3 where one fails."""
    done = tlslab("clients", "check", "bearssl-0.6", "--runtime", "process")
    assert done.status == 0, done.err
    assert "BR_ERR_X509_NOT_TRUSTED" in done.out
    assert tlslab("clients", "check", "rogue-1+skip-host", "--runtime", "process").status == 3


def test_an_unknown_run_or_client_is_bad_input(tlslab):
    """Names that name nothing get status 2 and the nearest that exist."""
    done = tlslab("run", "letsencrypt-2021", "--client", "openssl-1.0.2p")
    assert done.status == 2
    assert "openssl-1.0.2q" in done.err
    assert tlslab("report", "no-such-run").status == 2


def test_json_is_alone_on_stdout(tlslab, run_folder):
    """What --format json prints is one document."""
    document = json.loads(Path(run_folder / "report.json").read_text())
    assert document == tlslab("report", run_folder.name, "--format", "json").document
