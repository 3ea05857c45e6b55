"""The commands that look at scenarios and clients without running anything."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.corpus import Corpus
from lab.diagram import as_dot, as_mermaid
from lab.errors import InputError
from lab.expectation import expected, opinion
from lab.lint import lint as find_problems
from lab.model.scenario import Scenario
from lab.pki.keys import KeyRing, default_folder
from lab.pki.mint import mint as mint_scenario
from lab.server.faults import fault_records
from lab.show import as_rich, listing

__all__ = ["COMMANDS"]

_DRAWN: dict[str, Callable[[Scenario], str]] = {"mermaid": as_mermaid, "dot": as_dot}


@click.command("scenarios")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_context
def scenarios(ctx: click.Context, form: str) -> None:
    """List the scenarios."""
    corpus: Corpus = ctx.obj().sound()
    document = listing(corpus.scenarios.values())
    if form == "json":
        click.echo(json.dumps(document, indent=2))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("scenario", "date", "cases", "title"):
        table.add_column(heading, no_wrap=heading != "title", justify="right" if heading == "cases" else "left")
    for one in document["scenarios"]:
        table.add_row(Text(one["slug"]), one["date"], str(len(one["cases"])), Text(one["title"]))
    Console().print(table)


@click.command("show")
@click.argument("scenario")
@click.option("--format", "form", type=click.Choice(["text", *_DRAWN]), default="text", show_default=True)
@click.pass_context
def show(ctx: click.Context, scenario: str, form: str) -> None:
    """Show a scenario: story, certificate graph, timeline, chains, and the path that is right in each case."""
    file = ctx.obj().sound().scenario(scenario)
    if form in _DRAWN:
        click.echo(_DRAWN[form](file.scenario), nl=False)
        return
    console = Console()
    minted = mint_scenario(file.scenario, KeyRing(default_folder()))
    console.print(as_rich(file.scenario, minted, width=min(console.width, 100)))


@click.command("lint")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True), metavar="[PATH]...")
def lint(paths: tuple[Path, ...]) -> None:
    """Check scenarios and clients: files or folders, by default this repository's and the current folder's."""
    problems = find_problems(paths, KeyRing(default_folder()))
    if problems:
        raise InputError(problems)
    click.echo("sound")


@click.command("mint")
@click.argument("case")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder.")
@click.pass_context
def mint(ctx: click.Context, case: str, output: Path) -> None:
    """Write a case's chain.pem, key.pem and anchors.pem into a folder.

    Of a case about a device, also device-chain.pem, device-key.pem and the server's device-anchors.pem.  CASE is
    SCENARIO/CHAIN+STORE@TIME.
    """
    corpus = ctx.obj().sound()
    chosen = corpus.case(case)
    minted = mint_scenario(corpus.scenario(chosen.scenario).scenario, KeyRing(default_folder()))
    output.mkdir(parents=True, exist_ok=True)
    _write(output / "chain.pem", minted.pem(chosen.send), 0o644)
    _write(output / "key.pem", minted.key_of(chosen.send[0]), 0o600)
    _write(output / "anchors.pem", minted.pem(chosen.trust), 0o644)
    if chosen.device is not None:
        _write(output / "device-anchors.pem", minted.pem(chosen.device.trust), 0o644)
        if chosen.device.send:
            _write(output / "device-chain.pem", minted.pem(chosen.device.send), 0o644)
            _write(output / "device-key.pem", minted.key_of(chosen.device.send[0]), 0o600)
    said = expected(chosen, opinion(chosen, minted))
    of = "the device" if chosen.device is not None else chosen.host
    click.echo(f"{case}: {said} for {of} at {chosen.at:%Y-%m-%dT%H:%M:%SZ}; files in {output}")


@click.command("faults")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def faults(form: str) -> None:
    """List the faults on the wire: what the server does, and what is expected of a valid chain then."""
    if form == "json":
        click.echo(json.dumps({"schema": 1, "faults": fault_records()}, indent=2))
        return
    for one in fault_records():
        click.echo(f"{one['name']:<34} {one['consequence']:<7} {one['summary']}")


def _write(path: Path, content: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)


COMMANDS = (scenarios, show, lint, mint, faults)
