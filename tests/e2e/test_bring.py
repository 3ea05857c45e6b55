"""docs/bring-your-client.md, followed to the letter; and clients that are given on the command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import columns

pytestmark = pytest.mark.e2e

TUTORIAL = Path(__file__).parent.parent.parent / "docs" / "bring-your-client.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Run every block of the tutorial, in its order, in one new folder; return what each printed and ended with."""
    folder = tmp_path_factory.mktemp("tutorial")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
    return [
        subprocess.run(
            ["bash", "-euc", block],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        for block in BLOCKS
    ]


@pytest.mark.parametrize("place", range(len(BLOCKS)), ids=[block.splitlines()[0][:40] for block in BLOCKS])
def test_the_tutorial_works_as_it_stands(followed, place):
    """A stranger who types what the page says gets a column of her own, with every block ending well."""
    assert followed[place].returncode == 0, followed[place].stdout + followed[place].stderr


def test_her_column_is_in_the_matrix(followed):
    """The run of the tutorial measured all cases with the client that she made."""
    before, after = [one.stdout for one in followed if "--client mydev" in " ".join(one.args)]
    assert "1 outage" in before
    assert "outage" not in after
    assert "1 known" in after
    assert "not run" not in after


def test_a_command_that_ends_in_an_unknown_way_is_a_broken_harness(tlslab, workplace):
    """A status that nobody mapped is no verdict."""
    program = workplace / "odd"
    program.write_text("#!/bin/sh\nexit 42\n")
    program.chmod(0o755)
    done = tlslab("run", "rogue-town", "--client", f"command:{program} {{port}}", "--runtime", "process")
    assert done.status == 3
    assert "42" in done.out


@pytest.mark.parametrize("given", ["command:", "command:./no-such-program {port}", "command:'unclosed", "image:"])
def test_what_names_no_client_is_bad_input(tlslab, given):
    """A command that cannot be run, or no image, gets status 2 and an example."""
    done = tlslab("run", "rogue-town", "--client", given, "--runtime", "process")
    assert done.status == 2
    assert "Traceback" not in done.err


def test_a_name_that_is_taken(tlslab, workplace):
    """``clients new`` writes over nothing."""
    assert tlslab("clients", "new", "twice").status == 0
    done = tlslab("clients", "new", "twice")
    assert done.status == 2
    assert "there already" in done.err
    assert tlslab("clients", "new", "Not A Name").status == 2


def test_an_image_has_no_process(tlslab):
    """An image outside Docker is not had, and says so."""
    done = tlslab("run", "rogue-town", "--client", "image:acme/fw:1", *columns("honest"), "--runtime", "process")
    assert done.status == 3
    assert "--runtime docker" in done.out
