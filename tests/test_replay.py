"""Cases on a clock that nobody can move: anchors that stay, dates that follow, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import assume, given
from hypothesis import strategies as st

from lab.corpus import load_scenario
from lab.device import board_controls
from lab.errors import InputError
from lab.model.case import Device
from lab.pki.keys import KeyRing
from lab.pki.reference import reference
from lab.replay import MARGIN, Replayer, Unplayable, renamed, steady

BENCH = Path(__file__).parent / "data" / "bench" / "bench-town" / "scenario.toml"
CONTROLS = Path(__file__).parent.parent / "scenarios" / "controls" / "scenario.toml"
NOW = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=UTC)
MOMENTS = st.integers(-500_000, 500_000).map(lambda seconds: NOW + timedelta(seconds=seconds))
"""Close enough together for a day to matter."""


@pytest.fixture(scope="module")
def town():
    found, problems = load_scenario(BENCH)
    assert not problems
    return found.scenario


@pytest.fixture(scope="module")
def cases(town):
    return {case.name: case for case in town.cases()}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache") / "keys"


@pytest.fixture
def make(town, cache):
    """Return a function that makes a fresh replayer, as the next start of the lab does."""

    def make(host="bench.example", scenario=town, store="field"):
        return Replayer({scenario.slug: scenario}, {scenario.slug: store}, host, KeyRing(cache))

    return make


def pems(replayer):
    return {label: anchor.public_bytes(Encoding.PEM) for label, anchor in replayer.anchors.items()}


def test_anchors_stay_across_days(make, cases):
    """A later start on another day gives the same anchors, byte for byte, while everything else moves on."""
    first, second = make(), make()
    one = first.replay(cases["good+field@now"], NOW)
    two = second.replay(cases["good+field@now"], NOW + timedelta(days=40))
    assert pems(first) == pems(second)
    assert list(first.anchors) == ["bench-town/root", "bench-town/old"]
    leaves = [replay.gallery.minted("bench-town").certificates["site"] for replay in (one, two)]
    assert leaves[1].not_valid_before_utc - leaves[0].not_valid_before_utc == timedelta(days=40)
    for replay, replayer in ((one, first), (two, second)):
        shown = replay.gallery.record(replay.case)
        assert [anchor.pem.encode() for anchor in shown.anchors] == list(pems(replayer).values())


def test_an_anchor_that_the_author_changes_is_another(make, town):
    """New dates make a new anchor; the old one comes back with the old dates."""
    before = pems(make())
    longer = town.certificates["root"].model_copy(update={"not_after": datetime(2048, 1, 1, tzinfo=UTC)})
    changed = town.model_copy(update={"certificates": {**town.certificates, "root": longer}})
    after = pems(make(scenario=changed))
    assert after["bench-town/root"] != before["bench-town/root"]
    assert after["bench-town/old"] == before["bench-town/old"]
    assert pems(make()) == before


@pytest.mark.parametrize(
    "name", ["good+field@now", "dead+field@site.until+1s", "stranger+field@now", "renamed+field@now"]
)
@pytest.mark.parametrize("host", ["bench.example", "gateway.example", "other.example"])
def test_a_replay_is_the_same_case(make, cases, name, host):
    """Today, under the board's own name, the reference relying party says what the author expects."""
    replayer = make(host)
    replay = replayer.replay(cases[name], NOW)
    minted = replay.gallery.minted("bench-town")
    opinion = reference(minted.named(replay.case.send), list(replayer.anchors.values()), NOW, host)
    assert (opinion.expect, opinion.reason) == (cases[name].expected.expect, cases[name].expected.reason)
    assert replay.case.host == host
    assert replay.case.at == NOW.replace(microsecond=0)


def test_no_end_is_near(make, cases):
    """One second after the end becomes a day after it: a board's clock is not exact."""
    replay = make().replay(cases["dead+field@site.until+1s"], NOW)
    site = replay.gallery.minted("bench-town").certificates["site"]
    assert NOW.replace(microsecond=0) - site.not_valid_after_utc == MARGIN


def test_the_very_second_of_an_end_is_refused(make, cases):
    """No real clock stays at a certificate's last second."""
    with pytest.raises(Unplayable, match="at the very second"):
        make().replay(cases["dead+field@site.until"], NOW)


def test_an_anchor_that_has_ended_since_is_refused(make, cases):
    """A case that happens while an anchor is valid cannot be replayed after its end: the anchor's dates stay."""
    with pytest.raises(Unplayable, match="old is valid in this case and is over today; it is flashed"):
        make().replay(cases["past+field@then"], NOW)


