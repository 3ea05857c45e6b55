"""The matrix as JUnit XML."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml

from lab.ledger import RunRecord
from lab.report import junit
from tests.report import synthetic as made


def outcomes(text: str) -> dict[tuple[str, str], str]:
    """Return how each cell came out: the tag of its result and its type, or passed."""
    found = {}
    for suite in ET.fromstring(text).iter("testsuite"):
        if suite.get("name") != junit.CONTROLS:
            for test in suite.iter("testcase"):
                result = next((one for one in test if one.tag in {"failure", "error", "skipped"}), None)
                said = "passed" if result is None else f"{result.tag} {result.get('type') or ''}".strip()
                found[test.get("classname", ""), test.get("name", "")] = said
    return found


def test_each_verdict_has_its_outcome() -> None:
    """News is a failure or an error, known and unsupported are skipped, open and pass are passed."""
    found = outcomes(junit.render(made.example()))

    assert found["bearssl-0.6", "short+old@after"] == "failure exposure"
    assert found["gnutls-3.7.9", "long+both@after"] == "failure outage"
    assert found["mbedtls-2.28.3", "long+both@after"] == "failure fixed"
    assert found["gnutls-3.7.9", "long+old@after"] == "error fault"
    assert found["gnutls-3.7.9", "short+old@after"] == "error inconclusive"
    assert found["openssl-1.0.2q", "long+both@after"] == "skipped"
    assert found["wolfssl-5.5.4", "long+both@before"] == "skipped"
    assert found["go-1.19.8", "long+both@before"] == "skipped"
    assert found["openssl-1.0.2q", "long+old@after"] == "passed"
    assert found["openssl-1.0.2q", "short+old@after"] == "passed"


def test_a_killed_run_is_never_green() -> None:
    """A sound column's missing cell is an error; an unbuilt column's is skipped, its build being the error."""
    text = junit.render(made.example())
    found = outcomes(text)
    parsed = JUnitXml.fromstring(text.encode())

    assert found["wolfssl-5.5.4", "short+old@after"] == "error not-run"
    assert found["java-17.0.15", "short+old@after"] == "skipped"
    controls = next(suite for suite in parsed if suite.name == junit.CONTROLS)
    assert sorted((case.classname, case.result[0].type) for case in controls if case.result) == [
        ("bearssl-0.6", None),
        ("go-1.19.8", "control-failed"),
        ("java-17.0.15", "unbuilt"),
    ]
    bare = replace(made.example(), cells=(), controls=(), columns=(), exhibits=())
    assert set(outcomes(junit.render(bare)).values()) == {"error not-run"}


def test_properties_and_evidence() -> None:
    """A suite says seed and versions; a test case has its evidence, and an open one says that it is open."""
    root = ET.fromstring(junit.render(made.example()))
    suite = next(one for one in root.iter("testsuite") if one.get("name") == made.LE)
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    said = {(one.get("classname"), one.get("name")): one.findtext("system-out") or "" for one in suite.iter("testcase")}

    assert (properties["seed"], properties["version.openssl-1.0.2q"]) == ("7", "openssl as it says itself")
    assert said["openssl-1.0.2q", "long+old@after"].startswith("open: rejected (expired), code 10")
    assert "path built: site → r3 → isrg-cross → dst-root (anchor)" in said["openssl-1.0.2q", "long+both@after"]
    assert "alert received: fatal certificate_expired" in said["openssl-1.0.2q", "long+both@after"]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("32", "3", "3")


@given(st.text())
def test_any_text_makes_legal_xml(text: str) -> None:
    """Whatever a client says, the document can be parsed, and legal characters are kept."""
    cell = made.example().cells[0]
    said = cell.model_copy(update={"observation": cell.observation.model_copy(update={"stderr": text})})
    record = RunRecord(made.run((f"{cell.scenario}/{cell.case}",), (cell.client,)), (), (), (), (said,))
    heard = ET.fromstring(junit.render(record)).find(".//system-err")

    wanted = junit.legal(text).replace("\r\n", "\n").replace("\r", "\n")
    assert ((heard.text or "") if heard is not None else "") == wanted


def test_hostile_names_are_parsed_as_names() -> None:
    """A column's and a case's name may hold anything, and come back as one attribute each."""
    found = outcomes(junit.render(made.hostile()))

    assert len(found) == 2
    assert set(found.values()) == {"failure outage", "skipped"}
