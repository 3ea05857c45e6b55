"""The command line as a user starts it: a process of its own, its output and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parent.parent / "data"


@dataclass(frozen=True)
class Done:
    """What a command printed and ended with."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on stdout."""
        return json.loads(self.out)

    def cells(self, **wanted: str) -> list[dict[str, Any]]:
        """The document's cells that have these fields."""
        return [cell for cell in self.document["cells"] if all(cell[key] == value for key, value in wanted.items())]


def ours() -> list[str]:
    """Return the command lines of processes that a lab has started and that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if b"TLSLAB_OWNER=" in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return found


def columns(*names: str) -> list[str]:
    """Return the arguments that choose misbehaving clients by what they do."""
    return [word for name in names for word in ("--client", f"rogue-1+{name}")]


@pytest.fixture(scope="session")
def environment():
    """The environment of commands: this interpreter builds the misbehaving clients."""
    return {**os.environ, "PYTHON": sys.executable, "COLUMNS": "200", "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """The folder in which a module's commands run, and in which their results are kept."""
    return tmp_path_factory.mktemp("workplace")


@pytest.fixture(scope="module")
def tlslab(workplace, environment):
    """Run ``tlslab`` with the tests' own clients and scenarios beside the repository's."""

    def run(*arguments: str, timeout: float = 300, folders: bool = True) -> Done:
        extra = ["--scenarios", str(DATA / "scenarios"), "--clients", str(DATA / "clients")] if folders else []
        command = [sys.executable, "-m", "lab", *extra, *arguments]
        done = subprocess.run(
            command, cwd=workplace, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run
