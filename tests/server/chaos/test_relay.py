"""What the relay writes, and in how many pieces."""

from __future__ import annotations

from random import Random

import pytest
from twisted.internet.task import Clock

from lab.server.chaos.relay import Relay
from lab.server.faults import read_faults


class Port:
    """A port that always drains, and keeps each write by itself."""

    transport = None
    drained = True

    def __init__(self):
        self.writes = []
        self.heard = []

    def write(self, data):
        self.writes.append(data)
        return sum(map(len, self.writes))

    def noted(self, position, text):
        self.heard.append((position, text))


@pytest.fixture
def port():
    return Port()


ENCRYPTED = b"".join(b"\x17\3\3\0\4" + bytes([number]) * 4 for number in range(3))


def test_a_flight_stays_one_write(port):
    """Records that nothing parts go out as TLS made them, so that no client answers when only half of it was sent."""
    relay = Relay(Clock(), port, read_faults(["no-close-notify"]), Random(0), lambda: None, ())
    sent = []
    relay.take(ENCRYPTED, lambda: sent.append(len(port.writes)))
    assert port.writes == [ENCRYPTED]
    assert sent == [1]
