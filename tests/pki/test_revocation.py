"""What a relying party makes of revocation that asks everybody, and what it may fetch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lab.expectation import handed, opinion
from lab.model.result import Witness
from lab.model.scenario import Expect, Reason
from lab.pki.addresses import addresses, fetchable

AT = datetime(2022, 1, 1, tzinfo=UTC)
BEFORE = AT - timedelta(days=10)


@pytest.fixture(scope="module")
def world(minted):
    """Return a function that mints a root, an issuer with a cross-sign and a site, and gives its only case."""

    def make(site=None, issuer=None, cross=None, *, staple=False, send=("site", "issuer"), trust=("root",)):
        entities = {
            "root": {"cn": "Root"},
            "old": {"cn": "Old Root"},
            "issuer": {"cn": "Issuer"},
            "site": {"dns": ["shop.example"]},
        }
        certificates = {
            "root": ("root", "root"),
            "old": ("old", "old"),
            "issuer": ("issuer", "root", issuer or {}),
            "cross": ("issuer", "old", cross or {}),
            "site": ("site", "issuer", site or {}),
        }
        more = {
            "chains": {"chain": {"send": list(send), "at": ["now"], "staple": staple}},
            "stores": {"store": list(trust)},
        }
        made = minted(entities, certificates, **more)
        return made, next(made.scenario.cases())

    return make


@pytest.mark.parametrize(
    ("said", "expect"),
    [
        ({"staple": True}, Expect.ACCEPT),
        ({"staple": "revoked"}, Expect.REJECT),
        ({"staple": "expired"}, Expect.EITHER),
        ({"staple": "wrong-signer"}, Expect.EITHER),
        ({"staple": True, "site": {"revoked": BEFORE}}, Expect.REJECT),
        ({"staple": "good", "site": {"revoked": BEFORE}}, Expect.ACCEPT),
        ({"site": {"revoked": BEFORE}}, Expect.ACCEPT),
        ({"site": {"revoked": BEFORE, "ocsp": True}}, Expect.REJECT),
        ({"site": {"revoked": BEFORE, "ocsp": "slow"}}, Expect.REJECT),
        ({"site": {"revoked": BEFORE, "reinstated": AT, "ocsp": True}}, Expect.ACCEPT),
        ({"site": {"revoked": AT + timedelta(seconds=1), "crl": True}}, Expect.ACCEPT),
        ({"site": {"revoked": AT, "crl": True}}, Expect.REJECT),
        ({"site": {"revoked": BEFORE, "crl": "unreachable"}}, Expect.EITHER),
        ({"site": {"ocsp": "unreachable", "crl": True}}, Expect.ACCEPT),
        ({"issuer": {"revoked": BEFORE, "crl": True}}, Expect.REJECT),
        ({"site": {"must_staple": True}}, Expect.EITHER),
        ({"site": {"must_staple": True}, "staple": True}, Expect.ACCEPT),
    ],
)
def test_what_is_said_decides(world, said, expect):
    """A valid word of revocation rejects, an unsatisfactory one is for policy, and what nobody is told is no input."""
    made, case = world(**said)
    thought = opinion(case, made)
    assert thought.expect is expect, thought.why
    assert (thought.reason is Reason.REVOKED) == (expect is Expect.REJECT)


def test_another_path_is_another_chance(world):
    """Who is told that a cross-sign is revoked goes by the path that needs none, where it trusts its end."""
    told = {"revoked": BEFORE, "crl": True}
    send = ("site", "cross", "issuer")
    assert opinion(*reversed(world(cross=told, send=send, trust=("old", "root")))).expect is Expect.ACCEPT
    alone = opinion(*reversed(world(cross=told, send=send, trust=("old",))))
    assert (alone.expect, alone.reason) == (Expect.REJECT, Reason.REVOKED)


def test_a_path_that_is_invalid_stays_so(world):
    """What RFC 5280 6.1 rejects keeps its own reason, whatever is revoked besides."""
    made, case = world(site={"revoked": BEFORE, "ocsp": True}, trust=("old",))
    assert opinion(case, made).reason is Reason.UNKNOWN_CA


def test_what_may_be_fetched_leaves_the_case_open(world):
    """A missing intermediate that caIssuers leads to makes a case open; where it leads to the wrong one it does not."""
    made, case = world(site={"aia": True}, send=("site",))
    assert fetchable(made.scenario, case.send) == ("issuer",)
    assert opinion(case, made).expect is Expect.EITHER
    made, case = world(site={"aia": "old"}, send=("site",))
    assert opinion(case, made).expect is Expect.REJECT


def test_a_loop_of_addresses_ends(world):
    """Certificates whose addresses lead to each other are fetched once each."""
    made, _ = world(site={"aia": "issuer"}, issuer={"aia": "cross"}, cross={"aia": "issuer"}, send=("site",))
    assert fetchable(made.scenario, ("site",)) == ("issuer", "cross")


def test_only_who_was_told_knows(world):
    """A client was handed the proof by a staple that went out, or by an answer that says revoked."""
    made, case = world(staple="revoked")
    assert not handed(case, made, Witness(status_request=True))
    assert handed(case, made, Witness(staple="00"))
    made, case = world(site={"revoked": BEFORE, "ocsp": True}, staple="good")
    assert not handed(case, made, Witness(staple="00", asked=("ocsp site: not understood",)))
    assert handed(case, made, Witness(asked=("issuer of site: issuer", "ocsp site: revoked")))


def test_addresses_tell_what_they_are_about(world):
    """Only the addresses that are asked for are there, and each names scenario and certificate."""
    made, _ = world(site={"ocsp": True, "aia": True})
    said = addresses("slug", "site", made.scenario.certificates["site"], "http://192.0.2.1:8")
    assert said == ("http://192.0.2.1:8/ocsp/slug/site", "", "http://192.0.2.1:8/issuer/slug/site.crt")
