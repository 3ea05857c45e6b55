"""What there is: clients, where they come from, and whether they pass their controls."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from lab.campaign import Campaign, DialIn, conduct, open_runtime
from lab.clients.build import debian_suite, machine_platform
from lab.clients.runtime import Ready, Unready
from lab.corpus import Client, Corpus
from lab.ledger import RunRecord
from lab.model.result import ColumnState
from lab.run import Progress, Settings

__all__ = [
    "advice",
    "build_clients",
    "check_clients",
    "client_table",
    "clients_json",
    "control_table",
    "reason_table",
]

REASONS = "reasons"
"""The scenario in which one plain thing is wrong in each case."""


async def check_clients(
    reactor: Any, corpus: Corpus, clients: tuple[Client, ...], runtime: str, *, reasons: bool = False
) -> RunRecord:
    """Build clients, run nothing but their controls and the probes for features, and return what came of it.

    With ``reasons``, the scenario of that name too.
    """
    with tempfile.TemporaryDirectory(prefix="tlslab-check-") as folder:
        campaign = Campaign(
            corpus=corpus,
            scenarios=(corpus.scenarios[REASONS],) if reasons else (),
            clients=clients,
            runtime=runtime,
            folder=Path(folder) / "check",
            seed=0,
            settings=Settings(controls_only=not reasons, every_feature=True),
            dial=DialIn(),
        )
        return await conduct(reactor, campaign, Progress())


async def build_clients(reactor: Any, clients: tuple[Client, ...], runtime: str) -> dict[str, Ready | Unready]:
    """Build clients for a runtime; return each one's state by name."""
    opened = open_runtime(reactor, runtime, DialIn(), lambda _text: None)
    try:
        return await opened.prepare(clients)
    finally:
        await opened.close()


def _controls(record: RunRecord, name: str) -> str:
    """Return ``ok``, ``unbuilt`` with the reason, or what failed."""
    states = {column.name: column for column in record.columns}
    state = states.get(name)
    if state is None:
        return "not run"
    return "ok" if state.state == "ok" else f"{state.state}: {state.why}" if state.state != "unbuilt" else "unbuilt"


def clients_json(corpus: Corpus, record: RunRecord) -> dict[str, Any]:
    """Return the document of ``tlslab clients --format json``."""
    states = {column.name: column for column in record.columns}
    return {
        "schema": 1,
        "clients": [
            {**_client(client, states.get(name), _controls(record, name)), "lacks": _lacks(record, name)}
            for name, client in corpus.clients.items()
            if name in record.run.columns
        ],
    }


def _lacks(record: RunRecord, name: str) -> list[str]:
    """Return what probes have shown that a column lacks."""
    return [probe.name for probe in record.features if probe.column == name and probe.outcome == "lacks"]


def _client(client: Client, state: ColumnState | None, controls: str) -> dict[str, Any]:
    return {
        "name": client.name,
        "stack": client.home.manifest.stack,
        "version": (state.version if state else "") or client.column.reports,
        "digest": state.digest if state else "",
        "origin": str(client.home.folder),
        "clock": client.home.manifest.clock,
        "runtimes": _runtimes(client),
        "groups": [group for group in client.groups if group != client.home.manifest.stack],
        "controls": controls,
        "why": state.why if state else "",
    }


def _runtimes(client: Client) -> list[str]:
    folder, column = client.home.folder, client.column
    native = (
        client.home.manifest.build.native
        and column.suite in {None, debian_suite()}
        and (not column.platforms or machine_platform() in column.platforms)
    )
    found = {
        "process": native and (folder / "Makefile").is_file(),
        "docker": bool(client.image) or (folder / "Dockerfile").is_file(),
        "dial": True,
    }
    return [name for name, there in found.items() if there]


def client_table(corpus: Corpus, record: RunRecord) -> Table:
    """Return the table of ``tlslab clients``."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("client", "library", "clock", "groups", "lacks", "controls"):
        table.add_column(heading)
    for client in clients_json(corpus, record)["clients"]:
        passed = client["controls"] == "ok"
        said = client["controls"] if client["controls"] != "unbuilt" else f"unbuilt: {client['why']}"
        table.add_row(
            Text(client["name"]),
            Text(client["version"]),
            Text(client["clock"]),
            Text(", ".join(client["groups"])),
            Text(", ".join(client["lacks"])),
            Text(said, style="green" if passed else "bold red"),
        )
    return table


def control_table(record: RunRecord) -> Table:
    """Return the table of ``tlslab clients check``: every column's controls and features, in its stack's own words."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("client", "control", "", "what the client did"):
        table.add_column(heading)
    for control in record.controls:
        said = control.observation
        reason = f" ({said.reason})" if said.reason else ""
        native = " ".join(filter(None, (said.code, said.text)))
        style = {"ok": "green", "failed": "bold red"}.get(control.outcome, "yellow")
        words = f"{said.observed}{reason} {native}".strip()
        if control.outcome == "failed" and said.stderr:
            words += f"\n{said.stderr.strip()}"
        table.add_row(Text(control.column), Text(control.name), Text(control.outcome, style=style), Text(words))
    for probe in record.features:
        said = probe.observation
        style = {"has": "green", "lacks": "yellow"}.get(probe.outcome, "bold red")
        words = " ".join(filter(None, (said.observed, said.code, said.text)))
        table.add_row(Text(probe.column), Text(probe.name), Text(probe.outcome, style=style), Text(words))
    for column in record.columns:
        if column.state != "ok":
            table.add_row(Text(column.name), "", Text(column.state, style="bold red"), Text(column.why))
    return table


def reason_table(record: RunRecord) -> Table:
    """Return the table of reasons: what each column says where one plain thing is wrong."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("client", "what is wrong", "reason", "code", "text"):
        table.add_column(heading)
    for cell in record.cells:
        said = cell.observation
        table.add_row(
            Text(cell.client),
            Text(cell.chain),
            Text(f"{said.reason or said.observed}{'*' if cell.marked else ''}"),
            Text(said.code),
            Text(said.text),
        )
    return table


def advice(corpus: Corpus, record: RunRecord) -> list[str]:
    """Say in words what a client's author may still want to do."""
    lines = []
    for column in record.columns:
        client = corpus.clients[column.name]
        if column.state != "ok":
            lines.append(f"{column.name}: {column.state}: {column.why}")
            continue
        if any(sign in client.column.reports for sign in "*?["):
            lines.append(f'{column.name}: its library says "{column.version}"; `reports` is "{client.column.reports}"')
        cells = [cell for cell in record.cells if cell.client == column.name]
        lines += [f"{column.name}: {cell.chain}: {cell.why}" for cell in cells if cell.why]
        if cells and not any(cell.observation.path for cell in cells):
            lines.append(f"{column.name}: does not say which path it built")
        if cells and not any(cell.observation.clock is not None for cell in cells):
            lines.append(f"{column.name}: does not say which time it read")
    return lines
