"""The matrix as one HTML file that needs nothing else, with the evidence behind every cell."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from lab.ledger import RunRecord
from lab.model.result import Cell, CertificateRecord, ExhibitRecord, Verdict
from lab.report.evidence import Section, commands, moment, sections
from lab.report.folding import Fold
from lab.report.matrix import Group, Head, Matrix
from lab.report.rows import Row
from lab.report.words import FINDINGS, MEANINGS, SEVERITY, Sign, native, printable, sign_of, word_of

__all__ = ["island", "render"]


def render(record: RunRecord) -> str:
    """Return the document.

    Its policy allows its own style sheet and script, by digest, and nothing else: no network, no frame, no form.
    Whatever came from a client or a scenario is text in it, never markup.
    """
    matrix = Matrix(record)
    style, script = _asset("report.css"), _asset("report.js")
    shown = _Shown(matrix)
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FunctionLoader(_asset),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # finalize sees values only, never the template's own text: whatever is shown has been made printable.
    environment.finalize = lambda value: printable(value, lines=True) if type(value) is str else value
    return environment.get_template("report.html.j2").render(
        matrix=matrix,
        run=record.run,
        started=moment(record.run.started),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        policy=_policy(style, script),
        island=island(_data(matrix, shown.rows)),
        show=shown,
        meanings=MEANINGS,
        legend=[verdict for verdict in SEVERITY if verdict in matrix.counts],
        signs=tuple(Sign),
    )


def island(data: object) -> str:
    """Return data as JSON, packed by gzip and base64, for the script to unpack: a fleet's evidence fills megabytes."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    return base64.b64encode(gzip.compress(text.encode("ascii"), mtime=0)).decode("ascii")


class Finding(NamedTuple):
    """A new cell with all that a reader on paper needs."""

    cell: Cell
    anchor: str
    native: str
    sections: tuple[Section, ...]
    chain: list[list[str]]
    store: list[list[str]]
    device: tuple[list[list[str]], list[list[str]]] | None
    """What the device was given, and whom the server trusted; None where the case is about the server."""
    commands: tuple[str, ...]


class Part(NamedTuple):
    """A row, or rows under the one that stands for them."""

    fold: Fold | None
    rows: tuple[Row, ...]


class _Shown:
    """What the template asks for: the elements of cells, and the words and numbers of rows and columns."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self.findings = tuple(self._finding(cell, exhibit) for cell, exhibit in matrix.findings)
        self.columns = len(matrix.heads)
        self.size = "wide" if self.columns > 14 else "usual"  # noqa: PLR2004 - what fits a landscape page
        self.scenarios = len(matrix.groups)
        self.parts = [(group, tuple(_parts(group))) for group in matrix.groups]
        every = (row for _, parts in self.parts for part in parts for row in part.rows)
        self.rows = tuple(row for row in every if not row.borrowed)
        self._numbers = {(row.scenario, row.case): number for number, row in enumerate(self.rows)}
        self._made: dict[tuple[str, Sign, str, str, bool], Markup] = {}

    def _finding(self, cell: Cell, exhibit: ExhibitRecord | None) -> Finding:
        certificates = ((), ()) if exhibit is None else (exhibit.chain, exhibit.anchors)
        chain, store = ([_certificate(one) for one in part] for part in certificates)
        typed = commands(self.matrix.run.id, cell)
        said = sections(cell, exhibit)
        return Finding(cell, cell.id, native(cell.observation), said, chain, store, _device(exhibit), typed)

    def number(self, row: Row) -> int | None:
        """Return a row's place among those with evidence of their own; None for a borrowed one."""
        return None if row.borrowed else self._numbers[row.scenario, row.case]

    @staticmethod
    def glyph(sign: Sign) -> Markup:
        """Return a sign as it is drawn."""
        drawn = Markup('<i class="s s-{}" aria-hidden="true">{}</i>')
        return drawn.format(sign.name.lower(), "?" if sign is Sign.UNKNOWN else "")

    def data(self, cell: Cell | None, *, reached: bool) -> Markup:
        """Return a cell's element; one that is ``reached`` has evidence to show.  Alike cells are made once."""
        kind = "v-missing" if cell is None else f"v-{cell.verdict}" + (" marked" if cell.marked else "")
        sign, word = sign_of(cell), word_of(cell)
        # what a reader that sees neither sign nor colour is told beside the word
        spoken = f"{sign}, pass" if cell is not None and cell.verdict is Verdict.PASS else str(sign)
        key = kind, sign, spoken, word, reached
        if key not in self._made:
            role = Markup(' role="gridcell" tabindex="-1"') if reached else ""
            drawn = Markup('<td{} class="{}">{}<span class="vh">{}</span><span class="w">{}</span></td>')
            self._made[key] = drawn.format(role, kind, self.glyph(sign), spoken, word)
        return self._made[key]

    @staticmethod
    def counts(matrix: Matrix) -> Iterable[tuple[str, str, int, str]]:
        """Return class, word, count and meaning of each verdict, and of what was not run."""
        for verdict, count in matrix.counts.items():
            word = "no verdict" if verdict is Verdict.NONE else str(verdict)
            yield f"v-{verdict}", word, count, MEANINGS[verdict]
        if matrix.missing:
            yield "v-missing", "not run", matrix.missing, "the run holds no record of it"

    @staticmethod
    def new(matrix: Matrix) -> int:
        """Return how many cells are news."""
        return sum(matrix.counts.get(verdict, 0) for verdict in FINDINGS)

    @staticmethod
    def dead(matrix: Matrix) -> list[tuple[Head, Any]]:
        """Return the columns that do not connect somewhere, the most often first."""
        pairs = [pair for pair in zip(matrix.heads, matrix.tallies, strict=True) if pair[1].does_not]
        return sorted(pairs, key=lambda pair: -pair[1].does_not)


