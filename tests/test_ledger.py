"""The ledger: no recorded cell is lost or recorded twice, whenever the lab is killed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.errors import InputError
from lab.ledger import FILE_NAME, Ledger, read
from lab.model.base import Model
from lab.model.result import (
    Cell,
    ColumnState,
    Control,
    ExhibitRecord,
    FeatureProbe,
    Observation,
    Observed,
    Run,
    Verdict,
    Witness,
)
from lab.model.scenario import Expect, Expectation, Reason

CASES = ("one", "two", "three")
COLUMNS = ("left", "right")
RUN = Run(
    id="20210930-1",
    lab="0.1.0",
    started=datetime(2021, 9, 30, tzinfo=UTC),
    seed=7,
    jobs=2,
    runtime="process",
    timeout_ms=5000,
    scenarios={"story": "00"},
    cases=tuple(f"story/{case}" for case in CASES),
    columns=COLUMNS,
)


def cell(case: str = "one", client: str = "left", **fields: Any) -> Cell:
    said = {
        "scenario": "story",
        "case": case,
        "chain": "long",
        "store": "old",
        "time": "after",
        "at": datetime(2021, 9, 30, 14, 1, 16, tzinfo=UTC),
        "client": client,
        "expected": Expectation(expect=Expect.REJECT, reason=Reason.EXPIRED, why="it is dead"),
        "observation": Observation(observed=Observed.REJECTED, reason=Reason.EXPIRED, text="überfällig\n\u2028"),
        "witness": Witness(ciphers=(0x1301, 0xC02F), alert="fatal certificate_expired"),
        "verdict": Verdict.PASS,
    }
    return Cell.model_validate({**said, **fields})


def written(folder: Path, *records: Model) -> bytes:
    ledger = Ledger.create(folder, RUN)
    for record in records:
        ledger.append(record)
    ledger.close()
    return (folder / FILE_NAME).read_bytes()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every record comes back as it was, whether the run's folder or its file is named."""
    records = [
        ColumnState(name="left", stack="openssl", version="OpenSSL 1.0.2q", runtime="process", clock="native"),
        Control(
            column="left",
            name="good",
            outcome="ok",
            observation=Observation(observed=Observed.ACCEPTED),
            witness=Witness(handshake=True),
        ),
        FeatureProbe(
            column="left",
            name="tls1.3",
            outcome="lacks",
            observation=Observation(observed=Observed.FAILED),
            witness=Witness(connections=1),
        ),
        ExhibitRecord(scenario="story", title="A story", date="2021-09-30", case="one", chain=(), anchors=()),
        cell(),
    ]
    written(tmp_path, *records)
    for place in (tmp_path, tmp_path / FILE_NAME):
        record = read(place)
        assert record.run == RUN
        assert [*record.columns, *record.controls, *record.features, *record.exhibits, *record.cells] == records
        assert record.missing == 5


def test_cells_are_in_the_run_s_order(tmp_path: Path) -> None:
    """Cells come by case, then by column, whatever the order of probes; those out of the plan are left out."""
    measured = [("two", "right"), ("one", "right"), ("three", "left"), ("one", "left"), ("four", "left")]
    written(tmp_path, *(cell(case, client) for case, client in measured))
    assert [one.id for one in read(tmp_path).cells] == [
        "story/one@left",
        "story/one@right",
        "story/two@right",
        "story/three@left",
    ]


@given(cut=st.integers(min_value=0))
@settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_killed_anywhere(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """A ledger cut at any byte keeps every whole line, and goes on with the cells that it lacks."""
    folder = tmp_path_factory.mktemp("run")
    whole = written(folder, *(cell(case, client) for case in CASES for client in COLUMNS))
    header = whole.index(b"\n") + 1
    kept = whole[: cut % (len(whole) + 1)]
    (folder / FILE_NAME).write_bytes(kept)
    if len(kept) < header:
        with pytest.raises(InputError, match="no header"):
            Ledger.resume(folder)
        return
    ledger, record = Ledger.resume(folder)
    assert len(record.cells) == kept.count(b"\n") - 1
    there = {(one.case, one.client) for one in record.cells}
    for case in CASES:
        for client in COLUMNS:
            if (case, client) not in there:
                ledger.append(cell(case, client))
    ledger.close()
    assert (folder / FILE_NAME).read_bytes() == whole


def test_a_record_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    """Nothing waits in a buffer: what was appended can be read before the ledger is closed."""
    ledger = Ledger.create(tmp_path, RUN)
    ledger.append(cell())
    assert len(read(tmp_path).cells) == 1
    ledger.close()
    ledger.close()


class Stubborn:
    """A file that takes a few bytes at a time, as a disk that fills up does."""

    def __init__(self) -> None:
        self.taken = b""

    def write(self, data: bytes) -> int:
        self.taken += bytes(data[:7])
        return len(data[:7])


def test_a_short_write_is_completed(tmp_path: Path) -> None:
    """A write that takes a part of the line is followed by one for the rest."""
    whole = written(tmp_path, cell())
    ledger = Ledger(tmp_path)
    stubborn: Any = Stubborn()
    ledger._file = stubborn
    ledger.append(RUN)
    ledger.append(cell())
    assert stubborn.taken == whole


def test_a_cell_recorded_twice(tmp_path: Path) -> None:
    """A cell is recorded once; a second record is an error, even an equal one."""
    written(tmp_path, cell(), cell())
    with pytest.raises(InputError, match="story/one@left is recorded twice"):
        read(tmp_path)


def test_a_column_s_last_state_counts(tmp_path: Path) -> None:
    """A column's state is written again when it changes, and the last one counts."""
    state = ColumnState(name="left", stack="openssl", version="", runtime="process", clock="native")
    written(tmp_path, state, state.model_copy(update={"state": "harness", "why": "it ended"}))
    assert [column.state for column in read(tmp_path).columns] == ["harness"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "it has no header"),
        (b'{"kind":"cell"', "it has no header"),
        (b"oops\n", "line 1 is no record"),
        (b"[]\n", "line 1 is no record"),
        (b'{"kind":"poem","record":{}}\n', "line 1 is no record"),
        (b'{"kind":"run","record":{"schema":99}}\n', "line 1 is no record"),
        (b"\n", "line 1 is no record"),
        (b"\xff\n", "line 1 is no record"),
    ],
)
def test_what_is_no_ledger(tmp_path: Path, content: bytes, found: str) -> None:
    """A file that is no ledger is refused with the line at which it stops being one."""
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(InputError, match=found):
        read(tmp_path)


def test_no_ledger_at_all(tmp_path: Path) -> None:
    """A folder without a ledger is refused with its path and a remedy."""
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    (problem,) = caught.value.problems
    assert problem.file == str(tmp_path / FILE_NAME)
    assert problem.remedy


def test_no_ledger_is_overwritten(tmp_path: Path) -> None:
    """A new run never begins in a folder that holds a ledger."""
    before = written(tmp_path, cell())
    with pytest.raises(InputError, match="there is a ledger already"):
        Ledger.create(tmp_path, RUN)
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_one_lab_at_a_time_writes(tmp_path: Path) -> None:
    """A run that still goes on cannot be taken up by another lab; once it has ended, it can."""
    running = Ledger.create(tmp_path, RUN)
    running.append(cell())
    with pytest.raises(InputError, match="still writing"):
        Ledger.resume(tmp_path)
    running.append(cell("two"))
    running.close()
    resumed, record = Ledger.resume(tmp_path)
    assert len(record.cells) == 2
    with pytest.raises(InputError, match="still writing"):
        Ledger.resume(tmp_path)
    resumed.close()
