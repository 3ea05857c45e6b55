"""Every fault on the wire over real sockets: what a real client makes of it, and that it really was there."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import re
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.errors import InputError
from lab.server.chaos.stage import staged
from lab.server.faults import CATALOGUE, consequence, fault_records, read_faults

ALERTS = [name for name in CATALOGUE if name.startswith("alert-")]
FATAL = [
    name
    for name, kind in CATALOGUE.items()
    if kind.consequence == "fail" and name not in ALERTS and name != "stall-after-server-hello"
]
QUICK = {"delay-accept": "=20", "delay-hello": "=20", "delay-certificate": "=20"}
SAME = [name + QUICK.get(name, "") for name, kind in CATALOGUE.items() if kind.consequence == "same"]
PROOFS = {
    "delay-accept=20": r"20 ms before the ClientHello was read",
    "delay-hello=20": r"20 ms before the ServerHello",
    "delay-certificate=20": r"20 ms before the Certificate",
    "one-byte-records": r"\d{3,} records of one byte",
    "split-record": r"(\d{3,}) writes of one byte( in \1 segments)?",
    "coalesced-messages": r"4 messages, \d+ bytes, in 1 record",
    "too-long-chain": r"begins 7 certificates, 4\d{4} bytes",
    "no-close-notify": r"FIN without a close_notify",
    "warning-alerts": r"1 times warning unrecognized_name",
    "reset-before-hello": r"RST, and no ClientHello was read",
    "reset-before-certificate": r"RST",
    "reset-inside-certificate": r"RST after (\d+) of (\d+) bytes of the message",
    "reset-after-certificate": r"RST after (\d+) of \1 bytes of the message",
    "truncated-certificate": r"\d+ of \d+ bytes, then FIN",
    "garbage-after-server-hello": r"512 bytes that are no record, then FIN",
    "oversized-record": r"a record of 184\d\d bytes, where 18432 is the most",
    "downgrade-version": r"TLS 1\.2, with DOWNGRD 01 at the end of the random",
    "downgrade-cipher": r"0x[0-9a-f]{4}, which the client did not offer, in place of 0x[0-9a-f]{4}",
}


def with_faults(exhibit, *names, seed="seed"):
    return staged(exhibit, read_faults(names), seed)


def proves(witness, name):
    """Tell whether a witness says of a fault what it must."""
    told = [text for text in witness.faults if text.partition(":")[0] == name]
    wanted = PROOFS.get(name)
    return len(told) == 1 and (wanted is None or re.fullmatch(f"{re.escape(name)}: {wanted}", told[0]) is not None)


# --- what must make no difference


@pytest.mark.parametrize("name", SAME)
def test_a_client_survives_what_the_standards_allow(name, lane, exhibit, pki, wire):
    """OpenSSL verifies and gets its whole answer; the witness proves that the fault was on the wire."""
    lane.show(with_faults(exhibit, name))
    context = ssl.create_default_context(cadata=pki.root_pem.decode())
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    with wire.connect(lane.port) as raw, context.wrap_socket(raw, server_hostname=wire.HOST) as wrapped:
        wrapped.sendall(wire.REQUEST)
        answer = wire.read_all(wrapped.recv)
    assert answer.endswith(b"you are connected\n")
    witness = lane.settled()
    assert proves(witness, name), witness.faults
    assert witness.answered
    assert len(witness.certificates) == (7 if name == "too-long-chain" else 2)


@pytest.mark.parametrize("name", SAME)
def test_a_bad_chain_is_rejected_under_faults_too(name, lane, exhibit, wire):
    """Who keeps a client busy does not get past its verification."""
    lane.show(with_faults(exhibit, name))
    with wire.connect(lane.port) as raw, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(raw, server_hostname=wire.HOST)
    assert lane.settled().alert == "fatal unknown_ca"


def test_faults_combine_in_their_order(lane, exhibit, pki, wire):
    """Late, in one record, that one byte by byte, and without a farewell: still a handshake, and all is told."""
    names = ("delay-hello=20", "coalesced-messages", "one-byte-records", "split-record", "no-close-notify")
    lane.show(with_faults(exhibit, *names))
    context = ssl.create_default_context(cadata=pki.root_pem.decode())
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    with wire.connect(lane.port) as raw, context.wrap_socket(raw, server_hostname=wire.HOST) as wrapped:
        wrapped.sendall(wire.REQUEST)
        assert wire.read_all(wrapped.recv).endswith(b"connected\n")
    assert {text.partition(":")[0] for text in lane.settled().faults} == set(names)


def test_a_delay_takes_as_long_as_it_says(lane, exhibit, pki, wire):
    """The client waits, and the connection's own deadline does not run meanwhile."""
    lane.show(with_faults(exhibit, "delay-accept=100", "delay-hello=100", "delay-certificate=100"))
    begun = time.monotonic()
    wire.verified(lane.port, pki.root_pem)
    assert time.monotonic() - begun >= 0.3


