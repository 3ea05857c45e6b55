"""MicroPython's tls module with verify_mode = CERT_REQUIRED; runs under kit/frozen.c, which moves the clock.

For the unix port, whose Mbed TLS is the distribution's shared object.  Its own clocks stand still with the lab's, so
that a socket's timeout is all that ends a wait.
"""

import binascii
import ffi
import gc
import hashlib
import json
import socket
import sys
import time
import tls

LIMIT = 1 << 20
IPPROTO_TCP = 6
TCP_NODELAY = 1
CA_CHAIN_REQUIRED = -0x7680
FATAL_ERROR = -0x3000
BAD_CERTIFICATE = -0x7A00  # what Mbed TLS 3 says of a usage, where nothing else was wrong
X509_ERRORS = range(-0x2A00, -0x2080 + 1)

# mbedtls_x509_crt_verify_info() has a line for every flag of the verification.  The first that is here decides: trust,
# what a CA may never sign, what the end entity is, and dates last, as they alone heal by waiting.
REASONS = (
    ("is not correctly signed by the trusted CA", "unknown-ca"),
    ("has been revoked", "revoked"),
    ("signed with an unacceptable", "weak"),
    ("Usage does not match", "wrong-usage"),
    ("usage does not match", "wrong-usage"),
    ("Common Name (CN) does not match", "wrong-host"),
    ("validity has expired", "expired"),
    ("validity starts in the future", "not-yet-valid"),
)


def rejected(stage, reason, code, text):
    return {"outcome": "rejected", "stage": stage, "reason": reason, "code": code, "text": text}


def failed(stage, code, text):
    return {"outcome": "failed", "stage": stage, "code": code, "text": text}


def from_error(stage, error):
    """What an exception means.  A ValueError in a handshake is the text of a verification that failed."""
    if isinstance(error, ValueError):
        text = str(error).strip().replace("\n", "; ")
        if stage == "load":
            return rejected(stage, "malformed", "ValueError", text)
        if stage == "handshake":
            known = [reason for words, reason in REASONS if words in text]
            return rejected(stage, known[0] if known else "other", "ValueError", text)
        return failed(stage, "ValueError", text)
    code = error.args[0] if error.args else 0
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    if stage == "handshake" and isinstance(code, int) and code < 0:
        name = "-0x%04x" % -code
        if code == CA_CHAIN_REQUIRED:
            return rejected(stage, "unknown-ca", name, text)
        if code == BAD_CERTIFICATE:
            return rejected(stage, "wrong-usage", name, text)
        if code == FATAL_ERROR:
            return rejected(stage, "path-length", name, text)
        if -(-code & 0x7F80) in X509_ERRORS:
            return rejected(stage, "malformed", name, text)
        return failed(stage, name, text)
    return failed(stage, str(code), text)


def request(stream, name):
    """GET / and read the answer; returns None where it was whole and a 200."""
    stream.write(("GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % name).encode())
    status = stream.readline() or b""
    if not status.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
        return failed("http", "", "answer is not HTTP 200")
    size = 0
    while True:
        line = stream.readline() or b""
        if not line.strip():
            break
        if line[:15].lower() == b"content-length:":
            size = min(int(line[15:]), LIMIT)
    if len(stream.read(size) or b"") != size:
        return failed("http", "", "answer is cut short")
    return None


def probe(line, report):
    stage = "load"
    path = {}
    plain = stream = None

    def see(cert, depth):
        """Called for every certificate of the path, from the anchor down; decides nothing."""
        path[depth] = binascii.hexlify(hashlib.sha256(cert).digest()).decode()
        return 0

    try:
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.verify_mode = tls.CERT_REQUIRED
        context.verify_callback = see
        if line["anchors"]:
            context.load_verify_locations(line["anchors"])
        if line.get("client_chain"):
            context.load_cert_chain(line["client_chain"], line["client_key"])
        stage = "connect"
        address = socket.getaddrinfo(line["host"], line["port"])[0][-1]
        plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        plain.settimeout(line["timeout_ms"] / 1000)
        plain.connect(address)
        plain.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        stage = "handshake"
        stream = context.wrap_socket(plain, server_hostname=line["server_name"])
        stage = "http"
        return request(stream, line["server_name"]) or {"outcome": "accepted", "stage": "http"}
    except (OSError, ValueError) as error:
        return from_error(stage, error)
    finally:
        if path:
            report["path"] = [path[depth] for depth in sorted(path)]
        if stream is not None:
            stream.close()
        if plain is not None:
            plain.close()


def library_version():
    """What the shared object says; tls.MBEDTLS_VERSION is that of the headers that the module was compiled with."""
    text = bytearray(18)
    ffi.open("libmbedcrypto.so.16").func("v", "mbedtls_version_get_string_full", "p")(text)
    return bytes(text).split(b"\0")[0].decode()


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")


def main():
    version = "MicroPython %s, %s" % (".".join(str(part) for part in sys.implementation.version[:3]), library_version())
    can = ["tls1.2", "tls1.3", "client-cert"]
    say({"v": 1, "client": "micropython", "version": version, "clock": "faketime", "can": can, "options": []})
    while True:
        text = sys.stdin.readline()
        if not text:
            break
        report = {"v": 1, "id": ""}
        try:
            line = json.loads(text)
            report["id"] = line["id"]
            report.update(probe(line, report))
            report["clock"] = int(time.time())
        except (KeyError, TypeError, ValueError) as error:
            report.update(failed("harness", type(error).__name__, str(error)))
        say(report)
        gc.collect()


main()
