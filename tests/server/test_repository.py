"""The HTTP port across real sockets: what other programs make of its answers, who is told what, and what it endures."""

from __future__ import annotations

import base64
import socket
import subprocess
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from http.client import HTTPConnection
from types import SimpleNamespace
from urllib.parse import quote, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from twisted.internet.defer import ensureDeferred

from lab.model.scenario import Scenario
from lab.pki.keys import KeyRing
from lab.pki.mint import mint
from lab.server.repository import Bounds, Repository, Turn

ME, OTHER = "127.0.0.1", "127.0.0.2"
NOW = datetime.now(UTC).replace(microsecond=0)  # the openssl command goes by the machine's clock


def scenario(slug="here"):
    everything = {"ocsp": True, "crl": True, "aia": True}
    revoked = {**everything, "revoked": "2020-01-01T00:00:00Z"}
    said = {"good": everything, "revoked": revoked}
    for answer in ("slow", "try-later", "unreachable", "wrong-signer"):
        said[answer] = {"ocsp": answer}
    return Scenario.model_validate(
        {
            "schema": 1,
            "slug": slug,
            "title": "a test",
            "date": NOW.date(),
            "summary": "a test",
            "entities": {"root": {"cn": "Root"}, "site": {"dns": ["shop.example"]}},
            "certificates": {
                "root": {"subject": "root", "issuer": "root"},
                **{name: {"subject": "site", "issuer": "root", **fields} for name, fields in said.items()},
            },
            "server": {"host": "shop.example"},
            "chains": {name: {"send": [name], "at": ["now"]} for name in said},
            "stores": {"root": ["root"]},
            "times": {"now": NOW},
        }
    )


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    return KeyRing(tmp_path_factory.mktemp("cache") / "keys")


@pytest.fixture
def port(running_reactor, in_reactor, ring, logged_failures):
    """Open an HTTP port, minted for, with turns that begin and end; nothing it met may reach the log as an error."""
    repository = Repository(running_reactor, ME, Bounds(seconds=5.0, connections=4))
    in_reactor(repository.open)
    world = mint(scenario(), ring, port=f"{repository.address}/{NOW:%Y%m%dT%H%M%SZ}")
    cases = {case.chain: case for case in world.scenario.cases()}

    def begin(chain="good", peer=ME):
        turn = Turn(cases[chain], world)
        end = in_reactor(repository.begin, peer, turn)
        return turn, lambda: in_reactor(end)

    yield SimpleNamespace(repository=repository, world=world, begin=begin)
    in_reactor(repository.close)
    assert not logged_failures


@pytest.fixture
def files(port, tmp_path):
    """Return a function that writes a certificate as PEM and tells where."""

    def write(name):
        path = tmp_path / f"{name}.pem"
        path.write_bytes(port.world.certificates[name].public_bytes(Encoding.PEM))
        return str(path)

    return write


