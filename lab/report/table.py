"""The matrix for a terminal: signs and words in columns, and below them what is new, known and dead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from lab.ledger import RunRecord
from lab.model.result import Cell, Observed, Verdict
from lab.report.folding import Fold
from lab.report.matrix import Group, Head, Matrix, Tally
from lab.report.rows import Row
from lab.report.words import SEVERITY, Sign, duration, native, printable, sign_of, word_of

__all__ = ["STYLES", "print_table"]

STYLES = {
    Verdict.EXPOSURE: "bold magenta",
    Verdict.OUTAGE: "bold red",
    Verdict.FAULT: "bold red",
    Verdict.INCONCLUSIVE: "bold cyan",
    Verdict.FIXED: "bold green",
    Verdict.KNOWN: "yellow",
    Verdict.OPEN: "blue",
    Verdict.UNSUPPORTED: "dim",
    Verdict.NONE: "dim",
    Verdict.PASS: "green",
}
_ASIDE = {"either": "blue", "reject": "dim", "varies": "dim", "fail": "dim"}
_GAP = 2
_NARROWEST_CELLS = 24
_NOTE_INDENT = 18
_PLAIN = {Sign.CONNECTS: "+", Sign.DOES_NOT: "-", Sign.UNKNOWN: "?"}


def print_table(
    record: RunRecord,
    console: Console,
    *,
    folder: Path | None = None,
    took: float | None = None,
    most: int | None = None,
) -> None:
    """Print a run, whole or partial.

    ``folder`` is where its files are, ``took`` its length in seconds; without it, the probes' own time is said.
    Where the matrix would take more than ``most`` lines, every scenario is told in a sentence instead.
    """
    _Printer(Matrix(record), console).print(folder, took, most)


@dataclass(frozen=True)
class _Layout:
    """Widths in characters: of the labels, the expectations beside them, all cells together, and each column."""

    label: int
    aside: int
    room: int
    widths: tuple[int, ...]


class _Printer:
    """Prints one matrix, in as many blocks of columns as the console's width asks for."""

    def __init__(self, matrix: Matrix, console: Console) -> None:
        self.matrix = matrix
        self.console = console
        self.plain = not console.encoding.lower().startswith("utf")

    def print(self, folder: Path | None, took: float | None, most: int | None) -> None:
        """Print all of it."""
        brief = most is not None and sum(map(self._length, self.matrix.groups)) > most
        for group in self.matrix.groups:
            if brief:
                self._sentence(group)
            else:
                self._group(group)
        if brief:
            self._line()
        self._line(self._legend())
        self._line()
        for title, body in self._notes(folder, took):
            self._hanging(title, body, _NOTE_INDENT)
        if brief:
            whole = (
                f"longer than {most} lines: report.html has it, or tlslab report {self.matrix.run.id} --format table"
            )
            self._hanging(Text("matrix"), Text(printable(whole)), _NOTE_INDENT)

    def _line(self, text: Text | None = None) -> None:
        """Print one line as it is, however long."""
        line = self._encodable(Text() if text is None else text)
        self.console.print(line, no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)

    def _hanging(self, title: Text, body: Text, indent: int) -> None:
        """Print a title and its body, whose lines start at ``indent``; behind a blank title the first one does not."""
        start = Text().append_text(title)  # not a copy: its style must end where it ends
        start.append(" " * (indent - title.cell_len) if title.plain.strip() else "")
        for part in body.split("\n"):
            for line in part.wrap(self.console, max(self.console.width - indent, _NARROWEST_CELLS), overflow="fold"):
                line.rstrip()
                self._line(start.append_text(line))
                start = Text(" " * indent)

    def _encodable(self, text: Text) -> Text:
        if not self.plain:
            return text
        fitted = text.copy()
        # One character for one, so that the spans of style keep their places.
        fitted.plain = (
            text.plain.translate(_ASCII).encode(self.console.encoding, "replace").decode(self.console.encoding)
        )
        return fitted

    def _glyph(self, sign: Sign) -> str:
        return _PLAIN[sign] if self.plain else sign.glyph

    def _length(self, group: Group) -> int:
        """Return how many lines the rows of a group take."""
        layout = self._layout(group.shown)
        return len(group.shown) * len(list(_blocks(layout.widths, layout.room)))

    def _sentence(self, group: Group) -> None:
        """Say of a scenario what it comes to: what its clients do, and what that means where it is not plain."""
        self._title(group)
        tally = [
            sum(counts) for counts in zip(*((t.connects, t.does_not, t.unknown) for t in group.tallies), strict=True)
        ]
        signs = "  ".join(f"{self._glyph(sign)} {count}" for sign, count in zip(Sign, tally, strict=True))
        counts = Counter(cell.verdict for row in group.rows for cell in row.cells if cell is not None)
        told = Text(f"{len(group.rows)} cases:  {signs}")
        for verdict in (one for one in SEVERITY if one is not Verdict.PASS and counts[one]):
            told.append("  ").append(_count(verdict, counts[verdict]), STYLES[verdict])
        self._hanging(Text("  "), told, 4)

    def _title(self, group: Group) -> None:
        title = Text(printable(group.scenario), "bold")
        if group.title:
            title.append(f" · {printable(group.title)}", "not bold")
        self._hanging(Text(), title, 0)

    def _group(self, group: Group) -> None:
        self._title(group)
        self._line()
        layout = self._layout(group.shown)
        for block in _blocks(layout.widths, layout.room):
            self._block(group.shown, layout, block)
            self._line()
        self._summary(group)
        self._line()

    def _layout(self, rows: Sequence[Row | Fold]) -> _Layout:
        """Share the console's width between labels, expectations and cells."""
        longest = max(cell_len(_label(row)) for row in rows)
        aside = max(len(row.expectation_word) for row in rows)
        aside += _GAP if aside else 0
        room = self.console.width - 2 - aside - _GAP
        label = min(longest, max(room - _NARROWEST_CELLS, room // 2))
        widths = tuple(
            max(
                *(cell_len(printable(line)) for line in (*head.lines, head.trouble)),
                *(2 + len(_word(row, index)) for row in rows),
            )
            for index, head in enumerate(self.matrix.heads)
        )
        return _Layout(label, aside, room - label, widths)

    def _block(self, rows: Sequence[Row | Fold], layout: _Layout, block: range) -> None:
        margin = " " * (2 + layout.label + layout.aside + _GAP)
        heads = [self.matrix.heads[index] for index in block]
        for number in range(max(len(head.lines) for head in heads)):
            parts = [Text(printable(head.lines[number]) if number < len(head.lines) else "") for head in heads]
            self._cells(Text(margin), parts, block, layout.widths)
        if any(head.trouble for head in heads):
            troubles = [Text(head.trouble, "bold red") for head in heads]
            self._cells(Text(margin), troubles, block, layout.widths)
        for row in rows:
            start = Text("  " + _label(row), "dim" if isinstance(row, Fold) or row.borrowed else "")
            if start.cell_len > 2 + layout.label:  # an id is never cut short: its signs go to the next line
                self._line(start)
                start = Text("  ")
            start.append(" " * (2 + layout.label - start.cell_len))
            word = row.expectation_word
            start.append((" " * _GAP + word).ljust(layout.aside) if layout.aside else "", _ASIDE.get(word, ""))
            start.append(" " * _GAP)
            self._cells(start, [self._part(row, index) for index in block], block, layout.widths)

    def _cells(self, line: Text, parts: Sequence[Text], block: range, widths: Sequence[int]) -> None:
        for part, index in zip(parts, block, strict=True):
            line.append_text(part)
            line.append(" " * (widths[index] - part.cell_len + _GAP))
        line.rstrip()
        self._line(line)

    def _part(self, row: Row | Fold, index: int) -> Text:
        if isinstance(row, Fold):
            folded = row.cells[index]
            style = STYLES[folded.verdict] if folded.verdict is not None else "dim"
            return Text(f"{self._glyph(folded.sign)} {folded.word}" if folded.sign else folded.word, style)
        if row.borrowed and row.cells[index] is None:
            return Text("")
        return self._cell(row.cells[index])

    def _cell(self, cell: Cell | None) -> Text:
        style = "dim" if cell is None else STYLES[cell.verdict]
        return Text(f"{self._glyph(sign_of(cell))} {word_of(cell)}".rstrip(), style)

    def _summary(self, group: Group) -> None:
        dead = Text("does not connect: ") + _totals(self.matrix.heads, group.tallies)
        self._hanging(Text("  "), dead, 4)
        for remedy in group.remedies:
            said = f"{remedy.title}" + (f": {remedy.why}" if remedy.why else "")
            self._hanging(Text(f"  ,{printable(remedy.name)}  "), Text(printable(said)), 9)
        for known in group.known:
            who = printable(f"{', '.join(known.clients)} {', '.join(known.cases)}")
            said = printable(", ".join(part for part in (known.native, known.why) if part))
            source = f" ({printable(known.source)})" if known.source else ""
            self._hanging(Text("  known", STYLES[Verdict.KNOWN]), Text(f"{who}: {said}{source}"), 9)
        for cell in group.marked:
            said = printable(f"{cell.client} {cell.case}: {cell.why}")
            self._hanging(Text("  *", STYLES[Verdict.PASS]), Text(said), 9)

    def _legend(self) -> Text:
        line = Text()
        for sign in Sign:
            line.append(f"{self._glyph(sign)} {sign}   ")
        return line.append("* rejected, for another reason than expected", "dim")

    def _notes(self, folder: Path | None, took: float | None) -> Iterator[tuple[Text, Text]]:
        matrix, run = self.matrix, self.matrix.run
        for cell, _ in matrix.findings:
            yield Text(str(cell.verdict), STYLES[cell.verdict]), _finding(cell)
        if not matrix.findings:
            yield Text("new"), Text("nothing")
        for head in matrix.troubled:
            yield Text(head.trouble, "bold red"), Text(printable(f"{head.name}: {head.why or 'no reason was given'}"))
        for head in matrix.heads:
            for control in head.not_checked:
                yield Text("not checked", "dim"), Text(printable(f"{head.name}: {control.name}, {control.why}"))
        if len(matrix.groups) > 1:
            yield Text("does not connect"), _totals(matrix.heads, matrix.tallies)
        counts = ", ".join(_count(verdict, count) for verdict, count in matrix.counts.items())
        left = f"{matrix.missing} not run" if matrix.missing else ""
        yield Text("cells"), Text(", ".join(part for part in (counts, left) if part) or "none")
        if took is None:
            probes = sum(cell.ms for row in matrix.rows for cell in row.cells if cell is not None)
            yield Text("took"), Text(f"{duration(probes / 1000)} of probes, {run.jobs} at a time")
        else:
            yield Text("took"), Text(duration(took))
        where = f"{run.id}, seed {run.seed}" + (f", files in {folder}" if folder is not None else "")
        yield Text("run"), Text(printable(where))


def _count(verdict: Verdict, count: int) -> str:
    return f"{count} {verdict if verdict is not Verdict.NONE else 'no verdict'}"


def _label(row: Row | Fold) -> str:
    return printable(row.label if isinstance(row, Fold) else row.case)


def _word(row: Row | Fold, index: int) -> str:
    if isinstance(row, Fold):
        return row.cells[index].word
    return "" if row.borrowed and row.cells[index] is None else word_of(row.cells[index])


def _finding(cell: Cell) -> Text:
    """Say what is new about a cell: which, in the stack's own words, and against which expectation."""
    seen = cell.observation
    body = Text(printable(cell.id), "bold")
    stage = f" at {seen.stage}" if seen.stage and seen.observed is not Observed.ACCEPTED else ""
    reason = f" ({seen.reason})" if seen.reason else ""
    own = native(seen)
    body.append(f"\n{seen.observed}{stage}{reason}" + (f": {printable(own)}" if own else ""), "not bold")
    why = f"; {printable(cell.why)}" if cell.why and cell.why != seen.text else ""
    body.append(f"\nexpected {cell.expected}{why}", "not bold dim")
    return body


def _totals(heads: Sequence[Head], tallies: Sequence[Tally]) -> Text:
    """Say how often each column does not connect; what cannot be told is said too, and never counted as connecting."""
    parts, of = [], 0
    for head, tally in zip(heads, tallies, strict=True):
        if not tally.does_not and not tally.unknown:
            continue
        part = f"{printable(head.name)} {tally.does_not}"
        if tally.run != of:
            of = tally.run
            part += f" of {of}"
        parts.append(part + (f" ({tally.unknown} unknown)" if tally.unknown else ""))
    return Text(", ".join(parts) or "none")


def _blocks(widths: Sequence[int], room: int) -> Iterator[range]:
    """Yield runs of columns that fit into ``room``, at least one column each."""
    start, used = 0, 0
    for index, width in enumerate(widths):
        if used and used + width > room:
            yield range(start, index)
            start, used = index, 0
        used += width + _GAP
    if widths:
        yield range(start, len(widths))


_ASCII = str.maketrans({"·": "-", "→": ">", "…": "~", "\N{REPLACEMENT CHARACTER}": "?", "●": "+", "○": "-"})
