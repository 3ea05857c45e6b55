"""Scenarios become exhibits: one each for chain, lowest version and who shows it."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization

from lab.clients.controls import SCENARIO as CONTROLS
from lab.clients.features import SCENARIO as FEATURES
from lab.corpus import Corpus
from lab.gallery import Gallery
from lab.pki.keys import KeyRing


@pytest.fixture(scope="module")
def cases():
    """Return the cases of controls and features by their chains, where those are unlike."""
    scenarios = Corpus().scenarios
    every = [case for slug in (CONTROLS, FEATURES) for case in scenarios[slug].scenario.cases()]
    return {case.chain: case for case in every}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """Return a gallery that keeps its keys for these tests only, without the slow ones."""
    scenarios = Corpus().scenarios
    features = scenarios[FEATURES].scenario
    quick = {
        name: entity.model_copy(update={"key": "ec256" if entity.key == "rsa4096" else entity.key})
        for name, entity in features.entities.items()
    }
    chosen = {CONTROLS: scenarios[CONTROLS].scenario, FEATURES: features.model_copy(update={"entities": quick})}
    return Gallery(chosen, KeyRing(tmp_path_factory.mktemp("cache") / "keys"))


def test_an_imposter_is_another_exhibit_of_the_same_chain(gallery, cases):
    """The imposter shows the very certificates, has another key, and both exhibits are made once."""
    right, wrong = gallery.exhibit(cases["good"]), gallery.exhibit(cases["good"], imposter=True)
    assert (right.imposter, wrong.imposter) == (False, True)
    assert right.chain == wrong.chain
    assert wrong.wrong_key_pem == wrong.wrong_key_pem != wrong.key_pem
    assert gallery.exhibit(cases["good"], imposter=True) is wrong
    assert gallery.exhibit(cases["good"]) is right


def test_a_chain_may_have_its_own_versions(gallery, cases):
    """What a chain says of versions counts before what its scenario says."""
    shown = [gallery.exhibit(cases[name]) for name in ("tls-1-2", "tls-1-3", "ec384")]
    assert [(one.min_tls, one.max_tls) for one in shown] == [("1.2", "1.2"), ("1.3", "1.3"), ("1.2", "1.3")]


def test_a_chain_may_have_its_own_security_level(gallery, cases):
    """What a chain says of the security level counts for it alone, and before what its scenario says."""
    strict = {"server": gallery.scenarios[FEATURES].server.model_copy(update={"security_level": 2})}
    scenario = gallery.scenarios[FEATURES].model_copy(update=strict)
    other = Gallery({FEATURES: scenario}, gallery.ring)
    names = ("tls-1-0", "tls-1-2")
    assert [gallery.exhibit(cases[name]).security_level for name in names] == [0, None]
    assert [other.exhibit(cases[name]).security_level for name in names] == [0, 2]


def test_old_clients_are_met_below_the_default_only(gallery, cases):
    """A column's lowest version holds where neither chain nor scenario names one."""
    assert gallery.exhibit(cases["good"], "1.0").min_tls == "1.0"
    assert gallery.exhibit(cases["good"], "1.0", imposter=True).min_tls == "1.0"
    assert gallery.exhibit(cases["tls-1-3"], "1.0").min_tls == "1.3"


def test_a_pin_is_the_key_that_devices_were_made_with(tmp_path):
    """By default the first chain's end-entity certificate is pinned, else the one that the scenario names."""
    scenario = Corpus().scenarios["letsencrypt-2021"].scenario
    quick = {name: entity.model_copy(update={"key": "ec256"}) for name, entity in scenario.entities.items()}
    ring = KeyRing(tmp_path / "keys")
    plain = scenario.model_copy(update={"slug": "pins", "entities": quick})
    named = plain.model_copy(update={"server": scenario.server.model_copy(update={"pin": "r3"})})
    case = next(one for one in plain.cases())
    pins = {}
    for what, chosen in (("site", plain), ("r3", named)):
        shown = Gallery({"pins": chosen}, ring)
        pins[what] = shown.pin(case)
        key = shown.minted("pins").certificates[what].public_key()
        assert serialization.load_pem_public_key(pins[what].encode()) == key
    assert pins["site"] != pins["r3"]
