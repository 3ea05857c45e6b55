"""The parts of the manual that the code knows best: fields of formats, help of commands, the catalogue.

A page asks for one with a line ``<!-- generated: WHAT ARGUMENTS -->``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import click

from lab.cli import main
from lab.corpus import ClientFolder, Corpus, ScenarioFile
from lab.diagram import as_dot
from lab.model.client import ClientManifest, Deviation
from lab.model.scenario import Case, Chain, Scenario
from lab.pki.second import BEYOND
from lab.report.words import MEANINGS
from lab.schemas import schemas

__all__ = ["catalogue_pages", "commands", "fill"]

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
    """Return a table of the scenarios of each kind, the oldest first, and the list of their pages."""
    kinds: dict[str, list[ScenarioFile]] = {kind: [] for kind in _KINDS}
    for file in sorted(Corpus().scenarios.values(), key=lambda one: (one.scenario.date, one.scenario.slug)):
        fits = (kind for kind, tags in _KINDS.items() if tags & set(file.scenario.tags))
        kinds[next(fits, _OTHERS)].append(file)
    parts = [f"## {kind}\n\n{_contents(files)}" for kind, files in kinds.items() if files]
    pages = "\n".join(f"catalogue/{slug}" for slug in sorted(Corpus().scenarios))
    return "\n\n".join([*parts, f"```{{toctree}}\n:hidden:\n\n{pages}\n```"])


_OTHERS = "What servers, devices and certificates can be like"
_KINDS: dict[str, set[str]] = {
    "What happened": {"incident"},
    "What is planned": {"planned"},
    _OTHERS: set(),
    "Generated families": {"topology", "sweep"},
    "The lab's own checks": {"control", "check"},
}
"""Kinds of scenarios in reading order, each with the tags that make a scenario one; who has none is of the others."""


def _contents(files: list[ScenarioFile]) -> str:
    rows = ["| date | scenario | | cases |", "|---|---|---|---|"]
    for file in files:
        said = file.scenario
        link = f"[{said.slug}](catalogue/{said.slug}.md)"
        day = said.date.isoformat().replace("-", "\N{NON-BREAKING HYPHEN}")
        rows.append(f"| {day} | {link} | {_line(said.title)} | {len(list(said.cases()))} |")
    return "\n".join(rows)


def catalogue_pages() -> Iterator[tuple[str, str]]:
    """Yield a page for each scenario: its slug, and its story, graph, chains, stores, expectations and sources."""
    corpus = Corpus()
    homes = {client.home.folder: client.home for client in corpus.clients.values()}
    for slug, file in sorted(corpus.scenarios.items()):
        yield slug, _scenario(file.scenario, list(homes.values()))


def _scenario(scenario: Scenario, homes: list[ClientFolder]) -> str:
    families = _families(scenario)
    drawn = {name for chain in families.values() for name in chain.send}
    drawn |= {name for store in scenario.stores.values() for name in store}
    parts = [
        f"# {scenario.slug}",
        f"**{_line(scenario.title)}**",
        f"{scenario.date.isoformat()}, {_counted(scenario)}; {', '.join(scenario.tags)}",
        " ".join(scenario.summary.split()),
        f"```{{graphviz}}\n{as_dot(scenario, drawn.__contains__)}```",
        "Boxes are entities, rounded where a trust store holds them; arrows are certificates, from issuer to subject.",
        "## What is served, and what is trusted",
        _table("chain | sent | at", (_chain(name, chain) for name, chain in families.items())),
        _table("store | trusts", ((f"`{name}`", _names(one) or "nothing") for name, one in scenario.stores.items())),
        _under("What a careful relying party does", _table("case | | why", _expectations(scenario))),
        _under("Remedies", _table(" | remedy | mind", _remedies(scenario))),
        _under(
            "Who is known to do otherwise",
            _table("client | cases | does | because | source", _deviations(scenario.slug, homes)),
        ),
        _under("Sources", "\n".join(f"- {_line(reference)}" for reference in scenario.references)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(heads: str, rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown; empty where it has no row."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {heads} |", "|" + "---|" * (heads.count("|") + 1), *lines]) if lines else ""


def _under(heading: str, body: str) -> str:
    return f"## {heading}\n\n{body}" if body else ""


def _chain(name: str, chain: Chain) -> tuple[str, str, str]:
    host = f", asked for as `{chain.host}`" if chain.host else ""
    return f"`{name}`", _names(chain.send) + host, _names(chain.at)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{one}`" for one in names)


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


def _expectations(scenario: Scenario) -> Iterator[tuple[str, str, str]]:
    """Yield what the author expects; times that end alike share a row."""
    written = [case for case in scenario.cases() if case.expected is not None and case.remedy is None]
    for (chain, store, said, why), cases in groupby(written, _ending):
        yield f"`{chain}+{store}` at {_names(case.time for case in cases)}", said, _line(why)


def _ending(case: Case) -> tuple[str, str, str, str]:
    return case.chain, case.store, str(case.expected), (case.expected.why if case.expected else None) or ""


def _remedies(scenario: Scenario) -> Iterator[tuple[str, str, str]]:
    for name, remedy in scenario.remedies.items():
        yield f"`,{name}`", _line(remedy.title), _line(remedy.why)


def _deviations(slug: str, homes: list[ClientFolder]) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield what clients are known to do otherwise in this very scenario; cases of one cause share a row."""
    for home in homes:
        rows = [(_said(home.manifest.title, one), one.case) for one in home.deviations if one.scenario == slug]
        for (who, does, why, source), same in groupby(rows, itemgetter(0)):
            yield who, _names(case for _, case in same), does, why, source


def _said(title: str, one: Deviation) -> tuple[str, str, str, str]:
    columns = "" if one.columns == ("*",) else f", {_names(one.columns)}"
    does = f"{one.observation}" + (f" ({one.reason})" if one.reason else "")
    return f"{title} {one.versions}".rstrip() + columns, does, _line(one.why), _line(one.source)


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
