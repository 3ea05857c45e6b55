"""Filters over records: each does what it says, at the place it says, whatever the records' bounds."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.server.chaos.filters import Apart, At, Coalesced, Cut, OneByte, Oversized, Quiet, Rewritten, Watch
from lab.server.chaos.items import Done, End, Filter, Note, Reset, Sent, through
from lab.server.records import CERTIFICATE, HANDSHAKE, MAX_FRAGMENT, SERVER_HELLO, SERVER_HELLO_DONE, Record


def message(kind, size):
    return bytes((kind,)) + size.to_bytes(3, "big") + bytes(i % 251 for i in range(size))


HELLO = message(SERVER_HELLO, 70)
CERTIFICATES = message(CERTIFICATE, 500)
EXCHANGE = message(12, 90)
DONE = message(SERVER_HELLO_DONE, 0)
FLIGHT = HELLO + CERTIFICATES + EXCHANGE + DONE
CUTS = st.lists(st.integers(0, len(FLIGHT)), max_size=12)


def plain(fragment):
    return Record(HANDSHAKE, b"\3\3", fragment)


def cut(flight, cuts):
    """Return the flight in records with these bounds."""
    places = sorted({0, len(flight), *cuts})
    return [plain(flight[a:b]) for a, b in itertools.pairwise(places)]


def content(items):
    return b"".join(item.fragment for item in items if isinstance(item, Record))


@given(CUTS)
def test_a_filter_that_does_nothing_changes_nothing(cuts):
    """Without a fault, records keep their bounds and their order."""
    records = cut(FLIGHT, cuts)
    assert list(through([Filter(), Filter()], records)) == records


@given(CUTS)
def test_every_byte_gets_a_record(cuts):
    """No byte of the messages is lost or doubled, and none shares its record."""
    items = list(through([OneByte("small")], cut(FLIGHT, cuts)))
    records = [item for item in items if isinstance(item, Record)]
    assert content(items) == FLIGHT
    assert {len(record.fragment) for record in records} == {1}
    assert items[-1] == Note(f"small: {len(FLIGHT)} records of one byte")


def test_encrypted_records_are_left_alone():
    """What is encrypted is not chopped: its receiver could not open the parts."""
    record = Record(HANDSHAKE, b"\3\3", FLIGHT, plain=False)
    for one in (OneByte("small"), Coalesced("one"), Oversized("big"), Cut(At.HELLO, lambda *_: iter(()))):
        assert list(through([one], [record])) == [record]


@given(CUTS)
def test_a_flight_becomes_one_record(cuts):
    """Four messages in any records go out in one."""
    items = list(through([Coalesced("one")], cut(FLIGHT, cuts)))
    assert items == [plain(FLIGHT), Note(f"one: 4 messages, {len(FLIGHT)} bytes, in 1 record")]


def test_a_long_flight_becomes_full_records():
    """What does not fit into one record fills as many as it takes."""
    flight = HELLO + message(CERTIFICATE, 40_000) + DONE
    items = list(through([Coalesced("one")], [plain(flight[:MAX_FRAGMENT]), plain(flight[MAX_FRAGMENT:])]))
    assert [len(item.fragment) for item in items[:-1]] == [MAX_FRAGMENT, MAX_FRAGMENT, len(flight) - 2 * MAX_FRAGMENT]
    assert content(items) == flight


def test_what_is_gathered_is_not_held_back_by_anything_else():
    """A flight that never ends goes out before what comes after it, whatever that is."""
    for after in (Record(21, b"\3\3", b"\2\50"), End(), Done(lambda: None)):
        assert list(through([Coalesced("one")], [plain(HELLO), after])) == [plain(HELLO), after]


@given(CUTS)
def test_an_oversized_record_holds_the_rest_of_the_flight(cuts):
    """From the Certificate on there is one record of more than 2^14+2048 bytes: HelloRequests, then the messages."""
    items = list(through([Oversized("big")], cut(FLIGHT, cuts)))
    big = items[-2]
    assert content(items[:-2]) == HELLO
    assert 2**14 + 2048 < len(big.fragment) <= 2**14 + 2048 + 4
    padding = big.fragment[: -len(FLIGHT) + len(HELLO)]
    assert padding == bytes(len(padding))
    assert big.fragment[len(padding) :] == FLIGHT[len(HELLO) :]


PLACES = {
    At.HELLO: 0,
    At.AFTER_HELLO: len(HELLO),
    At.CERTIFICATE: len(HELLO),
    At.INSIDE_CERTIFICATE: len(HELLO) + len(CERTIFICATES) // 2,
    At.AFTER_CERTIFICATE: len(HELLO) + len(CERTIFICATES),
}


@pytest.mark.parametrize("at", PLACES)
@given(cuts=CUTS)
def test_a_cut_is_made_at_its_place_whatever_the_records(at, cuts):
    """Exactly the bytes before the point stand before what happens there, and it happens once."""
    told = []

    def happens(before, size):
        told.append((before, size))
        yield Reset("here")

    items = list(through([Cut(at, happens)], cut(FLIGHT, cuts)))
    (place,) = [index for index, item in enumerate(items) if isinstance(item, Reset)]
    assert content(items[:place]) == FLIGHT[: PLACES[at]]
    assert content(items) == FLIGHT
    if at is At.INSIDE_CERTIFICATE:
        assert told == [(len(CERTIFICATES) // 2, len(CERTIFICATES))]


def test_under_tls_1_3_the_certificate_is_in_the_first_encrypted_record():
    """A cut before the Certificate is one before the first application data behind the ServerHello."""
    secret = Record(23, b"\3\3", b"secret", plain=False)
    items = list(through([Cut(At.CERTIFICATE, lambda *_: iter((Reset("here"),)))], [plain(HELLO), secret, secret]))
    assert items == [plain(HELLO), Reset("here"), secret, secret]


@given(CUTS)
def test_the_hello_is_rewritten_whole(cuts):
    """The change sees the whole message, and everything behind it stays."""
    seen = []

    def change(said):
        seen.append(said)
        return said[::-1], "turned round"

    items = list(through([Rewritten(change)], cut(FLIGHT, cuts)))
    assert seen == [HELLO]
    assert content(items) == HELLO[::-1] + FLIGHT[len(HELLO) :]
    assert items.count(Note("turned round")) == 1


@given(CUTS)
def test_what_was_said_is_watched_behind_all_faults(cuts):
    """A Certificate message is only called sent behind its last byte."""
    items = list(through([OneByte("small"), Watch()], cut(FLIGHT, cuts)))
    said = [index for index, item in enumerate(items) if isinstance(item, Sent)]
    assert [items[index].kind for index in said] == [SERVER_HELLO, CERTIFICATE]
    assert content(items[: said[0]]) == HELLO
    assert items[said[0]].message == HELLO
    assert content(items[: said[1]]) == HELLO + CERTIFICATES


def test_a_certificate_that_is_cut_short_was_not_sent():
    """Half of a message is none."""
    items = list(through([Watch()], [plain((HELLO + CERTIFICATES)[:-1])]))
    assert [item.kind for item in items if isinstance(item, Sent)] == [SERVER_HELLO]


def test_records_are_sent_apart_up_to_a_limit_and_only_in_the_first_flight():
    """Neither a long chain nor the answer is sent byte by byte."""
    record = plain(bytes(100))
    marked = list(through([Apart("slow", 150)], [record, record, record]))
    assert [item.apart for item in marked] == ["slow", "slow", ""]
    later = list(through([Apart("slow", 150)], [record, Done(lambda: None), record]))
    assert [item.apart for item in later if isinstance(item, Record)] == ["slow", ""]


def test_only_an_end_after_the_answer_lacks_a_close_notify():
    """A connection that fails owes nobody a close_notify."""
    assert list(through([Quiet("mute")], [End()])) == [End()]
    assert list(through([Quiet("mute")], [End(orderly=True)])) == [End("mute: FIN without a close_notify")]


@given(CUTS, st.lists(st.sampled_from("osca"), max_size=5))
def test_filters_combine_in_any_order(cuts, order):
    """However chopping and merging follow each other, the messages arrive whole and in order."""
    make = {"o": lambda: OneByte("o"), "s": lambda: Apart("s", 99), "c": lambda: Coalesced("c"), "a": Filter}
    items = list(through([make[one]() for one in order], cut(FLIGHT, cuts)))
    assert content(items) == FLIGHT
