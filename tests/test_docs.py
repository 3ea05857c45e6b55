"""What README and manual say: commands that parse, names that exist, examples that run, a matrix that is today's."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from lab.cli import main
from lab.corpus import Corpus, load_scenario
from lab.lint import lint
from lab.model.result import Observed, Verdict
from lab.pki.keys import KeyRing

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str, *languages: str) -> list[str]:
    """Return the fenced blocks of some languages."""
    return [one["body"] for one in FENCE.finditer(text) if one["language"] in languages]


def typed(page: Path) -> list[tuple[str, bool]]:
    """Return every ``tlslab`` command of a page, and whether it stands in a block, to be typed as it is."""
    text = page.read_text(encoding="utf-8")
    lines = [(line.removeprefix("$ "), True) for body in blocks(text, "console", "sh") for line in body.splitlines()]
    lines += [(line, False) for line in re.findall(r"`([^`]*\btlslab [^`]+)`", FENCE.sub("", text).replace("\n", " "))]
    found = [(re.match(r"(?:\w+=\S+ )?(?:\.venv/bin/)?(tlslab .*)", line), whole) for line, whole in lines]
    return [(match[1], whole) for match, whole in found if match]


def commands(group: click.Command = main, names: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    """Return every command by its name: ``("clients", "check")``."""
    found = {names: group}
    for name, command in group.commands.items() if isinstance(group, click.Group) else ():
        found |= commands(command, (*names, name))
    return found


COMMANDS = [(page.name, *command) for page in PAGES for command in typed(page)]


@pytest.mark.parametrize(("page", "line", "whole"), COMMANDS, ids=[f"{page}: {line}" for page, line, _ in COMMANDS])
def test_a_command_parses(page, line, whole, tmp_path, monkeypatch):
    """Every command in the documentation exists, and one that is to be typed has options and arguments that fit."""
    monkeypatch.chdir(tmp_path)
    for folder in ("my/scenarios", "scenarios/<slug>", "PATH", "clients/mydev"):
        (tmp_path / folder).mkdir(parents=True)
    words = shlex.split(re.sub(r" (>|\|).*", "", line))[1:]
    command: click.Command = main
    context = None
    while True:
        context = command.make_context(command.name, words, parent=context, resilient_parsing=not whole)
        words = [*vars(context).get("_protected_args", vars(context).get("protected_args", ())), *context.args]
        if not isinstance(command, click.Group) or not words:
            break
        name, found, words = command.resolve_command(context, words)
        assert found is not None, name
        command = found


def test_there_are_commands():
    """The search above finds what the README tells people to type."""
    assert len([line for page, line, whole in COMMANDS if page == "README.md" and whole]) >= 10


def test_the_command_page_is_complete():
    """Every command has its section on the manual's page, with its help, and no section is left over."""
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    wanted = {" ".join(("tlslab", *names)) for names in commands()}
    assert set(re.findall(r"^## (tlslab.*)$", page, re.MULTILINE)) == wanted
    helped = re.findall(r"^<!-- generated: help(.*) -->$", page, re.MULTILINE)
    assert {f"tlslab{names}" for names in helped} == wanted


def test_options_in_the_text_exist():
    """Every long option that README and manual speak of is one of some command, or of a program that they name."""
    known = {option for command in commands().values() for one in command.params for option in one.opts}
    known |= {"--dial", "--token", "--column", "--option", "--help"}  # of the clients' programs, and click's own
    known |= {"--build", "--exit-code-from", "--internal", "--version", "--strict"}  # compose's, towncrier's, mypy's
    own = [page for page in PAGES if page.name != "bring-your-client.md"]
    said = {option for page in own for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text("utf-8"))}
    assert said - known == set()