def _parts(group: Group) -> Iterator[Part]:
    """Yield what stands in a group, every row once: those that are folded under what stands for them."""
    folded = {row.case for shown in group.shown if isinstance(shown, Fold) for row in shown.rows}
    for shown in group.shown:
        if isinstance(shown, Fold):
            yield Part(shown, shown.rows)
        elif shown.borrowed or shown.case not in folded:
            yield Part(None, (shown,))


class _Pool:
    """Strings by number: evidence repeats itself, and a file of thousands of cells should not."""

    def __init__(self) -> None:
        self.strings: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        return self.strings.setdefault(text, len(self.strings))


def _data(matrix: Matrix, shown: Sequence[Row]) -> dict[str, object]:
    """Return what the script shows on demand.  Sections, facts and commands hold numbers of ``strings``."""
    pool = _Pool()
    rows = [_row(matrix, row, pool) for row in shown]
    return {
        "heads": [head.name for head in matrix.heads],
        "cases": [f"{row.scenario}/{row.case}" for row in shown],
        "rows": rows,
        "strings": list(pool.strings),
    }


def _row(matrix: Matrix, row: Row, pool: _Pool) -> dict[str, object]:
    exhibit = row.exhibit
    cells: list[object] = []
    for cell in row.cells:
        if cell is None:
            cells.append(None)
            continue
        said = [
            [pool(title), [[pool(label), pool(value)] for label, value in facts]]
            for title, facts in sections(cell, exhibit)
        ]
        cells.append([said, [pool(command) for command in commands(matrix.run.id, cell)]])
    device = _device(exhibit)
    at = next((cell.at for cell in row.cells if cell is not None), None)
    return {
        "at": moment(at) if at is not None else "",
        "chain": [] if exhibit is None else [list(map(pool, _certificate(one))) for one in exhibit.chain],
        "store": [] if exhibit is None else [list(map(pool, _certificate(one))) for one in exhibit.anchors],
        **({} if device is None else dict(zip(("device", "devices"), _pooled(device, pool), strict=True))),
        "known": exhibit is not None,
        "cells": cells,
    }


def _device(exhibit: ExhibitRecord | None) -> tuple[list[list[str]], list[list[str]]] | None:
    shown = exhibit.device if exhibit is not None else None
    return None if shown is None else (list(map(_certificate, shown.chain)), list(map(_certificate, shown.anchors)))


def _pooled(tables: Iterable[list[list[str]]], pool: _Pool) -> Iterator[list[list[int]]]:
    return ([list(map(pool, row)) for row in table] for table in tables)


def _certificate(one: CertificateRecord) -> list[str]:
    shown = (one.name, one.subject, one.issuer, one.key)
    return [*map(printable, shown), moment(one.not_before), moment(one.not_after), printable(one.sha256)]


def _asset(name: str) -> str:
    return files("lab.report").joinpath("templates", name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    digests = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )
