"""The commands about clients: list them, check them, build them, begin a new one."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from lab.adopt import choose_clients
from lab.campaign import exit_status
from lab.clients.runtime import Unready
from lab.errors import LabError
from lab.inventory import (
    advice,
    build_clients,
    check_clients,
    client_table,
    clients_json,
    control_table,
    reason_table,
)
from lab.ledger import RunRecord
from lab.scaffold import KINDS, scaffold

__all__ = ["clients_command"]

InReactor = Callable[[Callable[[Any], Coroutine[Any, Any, Any]]], Any]

_runtime = click.option(
    "--runtime", type=click.Choice(["auto", "process", "docker"]), default="auto", show_default=True
)


def clients_command(in_reactor: InReactor) -> click.Group:
    """Return the group of commands; ``in_reactor`` runs a coroutine function on the global reactor."""

    @click.group("clients", invoke_without_command=True)
    @click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
    @click.option("--client", "names", multiple=True, metavar="NAME", help="A column, a glob or a group.")
    @_runtime
    @click.pass_context
    def clients(ctx: click.Context, form: str, names: tuple[str, ...], runtime: str) -> None:
        """List the clients, and whether they pass their controls."""
        if ctx.invoked_subcommand is not None:
            return
        corpus = ctx.obj().sound()
        chosen = tuple(choose_clients(corpus, names))
        record = in_reactor(lambda reactor: check_clients(reactor, corpus, chosen, runtime))
        if form == "json":
            click.echo(json.dumps(clients_json(corpus, record), indent=2))
        else:
            Console().print(client_table(corpus, record))

    @clients.command("check")
    @click.argument("names", nargs=-1, required=True, metavar="NAME...")
    @_runtime
    @click.pass_context
    def check(ctx: click.Context, names: tuple[str, ...], runtime: str) -> None:
        """Build clients, run their controls and their table of reasons, and say what is missing."""
        corpus = ctx.obj().sound()
        chosen = tuple(choose_clients(corpus, names))
        record: RunRecord = in_reactor(lambda reactor: check_clients(reactor, corpus, chosen, runtime, reasons=True))
        console = Console()
        console.print(control_table(record))
        console.print(reason_table(record))
        for line in advice(corpus, record):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        ctx.exit(exit_status(record, ()))

    @clients.command("build")
    @click.argument("names", nargs=-1, required=True, metavar="NAME...")
    @_runtime
    @click.pass_context
    def build(ctx: click.Context, names: tuple[str, ...], runtime: str) -> None:
        """Build clients, and say where each build stands."""
        corpus = ctx.obj().sound()
        chosen = tuple(choose_clients(corpus, names))
        ready = in_reactor(lambda reactor: build_clients(reactor, chosen, runtime))
        for name, one in ready.items():
            click.echo(f"{name}: {one.why}" if isinstance(one, Unready) else f"{name}: built ({one.digest[-16:]})")
        ctx.exit(LabError.exit_status if any(isinstance(one, Unready) for one in ready.values()) else 0)

    @clients.command("new")
    @click.argument("name")
    @click.option("--from", "kind", type=click.Choice(KINDS), default="c", show_default=True, help="What it begins as.")
    @click.option(
        "--in",
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("clients"),
        show_default=True,
        help="The folder of clients.",
    )
    def new(name: str, kind: str, folder: Path) -> None:
        """Write a client of your own: a folder that works, to put your stack into."""
        for file in scaffold(name, kind, folder):
            click.echo(str(file))
        click.echo(f"next: tlslab clients check {name}")

    return clients