def test_a_delay_puts_the_deadline_off(make_lane, exhibit, pki, wire):
    """A server that waits for longer than it lets a client take is not cut off by its own clock."""
    lane = make_lane(handshake_s=0.3)
    lane.show(with_faults(exhibit, "delay-accept=250", "delay-hello=250"))
    wire.verified(lane.port, pki.root_pem)
    assert lane.settled().answered


def test_an_impatient_client_is_lost_to_a_delay(lane, exhibit, wire):
    """A delay does damage where a client's deadline is shorter; then nothing is told, for it was not over."""
    lane.show(with_faults(exhibit, "delay-hello=60000"))
    with wire.connect(lane.port) as raw:
        raw.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ssl.create_default_context().wrap_socket(raw, server_hostname=wire.HOST)
    assert lane.settled().faults == ()


def test_a_client_without_tls_1_3_is_not_asked_again(lane, exhibit, pki, wire):
    """A fault that cannot take effect is not claimed: there is no HelloRetryRequest before TLS 1.3."""
    lane.show(with_faults(dataclasses.replace(exhibit, max_tls="1.2"), "hello-retry-request", "downgrade-version"))
    context = ssl.create_default_context(cadata=pki.root_pem.decode())
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with wire.connect(lane.port) as raw, context.wrap_socket(raw, server_hostname=wire.HOST) as wrapped:
        wrapped.sendall(wire.REQUEST)
        wire.read_all(wrapped.recv)
    assert lane.settled().faults == ()


def test_a_retry_does_not_stick_to_the_exhibit(lane, exhibit, pki, wire):
    """The groups of one connection are not those of the next."""
    shown = with_faults(exhibit, "hello-retry-request")
    for _ in range(2):
        lane.show(shown)
        wire.verified(lane.port, pki.root_pem)
        assert lane.settled().faults == ("hello-retry-request",)
    lane.show(dataclasses.replace(shown, faults=()))
    wire.verified(lane.port, pki.root_pem)
    assert lane.settled().faults == ()


# --- what must never end in a connection


@pytest.mark.parametrize("name", FATAL)
def test_a_client_never_connects_through_what_is_forbidden(name, lane, exhibit, pki, wire):
    """OpenSSL fails cleanly; the witness proves the fault, and counts no certificate that was not wholly sent.

    A client that stops at the ServerHello races with the rest of the flight: either is right there.
    """
    lane.show(with_faults(exhibit, name))
    with pytest.raises(OSError):
        wire.verified(lane.port, pki.root_pem)
    witness = lane.settled()
    assert proves(witness, name), witness.faults
    assert not witness.handshake
    if name != "downgrade-cipher":
        whole = name in {"reset-after-certificate", "oversized-record", "downgrade-version"}
        assert bool(witness.certificates) is whole


@pytest.mark.parametrize("name", ALERTS)
def test_a_fatal_alert_reaches_the_client_by_its_name(name, lane, exhibit, wire):
    """Each alert stands alone on the wire: level 2, its number, and a FIN; no version was ever settled."""
    lane.show(with_faults(exhibit, name))
    with wire.connect(lane.port) as raw:
        raw.sendall(wire.records(wire.hello()))
        data = wire.read_all(raw.recv)
    witness = lane.settled()
    spelled = name.removeprefix("alert-").replace("-", "_")
    assert witness.faults == (f"{name}: fatal {spelled} in place of the ServerHello, then FIN",)
    assert data[:6] == bytes((21, 3, 3, 0, 2, 2))
    assert len(data) == 7
    assert witness.tls is None


def test_a_stall_is_silent_until_the_client_leaves(make_lane, exhibit, wire):
    """Not even the connection's own deadline ends it: who waits for ever waits for ever."""
    lane = make_lane(handshake_s=1.0)
    lane.show(with_faults(exhibit, "stall-after-server-hello"))
    with wire.connect(lane.port) as raw:
        raw.settimeout(1.5)
        with pytest.raises(TimeoutError):
            ssl.create_default_context().wrap_socket(raw, server_hostname=wire.HOST)
    witness = lane.settled()
    assert witness.faults == ("stall-after-server-hello: nothing after the ServerHello",)
    assert witness.closed == "fin"


def test_a_stalled_connection_ends_with_its_probe(lane, exhibit, wire):
    """A client that never gives up costs the lab nothing once its probe is over."""
    lane.show(with_faults(exhibit, "stall-after-server-hello"))
    with wire.connect(lane.port) as raw:
        raw.sendall(wire.records(wire.hello()))
        assert raw.recv(5)[0] == 22
        assert lane.settled(0.1).closed == "lab"


def test_a_flood_of_warnings_ends_where_the_client_says(lane, exhibit, pki, wire):
    """OpenSSL gives up after a few warnings, and the witness tells that the flood had begun."""
    lane.show(with_faults(exhibit, "warning-flood"))
    with pytest.raises(ssl.SSLError, match=r"(?i)too.many.warn.alerts"):
        wire.verified(lane.port, pki.root_pem)
    assert lane.settled().faults[0].startswith("warning-flood: ")


