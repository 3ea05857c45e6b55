"""One probe of a run again, with everything shown, and captured on request."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from lab.adopt import adopt
from lab.campaign import Campaign, DialIn, conduct
from lab.capture import Capture
from lab.corpus import Corpus
from lab.errors import InputError, did_you_mean
from lab.ledger import RunRecord
from lab.model.result import Cell
from lab.report.evidence import tables
from lab.run import Progress, Settings

__all__ = ["as_text", "find", "reproduce", "same_outcome"]


def find(record: RunRecord, wanted: str) -> Cell:
    """Return the cell of a run that is called ``SCENARIO/CASE@CLIENT``; raise InputError where there is none."""
    cells = {cell.id: cell for cell in record.cells}
    if wanted not in cells:
        raise InputError.one(f'the run has no cell "{wanted}"', remedy=did_you_mean(wanted, cells))
    return cells[wanted]


async def reproduce(
    reactor: Any, corpus: Corpus, record: RunRecord, cell: Cell, *, runtime: str, pcap: Path | None
) -> RunRecord:
    """Make the probe of a cell again, after its column's controls, and return what came of it.

    With ``pcap``, the packets are captured there, and the connections' secrets beside it with the ending ``.keylog``.
    """
    for given in record.run.given:
        adopt(corpus, given)
    if cell.scenario not in corpus.scenarios or cell.client not in corpus.clients:
        raise InputError.one(f'"{cell.id}": its scenario or its client is not found any more')
    keylog = pcap.with_suffix(".keylog") if pcap is not None else None
    with tempfile.TemporaryDirectory(prefix="tlslab-reproduce-") as folder:
        campaign = Campaign(
            corpus=corpus,
            scenarios=(corpus.scenarios[cell.scenario],),
            clients=(corpus.clients[cell.client],),
            runtime=runtime,
            folder=Path(folder) / "reproduced",
            seed=record.run.seed,
            settings=Settings(jobs=1, timeout_ms=record.run.timeout_ms),
            dial=DialIn(),
            only=frozenset({f"{cell.scenario}/{cell.case}"}),
            wire=record.run.faults,
            keylog=keylog,
        )
        capture = await Capture.start(reactor, pcap) if pcap is not None else None
        try:
            return await conduct(reactor, campaign, Progress())
        finally:
            if capture is not None:
                await capture.stop()


def as_text(before: Cell, again: RunRecord) -> str:
    """Return everything about the probe: what was shown, what client and server saw, and whether it came out alike."""
    lines: list[str] = []
    for exhibit in again.exhibits:
        lines += [f"{exhibit.scenario}/{exhibit.case}: {exhibit.title}", f"  reference: {exhibit.reference}"]
        for title, certificates in tables(exhibit):
            lines.append(f"  {title.lower()}:" + ("" if certificates else " nothing"))
            for one in certificates:
                dates = f"{one.not_before:%Y-%m-%dT%H:%M:%SZ} .. {one.not_after:%Y-%m-%dT%H:%M:%SZ}"
                lines.append(f"    {one.name}: {one.subject} <- {one.issuer}, {one.key}, {dates}")
    for control in again.controls:
        lines.append(f"  control {control.name}: {control.outcome}" + (f" ({control.why})" if control.why else ""))
    for column in again.columns:
        if column.state != "ok":
            lines.append(f"  {column.name}: {column.state}: {column.why}")
    for cell in again.cells:
        shown = cell.model_dump(mode="json", exclude={"scenario", "case", "chain", "store", "time"})
        lines += ["", json.dumps(shown, indent=2), ""]
        same = _outcome(cell) == _outcome(before)
        lines.append("the same as in the run" if same else f"NOT the same: in the run it was {_outcome(before)}")
    return "\n".join(lines)


def _outcome(cell: Cell) -> str:
    observation = cell.observation
    return " ".join(
        str(one) for one in (observation.observed, observation.stage, observation.code, observation.reason) if one
    )


def same_outcome(before: Cell, again: RunRecord) -> bool:
    """Tell whether the probe came out as in the run."""
    return [_outcome(cell) for cell in again.cells] == [_outcome(before)]
