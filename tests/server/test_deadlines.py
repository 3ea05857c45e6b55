"""Deadlines and slow sockets, without a socket: the clock and the transport are ours."""

from __future__ import annotations

import pytest
from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from lab.server.connection import ANSWER, Limits, ServerConnection


class Transport:
    """A socket whose kernel takes ``room`` bytes and no more, or has lost its peer."""

    def __init__(self, room=10**9):
        self.room, self.taken, self.waiting = room, b"", b""
        self.producer = None
        self.aborted = self.left = self.finished = self.broken = False

    def setTcpNoDelay(self, enabled):  # noqa: N802
        assert enabled

    def writeSomeData(self, data):  # noqa: N802
        if self.broken:
            return ConnectionLost()
        some, self.room = data[: self.room], self.room - len(data[: self.room])
        self.taken += some
        return len(some)

    def write(self, data):
        assert not self.waiting
        self.waiting = data

    def registerProducer(self, producer, streaming):  # noqa: N802
        assert not streaming
        self.producer = producer
        producer.resumeProducing()

    def unregisterProducer(self):  # noqa: N802
        self.producer = None

    def drain(self):
        """Let the kernel take what the transport holds, as twisted does when the socket is writable."""
        self.taken, self.waiting = self.taken + self.waiting, b""
        self.producer.resumeProducing()

    def getHandle(self):  # noqa: N802
        return self

    def shutdown(self, how):
        self.finished = True

    def abortConnection(self):  # noqa: N802
        self.aborted = True

    def loseConnection(self):  # noqa: N802
        self.left = True


class Served:
    """A connection on a fake clock and transport, with a TLS client in memory."""

    def __init__(self, exhibit, room=10**9):
        self.clock, self.transport, self.gone = Clock(), Transport(room), []
        self.connection = ServerConnection(self.clock, exhibit, Limits(5, 3), self.gone.append)
        self.connection.makeConnection(self.transport)
        self.client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self.client.set_connect_state()
        self.read = 0

    def say(self):
        """Send what the client has to say."""
        self.connection.dataReceived(self.client.bio_read(65536))

    def hear(self):
        """Give the client what has come out since."""
        self.client.bio_write(self.transport.taken[self.read :])
        self.read = len(self.transport.taken)

    def hello(self):
        with pytest.raises(SSL.WantReadError):
            self.client.do_handshake()
        self.say()

    def shake(self):
        self.hello()
        self.hear()
        self.client.do_handshake()
        self.say()

    def lose(self, reason):
        self.connection.connectionLost(Failure(reason))
        return self.connection.record.witness()


@pytest.mark.parametrize("started", [False, True])
def test_handshake_deadline(exhibit, started):
    """The handshake has one absolute deadline, whatever comes in between."""
    served = Served(exhibit)
    served.clock.advance(4.9)
    if started:
        served.hello()
    assert not served.transport.aborted
    served.clock.advance(0.2)
    assert served.transport.aborted
    seen = served.lose(ConnectionAborted())
    assert (seen.closed, seen.handshake, seen.ms) == ("deadline", False, pytest.approx(5100))
    assert served.gone == [served.connection]
    assert not served.clock.getDelayedCalls()


def test_idle_deadline_starts_anew_with_every_byte(exhibit):
    """After the handshake each byte buys three seconds more, and silence ends in the deadline."""
    served = Served(exhibit)
    served.clock.advance(1)
    served.shake()
    for _ in range(4):
        served.clock.advance(2.9)
        served.client.send(b"G")
        served.say()
    assert not served.transport.aborted
    served.clock.advance(3.1)
    seen = served.lose(ConnectionAborted())
    assert (seen.closed, seen.handshake, seen.handshake_ms) == ("deadline", True, pytest.approx(1000))


def test_client_that_does_not_close_is_dropped(exhibit):
    """After the answer the client has the idle time to close, and is dropped then."""
    served = Served(exhibit)
    served.shake()
    served.client.send(b"GET / HTTP/1.1\r\n\r\n")
    served.say()
    assert served.transport.finished
    served.clock.advance(3.1)
    seen = served.lose(ConnectionAborted())
    assert (seen.closed, seen.answered) == ("deadline", True)


def test_certificate_counts_when_the_kernel_has_it_all(exhibit):
    """A Certificate message that waits in the transport is not sent; it is once the last byte is taken."""
    served = Served(exhibit, room=100)
    served.hello()
    assert served.connection.record.witness().certificates == ()
    assert served.connection.record.witness().bytes_out == 100
    served.transport.drain()
    seen = served.connection.record.witness()
    assert seen.certificates == exhibit.digests
    assert seen.bytes_out == len(served.transport.taken)
    assert served.transport.producer is None


def test_answer_counts_when_the_kernel_has_it_all(exhibit):
    """An answer that waits in the transport is no answer yet, and the FIN waits for it."""
    served = Served(exhibit)
    served.shake()
    served.transport.room = 10
    served.client.send(b"GET / HTTP/1.1\r\n\r\n")
    served.say()
    assert served.connection.record.witness().request
    assert not served.connection.record.witness().answered
    assert not served.transport.finished
    served.transport.drain()
    assert served.connection.record.witness().answered
    assert served.transport.finished
    served.hear()
    assert served.client.recv(65536) == ANSWER
    assert served.lose(ConnectionDone()).closed == "fin"


def test_a_broken_socket_is_a_reset(exhibit):
    """A write that finds the peer gone is a reset even if the reader then sees an ordinary end."""
    served = Served(exhibit)
    served.transport.broken = True
    served.hello()
    seen = served.lose(ConnectionDone())
    assert (seen.closed, seen.certificates, seen.bytes_out) == ("reset", (), 0)
    assert (seen.alert, seen.alert_sent) == (None, None)


def test_bytes_after_an_abort_are_not_read(exhibit):
    """What twisted still delivers after the lab has dropped a connection changes nothing."""
    served = Served(exhibit)
    served.connection.abort("lab")
    served.hello()
    assert served.transport.taken == b""
    assert served.lose(ConnectionAborted()).closed == "lab"
