"""What is left to do for each column of a run, and which column a free session takes up next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from lab.clients.features import lacking
from lab.corpus import Client
from lab.model.result import ColumnState, FeatureProbe
from lab.model.scenario import Case, Feature

__all__ = ["Work", "choose", "required"]


@dataclass
class Work:
    """What is left to do for a column.

    It is *admitted* once its controls have passed and the features in ``unprobed`` are known, which one session at a
    time sees to; only then may any number of sessions fill its cells.
    """

    client: Client
    todo: deque[Case]
    state: ColumnState
    unprobed: deque[Feature] = field(default_factory=deque)
    features: dict[Feature, FeatureProbe] = field(default_factory=dict)
    controlled: bool = False
    admission: Literal["to-do", "running", "done"] = "to-do"
    failures: int = 0
    sessions: int = 0

    def give_up(self) -> None:
        """Leave nothing to do."""
        self.todo.clear()
        self.unprobed.clear()
        self.admission = "done"

    def take_unsupported(self) -> list[tuple[Case, FeatureProbe]]:
        """Take the cases that require what the column lacks off its list, and return them with what shows the lack."""
        found = [(case, probe) for case in self.todo if (probe := lacking(case, self.features)) is not None]
        gone = {case.id for case, _probe in found}
        self.todo = deque(case for case in self.todo if case.id not in gone)
        return found


def required(cases: Iterable[Case]) -> list[Feature]:
    """Return what any of some cases requires."""
    return list(dict.fromkeys(feature for case in cases for feature in case.requires))


def choose(every: Iterable[Work]) -> Work | None:
    """Choose a column for a free session: one that is to be admitted, else the one with most left to do a session."""
    work = list(every)
    for one in work:
        if one.admission == "to-do":
            return one
    open_ones = [one for one in work if one.admission == "done" and one.todo]
    return max(open_ones, key=lambda one: len(one.todo) / (one.sessions + 1), default=None)
