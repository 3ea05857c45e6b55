"""A lab that is killed or interrupted: nothing recorded is lost, nothing of ours stays behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.conftest import DATA, ours

pytestmark = pytest.mark.e2e


@pytest.fixture
def started(workplace, environment):
    """Start a run in the background and return its process once its ledger holds some cells."""
    running = []

    def start(output: Path, *arguments: str, cells: int = 5) -> tuple[subprocess.Popen[str], Path]:
        command = [
            *(sys.executable, "-m", "lab", "--scenarios", str(DATA / "scenarios"), "--clients", str(DATA / "clients")),
            *("run", "--output", str(output), "--runtime", "process", "--format", "json", *arguments),
        ]
        process = subprocess.Popen(
            command, cwd=workplace, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        running.append(process)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            for ledger in output.glob("*/ledger.jsonl"):
                if ledger.read_bytes().count(b'{"kind":"cell"') >= cells:
                    return process, ledger
        pytest.fail(f"no {cells} cells came: {process.poll()}: {process.communicate()}")

    yield start
    for process in running:
        process.kill()
        process.communicate()


def recorded(ledger: Path) -> list[tuple[str, str, str]]:
    """Return the identities of the cells in the whole lines of a ledger, in their order."""
    records = [json.loads(line) for line in ledger.read_bytes().split(b"\n")[:-1]]
    cells = [one["record"] for one in records if one["kind"] == "cell"]
    return [(cell["scenario"], cell["case"], cell["client"]) for cell in cells]


def test_a_killed_run_is_finished(tlslab, started, tmp_path):
    """After kill -9 in the middle --resume fills what is missing, keeps what was recorded, records nothing twice."""
    process, ledger = started(tmp_path, "letsencrypt-2021", "--client", "seed", "--jobs", "1", cells=20)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    before = recorded(ledger)
    with ledger.open("ab") as torn:
        torn.write(b'{"kind":"cell","record":{"scenario":"letsen')
    done = tlslab("run", "--resume", str(ledger.parent), "--format", "json")
    assert done.status == 0, done.err
    after = recorded(ledger)
    assert after[: len(before)] == before
    assert set(Counter(after).values()) == {1}
    assert done.document["missing"] == []
    assert len(after) == len(done.document["cells"])


def test_a_resumed_run_that_is_complete_measures_nothing(tlslab, started, tmp_path):
    """Resuming a finished run prints it, and leaves its ledger as it is."""
    process, ledger = started(tmp_path, "rogue-town", "--client", "rogue-1+honest", cells=4)
    process.communicate(timeout=60)
    size = ledger.stat().st_size
    assert tlslab("run", "--resume", str(ledger.parent), "--format", "json").status == 0
    assert ledger.stat().st_size == size


def test_ctrl_c_leaves_nothing_behind(started, tmp_path):
    """An interrupted lab ends its clients, even those that hang or have forked, and says what is kept."""
    process, ledger = started(
        tmp_path,
        *("rogue-town", "--client", "rogue-1+hang", "--client", "rogue-1+fork", "--client", "rogue-1+honest"),
        *("--timeout", "60", "--jobs", "4"),
        cells=4,
    )
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "what was measured is kept" in err
    assert len(recorded(ledger)) >= 4
    assert ours() == []


def test_the_next_run_clears_away_what_a_killed_lab_left(tlslab, started, tmp_path):
    """A client that hangs survives its killed lab; the next run ends it, by the mark in its environment."""
    process, _ledger = started(
        tmp_path, "rogue-town", "--client", "rogue-1+hang", "--timeout", "60", "--jobs", "4", cells=1
    )
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    tlslab("run", "rogue-town", "--client", "rogue-1+honest", "--runtime", "process", "--output", str(tmp_path))
    assert ours() == []
