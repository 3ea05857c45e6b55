"""The server alone, and boards on the bench: real TLS clients play them, whose own words the lab cannot read."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

BENCH = Path(__file__).parent.parent / "data" / "bench"
REQUEST = b"GET / HTTP/1.1\r\nHost: bench.example\r\n\r\n"
PATIENCE = 60
CONTROLS = ("good", "twin-root", "other-host", "expired", "not-yet-valid", "imposter")
PLAYED = ("good+field@now", "dead+field@site.until+1s", "stranger+field@now", "renamed+field@now")
UNPLAYED = ("dead+field@site.until", "past+field@then")


class Served:
    """A lab that serves: its lines as they come, and its process."""

    def __init__(self, process, stream, folder):
        self.process = process
        self.folder = folder
        self.lines = []
        self._stream = stream
        self._guard = threading.Timer(PATIENCE, process.kill)
        self._guard.start()

    def until(self, pattern):
        """Wait for a line, and return the match."""
        for line in self._stream:
            self.lines.append(line.rstrip("\n"))
            if found := re.search(pattern, line):
                return found
        pytest.fail(f"{pattern!r} never came: {self.lines}")

    def address(self):
        """Wait until a board may connect, and return where."""
        found = self.until(r" at ([\d.]+):(\d+);")
        return found[1], int(found[2])

    def steps(self):
        """Yield the names of the controls and cases as they are shown."""
        for line in self._stream:
            self.lines.append(line.rstrip("\n"))
            found = re.match(r"(?:control|case \d+ of \d+:) (?:bench-town/)?([^\s,:]+)", line)
            if found and found[1] not in UNPLAYED:
                yield found[1]

    def end(self):
        """Wait for the end, and return the exit status and the run's document."""
        for line in self._stream:
            self.lines.append(line.rstrip("\n"))
        status = self.process.wait(PATIENCE)
        self._guard.cancel()
        (report,) = self.folder.glob("results/*/report.json")
        return status, json.loads(report.read_text())

    def stop(self):
        self._guard.cancel()
        self.process.kill()
        self.process.wait(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


@pytest.fixture
def start(environment, tmp_path):
    """Start ``tlslab serve`` in a folder of its own; which of its streams speaks is said by ``stream``."""
    running = []

    def start(*arguments, folder=tmp_path, stream="stderr"):
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "lab", "--scenarios", str(BENCH), "serve", *arguments]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1
        )
        running.append(Served(process, getattr(process, stream), folder))
        return running[-1]

    yield start
    for served in running:
        served.stop()


@pytest.fixture
def board(start):
    """Start a bench for a board that moves on with each connection."""

    def board(*arguments, folder=None):
        fixed = ("--device", "acme-1", "--store", "field", "--listen", "127.0.0.1:0", "--advance", "connection")
        return start(*fixed, *arguments, "bench-town", **({} if folder is None else {"folder": folder}))

    return board


def anchors_of(served):
    return served.folder / "results" / "device-acme-1" / "anchors.pem"


def verifying(anchors):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(anchors)
    return context


def connect(address, context, name="bench.example", ending="alert", data=REQUEST):
    """Connect as a board does: TLS in its own memory, so that it decides what of it leaves when it rejects.

    ``ending`` of a rejection: its stack's ``alert``, or a bare ``fin`` or ``reset``.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with socket.create_connection(address, PATIENCE) as plain:

        def pump(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    received = plain.recv(65536)
                    incoming.write(received) if received else incoming.write_eof()

        try:
            pump(tls.do_handshake)
            tls.write(data)
            pump(lambda: tls.read(65536))
            with contextlib.suppress(ssl.SSLError):
                tls.unwrap()
            plain.sendall(outgoing.read())
        except ssl.SSLError:
            if ending == "alert":
                plain.sendall(outgoing.read())
            if ending == "reset":
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return "rejected"
            plain.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while plain.recv(65536):
                    pass
            return "rejected"
    return "accepted"


def outcomes(document):
    return {cell["case"]: cell for cell in document["cells"]}


def ledger(served, kind):
    (path,) = served.folder.glob("results/*/ledger.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line["record"] for line in lines if line["kind"] == kind]


def test_a_board_that_sends_alerts(board):
    """Alerts about certificates become rejections with their reasons; what no real clock can show is unsupported."""
    served = board()
    address = served.address()
    context = verifying(anchors_of(served))
    met = [(step, connect(address, context)) for step in served.steps()]
    status, document = served.end()
    assert [step for step, _outcome in met] == [*CONTROLS, *PLAYED]
    assert [outcome for _step, outcome in met] == ["accepted", *["rejected"] * 5, "accepted", *["rejected"] * 3]
    cells = outcomes(document)
    said = {case: (cells[case]["observed"], cells[case]["reason"], cells[case]["verdict"]) for case in PLAYED}
    assert said == {
        "good+field@now": ("accepted", None, "pass"),
        "dead+field@site.until+1s": ("rejected", "expired", "pass"),
        "stranger+field@now": ("rejected", "unknown-ca", "pass"),
        "renamed+field@now": ("rejected", "other", "pass"),
    }
    assert cells["stranger+field@now"]["witness"]["alert"] == "fatal unknown_ca"
    assert {cells[case]["observed"] for case in UNPLAYED} == {"unsupported"}
    assert [control["outcome"] for control in ledger(served, "control")] == ["ok"] * 6
    column = ledger(served, "column")[-1]
    assert (column["name"], column["runtime"], column["clock"]) == ("acme-1", "board", "real")
    assert column.get("state", "ok") == "ok"
    assert status == 0
    assert any("alert fatal certificate_expired" in line for line in served.lines)


@pytest.mark.parametrize("ending", ["fin", "reset"])
def test_a_silent_board_that_is_true_to_itself(board, ending):
    """Without any alert: what ends as the board's must-reject controls did is rejected."""
    served = board()
    address = served.address()
    context = verifying(anchors_of(served))
    for _step in served.steps():
        connect(address, context, ending=ending)
    status, document = served.end()
    cells = outcomes(document)
    assert [cells[case]["observed"] for case in PLAYED] == ["accepted", *["rejected"] * 3]
    assert cells["stranger+field@now"]["code"] == ending
    assert status == 0