def test_on_a_day_on_which_the_anchor_stands_alike_it_is_played(make, cases):
    """What counts is how the anchors stand to the day, not the day: the other cases are refused then."""
    then = datetime(2021, 7, 1, tzinfo=UTC)
    replay = make().replay(cases["past+field@then"], then)
    assert replay.gallery.record(replay.case).path == ("site-2021", "old")
    with pytest.raises(Unplayable, match="old is over in this case and is valid today"):
        make().replay(cases["good+field@now"], then)


@pytest.mark.parametrize("days", [-0.5, 0.5])
def test_near_the_end_of_an_anchor_nothing_is_played(make, cases, days):
    """Within a day of an anchor's end a board's clock may stand on either side of it."""
    name = "past+field@then" if days < 0 else "good+field@now"
    with pytest.raises(Unplayable, match="within a day"):
        make().replay(cases[name], datetime(2022, 1, 1, tzinfo=UTC) + timedelta(days=days))


def test_anchors_of_other_scenarios_must_be_strangers(town, cases, cache):
    """Where another scenario's anchor has the name of one of this case's certificates, it could play a part."""
    namesake = town.model_copy(update={"slug": "namesake"})
    stores = {"bench-town": "field", "namesake": "field"}
    replayer = Replayer({"bench-town": town, "namesake": namesake}, stores, "bench.example", KeyRing(cache))
    with pytest.raises(Unplayable, match="namesake/root is flashed too"):
        replayer.replay(cases["good+field@now"], NOW)


def test_a_store_that_is_not_there_is_named(make):
    """A misspelt store is answered with the one that was meant."""
    with pytest.raises(InputError, match=r'no store "feild".*did you mean "field"'):
        make(store="feild")


def test_controls_stand_under_one_store():
    """A board keeps its anchors: for it, every control is served under the good chain's store, the twin's too."""
    controls, store = board_controls(load_scenario(CONTROLS)[0].scenario)
    stores = {case.chain: case.store for case in controls.cases()}
    assert set(stores.values()) == {store}
    assert controls.chains["twin-root"].send == ("site", "intermediate-of-twin")


@pytest.mark.parametrize("name", ["good", "twin-root", "other-host", "expired", "not-yet-valid"])
def test_controls_can_be_replayed(cache, name):
    """Each control does to the reference relying party, today and under a board's own name, what it is for."""
    controls, store = board_controls(load_scenario(CONTROLS)[0].scenario)
    replayer = Replayer({"controls": controls}, {"controls": store}, "gateway.example", KeyRing(cache))
    case = next(case for case in controls.cases() if case.chain == name)
    replay = replayer.replay(case, NOW)
    minted = replay.gallery.minted("controls")
    opinion = reference(minted.named(case.send), list(replayer.anchors.values()), NOW, "gateway.example")
    assert (opinion.expect, opinion.reason) == (case.expected.expect, case.expected.reason)


def test_names_change_places(town):
    """Renaming is its own inverse, and what asked for one name asks for the other."""
    swapped = renamed(town, "bench.example", "gateway.example")
    assert swapped.server.host == "gateway.example"
    assert swapped.entities["site"].dns == ("gateway.example",)
    assert renamed(swapped, "bench.example", "gateway.example") == town


@given(MOMENTS, st.lists(MOMENTS, max_size=6))
def test_steady_keeps_every_side(at, ends):
    """A steady moment is a day away from every end, on the side on which the wanted moment is, or there is none."""
    try:
        moment = steady(at, ends)
    except Unplayable:
        later = min((end for end in ends if end > at), default=None)
        earlier = max((end for end in ends if end < at), default=None)
        assert at in ends or (later is not None and earlier is not None and later - earlier < 2 * MARGIN)
        return
    for end in ends:
        assert abs(moment - end) >= MARGIN
        assert (moment < end) == (at < end)


@given(MOMENTS, st.lists(MOMENTS, max_size=6))
def test_a_steady_moment_stays(at, ends):
    """Where the wanted moment is far from every end, it is taken as it is."""
    assume(all(abs(at - end) >= MARGIN for end in ends))
    assert steady(at, ends) == at


def test_a_case_about_the_device_is_refused(make, cases):
    """A board shows the certificate that it has, whichever a scenario would give it."""
    case = cases["good+field@now"].model_copy(update={"device": Device(trust=("root",))})
    with pytest.raises(Unplayable, match="the device's own certificate"):
        make().replay(case, NOW)
