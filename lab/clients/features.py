"""What a column lacks, found by probing: a good chain that needs one feature, and what its failure means elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from lab.errors import InputError
from lab.model.result import FeatureProbe, Observation, Observed, Witness
from lab.model.scenario import Case, Feature, Scenario
from lab.model.wire import Stage

__all__ = ["CLIENT_CERT", "SCENARIO", "conclude", "feature_cases", "lacking", "unsupported", "without_identity"]

SCENARIO = "features"
"""The scenario whose chains need one feature each, and say so."""

CLIENT_CERT = "client-cert"
"""What a hello ``can`` if the client shows a certificate of its own where a server asks for it."""

_FEATURES: tuple[Feature, ...] = get_args(Feature)
_OUR_OWN = {Stage.LOAD, Stage.HANDSHAKE}
"""The stages at which a stack that lacks something fails; elsewhere it is the network, HTTP or the harness."""


def feature_cases(scenario: Scenario) -> dict[Feature, Case]:
    """Return the case that probes each feature: the first that requires it alone.  InputError where one is missing."""
    cases: dict[Feature, Case] = {}
    for case in scenario.cases():
        if len(case.requires) == 1:
            cases.setdefault(case.requires[0], case)
    missing = [feature for feature in _FEATURES if feature not in cases]
    if missing:
        found = f"{scenario.slug} does not probe {', '.join(missing)}"
        raise InputError.one(found, remedy="each feature needs a chain that requires it alone")
    return {feature: cases[feature] for feature in _FEATURES}


def conclude(column: str, feature: Feature, observation: Observation, witness: Witness) -> FeatureProbe:
    """Say whether a column has a feature whose probe was observed to end so.

    Its controls have shown that it accepts the same without that feature, so a clean end proves a lack.  A hang, a
    crash or a contradiction proves nothing.
    """
    outcome = "lacks" if _clean(observation) else "unknown"
    if observation.observed is Observed.ACCEPTED:
        outcome = "has"
    return FeatureProbe.model_validate(
        {"column": column, "name": feature, "outcome": outcome, "observation": observation, "witness": witness}
    )


def _clean(observation: Observation) -> bool:
    if observation.observed is Observed.FAILED:
        return observation.stage in _OUR_OWN
    return observation.observed in {Observed.REJECTED, Observed.UNSUPPORTED}


def lacking(case: Case, probes: Mapping[Feature, FeatureProbe]) -> FeatureProbe | None:
    """Return the probe that shows that a case cannot be met, or None where nothing does."""
    for feature in case.requires:
        probe = probes.get(feature)
        if probe is not None and probe.outcome == "lacks":
            return probe
    return None


def unsupported(probe: FeatureProbe) -> Observation:
    """Return what is observed, without a connection, in a case that requires what ``probe`` showed to be lacking."""
    said = probe.observation
    native = " ".join(filter(None, (said.code, said.text)))
    ended = f"{said.observed}" + (f" at {said.stage}" if said.stage else "")
    text = f"it lacks {probe.name}: its probe {ended}" + (f": {native}" if native else "")
    return Observation(observed=Observed.UNSUPPORTED, code=said.code, text=text)


def without_identity() -> Observation:
    """Return what is observed, without a connection, where a client would have to show a certificate of its own."""
    text = f'it shows no certificate of its own: its hello has no "{CLIENT_CERT}"'
    return Observation(observed=Observed.UNSUPPORTED, text=text)
