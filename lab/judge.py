"""Observation, expectation and known deviations make a verdict.  Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lab.model.case import Trait
from lab.model.client import Deviation
from lab.model.result import Observation, Observed, Verdict
from lab.model.scenario import Expect, Expectation, Reason

__all__ = ["Chaos", "Judgement", "check_of", "in_range", "judge", "version_key"]

_UNDECIDED = {Observed.FAILED, Observed.UNREACHABLE, Observed.CONTRADICTED}
_FAULTS = {Observed.TIMEOUT, Observed.CRASHED}
_COMPARISON = re.compile(r"(?P<sign><=|>=|==|<|>)\s*(?P<version>[0-9A-Za-z.+_-]+)")


@dataclass(frozen=True)
class Judgement:
    """A verdict and its reason in words; ``source`` cites a known deviation; ``marked`` as in Cell."""

    verdict: Verdict
    why: str = ""
    source: str = ""
    marked: bool = False


@dataclass(frozen=True)
class Chaos:
    """The faults on the wire of a case: whether one took effect, and what would be expected without them."""

    shown: bool
    faultless: Expectation


def version_key(version: str) -> tuple[tuple[int, str], ...]:
    """Return a key that orders versions as their makers do: ``1.0.2k`` < ``1.0.2q`` < ``1.0.2zb`` < ``1.1.0``.

    Numbers compare as numbers; OpenSSL's letters compare by length first, since ``z`` is followed by ``za``.
    """
    pieces = re.findall(r"[0-9]+|[a-z]+", version.lower())
    return tuple((int(piece), "") if piece.isdigit() else (len(piece), piece) for piece in pieces)


def in_range(version: str, comparisons: str) -> bool:
    """Tell whether ``version`` fulfils all comma-separated ``comparisons``; no comparison is fulfilled by any.

    Raise ValueError where a comparison is none.
    """
    key = version_key(version)
    for part in filter(None, (piece.strip() for piece in comparisons.split(","))):
        match = _COMPARISON.fullmatch(part)
        if match is None:
            raise ValueError(f'"{part}" is no comparison such as ">=1.0.2"')
        limit = version_key(match["version"])
        holds = {"<": key < limit, "<=": key <= limit, ">": key > limit, ">=": key >= limit, "==": key == limit}
        if not holds[match["sign"]]:
            return False
    return True


def _names(deviation: Deviation, scenario: str, case: str, column: str, version: str) -> bool:
    return (
        fnmatchcase(scenario, deviation.scenario)
        and fnmatchcase(case, deviation.case)
        and _covers(deviation.columns, column)
        and in_range(version, deviation.versions)
    )


def _specific(deviation: Deviation) -> bool:
    """Tell whether a deviation is said of single cases, so that it can be found to have gone."""
    return not (deviation.when or deviation.expected or any(sign in deviation.scenario for sign in "*?["))


def _covers(patterns: Iterable[str], column: str) -> bool:
    """Tell whether globs cover a column: at least one does, and none that begins with ``!`` takes it out."""
    hits = [pattern.startswith("!") for pattern in patterns if fnmatchcase(column, pattern.removeprefix("!"))]
    return bool(hits) and not any(hits)


def _happened(deviation: Deviation, observation: Observation) -> bool:
    return (
        observation.observed == deviation.observation
        and (deviation.reason is None or observation.reason == deviation.reason)
        and (deviation.code is None or observation.code == deviation.code)
    )


def _plain(observation: Observation, expected: Expectation) -> Judgement:  # noqa: PLR0911 - a return a row of the table
    """Judge without regard to deviations."""
    if observation.observed in _FAULTS:
        return Judgement(Verdict.FAULT, f"the client {_WORDS[observation.observed]}")
    if expected.expect is Expect.FAIL and observation.observed in {Observed.REJECTED, Observed.FAILED}:
        return Judgement(Verdict.PASS)
    if observation.observed in _UNDECIDED:
        return Judgement(Verdict.INCONCLUSIVE, f"{_WORDS[observation.observed]}: no verdict on a certificate")
    if observation.observed is Observed.UNSUPPORTED:
        return Judgement(Verdict.UNSUPPORTED, observation.text)
    accepted = observation.observed is Observed.ACCEPTED
    if expected.expect is Expect.EITHER:
        return Judgement(Verdict.OPEN, expected.why or "the standards leave it open")
    if accepted != (expected.expect is Expect.ACCEPT):
        if expected.expect is Expect.FAIL:
            return Judgement(Verdict.EXPOSURE, "connected, where the connection must fail")
        if accepted:
            return Judgement(Verdict.EXPOSURE, f"accepted what must be rejected ({expected})")
        return Judgement(Verdict.OUTAGE, f"rejected ({observation.reason}) what is valid")
    if not accepted and expected.reason is not None and observation.reason != expected.reason:
        why = f"rejected as {observation.reason}, where {expected.reason} was expected"
        return Judgement(Verdict.PASS, why, marked=True)
    return Judgement(Verdict.PASS)


def _faulted(observation: Observation, expected: Expectation, chaos: Chaos) -> Judgement:
    """Judge a case with faults on the wire, without regard to deviations."""
    if not chaos.shown:
        plain = _plain(observation, chaos.faultless)
        if plain.verdict is Verdict.PASS and observation.observed is Observed.ACCEPTED:
            return Judgement(Verdict.OPEN, "the fault on the wire did not take effect with this client")
        return plain
    if observation.observed is not Observed.FAILED or expected.expect is Expect.FAIL:
        return _plain(observation, expected)
    if expected.expect is Expect.ACCEPT:
        return Judgement(Verdict.OUTAGE, "the connection was lost to a fault on the wire that it should survive")
    if expected.expect is Expect.REJECT:
        return Judgement(Verdict.PASS, "the fault on the wire came first", marked=True)
    return Judgement(Verdict.OPEN, expected.why or "the standards leave it open")


def _excuses(deviation: Deviation, observation: Observation, expected: Expectation, plain: Judgement) -> bool:
    """Tell whether a deviation is what happened, where that makes a difference.

    It does in an outage and an exposure; and where a connection failed that should have been made, if the deviation
    names the code with which the stack itself gave it up.
    """
    if plain.verdict is Verdict.INCONCLUSIVE:
        lost = observation.observed is Observed.FAILED and expected.expect is Expect.ACCEPT
        return lost and deviation.code is not None and _happened(deviation, observation)
    return plain.verdict in {Verdict.OUTAGE, Verdict.EXPOSURE} and _happened(deviation, observation)


def check_of(reason: Reason | None) -> str:
    """Return the check that finds a reason: ``host``, ``dates``, or else ``chain``."""
    if reason is Reason.WRONG_HOST:
        return "host"
    return "dates" if reason in {Reason.EXPIRED, Reason.NOT_YET_VALID} else "chain"


_WORDS = {
    Observed.TIMEOUT: "did not answer in time",
    Observed.CRASHED: "ended during the probe",
    Observed.FAILED: "the connection failed",
    Observed.UNREACHABLE: "the client never connected",
    Observed.CONTRADICTED: "client and witness disagree",
}


def judge(
    observation: Observation,
    expected: Expectation,
    deviations: Iterable[Deviation],
    *,
    scenario: str,
    case: str,
    column: str,
    version: str,
    cannot: Collection[str] = (),
    traits: Collection[Trait] = (),
    at_home: bool = True,
    chaos: Chaos | None = None,
) -> Judgement:
    """Return what an observation means.

    ``cannot`` are the checks (``host``, ``dates``, ``chain``) that the column declares not to make: accepting what
    such a check would have rejected is open.  ``traits`` are the case's, ``chaos`` its faults on the wire.

    ``case`` is the case inside its ``scenario``; ``column`` and ``version`` say which client it was.  A listed
    deviation with that observation, reason and (where it names one) code turns outage or exposure into ``known``, and
    so does one with a code where the stack gave up a connection that it should have made;
    one whose column now does what was expected is ``fixed``, unless it holds for cases at large (a glob over
    scenarios, or traits): such a one is no promise for any single case.  Nor does it excuse anything in a scenario
    that is not ``at_home``, among the lab's own: who tries a change of their own wants to hear of every outage.
    """
    plain = _plain(observation, expected) if chaos is None else _faulted(observation, expected, chaos)
    listed = [
        one
        for one in deviations
        if _names(one, scenario, case, column, version)
        and one.expected in {None, expected.reason}
        and set(one.when) <= set(traits)
    ]
    for deviation in listed:
        if _excuses(deviation, observation, expected, plain):
            if at_home or _specific(deviation):
                return Judgement(Verdict.KNOWN, deviation.why, deviation.source)
            return Judgement(plain.verdict, f"{plain.why}: {deviation.why}", deviation.source)
    if plain.verdict in {Verdict.OUTAGE, Verdict.EXPOSURE}:
        if plain.verdict is Verdict.EXPOSURE and check_of(expected.reason) in cannot:
            return Judgement(Verdict.OPEN, f"it declares not to check the {check_of(expected.reason)}")
        for deviation in listed:
            code = f" with code {deviation.code}" if deviation.code else ""
            said = f"{deviation.observation} ({deviation.reason}){code}"
            return Judgement(plain.verdict, f"{plain.why}; not the known deviation, which is {said}")
    if plain.verdict is Verdict.PASS:
        # A glob may also name cases in which what it describes is right: there, nothing was fixed.
        for deviation in listed:
            if deviation.observation is not observation.observed and _specific(deviation):
                return Judgement(Verdict.FIXED, f"a known deviation did not happen: {deviation.why}", deviation.source)
    return plain