def get(address):
    """Ask over HTTP; return status, type and body."""
    there = urlsplit(address)
    connection = HTTPConnection(there.hostname, there.port, timeout=20)
    try:
        connection.request("GET", there.path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type", ""), answer.read()
    finally:
        connection.close()


def where(port, name, kind):
    """Return the address that a certificate itself gives."""
    extensions = port.world.certificates[name].extensions
    if kind == "crl":
        points = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        return points[0].full_name[0].value
    access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    wanted = (
        x509.AuthorityInformationAccessOID.OCSP if kind == "ocsp" else x509.AuthorityInformationAccessOID.CA_ISSUERS
    )
    return next(one.access_location.value for one in access if one.access_method == wanted)


def request_for(port, name, digest=None):
    certificates = port.world.certificates
    builder = ocsp.OCSPRequestBuilder()
    return builder.add_certificate(certificates[name], certificates["root"], digest or hashes.SHA1()).build()


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def ask_openssl(port, files, name):
    return openssl(
        "ocsp", "-issuer", files("root"), "-cert", files(name), "-url", where(port, name, "ocsp"),
        "-CAfile", files("root"), "-timeout", "20",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["good", "revoked"])
def test_openssl_reads_a_response(port, files, name):
    """The openssl command, which posts a nonce, verifies the response and reads the status from it."""
    turn, end = port.begin(name)
    said = ask_openssl(port, files, name)
    end()
    assert "Response verify OK" in said
    assert f"{name}.pem: {name}" in said
    assert "WARNING" not in said  # as of a nonce that is missing, or a status out of its time
    assert turn.asked == [f"ocsp {name}: {name}"]


@pytest.mark.parametrize(
    ("name", "said", "told"),
    [
        ("wrong-signer", "Response Verify Failure", "wrong-signer"),
        ("try-later", "Responder Error: trylater (3)", "try later"),
        ("slow", "Response verify OK", "good"),
    ],
)
def test_openssl_meets_a_bad_responder(port, files, name, said, told):
    """Whose response is not authorised, and who cannot answer now, is seen as such; who is slow answers in the end."""
    turn, end = port.begin(name)
    assert said in ask_openssl(port, files, name)
    end()
    assert turn.asked == [f"ocsp {name}: {told}"]


def test_who_is_silent_says_nothing(port, files):
    """The connection ends without an answer, and the turn tells that something was asked."""
    turn, end = port.begin("unreachable")
    assert "unreachable.pem: " not in ask_openssl(port, files, "unreachable")
    end()
    assert turn.asked == ["ocsp unreachable: no answer"]


def test_a_response_by_get(port):
    """OCSP by GET, with slashes in its base64 spelt and quoted, is answered as by POST, in the request's digest."""
    turn, end = port.begin()
    encoded = base64.b64encode(request_for(port, "good", hashes.SHA256()).public_bytes(Encoding.DER)).decode()
    bodies = []
    for spelt in (quote(encoded, safe=""), quote(encoded, safe="/")):
        status, kind, body = get(f"{where(port, 'good', 'ocsp')}/{spelt}")
        assert (status, kind) == (200, "application/ocsp-response")
        bodies.append(ocsp.load_der_ocsp_response(body))
    end()
    assert [one.certificate_status for one in bodies] == [ocsp.OCSPCertStatus.GOOD] * 2
    assert isinstance(bodies[0].hash_algorithm, hashes.SHA256)
    assert turn.asked == ["ocsp good: good"] * 2


def test_openssl_reads_the_list(port, files, tmp_path):
    """The CRL is signed by the issuer and lists the serial number of what is revoked, and no other."""
    turn, end = port.begin("revoked")
    status, kind, body = get(where(port, "revoked", "crl"))
    end()
    assert (status, kind, turn.asked) == (200, "application/pkix-crl", ["crl revoked: revoked"])
    (tmp_path / "list.crl").write_bytes(body)
    said = openssl("crl", "-inform", "DER", "-in", str(tmp_path / "list.crl"), "-CAfile", files("root"), "-text")
    assert "verify OK" in said
    assert said.count("Serial Number: ") == 1
    assert f"{port.world.certificates['revoked'].serial_number:X}" in said


def test_openssl_rejects_by_the_list(port, files, tmp_path):
    """By openssl verify -crl_check the list is what it says: the revoked certificate fails, the good one passes."""
    _, end = port.begin("revoked")
    _, _, body = get(where(port, "revoked", "crl"))
    end()
    (tmp_path / "list.pem").write_bytes(x509.load_der_x509_crl(body).public_bytes(Encoding.PEM))
    check = ["verify", "-crl_check", "-CRLfile", str(tmp_path / "list.pem"), "-CAfile", files("root")]
    assert "good.pem: OK" in openssl(*check, files("good"))
    assert "error 23" in openssl(*check, files("revoked"))


def test_the_issuer_is_fetched(port):
    """The address of caIssuers gives the issuer's certificate in DER, and tells which."""
    turn, end = port.begin()
    status, kind, body = get(where(port, "good", "issuer"))
    end()
    assert (status, kind, turn.asked) == (200, "application/pkix-cert", ["issuer of good: root"])
    assert x509.load_der_x509_certificate(body) == port.world.certificates["root"]


def test_who_has_no_turn_is_told_nothing(port):
    """Outside any probe, and for another address's client, there is no answer and no record of it in a turn."""
    address = where(port, "good", "issuer")
    assert get(address)[0] == 503
    turn, end = port.begin(peer=OTHER)
    assert get(address)[0] == 503
    end()
    assert (turn.asked, port.repository.stray) == ([], 2)


def test_a_client_is_known_by_its_address(port):
    """Two clients with turns at once are told apart by where they come from."""
    mine, end_mine = port.begin("good")
    theirs, end_theirs = port.begin("good", peer=OTHER)
    path = where(port, "good", "issuer").partition(str(port.repository.port))[2]
    with socket.create_connection((ME, port.repository.port), 10, source_address=(OTHER, 0)) as raw:
        raw.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        assert b"200 OK" in raw.recv(65536)
    end_mine()
    end_theirs()
    assert (mine.asked, theirs.asked) == ([], ["issuer of good: root"])


def test_clients_of_one_address_take_turns(port, in_reactor):
    """The second begins when the first has ended, and not before."""
    _, end = port.begin()
    began = []

    async def wait():
        began.append("waits")
        finish = await port.repository.begin(ME, Turn(next(port.world.scenario.cases()), port.world))
        began.append("began")
        return finish

    waiting = in_reactor(lambda: [ensureDeferred(wait())])[0]
    assert began == ["waits"]
    end()
    in_reactor(in_reactor(lambda: waiting))
    assert began == ["waits", "began"]


NOT_THERE = [
    "/",
    "/ocsp",
    "/x/ocsp/here/good",
    "/{at}/ocsp/here/nobody",
    "/{at}/crl/there/good.crl",
    "/{at}/crl/here/slow.crl",
    "/{at}/issuer/here/root.crt",
    "/{at}/ocsp/../../etc/passwd",
]


@pytest.mark.parametrize("path", NOT_THERE)
def test_what_is_not_there(port, path):
    """Another moment, scenario or certificate, and what a certificate does not have, is not found."""
    turn, end = port.begin()
    assert get(f"{port.repository.address}{path.format(at=f'{NOW:%Y%m%dT%H%M%SZ}')}")[0] == 404
    end()
    assert turn.asked == []


def test_a_request_about_another_certificate(port):
    """At one certificate's address nothing is said of another, and nothing of what is no request."""
    turn, end = port.begin()
    other = base64.b64encode(request_for(port, "revoked").public_bytes(Encoding.DER)).decode()
    answers = [get(f"{where(port, 'good', 'ocsp')}/{quote(said, safe='')}")[2] for said in (other, "AAAA", "%%%")]
    end()
    states = [ocsp.load_der_ocsp_response(body).response_status for body in answers]
    status = ocsp.OCSPResponseStatus
    assert states == [status.UNAUTHORIZED, status.MALFORMED_REQUEST, status.MALFORMED_REQUEST]
    assert turn.asked == ["ocsp good: not about that", "ocsp good: not understood", "ocsp good: not understood"]


HOSTILE = {
    "garbage": b"\x16\x03\x01\x00\xff\0\0\r\n\r\n\xff\xfe",
    "a huge line": b"GET /" + b"a" * 200_000,
    "a huge header": b"GET / HTTP/1.1\r\n" + b"x: " + b"y" * 200_000,
    "a huge body": b"POST /x HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n" + b"z" * 200_000,
    "a wrong length": b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "chunks": b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"ffffffff\r\n" + b"z" * 100_000,
}


@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE)
def test_who_says_too_much_is_cut_off(port, said):
    """A hostile request ends its own connection, and the next one is answered."""
    _, end = port.begin()
    with socket.create_connection((ME, port.repository.port), 10) as raw:
        with suppress(ConnectionError):
            raw.sendall(said)
        with suppress(ConnectionError):
            while raw.recv(65536):
                pass
    assert get(where(port, "good", "issuer"))[0] == 200
    end()


