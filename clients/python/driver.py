"""Python's ssl module as `ssl.create_default_context()` sets it up; runs under kit/frozen.c, which moves the clock.

With no anchors given the module would turn to the system's store, so OpenSSL is told at the start that it is empty.
"""

import hashlib
import json
import os
import platform
import socket
import sys
import time

os.environ["SSL_CERT_FILE"] = "/dev/null"
os.environ["SSL_CERT_DIR"] = "/dev/null"

import ssl

LIMIT = 1 << 20
DER = 2  # _ssl.ENCODING_DER: what get_verified_chain() of 3.10 to 3.12 wants to know

# X509_V_ERR_* of OpenSSL 1.1.1 and later.
REASONS = {
    "not-yet-valid": {9},
    "expired": {10},
    "unknown-ca": {2, 18, 19, 20, 21, 27, 29, 30, 31},
    "bad-signature": {4, 7},
    "malformed": {6, 13, 14, 41, 42},
    "revoked": {23},
    "not-a-ca": {24, 37, 79},
    "path-length": {22, 25, 38},
    "wrong-usage": {26, 28, 32, 39},
    "name-constraints": {47, 48, 49, 51, 52, 53},
    "wrong-host": {62, 63, 64},
    "weak": {66, 67, 68},
}


def reason_of(code):
    return next((reason for reason, codes in REASONS.items() if code in codes), "other")


def rejected(stage, reason, code, text):
    return {"outcome": "rejected", "stage": stage, "reason": reason, "code": str(code), "text": text}


def failed(stage, code, text):
    return {"outcome": "failed", "stage": stage, "code": str(code), "text": text}


def from_error(stage, error):
    """What an exception means: only OpenSSL's verification rejects."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return rejected(stage, reason_of(error.verify_code), error.verify_code, error.verify_message)
    if isinstance(error, (socket.timeout, ssl.SSLWantReadError)):
        return failed(stage, "timeout", str(error))
    if isinstance(error, ssl.SSLError):
        # OpenSSL's queue begins with another library's error, or the bytes are too many, where it cannot decode one
        if error.library == "ASN1" or "ASN1 lib" in str(error) or error.reason == "CERT_LENGTH_MISMATCH":
            return rejected(stage, "malformed", error.reason, str(error))
        return failed(stage, error.reason or error.errno, str(error))
    return failed(stage, getattr(error, "errno", None) or type(error).__name__, str(error))


def path_of(tls):
    """The path that OpenSSL built, as digests; the public function came with 3.13."""
    if hasattr(tls, "get_verified_chain"):
        chain = tls.get_verified_chain()
    elif hasattr(tls._sslobj, "get_verified_chain"):
        chain = [one.public_bytes(DER) for one in tls._sslobj.get_verified_chain()]
    else:
        return {}
    return {"path": [hashlib.sha256(one).hexdigest() for one in chain]}


def load_own(context, pem):
    """Give the context the client's own certificates and key; the module reads them from files only."""
    with os.fdopen(os.memfd_create("own"), "w") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain("/proc/self/fd/%d" % file.fileno())


def request(tls, name, deadline):
    """GET / and read the answer; returns None where it was whole and a 200."""
    tls.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % name.encode())
    answer = b""
    while len(answer) <= LIMIT:
        tls.settimeout(max(0.001, deadline - time.monotonic()))
        data = tls.recv(16384)
        if not data:
            break
        answer += data
        head, found, body = answer.partition(b"\r\n\r\n")
        sizes = [int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"]
        if found and sizes and len(body) >= sizes[0]:
            break
    if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
        return failed("http", "", "answer is not HTTP 200")
    return None


def probe(line, report):
    deadline = time.monotonic() + line["timeout_ms"] / 1000
    stage = "load"
    try:
        context = ssl.create_default_context(cadata=line["anchors"] or None)
        if line.get("client_chain"):
            load_own(context, line["client_chain"] + line["client_key"])
        stage = "connect"
        plain = socket.create_connection((line["host"], line["port"]), timeout=line["timeout_ms"] / 1000)
        with plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.settimeout(max(0.001, deadline - time.monotonic()))
            stage = "handshake"
            with context.wrap_socket(plain, server_hostname=line["server_name"]) as tls:
                report.update(path_of(tls), tls=tls.version().replace("TLSv", ""))
                stage = "http"
                return request(tls, line["server_name"], deadline) or {"outcome": "accepted", "stage": "http"}
    except (OSError, ValueError) as error:
        return from_error(stage, error)


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main():
    version = "Python %s, %s" % (platform.python_version(), ssl.OPENSSL_VERSION)
    can = [name for name, has in (("tls1.2", ssl.HAS_TLSv1_2), ("tls1.3", ssl.HAS_TLSv1_3)) if has]
    can.append("client-cert")
    say({"v": 1, "client": "python", "version": version, "clock": "faketime", "can": can, "options": []})
    for text in sys.stdin:
        report = {"v": 1, "id": ""}
        try:
            line = json.loads(text)
            report["id"] = line["id"]
            report.update(probe(line, report), clock=int(time.time()))
        except OverflowError as error:  # Python counts nanoseconds in 64 bits: no clock after 2262-04-11
            report.update(outcome="unsupported", stage="load", code="OverflowError", text=str(error))
        except (KeyError, TypeError, ValueError) as error:
            report.update(failed("harness", type(error).__name__, str(error)))
        say(report)


main()
