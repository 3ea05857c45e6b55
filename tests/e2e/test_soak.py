"""The lab outlasts its own faults: a short soak; ``make soak`` is the long one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parent.parent.parent


def test_faults_leak_nothing_and_change_no_other_cell(environment, tmp_path):
    """Three rounds of faults, a different one for each case and round, end with what the first one ended with.

    Descriptors, children and memory are the same, and the cells without faults are those of before.
    """
    command = [sys.executable, str(ROOT / "bench" / "soak.py"), "provider-switch-2021", "reasons", "--timeout", "1"]
    paths = {**environment, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    rounds = re.findall(r"^round \d +(\d+) cells, (\d+) with their fault on the wire", done.stdout, re.MULTILINE)
    assert len(rounds) == 3
    assert all(0 < int(faulted) <= int(cells) for cells, faulted in rounds)
    assert "nothing has leaked, and no cell has changed" in done.stdout
