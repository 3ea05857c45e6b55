"""The judge: the table of DESIGN.md, row by row, and versions in the order of their makers."""

from __future__ import annotations

from collections.abc import Collection
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.judge import Judgement, in_range, judge, version_key
from lab.model.client import Deviation
from lab.model.result import Observation, Observed, Verdict
from lab.model.scenario import Expect, Expectation, Reason

EVERY = ("accept", "reject", "either", "fail")
PLAIN: dict[Observed, dict[str, str]] = {
    Observed.ACCEPTED: {"accept": "pass", "reject": "exposure", "either": "open", "fail": "exposure"},
    Observed.REJECTED: {"accept": "outage", "reject": "pass", "either": "open", "fail": "pass"},
    Observed.TIMEOUT: dict.fromkeys(EVERY, "fault"),
    Observed.CRASHED: dict.fromkeys(EVERY, "fault"),
    Observed.FAILED: {**dict.fromkeys(EVERY, "inconclusive"), "fail": "pass"},
    Observed.UNREACHABLE: dict.fromkeys(EVERY, "inconclusive"),
    Observed.CONTRADICTED: dict.fromkeys(EVERY, "inconclusive"),
    Observed.UNSUPPORTED: dict.fromkeys(EVERY, "unsupported"),
}
"""DESIGN.md, "What a cell says"; and what comes of a connection that must not succeed."""

WRONG = {
    Expect.ACCEPT: Observed.REJECTED,
    Expect.REJECT: Observed.ACCEPTED,
    Expect.EITHER: Observed.REJECTED,
    Expect.FAIL: Observed.ACCEPTED,
}
"""What a client with a deviation does, by expectation."""


def observation(observed: Observed, code: str = "10") -> Observation:
    rejected = observed is Observed.REJECTED
    return Observation(observed=observed, code=code if rejected else "", reason=Reason.EXPIRED if rejected else None)


def deviation(**fields: object) -> Deviation:
    said = {
        "scenario": "letsencrypt-2021",
        "case": "long+both@after",
        "observation": "rejected",
        "reason": "expired",
        "why": "prefers the path it was sent",
        "source": "OpenSSL blog, 2021-09-13",
    }
    return Deviation.model_validate({**said, **fields})


def judged(
    observation: Observation,
    expected: Expectation,
    *deviations: Deviation,
    column: str = "openssl-1.0.2q",
    version: str = "1.0.2q",
    traits: Collection[str] = (),
    at_home: bool = True,
) -> Judgement:
    return judge(
        observation,
        expected,
        deviations,
        scenario="letsencrypt-2021",
        case="long+both@after",
        column=column,
        version=version,
        traits=traits,
        at_home=at_home,
    )


def expectation(expect: Expect) -> Expectation:
    return Expectation(expect=expect, reason=Reason.EXPIRED if expect is Expect.REJECT else None)


@pytest.mark.parametrize(("observed", "expect"), list(product(Observed, Expect)))
def test_table(observed: Observed, expect: Expect) -> None:
    """Without a deviation the verdict is the table's."""
    assert judged(observation(observed), expectation(expect)).verdict == PLAIN[observed][expect]


@pytest.mark.parametrize(("observed", "expect", "listed"), list(product(Observed, Expect, ["matching", "other-code"])))
def test_table_with_a_deviation(observed: Observed, expect: Expect, listed: str) -> None:
    """A listed deviation that happened makes outage and exposure known; where the client does right it is fixed."""
    wrong = WRONG[expect]
    rejects = wrong is Observed.REJECTED
    known = deviation(
        observation=wrong,
        reason="expired" if rejects else None,
        code=("10" if listed == "matching" else "20") if rejects else ("" if listed == "matching" else "1"),
    )
    plain = PLAIN[observed][expect]
    wanted = plain
    if plain in {"outage", "exposure"} and listed == "matching":
        wanted = "known"
    elif plain == "pass":
        wanted = "fixed"  # what a listed deviation does, a pass does not
    judgement = judged(observation(observed), expectation(expect), known)
    assert judgement.verdict == wanted
    assert (judgement.source == known.source) == (wanted in {"known", "fixed"})


def test_every_observation_has_a_verdict() -> None:
    """The table leaves no observation out, and no verdict but ``none`` is out of its reach."""
    reached = {verdict for row in PLAIN.values() for verdict in row.values()} | {"known", "fixed"}
    assert set(PLAIN) == set(Observed)
    assert reached == set(Verdict) - {Verdict.NONE}


