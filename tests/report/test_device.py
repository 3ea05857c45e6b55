"""Cells about a device, in every form that has evidence."""

from __future__ import annotations

import dataclasses
import json
import re

from lab.ledger import RunRecord
from lab.model.case import Reason
from lab.model.result import Cell, DeviceRecord, DeviceVerdict, ExhibitRecord
from lab.report import html
from lab.report.evidence import as_text, sections
from lab.report.json_ import render
from tests.report import synthetic as made

METER, ROOT = "CN=Meter 1,O=Example Meters", "CN=Meter Root,O=Example Meters"


def told(*presented: str, required: bool = True) -> tuple[RunRecord, Cell, ExhibitRecord]:
    """Return a run with news of a device that showed these certificates and was rejected; its cell, its exhibit."""
    record = made.example()
    before = next(cell for cell in record.cells if str(cell.verdict) == "outage")
    verdict = DeviceVerdict(
        presented=tuple(made.digest(name) for name in presented),
        accepted=False,
        code="26",
        text="unsuitable certificate purpose (depth 0)",
        reason=Reason.WRONG_USAGE,
    )
    said = before.observation.model_copy(update={"code": "26", "said": "failed at http: -12 an alert came"})
    witness = before.witness.model_copy(update={"device": verdict})
    cell = before.model_copy(update={"observation": said, "witness": witness})
    device = DeviceRecord(
        chain=(made.certificate("meter", METER, ROOT, made.AT),),
        anchors=(made.certificate("meter-root", ROOT, ROOT, made.AT),),
        required=required,
    )
    exhibits = [
        one.model_copy(update={"device": device}) if (one.scenario, one.case) == (cell.scenario, cell.case) else one
        for one in record.exhibits
    ]
    cells = [cell if one is before else one for one in record.cells]
    changed = dataclasses.replace(record, cells=tuple(cells), exhibits=tuple(exhibits))
    return changed, cell, next(one for one in exhibits if one.device is not None)


def facts(cell: Cell, exhibit: ExhibitRecord | None, title: str) -> dict[str, str]:
    return dict(next((list(said) for heading, said in sections(cell, exhibit) if heading == title), []))


def test_the_server_s_verdict_stands_beside_what_the_client_said() -> None:
    """The evidence tells what the device showed, by name, the server's code and words, and the client's own."""
    _, cell, exhibit = told("meter")
    said = facts(cell, exhibit, "Server on the device")
    assert said == {
        "certificate": "required",
        "client showed": "meter",
        "verdict": "rejected",
        "code": "26",
        "text": "unsuitable certificate purpose (depth 0)",
        "reason": "wrong-usage",
    }
    assert facts(cell, exhibit, "Observed")["client said"] == "failed at http: -12 an alert came"


def test_what_was_not_shown_or_not_ours_is_seen() -> None:
    """A device that showed nothing, and one that showed what it was not given, are both told."""
    _, cell, exhibit = told(required=False)
    assert facts(cell, exhibit, "Server on the device")["client showed"] == "none"
    assert facts(cell, exhibit, "Server on the device")["certificate"] == "requested, not required"
    _, cell, exhibit = told("stranger")
    assert facts(cell, exhibit, "Server on the device")["client showed"].startswith("not ours: ")


def test_a_case_about_the_server_has_no_such_section() -> None:
    """Where no device is judged nothing is said of it; where one was to be and was not, that is said."""
    _, cell, exhibit = told("meter")
    bare = cell.model_copy(update={"witness": cell.witness.model_copy(update={"device": None})})
    assert facts(bare, exhibit, "Server on the device") == {"verdict": "none: the client never answered"}
    assert not facts(bare, exhibit.model_copy(update={"device": None}), "Server on the device")


def test_text_and_page_show_both_stores_and_both_chains() -> None:
    """Plain text, the page's appendix and its data for the script hold the device's certificates and their anchors."""
    record, cell, exhibit = told("meter")
    text = as_text("run", cell, exhibit)
    assert "Given to the device:\nmeter: CN=Meter 1" in text
    assert "Trusted for devices:\nmeter-root: CN=Meter Root" in text
    page = html.render(record)
    assert page.count("Given to the device") >= 1
    data = made.unpacked(re.search(r'<script type="application/gzip" id="data">(.*?)</script>', page, re.DOTALL)[1])
    (row,) = [one for one in data["rows"] if "device" in one]
    strings = data["strings"]
    assert [strings[number] for number in row["device"][0]][:2] == ["meter", METER]
    assert [strings[number] for number in row["devices"][0]][:2] == ["meter-root", ROOT]


def test_json_has_the_verdict_and_the_client_s_words() -> None:
    """The document holds the witness's verdict whole."""
    record, cell, _ = told("meter")
    (found,) = [
        one for one in json.loads(render(record))["cells"]
        if (one["scenario"], one["case"], one["client"]) == (cell.scenario, cell.case, cell.client)
    ]  # fmt: skip
    assert found["witness"]["device"]["code"] == "26"
    assert found["witness"]["device"]["accepted"] is False
    assert found["said"] == "failed at http: -12 an alert came"
