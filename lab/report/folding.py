"""Which rows of a matrix speak for others: sweeps, boundaries and orders are folded, remedies stand by their case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.judge import version_key
from lab.model.result import Cell, Verdict
from lab.report.rows import Row
from lab.report.words import SEVERITY, Sign, sign_of

__all__ = ["Fold", "FoldedCell", "counterpart", "fold"]


@dataclass(frozen=True)
class FoldedCell:
    """What one column does in all the cases of a fold: in a word, with the gravest of their verdicts."""

    word: str
    verdict: Verdict | None
    sign: Sign | None
    """What happened in all of them; None where that differs, and the word tells."""


@dataclass(frozen=True)
class Fold:
    """Generated cases of one kind that are shown as one row, and opened where a reader asks."""

    label: str
    rows: tuple[Row, ...]
    cells: tuple[FoldedCell, ...]

    @property
    def expectation_word(self) -> str:
        """The one expectation of all its rows, as a row says it; ``varies`` where there are several."""
        words = {row.expectation_word for row in self.rows}
        return words.pop() if len(words) == 1 else "varies"


def counterpart(name: str, wanted: str, names: Sequence[str]) -> str | None:
    """Return the column to which a remedy sends the clients of another, or None where there is none.

    ``+option`` is the same version with that option alone, ``newer`` the newest column of the same stack without any.
    """
    plain = name.partition("+")[0]
    if wanted.startswith("+"):
        other = plain + wanted
        return other if other in names and other != name else None
    stack = plain.rpartition("-")[0]
    kin = [one for one in names if "+" not in one and one.rpartition("-")[0] == stack]
    newest = max(kin, key=version_key, default=None)
    return newest if newest is not None and version_key(newest) > version_key(plain) else None


def fold(rows: Sequence[Row], names: Sequence[str]) -> tuple[Row | Fold, ...]:
    """Return what stands for rows of one scenario, in their order.

    A written case keeps its row, and behind it come its remedies, those by another column included.  Generated
    cases of one kind become one row, but for those with news.  Another order of a store is shown only where some
    column does otherwise than in the written one.
    """
    by_case = {row.case: row for row in rows}
    kin: dict[str, list[Row]] = {}
    for row in rows:
        if row.family:
            kin.setdefault(_family(row), []).append(row)
    shown: list[Row | Fold] = []
    alike: list[Row] = []
    for row in rows:
        if row.family:
            together = kin.pop(_family(row), [])  # all at the place of the first
            if together:
                shown.append(_fold(_family(row), together, names))
                shown += [one for one in together if one.news]
        elif row.origin == "order" and not _differs(row, by_case.get(row.base)):
            alike.append(row)
        else:
            shown.append(row)
            shown += _other_columns(row, names)
    if alike:
        shown.append(_fold("stores in the other order, no difference", alike, names))
    return tuple(shown)


def _family(row: Row) -> str:
    return f"{row.family}@boundaries" if row.origin == "boundary" else row.family


def _fold(label: str, rows: Sequence[Row], names: Sequence[str]) -> Fold:
    return Fold(f"{label} ({len(rows)})", tuple(rows), tuple(_folded(rows, one) for one in range(len(names))))


def _other_columns(row: Row, names: Sequence[str]) -> Iterator[Row]:
    """Yield a row for each remedy of a case that is another column: the cells of those columns in the same case."""
    if row.exhibit is None:
        return
    for remedy in row.exhibit.remedies:
        if remedy.column is not None:
            others = [counterpart(name, remedy.column, names) for name in names]
            cells = tuple(row.cells[names.index(other)] if other is not None else None for other in others)
            if any(cell is not None for cell in cells):
                yield Row(row.scenario, f"{row.case},{remedy.name}", cells, row.exhibit, borrowed=True)


def _differs(row: Row, other: Row | None) -> bool:
    """Tell whether a column does otherwise in two cases."""
    return other is None or any(_done(one) != _done(two) for one, two in zip(row.cells, other.cells, strict=True))


def _done(cell: Cell | None) -> tuple[object, ...]:
    return () if cell is None else (cell.observation.observed, cell.observation.reason, cell.verdict)


def _folded(rows: Sequence[Row], column: int) -> FoldedCell:
    cells = [row.cells[column] for row in rows]
    run = [cell for cell in cells if cell is not None]
    verdict = min((cell.verdict for cell in run), key=SEVERITY.index, default=None)
    signs = [sign_of(cell) for cell in cells]
    if not run:
        return FoldedCell("not run", None, Sign.UNKNOWN)
    if len(set(signs)) == 1:
        return FoldedCell("all", verdict, signs[0])
    last = _last_good(rows, signs)
    if last is not None:
        return FoldedCell(f"to {last}", verdict, Sign.CONNECTS)
    counts = Counter(signs)
    return FoldedCell(" ".join(f"{counts[sign]}{sign.glyph}" for sign in Sign if counts[sign]), verdict, None)


def _last_good(rows: Sequence[Row], signs: Sequence[Sign]) -> str | None:
    """Return the value of a sweep over one parameter up to which a column connects; None where it is not like that."""
    values = [row.exhibit.values if row.exhibit is not None else {} for row in rows]
    if any(len(one) != 1 for one in values) or signs[0] is not Sign.CONNECTS:
        return None
    turn = next(place for place, sign in enumerate(signs) if sign is not Sign.CONNECTS)
    return None if Sign.CONNECTS in signs[turn:] else str(next(iter(values[turn - 1].values())))
