"""The dialogue with a client, fed byte by byte."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.clients.dialogue import Dialogue, LocalProtocolError, RemoteProtocolError, State
from lab.model.wire import MAX_LINE, Probe

HELLO = b'{"v":1,"client":"x","version":"X 1","clock":"native","shoe_size":43}\n'
REPORT = b'{"v":1,"id":"17","outcome":"rejected","stage":"handshake","code":"10","reason":"expired"}\n'
PROBE = Probe(id="17", host="127.0.0.1", port=1, server_name="shop.example", anchors="", time=0, timeout_ms=1)


def asked() -> Dialogue:
    dialogue = Dialogue()
    dialogue.receive(HELLO)
    dialogue.send_probe(PROBE)
    return dialogue


def test_a_probe_is_answered():
    """Hello, probe, report: the messages come out as they went in, and unknown fields are ignored."""
    dialogue = Dialogue()
    (hello,) = dialogue.receive(HELLO)
    assert hello.version == "X 1"
    assert json.loads(dialogue.send_probe(PROBE)) == PROBE.model_dump(exclude_none=True)
    (report,) = dialogue.receive(REPORT)
    assert (report.id, report.code, report.reason) == ("17", "10", "expired")
    assert dialogue.state is State.IDLE


@given(st.lists(st.integers(0, len(REPORT)), max_size=6))
def test_pieces_do_not_matter(cuts):
    """However the transport cuts a line, it is one message."""
    dialogue = asked()
    places = [0, *sorted(cuts), len(REPORT)]
    messages = [message for begin, end in itertools.pairwise(places) for message in dialogue.receive(REPORT[begin:end])]
    assert [message.id for message in messages] == ["17"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"certificate verify OK\n", "no JSON"),
        (b"[" * 100_000 + b"\n", "no JSON"),
        (b"7\n", "no report"),
        (b'{"v":2,"id":"17","outcome":"accepted"}\n', "no report"),
        (b'{"v":1,"id":"17","outcome":"timeout"}\n', "no report"),
        (b'{"v":1,"id":"16","outcome":"accepted"}\n', 'a report for "16" where "17" was asked'),
        (b'{"v":1,"id":"17","outcome":"rejected","reason":"because"}\n', "no report"),
        (b"x" * (MAX_LINE + 1), "a line of more than"),
    ],
)
def test_what_breaks_the_dialogue(line, said):
    """Nonsense, another probe's report and endless lines are the client's fault, and end the dialogue for good."""
    dialogue = asked()
    with pytest.raises(RemoteProtocolError, match=said):
        dialogue.receive(line)
    assert dialogue.state is State.BROKEN
    assert dialogue.receive(REPORT) == []
    with pytest.raises(LocalProtocolError):
        dialogue.send_probe(PROBE)


def test_a_report_that_nobody_asked_for():
    """A report between two probes could be taken for the next one's."""
    dialogue = asked()
    with pytest.raises(RemoteProtocolError, match="nothing was asked"):
        dialogue.receive(REPORT + REPORT)


def test_one_probe_at_a_time():
    """The lab itself may neither ask before the hello nor twice."""
    with pytest.raises(LocalProtocolError):
        Dialogue().send_probe(PROBE)
    with pytest.raises(LocalProtocolError):
        asked().send_probe(PROBE)


@given(st.binary(max_size=2000))
def test_any_bytes_are_messages_or_a_protocol_error(data):
    """No input ends in any other exception."""
    for dialogue in (Dialogue(), asked()):
        try:
            dialogue.receive(data + b"\n")
        except RemoteProtocolError:
            assert dialogue.state is State.BROKEN