def test_another_reason_is_marked() -> None:
    """A rejection for another reason than the expected one is a pass, marked, and says both."""
    expected = Expectation(expect=Expect.REJECT, reason=Reason.UNKNOWN_CA)
    judgement = judged(observation(Observed.REJECTED), expected)
    assert (judgement.verdict, judgement.marked) == (Verdict.PASS, True)
    assert "expired" in judgement.why
    assert "unknown-ca" in judgement.why


def test_a_rejection_without_an_expected_reason_is_not_marked() -> None:
    """Where the author gives no reason, any is right."""
    assert judged(observation(Observed.REJECTED), Expectation(expect=Expect.REJECT)) == Judgement(Verdict.PASS)


@pytest.mark.parametrize(
    ("expect", "code", "listed", "verdict"),
    [
        ("accept", "-0x7080", "-0x7080", "known"),
        ("accept", "-0x7080", "-0x7200", "inconclusive"),
        ("accept", "-0x7080", None, "inconclusive"),
        ("reject", "-0x7080", "-0x7080", "inconclusive"),
        ("either", "-0x7080", "-0x7080", "inconclusive"),
    ],
)
def test_a_failure_that_is_known(expect: str, code: str, listed: str | None, verdict: str) -> None:
    """A failed connection is known where it should have been made and the listed code is its own, and only there."""
    failed = Observation(observed=Observed.FAILED, code=code)
    known = deviation(observation="failed", reason=None, code=listed)
    assert judged(failed, expectation(Expect(expect)), known).verdict == verdict


def test_another_code_says_which_is_known() -> None:
    """An outage beside a known deviation says in what it differs from that."""
    judgement = judged(observation(Observed.REJECTED, "20"), expectation(Expect.ACCEPT), deviation(code="10"))
    assert judgement.verdict is Verdict.OUTAGE
    assert "code 10" in judgement.why


def test_another_reason_is_another_deviation() -> None:
    """A known deviation with another reason does not excuse an outage."""
    known = deviation(reason="unknown-ca")
    assert judged(observation(Observed.REJECTED), expectation(Expect.ACCEPT), known).verdict is Verdict.OUTAGE


def test_any_of_several_deviations() -> None:
    """Of several listed deviations the one that happened makes the cell known."""
    judgement = judged(
        observation(Observed.REJECTED),
        expectation(Expect.ACCEPT),
        deviation(reason="unknown-ca", why="first"),
        deviation(why="second"),
    )
    assert judgement == Judgement(Verdict.KNOWN, "second", "OpenSSL blog, 2021-09-13")


def test_a_glob_over_cases_that_are_right() -> None:
    """A deviation whose glob names a case in which its observation is the right one was not fixed by it."""
    judgement = judged(observation(Observed.REJECTED), expectation(Expect.REJECT), deviation(case="long+*"))
    assert judgement == Judgement(Verdict.PASS)


@pytest.mark.parametrize(
    ("fields", "holds"),
    [
        ({}, True),
        ({"case": "long+*@after"}, True),
        ({"case": "short+*"}, False),
        ({"scenario": "letsencrypt-*"}, True),
        ({"scenario": "addtrust-*"}, False),
        ({"expected": "expired"}, False),
        ({"columns": ["openssl-*"]}, True),
        ({"columns": ["gnutls-*", "openssl-1.0.2?"]}, True),
        ({"columns": ["openssl-1.0.2q+trusted-first"]}, False),
        ({"versions": ">=1.0.0, <1.1.0"}, True),
        ({"versions": ">=1.1.0"}, False),
    ],
)
def test_where_a_deviation_holds(fields: dict[str, object], *, holds: bool) -> None:
    """A deviation holds in the cases, columns and versions that it names, within one scenario."""
    judgement = judged(observation(Observed.REJECTED), expectation(Expect.ACCEPT), deviation(**fields))
    assert (judgement.verdict is Verdict.KNOWN) == holds


@pytest.mark.parametrize(
    "ordered",
    [
        ["1.0.1", "1.0.1t", "1.0.2", "1.0.2k", "1.0.2q", "1.0.2z", "1.0.2za", "1.0.2zb", "1.1.0", "1.1.1", "1.1.1w"],
        ["3.0.9", "3.0.19", "3.5.0"],
        ["2.16.9", "2.28.3", "3.6.7"],
        ["1.9", "1.10"],
        ["0.6", "0.10", "1"],
    ],
)
def test_versions_are_ordered_as_their_makers_do(ordered: list[str]) -> None:
    """Numbers count as numbers, and OpenSSL's letters go on after z with za."""
    keys = [version_key(version) for version in ordered]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@given(version=st.text(max_size=30), other=st.text(max_size=30))
