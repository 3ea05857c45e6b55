"""How far a run is, on a terminal; silent anywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from lab.report.words import printable

__all__ = ["RunProgress"]

_RESERVED_LINES = 4


class _Rate(TextColumn):
    """Cells a second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        """Return the rate of the last seconds, or of the whole task once it is over."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.0f}/s" if speed else "", "dim")


class RunProgress:
    """A bar for the run and one for each column that is still at work, as many as the terminal has lines for.

    ``totals`` are the cells to fill by column, ``done`` those filled already (a run that was taken up again).
    Use it as a context manager, and call :meth:`advance` once a cell.
    """

    def __init__(self, totals: Mapping[str, int], console: Console, *, done: Mapping[str, int] | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        before = done or {}
        self._room = max(1, console.height - _RESERVED_LINES)
        self._whole = self._progress.add_task("cells", total=sum(totals.values()), completed=sum(before.values()))
        self._columns: dict[str, TaskID] = {
            name: self._progress.add_task(
                escape(printable(name)), total=total, completed=before.get(name, 0), visible=False, start=False
            )
            for name, total in totals.items()
        }

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the bars away; stopping twice does no harm."""
        self._progress.stop()

    def advance(self, column: str) -> None:
        """Count one more cell of a column; a column that was not announced counts for the run alone."""
        self._progress.advance(self._whole)
        task_id = self._columns.get(column)
        if task_id is None:
            return
        task = self._task(task_id)
        if not task.started:
            self._progress.start_task(task_id)
        self._progress.advance(task_id)
        self._progress.update(task_id, visible=not task.finished and (task.visible or self._shown < self._room))

    def give_up(self, column: str) -> None:
        """Take a column's remaining cells out of the count: it failed a control, or broke."""
        task_id = self._columns.pop(column, None)
        if task_id is None:
            return
        left = self._task(task_id).remaining or 0
        self._progress.remove_task(task_id)
        self._progress.update(self._whole, total=(self._task(self._whole).total or 0) - left)

    @property
    def cells(self) -> tuple[int, int]:
        """How many cells are done, and of how many."""
        whole = self._task(self._whole)
        return int(whole.completed), int(whole.total or 0)

    @property
    def _shown(self) -> int:
        return sum(self._task(task_id).visible for task_id in self._columns.values())

    def _task(self, task_id: TaskID) -> Task:
        return next(task for task in self._progress.tasks if task.id == task_id)