def test_make_targets_exist():
    """Every ``make`` target that is named is one of the Makefile's."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:\$ |`)make ([a-z]+)", page.read_text("utf-8"))}
    assert named
    assert named <= targets


def test_scenarios_and_columns_that_are_named_exist():
    """Every case, scenario and column that the README names is one of this repository, or of the README's own."""
    corpus = Corpus()
    cases = {case.id for file in corpus.scenarios.values() for case in file.scenario.cases()}
    for named in re.findall(r"'([a-z0-9-]+/[^'@]+@[^'@]+)(?:@([^']+))?'", README):
        case, column = named
        assert case in cases or case.startswith("move-2027/"), case
        assert not column or column in corpus.clients
    slugs = set(re.findall(r"`([a-z-]+-20\d\d)`", README))
    assert slugs
    assert slugs <= set(corpus.scenarios)
    assert "seed" in {group for client in corpus.clients.values() for group in client.groups}


def test_links_lead_to_files():
    """Every relative link of README, CONTRIBUTING, CHANGELOG and manual leads to a file that exists."""
    for page in [*PAGES, ROOT / "CHANGELOG.md", ROOT / "newsfragments" / "README.md"]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_tables_of_words_are_complete():
    """The README explains every observation and every verdict that a cell can have."""
    for word in Observed:
        assert f"`{word}`" in README
    for verdict in set(Verdict) - {Verdict.NONE}:
        assert str(verdict) in README


def test_the_example_scenario_is_sound(tmp_path):
    """The scenario that the README shows is one: lint finds nothing, and it is as short as is said."""
    (example,) = blocks(README, "toml")
    assert len(example.splitlines()) <= 22
    file = tmp_path / "move-2027" / "scenario.toml"
    file.parent.mkdir()
    file.write_text(example, encoding="utf-8")
    assert lint([file], KeyRing(tmp_path / "keys")) == []
    scenario, problems = load_scenario(file)
    assert scenario is not None
    assert problems == []
    assert f"'move-2027/{list(scenario.scenario.cases())[-1].name}'" in README


def test_python_examples_run(tmp_path):
    """The manual's Python examples run as they stand, and print what the manual says."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    printed = ""
    for number, example in enumerate(blocks(page, "python")):
        script = tmp_path / f"example{number}.py"
        script.write_text(example, encoding="utf-8")
        done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        printed += done.stdout
    for line in printed.splitlines():
        assert f"`{line}`" in page
    assert "fatal certificate_expired" in printed


def test_the_change_log_can_be_written():
    """CHANGELOG.md has the line below which towncrier writes, and every fragment has a type that it knows."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    assert settings["start_string"] in (ROOT / settings["filename"]).read_text(encoding="utf-8")
    for fragment in (ROOT / settings["directory"]).iterdir():
        assert re.fullmatch(r"README\.md|(\d+|\+[\w-]+)\.(feature|bugfix|doc|removal|misc)(\.\d+)?\.md", fragment.name)


@pytest.mark.e2e
@pytest.mark.parametrize("which", [0, 1])
def test_the_matrix_is_todays(which, tmp_path):
    """What the README shows of a run is what the lab prints now, line by line, with ``...`` for what is left out."""
    shown = [body for body in blocks(README, "console") if "●" in body][which].splitlines()
    start = next(number for number, line in enumerate(shown) if line.startswith("$ tlslab") and " run " in line)
    if which:
        (example,) = blocks(README, "toml")
        (tmp_path / "my" / "scenarios" / "move-2027").mkdir(parents=True)
        (tmp_path / "my" / "scenarios" / "move-2027" / "scenario.toml").write_text(example, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "lab", *shlex.split(shown[start])[2:]],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == which, done.stderr
    printed = [line.rstrip() for line in done.stdout.splitlines()]
    at = 0
    skipping = False
    for line in shown[start + 1 :]:
        if line.strip() == "...":
            skipping = True
            continue
        assert line in printed[at:], f"{line!r} is not in:\n" + done.stdout
        found = printed.index(line, at)
        assert skipping or found == at, f"{printed[at]!r} is left out before {line!r}"
        at, skipping = found + 1, False
