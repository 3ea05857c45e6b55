"""The lines between the lab and a client: what may be said, and what is ignored."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from lab.model.scenario import Reason
from lab.model.wire import Hello, Outcome, Probe, Report, Stage

HELLO = {"v": 1, "client": "openssl", "version": "OpenSSL 1.0.2q  20 Nov 2018", "clock": "native"}
REPORT = {"v": 1, "id": "17", "outcome": "rejected", "stage": "handshake", "code": "10", "reason": "expired"}


def test_report_of_the_design() -> None:
    """A report as DESIGN.md shows it is read."""
    report = Report.model_validate_json(json.dumps({**REPORT, "text": "certificate has expired", "tls": "1.2"}))
    assert (report.outcome, report.stage, report.reason) == (Outcome.REJECTED, Stage.HANDSHAKE, Reason.EXPIRED)


@pytest.mark.parametrize(("model", "line"), [(Hello, HELLO), (Report, REPORT)])
def test_unknown_fields_are_ignored(model: type[Hello | Report], line: dict[str, object]) -> None:
    """A client may say more than the lab knows of."""
    assert model.model_validate({**line, "mood": "fine"}) == model.model_validate(line)


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (Hello, {**HELLO, "v": 2}),
        (Hello, {**HELLO, "version": "x" * 301}),
        (Hello, {**HELLO, "clock": "sundial"}),
        (Report, {**REPORT, "outcome": "timeout"}),
        (Report, {**REPORT, "reason": "tired"}),
        (Report, {**REPORT, "text": "x" * 4001}),
        (Report, {key: value for key, value in REPORT.items() if key != "id"}),
    ],
)
def test_lines_that_are_none(model: type[Hello | Report], line: dict[str, object]) -> None:
    """A line of another version, too long, incomplete or with a word that is not the client's to say is refused."""
    with pytest.raises(ValidationError):
        model.model_validate(line)


def test_probe_says_its_version() -> None:
    """A probe carries the dialogue's version although nobody sets it."""
    probe = Probe(id="1", host="127.0.0.1", port=1, server_name="a.example", anchors="", time=0, timeout_ms=1)
    assert json.loads(probe.model_dump_json())["v"] == 1