def test_who_is_slow_takes_nobody_elses_place(port):
    """One address may fill its own places; another one is answered meanwhile, and the slow ones end by themselves."""
    _, end = port.begin()
    with ExitStack() as held:
        sockets = [
            held.enter_context(socket.create_connection((ME, port.repository.port), 20, source_address=(OTHER, 0)))
            for _ in range(6)
        ]
        for raw in sockets:
            with suppress(ConnectionError):
                raw.sendall(b"GET / HT")
        assert get(where(port, "good", "issuer"))[0] == 200
        end()
        for raw in sockets:
            with suppress(ConnectionError):
                assert raw.recv(1) == b""


def test_a_turn_leaves_no_connection(port):
    """What a client left open ends with its turn, so that the next one at its address finds every place free."""
    _, end = port.begin()
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_connection((ME, port.repository.port), 20)) for _ in range(4)]
        end()
        for raw in sockets:
            with suppress(ConnectionError):
                assert raw.recv(1) == b""
        _, end = port.begin()
        assert get(where(port, "good", "issuer"))[0] == 200
        end()


def test_nothing_is_left_of_it(port, in_reactor):
    """Closing frees the port and drops whoever is still connected."""
    with socket.create_connection((ME, port.repository.port), 10) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n")
        in_reactor(port.repository.close)
        with suppress(ConnectionError):
            assert raw.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ME, port.repository.port), 10)
