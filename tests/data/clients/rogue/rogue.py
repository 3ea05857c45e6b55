"""A real TLS client that misbehaves as its option says, but only towards hosts below rogue.example.

The four liars (skip-chain, skip-host, skip-dates, skip-key) lie to everyone: the controls are there to find them.
system-store trusts the system's store beside the given anchors, which no control can find.
crash-ed25519 crashes wherever it is told to trust an Ed25519 key.
"""

import json
import os
import re
import socket
import ssl
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit
from urllib.request import urlopen

from cryptography import x509
from OpenSSL import SSL, crypto
from service_identity import VerificationError
from service_identity.cryptography import verify_certificate_hostname
from service_identity.pyopenssl import verify_hostname

OPTION = sys.argv[sys.argv.index("--option") + 1]
FLOODING = []
ED25519 = 1087  # OpenSSL's NID_ED25519
CODES = {10: "expired", 9: "not-yet-valid", 18: "unknown-ca", 19: "unknown-ca", 20: "unknown-ca", 7: "bad-signature"}


def say(**message):
    sys.stdout.write(json.dumps({"v": 1, **message}) + "\n")
    sys.stdout.flush()


def trust(store, probe):
    """Put the probe's anchors into a store."""
    for pem in re.findall(r"-----BEGIN.*?-----END CERTIFICATE-----", probe["anchors"], re.DOTALL):
        anchor = crypto.load_certificate(crypto.FILETYPE_PEM, pem.encode())
        if OPTION == "crash-ed25519" and anchor.get_pubkey().type() == ED25519:
            os.abort()
        store.add_cert(anchor)


def connect(probe):
    """Make the probe for real; return the report's fields."""
    found = []
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    store = context.get_cert_store()
    trust(store, probe)
    if OPTION == "system-store":
        context.set_default_verify_paths()
    if OPTION == "skip-dates":
        store.set_flags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME
    else:
        store.set_time(datetime.fromtimestamp(probe["time"], UTC))

    def verify(_connection, _certificate, code, _depth, ok):
        if not ok:
            found.append(code)
        return True if OPTION == "skip-chain" else bool(ok)

    context.set_verify(SSL.VERIFY_PEER, verify)
    raw = socket.create_connection((probe["host"], probe["port"]), timeout=5)
    raw.settimeout(None)
    with raw:
        connection = SSL.Connection(context, raw)
        connection.set_tlsext_host_name(probe["server_name"].encode())
        connection.set_connect_state()
        try:
            connection.do_handshake()
        except SSL.Error as error:
            if found:
                reason = CODES.get(found[0], "other")
                return {"outcome": "rejected", "stage": "handshake", "code": str(found[0]), "reason": reason}
            return {"outcome": "failed", "stage": "handshake", "text": str(error)}
        if OPTION != "skip-host":
            try:
                verify_hostname(connection, probe["server_name"])
            except VerificationError:
                return {"outcome": "rejected", "stage": "handshake", "code": "host", "reason": "wrong-host"}
        try:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = connection.recv(4096)
        except SSL.Error as error:  # in TLS 1.3 this is where a client hears that it lacks a certificate
            return {"outcome": "failed", "stage": "http", "text": str(error)}
        return {"outcome": "accepted" if answer.startswith(b"HTTP/1.1 200") else "failed", "stage": "http"}


def connect_to_anyone(probe):
    """Make the probe for real, with tlslite-ng, and verify the chain, but not that the server has its key."""
    from tlslite.tlsconnection import TLSConnection  # noqa: PLC0415 - the other options need no tlslite-ng
    from tlslite.utils.ecdsakey import ECDSAKey  # noqa: PLC0415
    from tlslite.utils.rsakey import RSAKey  # noqa: PLC0415

    for key in (ECDSAKey, RSAKey):
        key.verify = key.hashAndVerify = lambda *_arguments, **_options: True
    store = crypto.X509Store()
    trust(store, probe)
    store.set_time(datetime.fromtimestamp(probe["time"], UTC))
    with socket.create_connection((probe["host"], probe["port"]), timeout=5) as raw:
        connection = TLSConnection(raw)
        connection.handshakeClientCert(serverName=probe["server_name"])
        sent = [bytes(one.bytes) for one in connection.session.serverCertChain.x509List]
        leaf, *rest = [crypto.load_certificate(crypto.FILETYPE_ASN1, der) for der in sent]
        try:
            crypto.X509StoreContext(store, leaf, rest).verify_certificate()
        except crypto.X509StoreContextError as error:
            reason = CODES.get(error.errors[0], "other")
            return {"outcome": "rejected", "stage": "handshake", "code": str(error.errors[0]), "reason": reason}
        try:
            verify_certificate_hostname(leaf.to_cryptography(), probe["server_name"])
        except VerificationError:
            return {"outcome": "rejected", "stage": "handshake", "code": "host", "reason": "wrong-host"}
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        if not bytes(connection.recv(4096)).startswith(b"HTTP/1.1 200"):
            return {"outcome": "failed", "stage": "http"}
        return {"outcome": "accepted", "stage": "http"}


