"""Renders a scenario for people: the story, the certificate graph, the timeline, the chains, the cases."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any

from rich.text import Text

from lab.corpus import ScenarioFile
from lab.diagram import key_of, known_as, span
from lab.expectation import expected, opinion
from lab.model.scenario import Case, Chain, Expectation, Scenario
from lab.model.variants import BOUNDARIES
from lab.pki.mint import Minted

__all__ = ["as_rich", "as_text", "listing"]

_WIDTH = 96
_NARROWEST = 28
"""A column with less room than this begins a line of its own."""


def listing(scenarios: Iterable[ScenarioFile]) -> dict[str, Any]:
    """Return what ``tlslab scenarios --format json`` prints."""
    return {
        "schema": 1,
        "scenarios": [
            {
                "slug": one.scenario.slug,
                "title": one.scenario.title,
                "date": one.scenario.date.isoformat(),
                "tags": list(one.scenario.tags),
                "cases": [case.id for case in one.scenario.cases()],
            }
            for one in scenarios
        ],
    }


def as_text(scenario: Scenario, minted: Minted | None = None, *, width: int = _WIDTH) -> str:
    """Return a scenario as plain text; with its certificates, each case says which path the reference takes."""
    return as_rich(scenario, minted, width=width).plain + "\n"


def as_rich(scenario: Scenario, minted: Minted | None = None, *, width: int = _WIDTH) -> Text:
    """Return the same with its headings in bold.  What a scenario says is never taken for markup."""
    lines = (
        Text(
            "".join(sign if sign.isprintable() else "?" for sign in line),
            style="bold" if line and not line.startswith(" ") else "",
        )
        for line in _page(scenario, minted, width)
    )
    return Text("\n").join(lines)


def _page(scenario: Scenario, minted: Minted | None, width: int) -> Iterator[str]:
    yield from _wrapped(f"{scenario.slug} · {scenario.title}", width, "", "")
    yield "  " + " · ".join([scenario.date.isoformat(), *scenario.tags])
    yield ""
    yield from _wrapped(" ".join(scenario.summary.split()), width, "  ", "  ")
    sections = {
        "Who vouches for whom": _graph(scenario, width),
        "Timeline (UTC)": _timeline(scenario, width),
        "Chains, as sent": _chains(scenario, width),
        "Trust stores, in their order": _stores(scenario, width),
        "Cases, and what a careful relying party does": _cases(scenario, minted, width),
        "References": (line for source in scenario.references for line in _wrapped(source, width, "  ", "    ")),
    }
    for heading, lines in sections.items():
        body = list(lines)
        if body:
            yield from ("", heading, *body)


def _wrapped(text: str, width: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    ) or [first.rstrip()]


def _row(width: int, last: str, *cells: tuple[str, int]) -> list[str]:
    """Return cells padded to their widths and a last one that wraps under itself, or on a line of its own."""
    start = "  " + "".join(f"{text:<{size}}  " for text, size in cells)
    room = width - len(start)
    if room >= min(_NARROWEST, len(last)):
        return [line.rstrip() for line in _wrapped(last, width, start, " " * len(start))]
    return [start.rstrip(), *_wrapped(last, width, "      ", "      ")]


def _longest(names: Iterable[str]) -> int:
    return max((len(name) for name in names), default=0)


def _graph(scenario: Scenario, width: int) -> Iterator[str]:
    size = _longest(scenario.certificates)
    for entity in scenario.entities:
        yield from _wrapped(f"{entity}: {known_as(scenario, entity)}, {key_of(scenario, entity)}", width, "  ", "    ")
        vouched = [(name, one) for name, one in scenario.certificates.items() if one.subject == entity]
        for index, (name, certificate) in enumerate(vouched, start=1):
            branch = "└─" if index == len(vouched) else "├─"
            by = "self-signed" if certificate.self_issued else f"by {certificate.issuer}"
            yield f"    {branch} {name:<{size}}  {span(certificate):<24}  {by}"


def _timeline(scenario: Scenario, width: int) -> Iterator[str]:
    """Yield every moment that a certificate or a case has, in order: ``[`` begins, ``]`` ends, ``*`` is tried."""
    at: dict[datetime, list[str]] = {}
    for name, certificate in scenario.certificates.items():
        if certificate.not_before:
            at.setdefault(certificate.not_before, []).append(f"[ {name} begins")
        if certificate.not_after:
            at.setdefault(certificate.not_after, []).append(f"] {name} ends")
    tried = dict.fromkeys([*scenario.times, *(time for chain in scenario.chains.values() for time in chain.at)])
    for time in tried:
        if time == BOUNDARIES:
            continue
        at.setdefault(scenario.moment(time), []).append(f"* {time}")
    for moment, events in sorted(at.items()):
        yield from _row(width, ", ".join(events), (f"{moment:%Y-%m-%d %H:%M:%S}", 19))


def _chains(scenario: Scenario, width: int) -> Iterator[str]:
    size = _longest(scenario.chains)
    for name, chain in scenario.chains.items():
        host = f", asked for as {chain.host}" if chain.host else ""
        shown = f"; the device shows {_shown(chain)}" if chain.device is not None else ""
        yield from _row(width, f"{', '.join(chain.send)}; at {', '.join(chain.at)}{host}{shown}", (name, size))


def _shown(chain: Chain) -> str:
    """Return what a device shows of itself, to a server that trusts whom, and how that asks."""
    asks = "requires a certificate" if chain.device_required else "only asks"
    names = "" if chain.device_hints else ", naming no CA"
    return (
        f"{', '.join(chain.device or ()) or 'nothing'} to a server that trusts {chain.device_store} and {asks}{names}"
    )


def _stores(scenario: Scenario, width: int) -> Iterator[str]:
    size = _longest(scenario.stores)
    for name, store in scenario.stores.items():
        yield from _row(width, ", ".join(store) or "nothing", (name, size))


def _cases(scenario: Scenario, minted: Minted | None, width: int) -> Iterator[str]:
    """Yield the cases; those of one chain and store that end alike share their lines."""
    told = [(case, *_told(case, minted)) for case in scenario.cases()]

    def ending(row: tuple[Case, Expectation | None, str]) -> tuple[str, str, str, str, str]:
        case, said, path = row
        return case.chain, case.store, str(said or "?"), path, (said.why if said else None) or ""

    size = _longest(str(said) for _, said, _ in told)
    for (chain, store, words, path, why), rows in groupby(told, ending):
        cases = [case for case, _, _ in rows]
        whens = ", ".join(case.name.removeprefix(f"{chain}+{store}@") for case in cases)
        yield from _wrapped(f"{chain}+{store}@{whens}", width, "  ", "      ")
        yield from _wrapped(path, width, f"      {words:<{size}}  ", " " * (size + 8))
        if why:
            yield from _wrapped(f"why: {why}", width, " " * (size + 8), " " * (size + 8))


def _told(case: Case, minted: Minted | None) -> tuple[Expectation | None, str]:
    """Return what is expected, and the path that the reference takes or its words where it does not simply take one."""
    if minted is None:
        return case.expected, ""
    said = opinion(case, minted)
    return expected(case, said), said.why
