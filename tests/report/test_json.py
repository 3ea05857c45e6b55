"""The JSON document."""

from __future__ import annotations

import json

from lab.report import json_
from tests.report import synthetic as made

FIELDS = {
    "scenario", "chain", "store", "time", "at", "client", "expected", "observed", "stage", "code", "text", "reason",
    "verdict", "why", "witness", "ms",
}  # fmt: skip


def test_the_document_has_the_promised_fields() -> None:
    """Schema 1 has the lab's version, the clients, and in every cell the fields that the contract names."""
    document = json.loads(json_.render(made.example()))

    assert (document["schema"], document["lab"]) == (1, "0.1.0")
    assert all(cell.keys() >= FIELDS for cell in document["cells"])
    known = next(cell for cell in document["cells"] if cell["verdict"] == "known")
    assert (known["observed"], known["code"], known["reason"]) == ("rejected", "10", "expired")
    assert (known["expected"], known["case"], known["at"]) == (
        "accept",
        "long+both@after",
        "2021-09-30T14:01:16+00:00",
    )
    assert known["witness"]["alert"] == "fatal certificate_expired"


def test_cells_and_missing_make_the_plan() -> None:
    """What was not run is named, and never appears among the cells."""
    record = made.example()
    document = json.loads(json_.render(record))

    assert len(document["cells"]) == len(record.cells)
    assert len(document["cells"]) + len(document["missing"]) == len(record.run.cases) * len(record.run.columns)
    assert {"scenario": made.LE, "case": "short+old@after", "client": "wolfssl-5.5.4"} in document["missing"]


def test_clients_say_whether_they_may_be_believed() -> None:
    """A client's controls are ok, what failed, or unbuilt."""
    clients = {one["name"]: one for one in json.loads(json_.render(made.example()))["clients"]}

    assert clients["openssl-1.0.2q"]["controls"] == "ok"
    assert clients["go-1.19.8"]["controls"] == "wrong-host: accepted"
    assert clients["java-17.0.15"]["controls"] == "unbuilt"
    assert clients["bearssl-0.6"]["not_checked"] == ["expired"]


def test_hostile_text_comes_back_unchanged() -> None:
    """JSON keeps a client's text exactly, in ASCII."""
    text = json_.render(made.hostile())

    assert text.isascii()
    assert json.loads(text)["cells"][0]["text"] == made.HOSTILE
