"""What a column lacks: only a clean failure of the probe proves it."""

from __future__ import annotations

import pytest

from lab.clients.features import SCENARIO, conclude, feature_cases, lacking, unsupported
from lab.corpus import Corpus
from lab.errors import InputError
from lab.model.result import Observation, Observed, Witness
from lab.model.wire import Stage

FEATURES = Corpus().scenarios[SCENARIO].scenario


def probe(feature="ed25519", observed=Observed.FAILED, stage=Stage.HANDSHAKE, **more):
    return conclude("old", feature, Observation(observed=observed, stage=stage, **more), Witness())


def test_every_feature_has_a_probe():
    """The repository's scenario probes each feature by a case that requires it alone."""
    cases = feature_cases(FEATURES)
    assert set(cases) == {"tls1.0", "tls1.2", "tls1.3", "rsa4096", "ec384", "ed25519"}
    assert all(case.requires == (feature,) for feature, case in cases.items())


def test_a_feature_without_a_probe_is_an_error():
    """A scenario of features that leaves one out is named, with what it leaves out."""
    chains = {name: chain for name, chain in FEATURES.chains.items() if name != "ec384"}
    with pytest.raises(InputError, match="features does not probe ec384"):
        feature_cases(FEATURES.model_copy(update={"chains": chains}))


@pytest.mark.parametrize(
    ("observed", "stage", "outcome"),
    [
        ("accepted", "http", "has"),
        ("failed", "handshake", "lacks"),
        ("failed", "load", "lacks"),
        ("rejected", "load", "lacks"),
        ("rejected", "handshake", "lacks"),
        ("unsupported", None, "lacks"),
        ("failed", "connect", "unknown"),
        ("failed", "http", "unknown"),
        ("failed", "harness", "unknown"),
        ("failed", None, "unknown"),
        ("timeout", None, "unknown"),
        ("crashed", None, "unknown"),
        ("unreachable", "connect", "unknown"),
        ("contradicted", "handshake", "unknown"),
    ],
)
def test_what_an_end_proves(observed, stage, outcome):
    """Acceptance shows that a feature is there, a clean end that it is not, and anything else shows nothing."""
    assert probe(observed=observed, stage=stage).outcome == outcome


def test_a_case_asks_for_what_is_lacking():
    """The first requirement that is proven to be lacking is found; what is unknown or has no probe is not."""
    case = feature_cases(FEATURES)["ed25519"].model_copy(update={"requires": ("tls1.3", "ec384", "ed25519")})
    lack = probe("ed25519")
    known = {"tls1.3": probe("tls1.3", Observed.CRASHED), "ed25519": lack}
    assert lacking(case, known) is lack
    assert lacking(case, {"tls1.3": known["tls1.3"]}) is None
    assert lacking(case.model_copy(update={"requires": ()}), known) is None


def test_unsupported_names_the_feature_and_the_native_code():
    """Whoever reads the cell learns what is lacking and in which words the stack said so."""
    said = unsupported(probe(code="0x1407742E", text="tlsv1 alert protocol version"))
    assert (said.observed, said.code) == ("unsupported", "0x1407742E")
    assert said.text == "it lacks ed25519: its probe failed at handshake: 0x1407742E tlsv1 alert protocol version"
    assert (
        unsupported(probe(observed=Observed.UNSUPPORTED, stage=None)).text == "it lacks ed25519: its probe unsupported"
    )
