"""The matrix for a pull request: GitHub's Markdown, with nothing in it that a client could turn into markup."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.ledger import RunRecord
from lab.model.result import Cell, Verdict
from lab.report.folding import Fold, FoldedCell
from lab.report.matrix import Group, Head, Matrix, Tally
from lab.report.words import FINDINGS, Sign, native, printable, sign_of, word_of

__all__ = ["code", "plain", "render"]

_ENTITIES = str.maketrans({char: f"&#{ord(char)};" for char in "&<>|@#`*_[]()!~\\$"})
_LINKING = re.compile(r":(?=\S)|(?<=www)\.", re.IGNORECASE)


def plain(text: str) -> str:
    """Return text from outside as text: no markup, no link, no mention of a user or an issue."""
    return _LINKING.sub(lambda match: f"&#{ord(match[0])};", printable(text).translate(_ENTITIES))


def code(text: str) -> str:
    """Return text from outside as a code span that stands in a table, whatever backticks and pipes it has."""
    shown = printable(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    # GitHub splits rows at pipes before it looks for code spans, and takes the backslash away again.
    return f"{fence}{pad}{shown.replace('|', chr(92) + '|')}{pad}{fence}" if shown else ""


def render(record: RunRecord) -> str:
    """Return the run as Markdown: counts, findings, and a table a scenario."""
    matrix = Matrix(record)
    lines = ["## TLS client matrix", ""]
    lines.append(", ".join(f"**{count}** {word}" for word, count in matrix.said_counts) or "nothing was run")
    lines.append("")
    lines += _findings(matrix)
    for group in matrix.groups:
        lines += _group(matrix, group)
    legend = ", ".join(f"{sign.glyph} {sign}" for sign in Sign)
    lines.append(f"{legend}; **bold** is new, a star marks a rejection for another reason than expected.")
    lines += ["", f"Run {code(record.run.id)}, seed {record.run.seed}, tlslab {code(record.run.lab)}."]
    return "\n".join(lines) + "\n"


def _findings(matrix: Matrix) -> Iterator[str]:
    if not matrix.findings:
        yield "Nothing is new."
    for cell, _ in matrix.findings:
        seen = cell.observation
        own = f": {plain(native(seen))}" if native(seen) else ""
        reason = f" ({seen.reason})" if seen.reason else ""
        what = f"{seen.observed}{reason}{own}; expected {cell.expected}"
        yield f"- **{cell.verdict}** {code(cell.id)}: {what}"
    for head in matrix.troubled:
        yield f"- **{head.trouble}** {code(head.name)}: {plain(head.why)}"
    yield ""


def _group(matrix: Matrix, group: Group) -> Iterator[str]:
    yield f"### {plain(group.scenario)}"
    yield ""
    if group.title:
        yield f"*{plain(group.title)}*"
        yield ""
    yield _row(["case", "expected", *(_head(head) for head in matrix.heads)])
    yield _row(["---"] * (2 + len(matrix.heads)))
    for row in group.shown:
        if isinstance(row, Fold):
            yield _row([code(row.label), "", *(_folded(cell) for cell in row.cells)])
        else:
            cells = ("" if row.borrowed and cell is None else _cell(cell) for cell in row.cells)
            yield _row([code(row.case), str(row.expected or ""), *cells])
    yield _row(["does not connect", "", *(_tally(tally) for tally in group.tallies)])
    yield ""
    for remedy in group.remedies:
        yield f"- {code(',' + remedy.name)}: {plain(remedy.title)}" + (f": {plain(remedy.why)}" if remedy.why else "")
    for known in group.known:
        who = ", ".join(map(code, known.clients))
        where = ", ".join(map(code, known.cases))
        said = ", ".join(plain(part) for part in (known.native, known.why) if part)
        yield f"- known: {who} in {where}: {said}" + (f" ({plain(known.source)})" if known.source else "")
    for cell in group.marked:
        yield f"- \\*: {code(cell.client)} in {code(cell.case)}: {plain(cell.why)}"
    if group.known or group.marked or group.remedies:
        yield ""


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(head: Head) -> str:
    return "<br>".join(plain(line) for line in (*head.lines, head.trouble) if line)


def _cell(cell: Cell | None) -> str:
    word = word_of(cell).replace("*", "\\*")
    if cell is not None and cell.verdict in FINDINGS and cell.verdict is not Verdict.FIXED:
        word = f"**{word}**"
    return f"{sign_of(cell).glyph} {word}".rstrip()


def _folded(cell: FoldedCell) -> str:
    return f"{cell.sign.glyph} {cell.word}" if cell.sign else cell.word


def _tally(tally: Tally) -> str:
    if not tally.run:
        return "not run"
    return f"{tally.does_not} of {tally.run}" + (f", {tally.unknown} unknown" if tally.unknown else "")
