"""The probes that show that a client verifies at all: the good chain, then the same with one property changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.errors import InputError
from lab.model.result import Control, Observation, Observed, Witness
from lab.model.scenario import Case, Expect, Scenario

__all__ = ["SCENARIO", "ControlCase", "check", "control_cases"]

SCENARIO = "controls"
"""The scenario whose chains are the controls."""

_CHECK = {"twin-root": "chain", "other-host": "host", "expired": "dates", "not-yet-valid": "dates"}
"""Which check of a client each control tries; ``good`` tries none."""


@dataclass(frozen=True)
class ControlCase:
    """A control: its name, its case, and the check (``chain``, ``host``, ``dates``) that it tries."""

    name: str
    case: Case
    tries: str


def control_cases(scenario: Scenario) -> list[ControlCase]:
    """Return the controls in the order in which they run: ``good`` first.  Raise InputError where one is missing."""
    cases: dict[str, Case] = {}
    for case in scenario.cases():
        cases.setdefault(case.chain, case)
    wanted = ["good", *_CHECK]
    missing = [name for name in wanted if name not in cases]
    if missing:
        raise InputError.one(
            f"{scenario.slug} lacks {', '.join(missing)}", remedy="the controls are chains of that name"
        )
    return [ControlCase(name, cases[name], _CHECK.get(name, "")) for name in wanted]


def check(
    control: ControlCase, column: str, cannot: Iterable[str], observation: Observation, witness: Witness
) -> Control:
    """Say what came of a control for a column that declares not to make the checks ``cannot``."""
    accept = control.case.expected.expect is Expect.ACCEPT
    wanted = Observed.ACCEPTED if accept else Observed.REJECTED
    if observation.observed is wanted:
        outcome, why = "ok", ""
    elif control.tries in set(cannot) and observation.observed is Observed.ACCEPTED:
        outcome, why = "not-checked", f"declared: it does not check the {control.tries}"
    else:
        outcome = "failed"
        found = observation.text or observation.code
        why = f"{control.name} must be {wanted}, was {observation.observed}" + (f": {found}" if found else "")
    return Control.model_validate(
        {
            "column": column,
            "name": control.name,
            "outcome": outcome,
            "why": why,
            "observation": observation,
            "witness": witness,
        }
    )
