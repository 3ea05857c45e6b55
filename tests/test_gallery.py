"""Scenarios become exhibits: one each for chain, lowest version and who shows it."""

from __future__ import annotations

import tomllib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import ocsp

from lab.clients.controls import SCENARIO as CONTROLS
from lab.clients.features import SCENARIO as FEATURES
from lab.corpus import Corpus
from lab.gallery import Gallery
from lab.model.result import Witness
from lab.model.scenario import Scenario
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


DEVICE = """schema = 1
slug = "meters"
title = "A meter"
date = 2026-01-01
summary = "A hub and a meter."
[entities]
hub = { cn = "Hub Root" }
root = { cn = "Meter Root" }
site = { dns = ["hub.example"] }
meter = { cn = "Meter 1" }
[certificates]
hub = { subject = "hub", issuer = "hub" }
root = { subject = "root", issuer = "root" }
site = { subject = "site", issuer = "hub" }
meter = { subject = "meter", issuer = "root", eku = ["clientAuth"] }
[server]
host = "hub.example"
[chains]
meter = { send = ["site"], device = ["meter", "root"], device_store = "meters", stores = ["hub"], at = ["now", "then"] }
bare = { send = ["site"], device = [], device_store = "meters", device_hints = false, stores = ["hub"], at = ["now"] }
plain = { send = ["site"], stores = ["hub"], at = ["now", "then"] }
[stores]
hub = ["hub"]
meters = ["root"]
[times]
now = 2026-01-01T00:00:00Z
then = 2026-01-02T00:00:00Z
"""


@pytest.fixture(scope="module")
def meters(tmp_path_factory):
    """Return a gallery of a scenario about a device, and its cases."""
    scenario = Scenario.model_validate(tomllib.loads(DEVICE))
    gallery = Gallery({"meters": scenario}, KeyRing(tmp_path_factory.mktemp("cache") / "keys"))
    return gallery, {case.name: case for case in scenario.cases()}


def test_the_server_judges_devices_at_the_time_of_the_case(meters):
    """A chain is one exhibit for each moment at which devices are judged, and one in all where none are."""
    gallery, cases = meters
    now, then = (gallery.exhibit(cases[f"meter+hub@{time}"]) for time in ("now", "then"))
    assert now is not then
    assert (now.client_auth.at, then.client_auth.at) == tuple(cases[f"meter+hub@{time}"].at for time in ("now", "then"))
    (anchor,) = gallery.minted("meters").named(["root"])
    assert now.client_auth.anchors == (anchor.public_bytes(serialization.Encoding.DER),)
    assert gallery.exhibit(cases["plain+hub@now"]) is gallery.exhibit(cases["plain+hub@then"])
    assert gallery.exhibit(cases["plain+hub@now"]).client_auth is None
    bare = gallery.exhibit(cases["bare+hub@now"]).client_auth
    assert (bare.required, bare.hints) == (True, False)


def test_a_device_is_given_its_chain_and_its_own_key(meters):
    """What the client is sent is its certificates in order, with the key of the first; nothing where it has none."""
    gallery, cases = meters
    chain, key = gallery.identity(cases["meter+hub@now"])
    assert chain.count("BEGIN CERTIFICATE") == 2
    own = serialization.load_pem_private_key(key.encode(), None).public_key()
    assert own == gallery.minted("meters").certificates["meter"].public_key()
    assert gallery.identity(cases["bare+hub@now"]) is None
    assert gallery.identity(cases["plain+hub@now"]) is None


def test_the_record_has_both_sides(meters):
    """The evidence of a case about a device holds what it was given and whom the server trusted."""
    gallery, cases = meters
    record = gallery.record(cases["meter+hub@now"])
    assert [one.name for one in record.chain] == ["site"]
    assert [one.name for one in record.device.chain] == ["meter", "root"]
    assert [one.name for one in record.device.anchors] == ["root"]
    assert record.path == ("meter", "root")
    assert gallery.record(cases["plain+hub@now"]).device is None


STAPLED = """
schema  = 1
slug    = "stapled"
title   = "A staple, and an address"
date    = 2023-03-01
summary = "Told by the case's clock."
server  = { host = "shop.example" }
times   = { before = 2023-03-01T00:00:00Z, after = 2023-04-01T00:00:00Z }
stores  = { root = ["root"] }
[entities]
root = { cn = "Root" }
site = { dns = ["shop.example"] }
[certificates]
root = { subject = "root", issuer = "root" }
site = { subject = "site", issuer = "root", ocsp = true, revoked = 2023-03-15T00:00:00Z }
[chains]
staple = { send = ["site"], at = ["before", "after"], staple = true }
plain  = { send = ["site"], at = ["before", "after"] }
"""


@pytest.fixture
def stapled(tmp_path):
    """Return a gallery of a scenario whose site is revoked between its two moments, and its cases by name."""
    scenario = Scenario.model_validate(tomllib.loads(STAPLED))
    gallery = Gallery({"stapled": scenario}, KeyRing(tmp_path / "keys"), port="http://192.0.2.1:8")
    return gallery, {case.base: case for case in scenario.cases()}


def test_a_staple_goes_by_the_time_of_its_case(stapled):
    """The response that is served says what is true at that moment, and the evidence names it."""
    gallery, cases = stapled
    before, after = cases["staple+root@before"], cases["staple+root@after"]
    responses = [ocsp.load_der_ocsp_response(gallery.exhibit(case).staple) for case in (before, after)]
    assert [one.certificate_status.name for one in responses] == ["GOOD", "REVOKED"]
    assert responses[1].this_update_utc < after.at < responses[1].next_update_utc
    assert gallery.record(after).staple.startswith("revoked, ")
    assert gallery.exhibit(cases["plain+root@after"]).staple == b""


def test_no_moment_shares_its_certificates_with_another(stapled):
    """Where certificates name the HTTP port, serial number and address are of one moment only, in all of its cases."""
    gallery, cases = stapled
    shown = {name: x509.load_der_x509_certificate(gallery.exhibit(case).chain[0]) for name, case in cases.items()}
    assert shown["staple+root@after"] == shown["plain+root@after"]
    one, other = shown["plain+root@before"], shown["plain+root@after"]
    assert one.serial_number != other.serial_number
    access = other.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert access[0].access_location.value == "http://192.0.2.1:8/20230401T000000Z/ocsp/stapled/site"
    assert gallery.record(cases["plain+root@after"]).chain[0].serial == f"{other.serial_number:x}"


def test_who_was_not_told_is_free(stapled):
    """A revocation binds the client that was told of it; of any other nothing is expected."""
    gallery, cases = stapled
    case = cases["plain+root@after"]
    assert str(gallery.expected(case)) == "reject:revoked"
    assert gallery.owed(case, Witness()).expect == "either"
    assert str(gallery.owed(case, Witness(asked=("ocsp site: revoked",)))) == "reject:revoked"
    assert str(gallery.owed(cases["plain+root@before"], Witness())) == "accept"
