"""s2n-tls on AWS-LC, as awscrt packs them, with its default TLS options; under kit/frozen.c, which moves the clock.

An exception of awscrt says that the negotiation failed; why, s2n-tls tells in awscrt's log, which comes here by a pipe.
"""

import ctypes
import json
import os
import re
import select
import socket
import sys
import time
from concurrent.futures import TimeoutError as Late
from concurrent.futures import wait
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

import awscrt
from awscrt import exceptions, http, io

PATIENCE = 0.5  # seconds for the log, which another thread writes
PAUSE = 0.002
OK = 200
NEGOTIATION = "AWS_IO_TLS_ERROR_NEGOTIATION_FAILURE"
SAID = re.compile(r"negotiation failed with error (.*) \(.*\)\n")

# s2n_strerror() for what its verification of certificates finds.
REASONS = {
    "Certificate is untrusted": "unknown-ca",
    "Certificate has expired": "expired",
    "Certificate is not yet valid": "not-yet-valid",
    "Certificate is not valid for the supplied hostname": "wrong-host",
    "Certificate is invalid": "malformed",
    "Error decoding certificate": "malformed",
    "error decoding certificate": "malformed",
    "Certificate has been revoked by the CA": "revoked",
    "Certificate Type is unsupported": "other",
    "Certificate intent is invalid for the current context.": "wrong-usage",
    "The maximum certificate chain depth has been exceeded": "path-length",
    "The certificate key or signature is not allowed by the security policy": "weak",
    "Unhandled critical certificate extension": "other",
    "Certificate failed custom application validation": "other",
}


def failed(stage, code, text):
    return {"outcome": "failed", "stage": stage, "code": str(code), "text": text}


class Log:
    """What awscrt logs, as it comes."""

    def __init__(self):
        self.text = ""
        self.libc = ctypes.CDLL(None)
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        io.init_logging(io.LogLevel.Warn, "/proc/self/fd/%d" % self.writer)

    def forget(self):
        """Drop what earlier probes left."""
        self.text = ""
        self._read()

    def reason(self):
        """What s2n-tls said of the negotiation that failed; empty where it says nothing, or not yet."""
        self.text += self._read()
        found = SAID.search(self.text)
        return found.group(1) if found else ""

    def _read(self):
        data = b""
        self.libc.fflush(None)  # the log is a C stream, and keeps what is less than a block
        while select.select([self.reader], [], [], 0)[0]:
            data += os.read(self.reader, 65536)
        return data.decode(errors="replace")


def judge(stage, text):
    """What the words of s2n-tls mean: a verdict on certificates, or that something else broke."""
    if text in REASONS:
        return {"outcome": "rejected", "stage": stage, "reason": REASONS[text], "code": NEGOTIATION, "text": text}
    return failed(stage, NEGOTIATION, text)


def hang_up(host, port):
    """End what is open to this server.

    s2n-tls keeps a connection that failed for 10 to 30 seconds (blinding), and awscrt has no way to give it up.
    """
    for entry in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink("/proc/self/fd/" + entry).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(entry))) as one:
                if one.getpeername()[:2] == (host, port):
                    one.shutdown(socket.SHUT_RDWR)
        except OSError:  # gone meanwhile, or not connected
            continue


class Driver:
    def __init__(self):
        self.log = Log()
        group = io.EventLoopGroup(1)
        self.bootstrap = io.ClientBootstrap(group, io.DefaultHostResolver(group))

    def connect(self, line):
        if line.get("client_chain"):
            own = line["client_chain"].encode(), line["client_key"].encode()
            options = io.TlsContextOptions.create_client_with_mtls(*own)
        else:
            options = io.TlsContextOptions()
        options.override_default_trust_store(line["anchors"].encode())
        tls = io.ClientTlsContext(options).new_connection_options()
        tls.set_server_name(line["server_name"])
        sockets = io.SocketOptions()
        sockets.connect_timeout_ms = line["timeout_ms"]
        return http.HttpClientConnection.new(
            host_name=line["host"],
            port=line["port"],
            bootstrap=self.bootstrap,
            socket_options=sockets,
            tls_connection_options=tls,
        )

    def probe(self, line):
        deadline = time.monotonic() + line["timeout_ms"] / 1000
        stage, connection = "load", None

        if "-----BEGIN" not in line["anchors"]:
            # Without anchors awscrt takes the system's.
            return {"outcome": "unsupported", "stage": stage, "text": "awscrt has no trust store that is empty"}
        self.log.forget()
        try:
            pending = self.connect(line)
            stage = "handshake"
            if not self.negotiated(pending, deadline):
                return judge(stage, self.log.reason())
            connection = pending.result()
            stage = "http"
            headers = http.HttpHeaders([("Host", line["server_name"]), ("Connection", "close")])
            stream = connection.request(http.HttpRequest("GET", "/", headers))
            stream.activate()
            status = stream.completion_future.result(max(0.001, deadline - time.monotonic()))
            good = {"outcome": "accepted", "stage": stage}
            return good if status == OK else failed(stage, status, "answer is not HTTP 200")
        except Late:
            return failed(stage, "timeout", "no end within %d ms" % line["timeout_ms"])
        except exceptions.AwsCrtError as error:
            end = time.monotonic() + (PATIENCE if error.name == NEGOTIATION else 0)
            while not self.log.reason() and time.monotonic() < end:
                # not time.sleep(), which under a frozen clock may find its end in the past and fail
                select.select([], [], [], PAUSE)
            return judge(stage, self.log.reason()) if self.log.reason() else failed(stage, error.name, str(error))
        except RuntimeError as error:  # the connection ended before the request, as where the server rejects us
            return failed(stage, "RuntimeError", str(error))
        finally:
            if connection is not None:
                connection.close()
            hang_up(line["host"], line["port"])

    def negotiated(self, pending, deadline):
        """Wait for the connection; false where s2n-tls has said why there will be none."""
        while not wait([pending], PAUSE).done:
            if self.log.reason():
                return False
            if time.monotonic() > deadline:
                raise Late
        return True


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main():
    version = "awscrt %s, s2n-tls with AWS-LC" % awscrt.__version__
    can = ["tls1.2", "tls1.3", "client-cert"]
    say({"v": 1, "client": "awslc", "version": version, "clock": "faketime", "can": can, "options": []})
    driver = Driver()
    for text in sys.stdin:
        report = {"v": 1, "id": ""}
        try:
            line = json.loads(text)
            report["id"] = line["id"]
            report.update(driver.probe(line), clock=int(time.time()))
        except OverflowError as error:  # Python counts nanoseconds in 64 bits: no clock after 2262-04-11
            report.update(outcome="unsupported", stage="load", code="OverflowError", text=str(error))
        except (KeyError, TypeError, ValueError) as error:
            report.update(failed("harness", type(error).__name__, str(error)))
        say(report)
    os._exit(0)  # awscrt's threads have nothing to finish


main()