@settings(deadline=None, derandomize=True, database=None)
def test_any_two_versions_compare(version: str, other: str) -> None:
    """Whatever a library says of its version, two of them have an order."""
    one, two = version_key(version), version_key(other)
    assert (one < two) + (one == two) + (one > two) == 1


@pytest.mark.parametrize(
    ("version", "comparisons", "holds"),
    [
        ("1.0.2q", "", True),
        ("1.0.2q", ">=1.0.2,<1.0.2zb", True),
        ("1.0.2zb", ">=1.0.2,<1.0.2zb", False),
        ("1.0.2zb", "<= 1.0.2zb", True),
        ("3.6.13", "<3.6.14", True),
        ("3.6.14", ">3.6.13, ", True),
        ("3.6.14", "==3.6.14", True),
        ("3.6.14", "==3.6.1", False),
    ],
)
def test_ranges(version: str, comparisons: str, *, holds: bool) -> None:
    """A version is in a range if every comparison holds; no comparison holds for all."""
    assert in_range(version, comparisons) == holds


@pytest.mark.parametrize("comparisons", ["1.0.2", "~1.0", ">=", ">1,oops"])
def test_no_range(comparisons: str) -> None:
    """A comparison without its sign or version is an error, not a range that never holds."""
    with pytest.raises(ValueError, match="is no comparison"):
        in_range("2", comparisons)


@pytest.mark.parametrize(
    ("reason", "cannot", "verdict"),
    [
        (Reason.WRONG_HOST, {"host"}, Verdict.OPEN),
        (Reason.EXPIRED, {"dates"}, Verdict.OPEN),
        (Reason.NOT_YET_VALID, {"dates"}, Verdict.OPEN),
        (Reason.UNKNOWN_CA, {"chain"}, Verdict.OPEN),
        (None, {"chain"}, Verdict.OPEN),
        (Reason.WRONG_HOST, {"dates", "chain"}, Verdict.EXPOSURE),
        (Reason.EXPIRED, {"host", "chain"}, Verdict.EXPOSURE),
        (Reason.UNKNOWN_CA, {"host", "dates"}, Verdict.EXPOSURE),
    ],
)
def test_a_check_that_is_declared_missing(reason: Reason | None, cannot: set[str], verdict: Verdict) -> None:
    """Accepting is open only where the very check that would have rejected is declared missing."""
    expected = Expectation(expect=Expect.REJECT, reason=reason)
    said = judge(
        observation(Observed.ACCEPTED),
        expected,
        (),
        scenario="letsencrypt-2021",
        case="long+both@after",
        column="bearssl-0.6+pin-key",
        version="0.6",
        cannot=cannot,
    )
    assert said.verdict is verdict


@pytest.mark.parametrize(
    ("columns", "column", "verdict"),
    [
        (("*", "!*+trusted-first"), "openssl-1.0.2q", Verdict.KNOWN),
        (("*", "!*+trusted-first"), "openssl-1.0.2q+trusted-first", Verdict.OUTAGE),
        (("!*+trusted-first",), "openssl-1.0.2q", Verdict.OUTAGE),
    ],
)
def test_columns_that_are_taken_out(columns: tuple[str, ...], column: str, verdict: Verdict) -> None:
    """A glob that begins with ! takes columns out, and by itself covers none."""
    listed = deviation(columns=columns)
    assert judged(observation(Observed.REJECTED), expectation(Expect.ACCEPT), listed, column=column).verdict is verdict


def test_a_deviation_at_large_is_no_promise() -> None:
    """One that holds for whatever scenario is known where it happens, and nothing is fixed where it does not."""
    large = deviation(scenario="*", case="*", when=["sent-path-expired"])
    outage = observation(Observed.REJECTED), expectation(Expect.ACCEPT)
    assert judged(*outage, large).verdict is Verdict.OUTAGE
    assert judged(*outage, large, traits={"sent-path-expired", "root-served"}).verdict is Verdict.KNOWN
    right = judged(observation(Observed.ACCEPTED), expectation(Expect.ACCEPT), large, traits={"sent-path-expired"})
    assert right.verdict is Verdict.PASS


def test_a_deviation_at_large_excuses_nothing_elsewhere() -> None:
    """In a scenario that is not the lab's own an outage stays one, and says what is behind it."""
    large = deviation(scenario="*", case="*")
    elsewhere = judged(observation(Observed.REJECTED), expectation(Expect.ACCEPT), large, at_home=False)
    assert (elsewhere.verdict, elsewhere.source) == (Verdict.OUTAGE, large.source)
    assert large.why in elsewhere.why
    assert (
        judged(observation(Observed.REJECTED), expectation(Expect.ACCEPT), deviation(), at_home=False).verdict
        == "known"
    )
