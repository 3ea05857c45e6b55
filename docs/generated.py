"""The parts of the manual that the code knows best: fields of formats, help of commands, the catalogue.

A page asks for one with a line ``<!-- generated: WHAT ARGUMENTS -->``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import click

from lab.cli import main
from lab.corpus import Corpus, ScenarioFile
from lab.model.client import ClientManifest
from lab.model.scenario import Chain, Scenario
from lab.pki.second import BEYOND
from lab.report.words import MEANINGS
from lab.schemas import schemas
from lab.show import as_mermaid

__all__ = ["commands", "fill"]

_MARKER = re.compile(r"^<!-- generated: (?P<what>[a-z]+)(?P<arguments>(?: [\w-]+)*) -->$", re.MULTILINE)


def fill(page: str) -> str:
    """Return a page with every marker replaced by what it asks for; raise KeyError for one that nobody knows."""
    return _MARKER.sub(lambda match: _WRITERS[match["what"]](*match["arguments"].split()), page)


def commands(
    group: click.Command = main, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with its name, the group itself first: ``("clients", "check")``."""
    yield names, group
    if isinstance(group, click.Group):
        for name, command in sorted(group.commands.items()):
            yield from commands(command, (*names, name))


def _help(*names: str) -> str:
    command = dict(commands())[names]
    name = " ".join(("tlslab", *names))
    context = click.Context(command, info_name=name, terminal_width=100, help_option_names=["-h", "--help"])
    return f"```text\n{command.get_help(context)}\n```"


def _schema(name: str) -> str:
    """Return a table of a format's fields, and one of each part of it that has fields of its own."""
    schema = schemas()[name]
    parts = {part: body for part, body in schema.get("$defs", {}).items() if "properties" in body}
    sections = [_fields(schema, name)]
    sections += [
        f"**{part}.** {_line(body.get('description', ''))}\n\n{_fields(body, name)}" for part, body in parts.items()
    ]
    return "\n\n".join(sections)


def _fields(body: dict[str, Any], where: str) -> str:
    required = body.get("required", ())
    rows = ["| field | value | |", "|---|---|---|"]
    for name, field in body["properties"].items():
        mark = "" if name not in required else " *"
        value = _value(field, schemas()[where]) + _default(field)
        rows.append(f"| `{name}`{mark} | {value} | {_line(field.get('description', ''))} |")
    return "\n".join(rows)


def _default(field: dict[str, Any]) -> str:
    default = field.get("default")
    return "" if default in (None, "", [], {}) or isinstance(default, dict) else f" (`{json.dumps(default)}`)"


def _value(field: dict[str, Any], schema: dict[str, Any]) -> str:  # noqa: PLR0911 - a return a kind of value
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        target = schema["$defs"][name]
        return f"*{name}*" if "properties" in target else _value(target, schema)
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{one}`" for one in field["enum"])
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_value(one, schema) for one in field["anyOf"] if one.get("type") != "null"))
    if field.get("type") == "array":
        return f"list of {_value(field.get('items', {}), schema)}"
    if "additionalProperties" in field and isinstance(field["additionalProperties"], dict):
        return f"table of {_value(field['additionalProperties'], schema)}"
    if "properties" in field:
        return "table of " + ", ".join(f"`{name}`" for name in field["properties"])
    if field.get("patternProperties"):
        return f"table of {_value(next(iter(field['patternProperties'].values())), schema)}"
    return str(field.get("format") or field.get("type", "anything"))


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _catalogue() -> str:
    return "\n\n".join(_scenario(file) for _slug, file in sorted(Corpus().scenarios.items()))


def _scenario(file: ScenarioFile) -> str:
    scenario = file.scenario
    chains = [
        f"| `{name}` | {', '.join(f'`{one}`' for one in chain.send)} | {', '.join(f'`{one}`' for one in chain.at)} |"
        for name, chain in _families(scenario).items()
    ]
    stores = [
        f"| `{name}` | {', '.join(f'`{one}`' for one in store) or 'nothing'} |"
        for name, store in scenario.stores.items()
    ]
    parts = [
        f"## {scenario.slug}",
        f"**{scenario.title}**",
        f"{scenario.date.isoformat()}, {_counted(scenario)}, {', '.join(scenario.tags)}",
        " ".join(scenario.summary.split()),
        "\n".join(["| chain | sent | at |", "|---|---|---|", *chains]),
        "\n".join(["| store | trusts |", "|---|---|", *stores]),
        "\n".join(_remedies(scenario)),
        "The certificate graph, in Mermaid's words:",
        f"```text\n{as_mermaid(scenario)}```",
        "\n".join(["Sources:", "", *(f"- {reference}" for reference in scenario.references)]),
    ]
    return "\n\n".join(part for part in parts if part)


def _families(scenario: Scenario) -> dict[str, Chain]:
    """Return the chains by name, of a sweep only the first, under the name that they share."""
    families: dict[str, Chain] = {}
    for name, chain in scenario.chains.items():
        families.setdefault(name if chain.swept is None else chain.swept.family, chain)
    return families


def _counted(scenario: Scenario) -> str:
    cases = list(scenario.cases())
    written = sum(case.origin == "written" for case in cases)
    return f"{written} cases" + (f" and {len(cases) - written} generated" if written < len(cases) else "")


def _remedies(scenario: Scenario) -> Iterator[str]:
    if scenario.remedies:
        yield "| remedy | | mind |\n|---|---|---|"
    for name, remedy in scenario.remedies.items():
        yield f"| `,{name}` | {remedy.title} | {remedy.why} |"


def _verdicts() -> str:
    rows = [f"| `{verdict}` | {meaning} |" for verdict, meaning in MEANINGS.items()]
    return "\n".join(["| verdict | |", "|---|---|", *rows])


def _beyond() -> str:
    rows = [f"| {name} | {_line(why)} |" for name, why in BEYOND.items()]
    return "\n".join(["| where | why it has no opinion |", "|---|---|", *rows])


def _fleet() -> str:
    """Return a table a stack, with its columns, and above each what the manifest says of the stack."""
    homes = {client.home.folder: client.home for client in Corpus().clients.values()}
    return "\n\n".join(_stack(home.manifest) for home in homes.values())


def _stack(manifest: ClientManifest) -> str:
    rows = [
        f"| `{one.name}` | {_line(one.reports)} | {one.suite or ', '.join(one.platforms) or 'any'} | {_line(one.why)} |"
        for one in manifest.columns
    ]
    groups = ", ".join(f"`{group}`" for group in manifest.groups)
    return "\n\n".join(
        [
            f"## {manifest.title}",
            _line(manifest.summary),
            f"Clock: {manifest.clock}." + (f" Groups: {groups}." if groups else ""),
            "\n".join(["| column | the library says | from | |", "|---|---|---|---|", *rows]),
        ]
    )


_WRITERS: dict[str, Callable[..., str]] = {
    "fleet": _fleet,
    "help": _help,
    "schema": _schema,
    "catalogue": _catalogue,
    "verdicts": _verdicts,
    "beyond": _beyond,
}
