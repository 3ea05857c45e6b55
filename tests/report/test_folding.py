"""Folding: which rows speak for others, and how a remedy by another column stands beside its case."""

from __future__ import annotations

import pytest

from lab.model.result import Cell, ExhibitRecord, Observation, RemedyRecord, Verdict, Witness
from lab.model.scenario import Expectation
from lab.report.folding import Fold, counterpart, fold
from lab.report.rows import Row
from lab.report.words import Sign
from tests.report.synthetic import AT

COLUMNS = ("openssl-1.0.2q", "openssl-1.0.2q+trusted-first", "openssl-3.0", "bearssl-0.6")


def row(case: str, connects: str, verdict: Verdict = Verdict.PASS, **exhibit: object) -> Row:
    """Return a row in which the columns connect (``+``), do not (``-``), or were not run (a blank)."""
    cells = tuple(
        None
        if sign == " "
        else Cell(
            scenario="town",
            case=case,
            chain="c",
            store="s",
            time="t",
            at=AT,
            client=name,
            expected=Expectation(expect="accept"),
            observation=Observation(observed="accepted" if sign == "+" else "rejected"),
            witness=Witness(),
            verdict=verdict,
        )
        for name, sign in zip(COLUMNS, connects, strict=True)
    )
    record = {"scenario": "town", "title": "", "date": "", "case": case, "chain": (), "anchors": (), **exhibit}
    return Row("town", case, cells, ExhibitRecord.model_validate(record))


def sweep(values: dict[int, str], **more: object) -> list[Row]:
    """Return the rows of a sweep over one number."""
    return [
        row(f"deep-{value}+s@t", signs, origin="sweep", family="deep-{n}+s@t", values={"n": value}, **more)
        for value, signs in values.items()
    ]


def test_a_sweep_tells_where_a_client_breaks() -> None:
    """All, none, up to a value, or so many of each where there is no such value."""
    (one,) = fold(sweep({1: "++-+", 2: "++--", 3: "+--+"}), COLUMNS)
    assert isinstance(one, Fold)
    assert (one.label, len(one.rows)) == ("deep-{n}+s@t (3)", 3)
    assert [(cell.word, cell.sign) for cell in one.cells] == [
        ("all", Sign.CONNECTS),
        ("to 2", Sign.CONNECTS),
        ("all", Sign.DOES_NOT),
        ("2● 1○", None),
    ]


def test_news_is_not_folded_away() -> None:
    """A generated row with an outage in it is shown by itself too, and colours what it is folded under."""
    rows = [*sweep({1: "++++"}), *sweep({2: "+++-"}, verdict=Verdict.OUTAGE)]
    one, alone = fold(rows, COLUMNS)
    assert isinstance(one, Fold)
    assert alone == rows[1]
    assert one.cells[3].verdict is Verdict.OUTAGE


def test_the_other_order_is_shown_where_it_matters() -> None:
    """A reversed store has a row of its own only where some column does otherwise than in the written order."""
    written = row("c+both@t", "++++")
    same = row("c+both-reversed@t", "++++", origin="order", base="c+both@t")
    other = row("c+both-reversed@t", "+-++", origin="order", base="c+both@t")
    assert fold([written, other], COLUMNS) == (written, other)
    shown = fold([written, same], COLUMNS)
    assert shown[0] == written
    assert isinstance(shown[1], Fold)
    assert shown[1].rows == (same,)


def test_a_remedy_by_another_column_stands_beside_its_case() -> None:
    """The row behind the case repeats, for each column, what the column that the remedy sends it to does."""
    remedy = RemedyRecord(name="flag", title="the flag", column="+trusted-first")
    incident = row("c+s@t", "-+++", remedies=(remedy,))
    shown = fold([incident], COLUMNS)
    assert shown[0] == incident
    borrowed = shown[1]
    assert isinstance(borrowed, Row)
    assert (borrowed.case, borrowed.borrowed) == ("c+s@t,flag", True)
    assert borrowed.cells == (incident.cells[1], None, None, None)


@pytest.mark.parametrize(
    ("name", "wanted", "other"),
    [
        ("openssl-1.0.2q", "+trusted-first", "openssl-1.0.2q+trusted-first"),
        ("openssl-1.0.2q+trusted-first", "+trusted-first", None),
        ("openssl-1.0.2q", "newer", "openssl-3.0"),
        ("openssl-3.0", "newer", None),
        ("bearssl-0.6", "newer", None),
        ("bearssl-0.6", "+trusted-first", None),
    ],
)
def test_counterpart(name: str, wanted: str, other: str | None) -> None:
    """An option is that of the same version, newer is the newest of the stack without any; nobody is sent to itself."""
    assert counterpart(name, wanted, COLUMNS) == other
