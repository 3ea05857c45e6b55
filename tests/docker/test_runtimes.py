"""One client, three runtimes: process, docker and compose say the same in every cell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import DATA

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]

ROOT = Path(__file__).parent.parent.parent


def essence(document):
    """Return what must not depend on the runtime: version by column; observation, code, text and reason by cell.

    An unsupported cell quotes the probe that showed the lack.  Its code is left out: compose's lab has keys of its own,
    and BearSSL's code for a key of a type that it does not know depends on the key's bytes.  Where a connection is cut
    on purpose, the network decides whether a client meets the reset while it connects, writes or reads.
    """
    versions = {one["name"]: (one["version"], one["controls"]) for one in document["clients"]}
    cells = {}
    for cell in document["cells"]:
        fields = ["observed", "stage", "reason", "tls", "verdict"]
        fields += [] if cell["observed"] == "unsupported" else ["code", "text"]
        if cell["expected"] == "fail":
            fields = ["observed", "verdict"]
        cells[cell["scenario"], cell["case"], cell["client"]] = tuple(cell[field] for field in fields)
    return versions, cells


@pytest.fixture(scope="module")
def native(tlslab):
    """Return all scenarios of the repository before the seed clients, as processes."""
    done = tlslab("run", "--client", "seed", "--runtime", "process", "--format", "json", folders=False)
    assert done.status == 0, done.err
    return essence(done.document)


def test_containers_agree_with_processes(tlslab, native):
    """The same library gives the same observation, code, reason and version in a container."""
    done = tlslab("run", "--client", "seed", "--runtime", "docker", "--format", "json", folders=False)
    assert done.status == 0, done.err
    assert essence(done.document) == native


def test_compose_agrees_with_processes(native):
    """The services of docker-compose.yml dial in, the lab ends by itself, and the cells are the same."""
    before = set((ROOT / "results").glob("*/report.json"))
    done = subprocess.run(["make", "compose"], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "does not connect" in done.stdout
    (report,) = set((ROOT / "results").glob("*/report.json")) - before
    assert essence(json.loads(report.read_text())) == native


def test_a_killed_lab_s_containers_are_cleared_away_by_the_next(engine, tlslab, environment, tmp_path):
    """After kill -9 containers and network stay; the next run removes them by their label, before it starts its own."""
    command = [
        *(sys.executable, "-m", "lab", "--scenarios", str(DATA / "scenarios"), "--clients", str(DATA / "clients")),
        *("run", "rogue-town", "--client", "rogue-1+hang", "--runtime", "docker", "--timeout", "60", "--jobs", "4"),
        *("--output", str(tmp_path)),
    ]
    lab = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 240
        while not any(b'{"kind":"cell"' in one.read_bytes() for one in tmp_path.glob("*/ledger.jsonl")):
            assert time.monotonic() < deadline
            assert lab.poll() is None
    finally:
        os.kill(lab.pid, signal.SIGKILL)
        lab.wait(30)
    assert engine.containers.list(filters={"label": "org.tlslab.owner"}) != []
    tlslab("run", "rogue-town", "--client", "rogue-1+honest", "--runtime", "docker")


def test_ctrl_c_leaves_no_container(engine, environment, tmp_path):
    """An interrupted lab removes its containers and its network before it ends."""
    command = [
        *(sys.executable, "-m", "lab", "--scenarios", str(DATA / "scenarios"), "--clients", str(DATA / "clients")),
        *("run", "rogue-town", "--client", "rogue-1+hang", "--runtime", "docker", "--timeout", "60", "--jobs", "4"),
        *("--output", str(tmp_path)),
    ]
    lab = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 240
    while not any(b'{"kind":"cell"' in one.read_bytes() for one in tmp_path.glob("*/ledger.jsonl")):
        assert time.monotonic() < deadline
        assert lab.poll() is None
    lab.send_signal(signal.SIGINT)
    lab.communicate(timeout=60)
    assert lab.returncode == 130
