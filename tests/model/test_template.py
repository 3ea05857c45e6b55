"""Templates: what stands in braces, what is like something else, and what is said when it cannot be written out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.model.document import Document
from lab.model.template import MAX_TABLES, write_out


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str, overrides: dict[str, Any] | None = None) -> Document:
        path = tmp_path / "scenario.toml"
        path.write_text(text, encoding="utf-8")
        document = Document(path)
        write_out(document, overrides)
        return document

    return write


DEEP = """
[sweep]
depth = "1..3"
[entities]
"ca-{depth}" = { cn = "Intermediate {depth}" }
[certificates]
"ca-{depth}" = { subject = "ca-{depth}", issuer = "ca-{depth-1}", path_length = "{depth}" }
[chains]
"deep-{depth}" = { send = ["site", "ca-{depth..1}"], at = ["now"] }
[expect."deep-{depth}"]
root = { now = "accept" }
"""


def test_a_sweep_repeats_tables(written):
    """A table whose name holds a sweep is there once for each value, in order, with numbers as numbers."""
    data = written(DEEP).data
    assert list(data["entities"]) == ["ca-1", "ca-2", "ca-3"]
    assert data["entities"]["ca-2"] == {"cn": "Intermediate 2"}
    assert data["certificates"]["ca-3"] == {"subject": "ca-3", "issuer": "ca-2", "path_length": 3}
    assert data["chains"]["deep-3"]["send"] == ["site", "ca-3", "ca-2", "ca-1"]
    assert data["chains"]["deep-3"]["swept"] == {"family": "deep-{depth}", "values": {"depth": 3}}
    assert data["expect"]["deep-2"] == {"root": {"now": "accept"}}


def test_two_sweeps_make_every_combination(written):
    """A name with two sweeps in it is repeated for each pair of values."""
    text = '[sweep]\na = ["x", "y"]\nb = "1..2"\n[stores]\n"{a}-{b}" = ["{a}"]\n'
    assert written(text).data["stores"] == {"x-1": ["x"], "x-2": ["x"], "y-1": ["y"], "y-2": ["y"]}


def test_parameters_keep_their_type(written):
    """A string that is nothing but a parameter becomes its value, a date too; inside a text it is put in as words."""
    text = """
[parameters]
end = 2027-03-15T00:00:00Z
who = "Chrome"
[times]
after = "{end}"
[entities]
ca = { cn = "{who} Root" }
"""
    data = written(text).data
    assert data["times"]["after"] == data["parameters"]["end"]
    assert data["entities"]["ca"]["cn"] == "Chrome Root"
    assert written(text, {"who": "Mozilla"}).data["entities"]["ca"]["cn"] == "Mozilla Root"


def test_likeness_and_patches(written):
    """A certificate takes the fields of what it is like, a patch goes over those, and its own over both."""
    text = """
[patches]
dead = { until = 3, ca = false }
[certificates]
a = { subject = "s", issuer = "i", until = 1, path_length = 0 }
b = { like = "a", patch = "dead", issuer = "j" }
[chains]
whole = { send = ["a", "x"], at = ["now"] }
other = { like = "whole", swap = { a = "b" } }
"""
    data = written(text).data
    assert data["certificates"]["b"] == {"subject": "s", "issuer": "j", "until": 3, "path_length": 0, "ca": False}
    assert data["chains"]["other"] == {"send": ["b", "x"], "at": ["now"]}
    assert "patches" not in data


def test_lines_are_those_of_the_file(written):
    """A problem in a table that a sweep made points at the line that made it."""
    document = written(DEEP)
    assert document.line_of(("chains", "deep-2", "send")) == document.text.splitlines().index("[chains]") + 2


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[sweep]\na = "1..2"\n[entities]\nb = { cn = "{a}" }\n', "{a} has no value here"),
        ('[entities]\nb = { cn = "{depht}" }\n', "nothing is called {depht}"),
        ('[sweep]\na = ["x"]\n[entities]\n"{a}" = { cn = "{a+1}" }\n', "only a whole number can be counted"),
        ("[sweep]\na = [1, 1]\n", "a value stands here twice"),
        ('[sweep]\na = "1...3"\n', "found '1...3'"),
        ('[certificates]\na = { like = "b" }\n', 'it is like "b", which is no certificate'),
        ('[certificates]\na = { like = "b" }\nb = { like = "a" }\n', "a loop: a -> b -> a"),
        ('[certificates]\na = { patch = "p" }\n', 'no patch is called "p"'),
        ('[chains]\na = { send = ["x"], swap = { y = "z" }, like = "b" }\nb = { send = ["x"] }\n', 'it swaps "y"'),
        ('[chains]\na = { swept = { family = "a", values = {} } }\n', '"swept" is the lab\'s to say'),
        ('[sweep]\na = ["x"]\n[stores]\n"{a}" = []\nx = []\n', '"x" is there already'),
        ('[sweep]\na = "1..4000"\nb = "1..4000"\n[stores]\n"{a}-{b}" = []\n', f"more than {MAX_TABLES} tables"),
        ('[stores]\na = ["x-{1..5000}"]\n', f"more than {MAX_TABLES} tables"),
    ],
)
def test_what_cannot_be_written_out(written, text, found):
    """Whatever is wrong is said once, with its place, and never raised."""
    document = written(text)
    assert [problem for problem in document.problems if found in problem.found], document.problems
    assert all(problem.line for problem in document.problems)


def test_an_unknown_override_is_said(written):
    """A parameter that the file does not have cannot be set."""
    problems = written("[parameters]\nend = 1\n", {"ende": 2}).problems
    assert [problem.found for problem in problems] == ['there is no parameter "ende"']
    assert "end" in problems[0].remedy


_NAMES = st.sampled_from(["a", "{a}", "{a}-{b}", "{b+1}", "{a..b}", "x{1..b}", "{", "}", "{}", "{a", "{9..1}", "{c}"])
_VALUES = st.recursive(
    _NAMES | st.integers(-3, 3), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3)
)


@given(st.dictionaries(st.sampled_from(["entities", "chains", "stores", "expect", "certificates"]), _VALUES), _VALUES)
def test_nothing_that_is_written_stops_the_reader(tmp_path_factory, tables, sweep):
    """Any nesting of braces, names and lists is written out or said to be wrong; nothing is raised."""
    path = tmp_path_factory.mktemp("any") / "scenario.toml"
    path.write_text("", encoding="utf-8")
    document = Document(path)
    document.data = {**tables, "sweep": {"a": "1..2", "b": sweep}}
    write_out(document)
    assert document.data is not None