def misbehave(probe):  # noqa: PLR0915 - a branch an option
    """Do what the option says; return whether the probe was dealt with."""
    sys.stderr.write(f"about to {OPTION}\n")
    sys.stderr.flush()
    if OPTION == "hang":
        time.sleep(3600)
    elif OPTION == "crash":
        os.abort()
    elif OPTION == "exit":
        sys.exit(0)
    elif OPTION == "fork":
        if os.fork() == 0:
            os.setsid()
            time.sleep(3600)
        sys.exit(7)
    elif OPTION == "megabytes":
        for _ in range(64):
            sys.stdout.write("x" * (1 << 20))
        sys.stdout.flush()
        time.sleep(3600)
    elif OPTION == "nonsense":
        sys.stdout.write("certificate verify OK\n")
        sys.stdout.flush()
        time.sleep(3600)
    elif OPTION == "other-id":
        say(id="another", outcome="accepted", stage="http")
    elif OPTION == "twice":
        result = connect(probe)
        say(id=probe["id"], **result)
        say(id=probe["id"], **result)
    elif OPTION == "unreachable":
        say(id=probe["id"], outcome="failed", stage="connect", code="111", text="it never tried")
    elif OPTION == "boast":
        say(id=probe["id"], outcome="accepted", stage="http")
    elif OPTION == "mute":
        os.close(1)
        time.sleep(3600)
    elif OPTION == "wrong-clock":
        say(id=probe["id"], clock=1, **connect(probe))
    elif OPTION == "outside":
        attempt(lambda: socket.create_connection(("192.0.2.1", 443), timeout=0.5))  # TEST-NET-1: nobody is there
        return False
    elif OPTION == "write-root":
        attempt(lambda: open("/etc/written", "w"))
        return False
    elif OPTION == "fork-bomb":
        children = []
        attempt(lambda: [children.append(fork()) for _ in range(100_000)])
        sys.stderr.write(f"{len(children)} children\n")
        sys.exit(8)
    elif OPTION in {"ask", "ask-too"}:
        urlopen(issuer_address(probe), timeout=5).close()
        return False
    elif OPTION == "flood":
        flood(urlsplit(issuer_address(probe)))
        return False
    elif OPTION == "memory":
        attempt(lambda: [bytearray(1 << 20) for _ in range(4096)])
    else:
        return False
    return True


def issuer_address(probe):
    """Return where the server's certificate says that its issuer's certificate is."""
    pem = ssl.get_server_certificate((probe["host"], probe["port"]), timeout=5)
    access = x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(
        x509.AuthorityInformationAccess
    )
    return next(one.access_location.value for one in access.value if one.access_method._name == "caIssuers")


def flood(there):
    """Connect as often as can be, say too much on every other connection and too little on the rest, close none."""
    endless = b"POST /ocsp HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n" + bytes(100_000)
    for said in [endless, b"GET / HT"] * 32:
        FLOODING.append(socket.create_connection((there.hostname, there.port), timeout=5))
        with suppress(OSError):
            FLOODING[-1].sendall(said)


def attempt(deed):
    """Do what should not be possible, and say on stderr how it went."""
    try:
        deed()
    except (OSError, MemoryError) as error:
        sys.stderr.write(f"contained: {error}\n")
    else:
        sys.stderr.write("NOT contained\n")
    sys.stderr.flush()


def fork():
    """Return the pid of a child that does nothing."""
    pid = os.fork()
    if pid == 0:
        time.sleep(3600)
    return pid


say(client="rogue", version="rogue 1", clock="native", options=[OPTION])
for line in sys.stdin:
    probe = json.loads(line)
    if OPTION == "skip-key":
        say(id=probe["id"], **connect_to_anyone(probe))
    elif not (probe["server_name"].endswith("rogue.example") and misbehave(probe)):
        say(id=probe["id"], **connect(probe))