BLIND = """
import socket, sys
from tlslite import tlsconnection
tlsconnection.TLS_1_2_DOWNGRADE_SENTINEL = b"nothing!"
tls = tlsconnection.TLSConnection(socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10))
tls.handshakeClientCert(serverName="shop.example")
tls.sendall(b"GET / HTTP/1.1\\r\\nHost: shop.example\\r\\n\\r\\n")
print(tls.version, bytes(tls.recv(65536))[-10:])
"""


def test_a_mark_of_a_downgrade_is_all_that_is_wrong(lane, exhibit):
    """A client that offers TLS 1.3 and does not look for the mark connects: so who connects does not look."""
    lane.show(with_faults(exhibit, "downgrade-version"))
    command = [sys.executable, "-W", "ignore", "-c", BLIND, str(lane.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "(3, 3) b'connected\\n'\n", done.stderr
    witness = lane.settled()
    assert "1.3" in witness.versions
    assert witness.tls == "1.2"
    assert witness.handshake
    assert witness.answered
    assert proves(witness, "downgrade-version")


def test_a_mark_of_a_downgrade_is_refused_as_the_standard_says(lane, exhibit, pki, wire):
    """OpenSSL looks, and says illegal_parameter."""
    lane.show(with_faults(exhibit, "downgrade-version"))
    with pytest.raises(ssl.SSLError):
        wire.verified(lane.port, pki.root_pem)
    assert lane.settled().alert == "fatal illegal_parameter"


# --- the catalogue itself


@pytest.mark.parametrize("name", [*SAME, *FATAL, *ALERTS, "warning-flood", "stall-after-server-hello"])
def test_a_client_that_leaves_at_any_time_stops_nothing(name, lane, exhibit, pki, wire):
    """Half a hello, a whole one and a reset: the lane settles, nothing is logged, and the next client is served."""
    lane.show(with_faults(exhibit, name))
    hello = wire.records(wire.hello())
    for sent in (b"", hello[:40], hello):
        raw = wire.connect(lane.port)
        try:
            raw.sendall(sent)
            wire.reset(raw)
        except OSError:
            raw.close()
    lane.settled(0.05)
    lane.show(exhibit)
    wire.verified(lane.port, pki.root_pem)
    assert lane.settled().faults == ()


def test_no_fault_leaks_a_descriptor(lane, exhibit, pki, wire):
    """After all faults, three times over, this process has as many descriptors as before."""
    counts = []
    for _ in range(3):
        for name in (*SAME, *FATAL, *ALERTS, "warning-flood"):
            lane.show(with_faults(exhibit, name))
            with contextlib.suppress(OSError):
                wire.verified(lane.port, pki.root_pem)
            lane.settled(0.5)
        gc.collect()
        counts.append(len(list(Path("/proc/self/fd").iterdir())))
    assert counts[0] == counts[-1]


def test_an_exhibit_keeps_its_lowest_version(exhibit):
    """A fault that needs messages in the clear pins TLS 1.2, unless the exhibit speaks nothing below TLS 1.3."""
    assert with_faults(exhibit, "one-byte-records").max_tls == "1.2"
    newest = dataclasses.replace(exhibit, min_tls="1.3")
    assert with_faults(newest, "one-byte-records").max_tls == "1.3"


@pytest.mark.parametrize("kib", [20, 40, 60])
def test_a_long_chain_is_as_long_as_it_says(exhibit, kib):
    """The certificates together come within a twentieth of the size that was asked for, behind the chain itself."""
    shown = with_faults(exhibit, f"too-long-chain={kib}")
    assert shown.chain[:2] == exhibit.chain
    assert sum(map(len, shown.chain)) == pytest.approx(kib * 1024, rel=0.05)


def test_a_name_that_is_none_is_told_with_the_one_that_would_be_right():
    """Typing errors and wrong numbers are reported all at once."""
    with pytest.raises(InputError) as caught:
        read_faults(["delay-helo", "delay-hello=0", "reset-before-hello=1", "No Fault!"])
    found = sorted((one.found, one.remedy) for one in caught.value.problems)
    assert [text for text, _ in found] == [
        '"delay-hello" takes 1 to 600000 ms, not 0',
        '"reset-before-hello" takes no number',
        'no fault is called "No Fault!"',
        'no fault is called "delay-helo"',
    ]
    assert '"delay-hello"' in found[-1][1]


def test_the_gravest_fault_decides():
    """What one fault forbids, another does not allow."""
    assert consequence(()) == "same"
    assert consequence(read_faults(["delay-hello", "warning-flood"])) == "either"
    assert consequence(read_faults(["warning-flood", "reset-before-hello", "delay-hello"])) == "fail"


def test_every_entry_of_the_catalogue_says_what_it_is():
    """Each has a summary, a consequence and a source, and names that fit into a case's."""
    for one in fault_records():
        assert re.fullmatch(r"[a-z0-9-]+", str(one["name"]))
        assert one["summary"]
        assert one["references"]
        assert one["consequence"] in {"same", "either", "fail"}
