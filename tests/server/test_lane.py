"""A lane knows whose connections it saw, waits for them, and never mixes two probes."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.server.exhibit import Exhibit


def test_settled_without_connection_is_at_once(lane, exhibit):
    """A probe that nobody made settles at once, and empty."""
    lane.show(exhibit)
    witness = lane.settled(60)
    assert witness.connections == 0
    assert witness.closed == ""
    assert lane.settled(60) == witness


def test_settled_waits_for_the_close(lane, exhibit, wire):
    """The witness comes when the client has closed, not before."""
    lane.show(exhibit)
    raw = wire.connect(lane.port)
    with ThreadPoolExecutor() as pool:
        future = pool.submit(lane.settled, 30)
        with pytest.raises(TimeoutError):
            future.result(0.2)
        raw.close()
        witness = future.result(10)
    assert (witness.connections, witness.closed) == (1, "fin")


def test_grace_ends_what_does_not_close(lane, exhibit, wire):
    """After the grace the lab closes what is open, and the witness says so."""
    lane.show(exhibit)
    with wire.connect(lane.port) as raw:
        assert lane.settled(0.05).closed == "lab"
        assert wire.read_all(raw.recv) == b""


def test_connection_still_in_the_kernel_counts(lane, exhibit, in_reactor):
    """A connection that the kernel has made and the lane not yet accepted belongs to the probe it came for."""
    lane.show(exhibit)

    def connect_and_settle():
        socket.create_connection(("127.0.0.1", lane.port)).close()
        return lane.lane.settled(5)

    assert in_reactor(connect_and_settle).connections == 1


def test_without_exhibit_a_connection_is_stray(lane, exhibit, wire):
    """Before an exhibit is shown, and after its probe has settled, connections are closed unread and counted apart."""
    with wire.connect(lane.port) as raw:
        assert wire.read_all(raw.recv) == b""
    assert lane.lane.stray == 1
    lane.show(exhibit)
    assert lane.settled().connections == 0
    with wire.connect(lane.port) as raw:
        assert wire.read_all(raw.recv) == b""
    assert lane.lane.stray == 2


def test_two_probes_do_not_mix(lane, exhibit, pki, wire):
    """A connection left over from one probe is neither shown nor counted in the next."""
    other = Exhibit((pki.site,), pki.key_pem)
    lane.show(exhibit)
    left_over = wire.connect(lane.port)
    wire.get(lane.port)
    lane.show(other)
    assert wire.read_all(left_over.recv) == b""
    left_over.close()
    wire.get(lane.port)
    witness = lane.settled()
    assert witness.connections == 1
    assert witness.certificates == other.digests


def test_the_connection_that_came_furthest_is_described(lane, exhibit, wire):
    """Of several connections of a probe the one that came furthest is described, and all are counted."""
    lane.show(exhibit)
    wire.connect(lane.port).close()
    wire.get(lane.port)
    wire.connect(lane.port).close()
    witness = lane.settled()
    assert witness.connections == 3
    assert witness.answered


def test_connections_are_bounded(make_lane, exhibit, wire):
    """One connection more than allowed is closed unread; it is counted."""
    lane = make_lane(connections=2)
    lane.show(exhibit)
    kept = [wire.connect(lane.port) for _ in range(2)]
    with wire.connect(lane.port) as refused:
        assert wire.read_all(refused.recv) == b""
    assert lane.settled(0).connections == 3
    for raw in kept:
        raw.close()


def test_accepted_sockets_do_not_wait_to_fill_packets(lane, exhibit, wire, in_reactor):
    """TCP_NODELAY is set on what is accepted."""
    lane.show(exhibit)
    with wire.connect(lane.port):

        def options():
            lane.lane._accept_waiting()
            return [one.transport.getTcpNoDelay() for one in lane.lane._probe.open]

        assert in_reactor(options) == [True]


def test_close_frees_the_port_and_ends_connections(lane, exhibit, wire, in_reactor):
    """A closed lane listens no more and has no connection left; closing twice is harmless."""
    lane.show(exhibit)
    with wire.connect(lane.port) as raw:
        in_reactor(lane.lane._accept_waiting)
        in_reactor(lane.lane.close)
        assert wire.read_all(raw.recv) == b""
    in_reactor(lane.lane.close)
    with pytest.raises(ConnectionRefusedError):
        wire.connect(lane.port)


def test_show_refuses_what_cannot_be_shown(lane, pki, exhibit, wire):
    """An exhibit that OpenSSL refuses is an error at once, and what was shown stays."""
    from lab.errors import InputError  # noqa: PLC0415

    lane.show(exhibit)
    with pytest.raises(InputError):
        lane.show(Exhibit((pki.site,), pki.other_key_pem))
    wire.get(lane.port)
    assert lane.settled().answered
