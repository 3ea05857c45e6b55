"""A scenario's certificate graph in the words of the programs that draw graphs: Mermaid and Graphviz."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from lab.model.scenario import Certificate, Scenario

__all__ = ["as_dot", "as_mermaid", "key_of", "known_as", "span"]

_OPEN = "..."
"""Stands for a date that minting chooses."""


def as_mermaid(scenario: Scenario) -> str:
    """Return the certificate graph as a Mermaid flowchart: entities are nodes, certificates are edges.

    An entity that some trust store holds is drawn as a stadium, so that the anchors stand out.
    """
    nodes = _nodes(scenario)
    trusted = _trusted(scenario)
    lines = ["flowchart TD"]
    for name, node in nodes.items():
        begin, end = ('(["', '"])') if name in trusted else ('["', '"]')
        lines.append(f"    {node}{begin}{_html(known_as(scenario, name))}<br/>{_html(key_of(scenario, name))}{end}")
    for name, certificate in scenario.certificates.items():
        label = f"{_html(name)}<br/>{_html(span(certificate))}"
        lines.append(f'    {nodes[certificate.issuer]} -- "{label}" --> {nodes[certificate.subject]}')
    return "\n".join(lines) + "\n"


def as_dot(scenario: Scenario, shows: Callable[[str], bool] = lambda _certificate: True) -> str:
    """Return the same as a Graphviz digraph, with the certificates whose names ``shows`` is true of.

    Who then neither vouches nor is vouched for is left out.  A sweep of many alike certificates is drawn by a few.
    """
    shown = {name: one for name, one in scenario.certificates.items() if shows(name)}
    within = {entity for one in shown.values() for entity in (one.issuer, one.subject)}
    trusted = _trusted(scenario)
    lines = [
        "digraph {",
        '    graph [bgcolor="transparent", ranksep="0.7", nodesep="0.4"]',
        '    node [shape="box", fontname="sans-serif", fontsize="11", margin="0.15,0.08", style="filled"]',
        '    edge [fontname="sans-serif", fontsize="9", color="#666666"]',
    ]
    nodes = _nodes(scenario)
    for name in (one for one in scenario.entities if one in within):
        look = 'style="filled,rounded", fillcolor="#dcebf7"' if name in trusted else 'fillcolor="#f4f4f2"'
        label = f"{_quoted(known_as(scenario, name))}\\n{_quoted(key_of(scenario, name))}"
        lines.append(f'    {nodes[name]} [label="{label}", {look}]')
    for name, one in shown.items():
        label = f"{_quoted(name)}\\n{_quoted(span(one))}"
        lines.append(f'    {nodes[one.issuer]} -> {nodes[one.subject]} [label="{label}"]')
    return "\n".join([*lines, "}"]) + "\n"


def known_as(scenario: Scenario, entity: str) -> str:
    """Return what people call an entity: its common name, else the first of its other names."""
    said = scenario.entities[entity]
    return said.cn or next(iter([*said.dns, *map(str, said.ip)]), None) or said.o or entity


def key_of(scenario: Scenario, entity: str) -> str:
    """Return an entity's key in words: its type, and whose it is where it is another's."""
    owner = scenario.key_owner(entity)
    key = scenario.entities[owner].key + (f", the key of {owner}" if owner != entity else "")
    borrowed = scenario.entities[entity].same_key_id_as
    return key + (f", with the key identifier of {borrowed}" if borrowed else "")


def span(certificate: Certificate) -> str:
    """Return the days on which a certificate's validity begins and ends."""
    return f"{_day(certificate.not_before)} to {_day(certificate.not_after)}"


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else _OPEN


def _nodes(scenario: Scenario) -> dict[str, str]:
    return {name: f"e{index}" for index, name in enumerate(scenario.entities)}


def _trusted(scenario: Scenario) -> set[str]:
    return {scenario.certificates[name].subject for store in scenario.stores.values() for name in store}


_ENTITIES = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;"})


def _html(text: str) -> str:
    """Return text that Mermaid shows as it is."""
    return _printable(text).translate(_ENTITIES)


def _quoted(text: str) -> str:
    """Return text that Graphviz shows as it is, inside quotes."""
    return _printable(text).replace("\\", "\\\\").replace('"', '\\"')


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)
