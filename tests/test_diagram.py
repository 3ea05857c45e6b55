"""Drawing a scenario's certificate graph: entities are nodes, certificates are edges, and no name ends its label."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from lab.corpus import home, load_scenario
from lab.diagram import as_dot, as_mermaid
from lab.model.scenario import Scenario

SLUGS = sorted(path.parent.name for path in (home() / "scenarios").glob("*/scenario.toml"))


def scenario(slug: str) -> Scenario:
    file, problems = load_scenario(home() / "scenarios" / slug / "scenario.toml")
    assert file is not None, problems
    return file.scenario


def hostile() -> Scenario:
    controls = scenario("controls")
    root = controls.entities["root"].model_copy(update={"cn": '[bold]\\"</b>\x1b[2J#&', "same_key_as": "twin"})
    return controls.model_copy(update={"entities": {**controls.entities, "root": root}})


def test_mermaid() -> None:
    """Entities are nodes, certificates are edges, and anchors have another shape."""
    lines = as_mermaid(scenario("letsencrypt-2021")).splitlines()
    assert lines[0] == "flowchart TD"
    assert '    e0(["DST Root CA X3<br/>rsa2048"])' in lines
    assert '    e3["shop.example<br/>ec256"]' in lines
    assert '    e0 -- "isrg-cross<br/>2021-01-20 to 2024-09-30" --> e1' in lines
    assert sum(" -- " in line for line in lines) == 6


def test_nothing_is_mermaid() -> None:
    """A name cannot end its label."""
    drawn = as_mermaid(hostile())
    assert 'e0(["[bold]\\#quot;#lt;/b#gt;?[2J#35;#amp;<br/>rsa2048, the key of twin"])' in drawn


def test_dot() -> None:
    """Entities are nodes, certificates are edges, and anchors are rounded."""
    drawn = as_dot(scenario("letsencrypt-2021"))
    assert '    e0 [label="DST Root CA X3\\nrsa2048", style="filled,rounded", fillcolor="#dcebf7"]' in drawn
    assert '    e0 -> e1 [label="isrg-cross\\n2021-01-20 to 2024-09-30"]' in drawn
    assert drawn.count(" -> ") == 6


def test_dot_of_a_part() -> None:
    """Who neither vouches nor is vouched for by what is shown is left out."""
    drawn = as_dot(scenario("letsencrypt-2021"), {"dst-root", "isrg-cross"}.__contains__)
    assert drawn.count(" -> ") == 2
    assert "shop.example" not in drawn


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed: make docs does that")
def test_graphviz_reads_what_is_said() -> None:
    """Graphviz draws every scenario, and of a hostile name every sign."""
    drawings = "".join(as_dot(one) for one in [*map(scenario, SLUGS), hostile()])
    done = subprocess.run(["dot", "-Tsvg"], input=drawings.encode(), capture_output=True, check=True)
    assert done.stderr == b""
    assert done.stdout.count(b"</svg>") == len(SLUGS) + 1
    assert b"[bold]\\&quot;&lt;/b&gt;?[2J#&amp;" in done.stdout
