"""The run on disk: a header, then one line a record, appended as it happens; a killed run can be taken up again."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from lab.errors import InputError
from lab.model.base import Model
from lab.model.result import Cell, ColumnState, Control, ExhibitRecord, FeatureProbe, Run

__all__ = ["FILE_NAME", "KINDS", "Ledger", "RunRecord", "read"]

FILE_NAME = "ledger.jsonl"

KINDS: dict[str, type[Model]] = {
    "run": Run,
    "exhibit": ExhibitRecord,
    "column": ColumnState,
    "control": Control,
    "feature": FeatureProbe,
    "cell": Cell,
}
"""The records of a ledger, by the kind that their lines name."""

_KIND_OF = {model: kind for kind, model in KINDS.items()}


@dataclass(frozen=True)
class RunRecord:
    """Everything that a ledger holds.  ``cells`` are in the run's order: by case, then by column."""

    run: Run
    columns: tuple[ColumnState, ...]
    controls: tuple[Control, ...]
    exhibits: tuple[ExhibitRecord, ...]
    cells: tuple[Cell, ...]
    features: tuple[FeatureProbe, ...] = ()

    @property
    def missing(self) -> int:
        """How many cells of the plan have no record."""
        return len(self.run.cases) * len(self.run.columns) - len(self.cells)


class Ledger:
    """A ledger that is being written.

    Each record is one line, written with one ``write`` and handed to the kernel before the call returns, so that a
    killed lab loses nothing that was recorded.  At most the last line of a ledger can be incomplete (a machine that
    lost power); opening it for more cuts that line off, and its cell is measured anew.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self._file: BinaryIO | None = None

    @classmethod
    def create(cls, folder: Path, run: Run) -> Ledger:
        """Start a ledger in ``folder``, which is made; raise InputError where one is there already."""
        ledger = cls(folder)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            ledger._file = ledger.path.open("xb", buffering=0)
        except FileExistsError:
            raise InputError.one(
                "there is a ledger already", file=ledger.path, remedy="choose another folder"
            ) from None
        ledger._lock()
        ledger.append(run)
        return ledger

    @classmethod
    def resume(cls, folder: Path) -> tuple[Ledger, RunRecord]:
        """Open a ledger for more, and return it with what it holds.

        Raise InputError where it cannot be read, or a lab is still writing it.
        """
        ledger = cls(folder)
        with suppress(OSError):  # of which reading it then tells
            ledger._file = ledger.path.open("r+b", buffering=0)
            ledger._lock()
        try:
            record = read(folder)
        except InputError:
            ledger.close()
            raise
        assert ledger._file is not None
        data = ledger.path.read_bytes()
        ledger._file.truncate(data.rfind(b"\n") + 1)
        ledger._file.seek(0, os.SEEK_END)
        return ledger, record

    def _lock(self) -> None:
        """Keep other labs from writing this file for as long as it is open."""
        assert self._file is not None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            self._file = None
            raise InputError.one(
                "a lab is still writing it", file=self.path, remedy="wait for its end, or end it"
            ) from None

    def append(self, record: Model) -> None:
        """Write one record."""
        assert self._file is not None, "a ledger is written between create or resume and close"
        kind = _KIND_OF[type(record)]
        body = record.model_dump_json(by_alias=True, exclude_defaults=kind != "run")
        line = memoryview(b'{"kind":"%s","record":%s}\n' % (kind.encode(), body.encode()))
        while line:  # one write, as a rule: a full disk or a signal may cut it short
            line = line[self._file.write(line) :]

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None


def _records(path: Path) -> Iterator[Model]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError.one(error.strerror or str(error), file=path, remedy="name a run's folder") from None
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            entry = json.loads(line)
            yield KINDS[entry["kind"]].model_validate(entry["record"])
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise InputError.one(f"line {number} is no record: {error}", file=path) from None


def read(folder: Path) -> RunRecord:
    """Return what the ledger of a run's folder holds.

    A record that repeats an earlier one's identity replaces it (a column's state is written again when it changes),
    but a cell is never recorded twice: that is an InputError, as is a file without a header.
    """
    path = folder / FILE_NAME if folder.is_dir() else folder
    run: Run | None = None
    columns: dict[str, ColumnState] = {}
    controls: dict[tuple[str, str], Control] = {}
    features: dict[tuple[str, str], FeatureProbe] = {}
    exhibits: dict[tuple[str, str], ExhibitRecord] = {}
    cells: dict[tuple[str, str], Cell] = {}
    for record in _records(path):
        match record:
            case Run():
                run = record
            case ColumnState():
                columns[record.name] = record
            case Control():
                controls[record.column, record.name] = record
            case FeatureProbe():
                features[record.column, record.name] = record
            case ExhibitRecord():
                exhibits[record.scenario, record.case] = record
            case Cell():
                key = (f"{record.scenario}/{record.case}", record.client)
                if key in cells:
                    raise InputError.one(f"{record.id} is recorded twice", file=path)
                cells[key] = record
    if run is None:
        raise InputError.one("it has no header", file=path, remedy="name a run's folder")
    return RunRecord(
        run=run,
        columns=tuple(columns[name] for name in run.columns if name in columns),
        controls=tuple(controls.values()),
        exhibits=tuple(exhibits.values()),
        cells=tuple(cells[case, column] for case in run.cases for column in run.columns if (case, column) in cells),
        features=tuple(features.values()),
    )
