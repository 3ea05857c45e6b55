"""The matrix as JUnit XML, for the systems that QA already has."""

from __future__ import annotations

import re

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from lab.ledger import RunRecord
from lab.model.result import Cell, ExhibitRecord, Verdict
from lab.report.evidence import as_text
from lab.report.matrix import Group, Head, Matrix
from lab.report.words import NOT_RUN, native

__all__ = ["CONTROLS", "legal", "render"]

CONTROLS = "client controls"
"""The suite that says which clients may be believed at all.  No scenario can have this name."""

_FAILURES = {Verdict.OUTAGE, Verdict.EXPOSURE, Verdict.FIXED}
_ERRORS = {Verdict.FAULT, Verdict.INCONCLUSIVE}
_SKIPPED = {Verdict.UNSUPPORTED, Verdict.KNOWN, Verdict.NONE}
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal(text: str) -> str:
    """Return ``text`` with every character that XML 1.0 cannot hold replaced by U+FFFD."""
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)


def render(record: RunRecord) -> str:
    """Return the run as JUnit XML: a suite for the controls, then one a scenario.

    New findings are failures (outage, exposure, fixed) or errors (fault, inconclusive); what is known, unsupported or
    without a verdict is skipped with its reason; open passes, and its output says that it is open.  A cell that was
    not run is an error, unless its column's trouble is an error already: a killed run is never green.
    """
    matrix = Matrix(record)
    report = JUnitXml("tlslab")
    suites = [_controls(matrix), *(_scenario(matrix, group) for group in matrix.groups)]
    run = record.run
    properties = {"run": run.id, "lab": run.lab, "seed": str(run.seed), "jobs": str(run.jobs), "runtime": run.runtime}
    for suite in suites:
        suite.timestamp = run.started.isoformat(timespec="seconds")
        for name, value in properties.items():
            suite.add_property(name, legal(value))
        report.add_testsuite(suite)
    report.update_statistics()  # type: ignore[no-untyped-call]
    text: str = report.tostring().decode()  # type: ignore[no-untyped-call]
    return text if text.endswith("\n") else text + "\n"


def _controls(matrix: Matrix) -> TestSuite:
    tests = []
    for head in matrix.heads:
        for control in head.controls:
            test = _test(control.name, head.name, control.witness.ms)
            if control.outcome == "failed":
                test.result = [Error(legal(control.why), "control-failed")]
            elif control.outcome == "not-checked":
                test.result = [Skipped(legal(f"not checked: {control.why}"))]
            tests.append(test)
        failed = any(control.outcome == "failed" for control in head.controls)
        if head.trouble and not failed:
            test = _test("client", head.name, 0)
            test.result = [Error(legal(head.why or head.trouble), head.trouble.replace(" ", "-"))]
            tests.append(test)
    return _suite(CONTROLS, tests)


def _scenario(matrix: Matrix, group: Group) -> TestSuite:
    tests = [
        _missing(head, row.case) if cell is None else _cell(matrix.run.id, cell, row.exhibit)
        for row in group.rows
        for head, cell in zip(matrix.heads, row.cells, strict=True)
    ]
    suite = _suite(group.scenario, tests)
    for head in matrix.heads:
        state = head.state
        if state is not None and state.version:
            suite.add_property(legal(f"version.{head.name}"), legal(state.version))
    return suite


def _suite(name: str, tests: list[TestCase]) -> TestSuite:
    suite = TestSuite(legal(name))
    suite.add_testcases(tests)  # all at once: it counts the whole suite anew at each call
    return suite


def _missing(head: Head, case: str) -> TestCase:
    test = _test(case, head.name, 0)
    if head.state is not None and head.trouble:
        test.result = [Skipped(legal(f"{NOT_RUN}: {head.trouble}"))]
    else:
        test.result = [Error("the run ended before this cell", NOT_RUN.replace(" ", "-"))]
    return test


def _cell(run: str, cell: Cell, exhibit: ExhibitRecord | None) -> TestCase:
    test = _test(cell.case, cell.client, cell.ms)
    seen = cell.observation
    own = native(seen)
    said = (
        f"{cell.verdict}: {seen.observed}" + (f" ({seen.reason})" if seen.reason else "") + (f", {own}" if own else "")
    )
    if cell.verdict in _FAILURES:
        test.result = [Failure(legal(f"{said}; expected {cell.expected}"), str(cell.verdict))]
    elif cell.verdict in _ERRORS:
        test.result = [Error(legal(said), str(cell.verdict))]
    elif cell.verdict in _SKIPPED:
        test.result = [Skipped(legal(_skip(cell, said)))]
    # A pass that needs no explanation has none here, so that the file stays as small as its readers expect.
    plain = cell.verdict is Verdict.PASS and not cell.marked
    test.system_out = legal(said if plain else f"{said}\n{as_text(run, cell, exhibit)}")
    if seen.stderr:
        test.system_err = legal(seen.stderr)
    return test


def _skip(cell: Cell, said: str) -> str:
    if cell.verdict is Verdict.NONE:
        return "no verdict: the client failed a control"
    why = f"; {cell.why}" if cell.why and cell.why != cell.observation.text else ""
    return said + why + (f" ({cell.source})" if cell.source else "")


def _test(name: str, client: str, ms: float) -> TestCase:
    return TestCase(legal(name), legal(client), round(ms / 1000, 6))