def test_a_silent_ending_that_no_control_taught(board):
    """A board whose controls end with a FIN and whose case ends with a reset: nothing can be said of that case."""
    served = board()
    address = served.address()
    context = verifying(anchors_of(served))
    for step in served.steps():
        connect(address, context, ending="reset" if step == "stranger+field@now" else "fin")
    status, document = served.end()
    cells = outcomes(document)
    assert [cells[case]["observed"] for case in PLAYED] == ["accepted", "rejected", "failed", "rejected"]
    assert cells["stranger+field@now"]["verdict"] == "inconclusive"
    assert "unlike any of its must-reject controls" in cells["stranger+field@now"]["text"]
    assert status == 1


def test_a_board_without_a_shared_version(board):
    """A handshake that fails for want of a version is a failure, not a rejection."""
    served = board()
    address = served.address()
    context = verifying(anchors_of(served))
    for step in served.steps():
        if step == "good+field@now":
            with socket.create_connection(address, PATIENCE) as plain:
                plain.sendall(old_hello())
                while plain.recv(65536):
                    pass
        else:
            connect(address, context)
    _status, document = served.end()
    cell = outcomes(document)["good+field@now"]
    assert (cell["observed"], cell["stage"], cell["verdict"]) == ("failed", "handshake", "inconclusive")
    assert cell["witness"]["alert_sent"] == "fatal protocol_version"


def old_hello():
    """Return the hello of a client that knows no more than TLS 1.0."""
    body = b"\x03\x01" + bytes(32) + b"\x00" + b"\x00\x04\xc0\x09\xc0\x13" + b"\x01\x00"
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def test_a_board_of_another_protocol(board):
    """Any application data after the handshake is acceptance: boards speak MQTT too."""
    served = board()
    address = served.address()
    context = verifying(anchors_of(served))
    for step in served.steps():
        if step == "good+field@now":
            with (
                socket.create_connection(address, PATIENCE) as plain,
                context.wrap_socket(plain, server_hostname="bench.example") as tls,
            ):
                tls.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04acme")
        else:
            connect(address, context)
    _status, document = served.end()
    cell = outcomes(document)["good+field@now"]
    assert (cell["observed"], cell["witness"]["data"], cell["witness"].get("request", False)) == ("accepted", 18, False)


def test_a_board_that_goes_away(board):
    """Silence is unreachable; what it did before that is kept."""
    served = board("--patience", "2")
    address = served.address()
    context = verifying(anchors_of(served))
    for step in served.steps():
        if step in CONTROLS or step == "good+field@now":
            connect(address, context)
    _status, document = served.end()
    cells = outcomes(document)
    assert [cells[case]["observed"] for case in PLAYED] == ["accepted", *["unreachable"] * 3]


def test_a_board_that_never_comes(board):
    """Without the good control nothing is asked of any case: the column failed its controls."""
    served = board("--patience", "0.5")
    status, document = served.end()
    assert status == 3
    assert document["cells"] == []
    assert ledger(served, "column")[-1]["state"] == "control-failed"


def test_a_board_that_does_not_verify(board):
    """A board that accepts a must-reject control gets no verdict on anything, and the report says which it was."""
    served = board()
    address = served.address()
    context = verifying(anchors_of(served))
    context.check_hostname = False
    for _step in served.steps():
        connect(address, context)
    status, document = served.end()
    assert (status, document["cells"]) == (3, [])
    assert "other-host must be rejected, was accepted" in ledger(served, "column")[-1]["why"]


def test_a_board_that_is_known_not_to_check_the_host(board):
    """With --cannot host that board is measured; a chain for another name is then an exposure."""
    served = board("--cannot", "host")
    address = served.address()
    context = verifying(anchors_of(served))
    context.check_hostname = False
    for _step in served.steps():
        connect(address, context)
    status, document = served.end()
    assert outcomes(document)["renamed+field@now"]["verdict"] == "exposure"
    assert status == 1


