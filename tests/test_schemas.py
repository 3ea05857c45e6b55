"""The JSON Schemas: they say what the models say, and the files in the tree say what they say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab import schemas
from lab.model.scenario import Reason


def test_the_files_in_the_tree_are_fresh() -> None:
    """The schemas that are checked in are those of today's models: run ``python -m lab.schemas`` if not."""
    assert schemas.stale(schemas.folder()) == []


def test_what_is_described() -> None:
    """Everything that people or other programs write or read has a schema."""
    assert set(schemas.schemas()) == {"scenario", "client", "deviations", "hello", "probe", "report", "ledger"}


def test_writing_and_checking(tmp_path: Path) -> None:
    """Writing makes a folder fresh: missing, changed and superfluous files are stale before, and none after."""
    assert len(schemas.stale(tmp_path / "new")) == len(schemas.schemas())
    schemas.write(tmp_path / "new")
    assert schemas.stale(tmp_path / "new") == []
    (tmp_path / "new" / "probe.json").write_text("{}")
    (tmp_path / "new" / "poem.json").write_text("{}")
    (tmp_path / "new" / "hello.json").unlink()
    assert schemas.stale(tmp_path / "new") == ["hello.json", "poem.json", "probe.json"]
    schemas.write(tmp_path / "new")
    assert schemas.stale(tmp_path / "new") == []


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    """Keys are in order, so that a schema changes only where its model does."""
    schemas.write(tmp_path)
    for path in tmp_path.iterdir():
        text = path.read_text(encoding="utf-8")
        assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes, ``--check`` only tells, with status 1 for stale files, and anything else is refused."""
    monkeypatch.setattr(schemas, "folder", lambda: tmp_path)
    assert schemas.main(["--check"]) == 1
    assert "scenario.json" in capsys.readouterr().err
    assert schemas.main([]) == 0
    assert schemas.main(["--check"]) == 0
    assert schemas.main(["--force"]) == 2


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for one in value.values() for found in references(one)]
    return [found for one in value for found in references(one)] if isinstance(value, list) else []


@pytest.mark.parametrize("name", ["scenario", "client", "deviations", "hello", "probe", "report", "ledger"])
def test_every_reference_leads_somewhere(name: str) -> None:
    """A schema is whole: what it refers to, it defines."""
    schema = schemas.schemas()[name]
    assert {found.removeprefix("#/$defs/") for found in references(schema)} <= set(schema.get("$defs", {}))


def test_fields_are_described() -> None:
    """A field's docstring is its description, for those who write by hand."""
    scenario = schemas.schemas()["scenario"]
    fields = scenario["properties"].items()
    assert [name for name, field in fields if not field.keys() & {"description", "$ref"}] == []
    assert scenario["$defs"]["Certificate"]["properties"]["until"]["description"].startswith("Last second")


def test_a_scenario_as_its_author_writes_it() -> None:
    """An author writes no slug, and an expectation as a word or as a table with a why."""
    scenario = schemas.schemas()["scenario"]
    assert "slug" not in scenario["properties"]
    assert "slug" not in scenario["required"]
    word, table = scenario["$defs"]["Expectation"]["anyOf"]
    for text in ["accept", "either", "reject", *(f"reject:{reason}" for reason in Reason)]:
        assert re.search(word["pattern"], text)
    for text in ["accept:expired", "reject:", "reject:tired", "maybe"]:
        assert not re.search(word["pattern"], text)
    assert table["required"] == ["expect"]
    assert "why" in table["properties"]


def test_ledger_kinds() -> None:
    """A line of a ledger is one of the kinds that the ledger writes, with that kind's record."""
    kinds = [line["properties"]["kind"]["const"] for line in schemas.schemas()["ledger"]["oneOf"]]
    assert kinds == ["run", "exhibit", "column", "control", "feature", "cell"]
