"""The remedy that distributions offered in 2021: distrust the root in p11-kit, and extract the store anew."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lab.clients.build import cache_folder
from lab.clients.process import ProcessRuntime
from lab.corpus import Corpus, load_scenario
from lab.model.wire import Outcome, Probe
from lab.pki.keys import KeyRing, default_folder
from lab.pki.mint import mint

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("trust") is None, reason="p11-kit is not installed"),
]

TOWN = Path(__file__).parent.parent / "data" / "trust" / "trust-town" / "scenario.toml"
SEED = ("openssl-1.0.2q", "openssl-1.0.2q+trusted-first", "mbedtls-2.28.3", "bearssl-0.6")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
"""p11-kit reads no user's configuration as root."""


class Store:
    """A folder of anchors and a blocklist, and p11-kit's own tool before it."""

    def __init__(self, folder):
        self.folder = folder
        self.anchors, self.blocklist = folder / "store" / "anchors", folder / "store" / "blocklist"
        modules = folder / ".config" / "pkcs11" / "modules"
        for one in (self.anchors, self.blocklist, modules):
            one.mkdir(parents=True)
        (modules / "p11-kit-trust.module").write_text(f"x-init-reserved: paths='{folder / 'store'}'\n")

    def trust(self, *arguments):
        """Run ``trust`` with this store and no other; return what it prints."""
        as_user = NOBODY if os.geteuid() == 0 else ()
        done = subprocess.run(
            [*as_user, "trust", *arguments],
            env={"HOME": str(self.folder), "PATH": os.environ["PATH"], "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout

    def distrust(self, wanted):
        """Distrust what a PKCS#11 address names: dump it into the blocklist."""
        (self.blocklist / "distrusted.p11-kit").write_text(self.trust("dump", "--filter", wanted))

    def extracted(self):
        """Return the bundle that is left, as PEM."""
        with tempfile.TemporaryDirectory() as output:
            Path(output).chmod(0o777)
            bundle = Path(output) / "bundle.pem"
            self.trust("extract", "--format=pem-bundle", "--filter=ca-anchors", "--purpose=server-auth", str(bundle))
            return bundle.read_text()


@pytest.fixture
def town(tmp_path):
    """The scenario, minted: an expired root, its namesakes, and the root that takes over."""
    file, problems = load_scenario(TOWN)
    assert problems == []
    return mint(file.scenario, KeyRing(default_folder()))


@pytest.fixture
def store(town):
    """A store of the scenario's three anchors that any user may read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        kept = Store(folder)
        for anchor in ("dst-root", "isrg-root", "other-root"):
            (kept.anchors / f"{anchor}.pem").write_bytes(town.pem([anchor]))
        yield kept


@pytest.fixture
def served(town, tmp_path):
    """Serve a chain of the scenario on loopback: a function from its name to the port."""
    listening = []

    def serve(chain):
        names = town.scenario.chains[chain].send
        (tmp_path / "chain.pem").write_bytes(town.pem(names))
        (tmp_path / "key.pem").write_bytes(town.key_of(names[0]))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
        listener = socket.create_server(("127.0.0.1", 0))
        listening.append(listener)
        threading.Thread(target=_answer, args=(listener, context), daemon=True).start()
        return listener.getsockname()[1]

    yield serve
    for listener in listening:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _answer(listener, context):
    """Answer one request on each connection until the listener closes; what clients think of it is theirs to say."""
    while True:
        try:
            plain, _address = listener.accept()
        except OSError:
            return
        try:
            plain.settimeout(10)
            with context.wrap_socket(plain, server_side=True) as secured:
                secured.recv(4096)
                secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        except OSError:
            plain.close()


@pytest.fixture
def ask(town, served, in_reactor, running_reactor):
    """Put the seed clients before a chain with a bundle as their store: a function to outcome and reason by column."""

    async def put(chain, bundle):
        runtime = ProcessRuntime(running_reactor, cache_folder())
        clients = Corpus().choose_clients(SEED)
        said = {}
        try:
            await runtime.prepare(clients)
            for client in clients:
                session = await runtime.start(client)
                await session.greeting(30)
                report = await session.ask(
                    Probe(
                        id="1",
                        host="127.0.0.1",
                        port=served(chain),
                        server_name="shop.example",
                        anchors=bundle,
                        time=int(town.scenario.moment("after").timestamp()),
                        timeout_ms=10_000,
                    ),
                    30,
                )
                said[client.name] = (report.outcome, report.reason)
        finally:
            await runtime.close()
        return said

    return lambda chain, bundle: in_reactor(put, chain, bundle)


def address_of(certificate, label=""):
    """Return the PKCS#11 address of certificates with this one's key identifier, and a label where one is given."""
    digest = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    identifier = "".join(f"%{byte:02x}" for byte in digest)
    name = f";object={quote_from_bytes(label.encode())}" if label else ""
    return f"pkcs11:id={identifier}{name};type=cert"


def names_in(town, bundle):
    """Return the scenario's names of a bundle's certificates."""
    found = x509.load_pem_x509_certificates(bundle.encode()) if "BEGIN" in bundle else []
    known = {one.public_bytes(Encoding.DER): name for name, one in town.certificates.items()}
    return {known[one.public_bytes(Encoding.DER)] for one in found}


def test_distrust_by_identifier_repairs_the_incident(town, store, ask):
    """OpenSSL 1.0.2 rejects with the whole store; with the bundle that p11-kit leaves, every seed client connects."""
    before = ask("long", store.extracted())
    assert before["openssl-1.0.2q"] == (Outcome.REJECTED, "expired")
    store.distrust(address_of(town.certificates["dst-root"], "DST Root CA X3"))
    bundle = store.extracted()
    assert names_in(town, bundle) == {"isrg-root", "other-root"}
    assert ask("long", bundle) == dict.fromkeys(SEED, (Outcome.ACCEPTED, None))


def test_a_namesake_survives_where_the_address_has_a_label(town, store, ask):
    """A CA of another key with the same identifier stays, and clients still reach the site below it."""
    store.distrust(address_of(town.certificates["dst-root"], "DST Root CA X3"))
    assert ask("elsewhere", store.extracted()) == dict.fromkeys(SEED, (Outcome.ACCEPTED, None))


def test_the_identifier_alone_takes_its_namesake_along(town, store, ask):
    """The identifier is not a key: by it alone the other CA is distrusted too, and the site below it is out."""
    store.distrust(address_of(town.certificates["dst-root"]))
    bundle = store.extracted()
    assert names_in(town, bundle) == {"isrg-root"}
    assert {outcome for outcome, _reason in ask("elsewhere", bundle).values()} == {Outcome.REJECTED}


def test_a_second_certificate_of_the_same_key_goes_with_it(town, store):
    """p11-kit distrusts a key, not a certificate: a root that was signed again does not bring it back."""
    store.distrust(address_of(town.certificates["dst-root"], "DST Root CA X3"))
    (store.anchors / "dst-again.pem").write_bytes(town.pem(["dst-again"]))
    assert names_in(town, store.extracted()) == {"isrg-root", "other-root"}