def test_anchors_stay_between_invocations(board, tmp_path):
    """A second bench writes the same anchors, byte for byte, so what was flashed once keeps working."""
    written = []
    for name in ("first", "second"):
        served = board(folder=tmp_path / name)
        served.address()
        folder = anchors_of(served).parent
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
        served.stop()
    assert written[0] == written[1]
    assert set(written[0]) == {
        "anchors.pem",
        "anchors.h",
        "bench-town.root.der",
        "bench-town.old.der",
        "controls.root.der",
    }


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl program")
def test_the_operator_moves_on(start):
    """With Enter the operator moves on: several connections of one case count together, and must agree."""
    served = start("--device", "acme-1", "--store", "field", "--listen", "127.0.0.1:0", "bench-town")
    host, port = served.address()
    command = [
        *("openssl", "s_client", "-connect", f"{host}:{port}", "-servername", "bench.example", "-ign_eof", "-quiet"),
        *("-verify_hostname", "bench.example", "-verify_return_error", "-CAfile", str(anchors_of(served))),
        *("-no-CApath", "-no-CAstore"),
    ]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for step in served.steps():
        for _attempt in range(2):
            subprocess.run(command, input=REQUEST, capture_output=True, timeout=PATIENCE, check=False)
            served.until("Enter moves on")
        if step == "dead+field@site.until+1s":
            connect((host, port), context)
            served.until("so far: accepted")
        served.process.stdin.write("\n")
        served.process.stdin.flush()
    _status, document = served.end()
    cells = outcomes(document)
    assert [cells[case]["observed"] for case in PLAYED] == ["accepted", "failed", "rejected", "rejected"]
    assert [cells[case]["witness"]["connections"] for case in PLAYED] == [2, 3, 2, 2]
    assert "disagree: 1 accepted; 2 rejected" in cells["dead+field@site.until+1s"]["text"]


def test_ctrl_c_keeps_what_there_is(board):
    """Ctrl-C ends the bench: the table of what was seen is printed, and the ledger keeps it."""
    served = board()
    address = served.address()
    context = verifying(anchors_of(served))
    for step in served.steps():
        if step == "dead+field@site.until+1s":
            served.process.send_signal(signal.SIGINT)
            break
        connect(address, context)
    status, document = served.end()
    assert status == 130
    assert "good+field@now" in served.process.stdout.read()
    assert [cell["observed"] for cell in document["cells"]] == ["accepted", "unsupported"]


def test_every_chain_has_a_port(start):
    """Without a device each chain has a URL, in a table; each connection becomes a line; Ctrl-C ends it well."""
    served = start("--shift", "now", "bench-town", stream="stdout")
    served.until("Ctrl-C ends this")
    table = {
        found[2]: int(found[1])
        for line in served.lines
        if (found := re.match(r"https://127.0.0.1:(\d+)/ +bench-town/(\S+)", line))
    }
    assert set(table) == {"good", "stranger", "renamed"}
    context = verifying(served.folder / "results" / "serve" / "bench-town" / "field.pem")
    assert connect(("127.0.0.1", table["good"]), context) == "accepted"
    served.until(r"for bench\.example, .*HTTP request answered.* bench-town/good")
    assert connect(("127.0.0.1", table["stranger"]), context) == "rejected"
    served.until(r"alert fatal unknown_ca.* bench-town/stranger")
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(PATIENCE) == 0


def test_real_dates_are_real(start):
    """Without --shift a chain is served at its own dates: a certificate of 2024 is over."""
    served = start("bench-town", stream="stdout")
    served.until("Ctrl-C ends this")
    port = next(
        int(found[1])
        for line in served.lines
        if (found := re.match(r"https://127.0.0.1:(\d+)/ +bench-town/good ", line))
    )
    assert connect(("127.0.0.1", port), verifying(served.folder / "results/serve/bench-town/field.pem")) == "rejected"
    served.until(r"alert fatal certificate_expired.* bench-town/good")


def test_beyond_loopback_it_is_loud(start):
    """A bad TLS server that others can reach says so."""
    served = start("--listen", "0.0.0.0", "bench-town")
    served.until("LISTENING BEYOND LOOPBACK on 0.0.0.0")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--device", "acme-1", "bench-town"), "a board has a trust store"),
        (("--device", "acme-1", "--store", "feild", "bench-town"), 'did you mean "field"'),
        (("--device", "acme-1", "--store", "empty", "bench-town"), "nothing to flash"),
        (("--device", "Acme 1", "--store", "field"), "no name of a column"),
        (("--device", "acme-1", "--store", "both"), "several host names"),
        (("--store", "field"), "about a board"),
        (("--shift", "nwo", "bench-town"), 'did you mean "now"'),
    ],
)
def test_what_is_wrong_is_said_first(start, arguments, said):
    """A misspelt store, time or device is an error of input, before anything listens."""
    served = start(*arguments)
    _out, err = served.process.communicate(timeout=PATIENCE)
    assert served.process.returncode == 2
    assert said in err
