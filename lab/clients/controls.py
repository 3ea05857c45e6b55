"""The probes that show that a client verifies at all: the good chain, then the same with one property changed.

The last property is the server's: an imposter shows the good chain, but lacks its private key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.errors import InputError
from lab.model.result import Control, Observation, Observed, Witness
from lab.model.scenario import Case, Expect, Scenario
from lab.model.wire import Stage

__all__ = ["SCENARIO", "ControlCase", "check", "control_cases"]

SCENARIO = "controls"
"""The scenario whose chains are the controls."""

_CHECK = {"twin-root": "chain", "other-host": "host", "expired": "dates", "not-yet-valid": "dates"}
"""Which check of a client each control tries; ``good`` tries none."""


_IMPOSTER = "imposter"


@dataclass(frozen=True)
class ControlCase:
    """A control: its name, its case, and the check (``chain``, ``host``, ``dates``, ``key``) that it tries.

    An ``imposter`` shows the case's chain without its private key.
    """

    name: str
    case: Case
    tries: str
    imposter: bool = False

    @property
    def accept(self) -> bool:
        """Whether a careful relying party accepts the case."""
        return self.case.expected is not None and self.case.expected.expect is Expect.ACCEPT


def control_cases(scenario: Scenario) -> list[ControlCase]:
    """Return the controls in the order in which they run: ``good`` first.  Raise InputError where one is missing."""
    cases: dict[str, Case] = {}
    for case in scenario.cases():
        if case.origin == "written":
            cases.setdefault(case.chain, case)
    wanted = ["good", *_CHECK]
    missing = [name for name in wanted if name not in cases]
    if missing:
        raise InputError.one(
            f"{scenario.slug} lacks {', '.join(missing)}", remedy="the controls are chains of that name"
        )
    controls = [ControlCase(name, cases[name], _CHECK.get(name, "")) for name in wanted]
    return [*controls, ControlCase(_IMPOSTER, cases["good"], "key", imposter=True)]


def check(
    control: ControlCase, column: str, cannot: Iterable[str], observation: Observation, witness: Witness
) -> Control:
    """Say what came of a control for a column that declares not to make the checks ``cannot``."""
    wrong = _against_imposter(observation, witness) if control.imposter else _against_chain(control, observation)
    if not wrong:
        outcome, why = "ok", ""
    elif control.tries in set(cannot) and observation.observed is Observed.ACCEPTED:
        outcome, why = "not-checked", f"declared: it does not check the {control.tries}"
    else:
        outcome = "failed"
        found = observation.text or observation.code
        why = f"{control.name} {wrong}" + (f": {found}" if found else "")
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


def _against_chain(control: ControlCase, observation: Observation) -> str:
    """Say how an observation differs from what the control's chain deserves; empty where it does not."""
    wanted = Observed.ACCEPTED if control.accept else Observed.REJECTED
    return "" if observation.observed is wanted else f"must be {wanted}, was {observation.observed}"


def _against_imposter(observation: Observation, witness: Witness) -> str:
    """Say why an observation does not show that the client checked the server's key; empty where it does.

    Stacks differ in whether a wrong signature is a matter of verification or of the handshake: both will do, if the
    client had the certificates before it and the handshake did not finish after it.
    """
    observed, stage = observation.observed, observation.stage
    if observed is Observed.FAILED and stage is not Stage.HANDSHAKE:
        return f"must end the handshake, failed at {stage or 'an unknown stage'}"
    if observed not in {Observed.REJECTED, Observed.FAILED}:
        return f"must end the handshake, was {observed}"
    if not witness.certificates:
        return "must end after the certificates, the server had not sent them"
    return "must end the handshake, the server saw it finished" if witness.handshake else ""
