"""A row of the matrix: a case before every column."""

from __future__ import annotations

from dataclasses import dataclass

from lab.model.result import Cell, ExhibitRecord
from lab.model.scenario import Expect, Expectation
from lab.report.words import FINDINGS

__all__ = ["Row"]


@dataclass(frozen=True)
class Row:
    """A case before every column.  A ``borrowed`` row repeats cells of other columns, and counts for nothing."""

    scenario: str
    case: str
    cells: tuple[Cell | None, ...]
    exhibit: ExhibitRecord | None
    borrowed: bool = False

    @property
    def expected(self) -> Expectation | None:
        """What a careful relying party does; unknown where no client was asked."""
        return next((cell.expected for cell in self.cells if cell is not None), None)

    @property
    def expectation_word(self) -> str:
        """``either`` or ``reject``; empty for the plain case, ``accept``."""
        return "" if self.expected is None or self.expected.expect is Expect.ACCEPT else str(self.expected.expect)

    @property
    def news(self) -> bool:
        """Whether some cell of it is news."""
        return any(cell is not None and cell.verdict in FINDINGS for cell in self.cells)

    @property
    def origin(self) -> str:
        """Who made the case."""
        return "written" if self.exhibit is None else self.exhibit.origin

    @property
    def base(self) -> str:
        """The case that it was made of; empty for one that stands by itself."""
        return "" if self.exhibit is None else self.exhibit.base

    @property
    def family(self) -> str:
        """What it shares with its kin; empty for one that stands by itself."""
        return "" if self.exhibit is None else self.exhibit.family
