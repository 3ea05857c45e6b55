"""Chains of TLS clients: what both oracles want of them, and what they do not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from lab.expectation import opinion, particulars
from lab.model.case import Case, Device
from lab.model.scenario import Expect
from lab.pki.mint import Minted
from lab.pki.reference import reference
from lab.pki.second import second_opinion

AT = datetime(2022, 1, 1, tzinfo=UTC)
ENTITIES: dict[str, Any] = {"root": {"cn": "Root"}, "mid": {"cn": "Mid"}, "device": {"cn": "Device 1"}}

Mint = Callable[..., Minted]


def world(minted: Mint, device: dict[str, Any], mid: dict[str, Any] | None = None) -> Minted:
    edges = {
        "root": ("root", "root"),
        "mid": ("mid", "root", {"ca": True, **(mid or {})}),
        "device": ("device", "mid", device),
    }
    return minted(ENTITIES, edges)


@pytest.mark.parametrize(
    ("device", "as_client", "as_server"),
    [
        ({"eku": ["clientAuth"]}, "accept", "reject:wrong-usage"),
        ({"eku": ["serverAuth"]}, "reject:wrong-usage", "reject:wrong-host"),
        ({"eku": ["serverAuth", "clientAuth"]}, "accept", "reject:wrong-host"),
        ({"eku": []}, "accept", "reject:wrong-host"),
        ({"eku": ["any"]}, "either:wrong-usage", "reject:wrong-host"),
        ({"eku": ["clientAuth"], "key_usage": ["key_encipherment"]}, "reject:wrong-usage", "reject:wrong-usage"),
        ({"eku": ["clientAuth"], "until": "2021-12-31T23:59:59Z"}, "reject:expired", "reject:expired"),
    ],
)
def test_a_client_needs_client_auth_and_no_name(
    minted: Mint, device: dict[str, Any], as_client: str, as_server: str
) -> None:
    """Without a host the end entity has to be a client's; with one it has to be the server of that name."""
    held = world(minted, device)
    served = held.named(["device", "mid"])
    for host, wanted in ((None, as_client), ("shop.example", as_server)):
        said = reference(served, held.named(["root"]), AT, host, held.name_of)
        assert (f"{said.expect}:{said.reason}" if said.reason else str(said.expect)) == wanted
    assert "wrong-host" not in as_client


def test_a_ca_for_servers_only_above_a_client_is_left_open(minted: Mint) -> None:
    """RFC 5280 6.1 does not nest extended key usages of CAs; the words say which one is missing."""
    held = world(minted, {"eku": ["clientAuth"]}, {"eku": ["serverAuth"]})
    said = reference(held.named(["device", "mid"]), held.named(["root"]), AT, None, held.name_of)
    assert said.expect is Expect.EITHER
    assert "without clientAuth" in said.why
    held = world(minted, {"eku": ["clientAuth"]}, {"eku": ["clientAuth"]})
    assert reference(held.named(["device", "mid"]), held.named(["root"]), AT, None).expect is Expect.ACCEPT


@pytest.mark.parametrize(
    ("device", "anchors", "expect"),
    [
        ({"eku": ["clientAuth"]}, ["root"], None),  # its own profile wants a name, and RFC 5280 does not
        ({"eku": ["clientAuth"], "until": "2021-12-31T23:59:59Z"}, ["root"], Expect.REJECT),
        ({"eku": ["serverAuth"]}, ["root"], Expect.REJECT),
        ({"eku": ["clientAuth"]}, [], Expect.REJECT),
    ],
)
def test_the_second_opinion_on_a_client_without_names(
    minted: Mint, device: dict[str, Any], anchors: list[str], expect: Expect | None
) -> None:
    """It rejects a device without a name by dates, purpose and trust, and is silent where these are good."""
    held = world(minted, device)
    said = second_opinion(held.named(["device", "mid"]), held.named(anchors), AT, None)
    assert said.expect is expect, said


def test_the_second_opinion_on_a_client_with_a_name(minted: Mint) -> None:
    """A device that has an alternative name, whichever, it accepts as a client."""
    edges = {"root": ("root", "root"), "device": ("device", "root", {"eku": ["clientAuth"]})}
    held = minted({"root": {"cn": "Root"}, "device": {"dns": ["gw-1.example"]}}, edges)
    said = second_opinion(held.named(["device"]), held.named(["root"]), AT, None)
    assert said.expect is Expect.ACCEPT


@pytest.mark.parametrize(("required", "wanted"), [(True, "reject:no-certificate"), (False, "accept")])
def test_a_device_without_a_certificate(minted: Mint, *, required: bool, wanted: str) -> None:
    """What becomes of it is the server's to say: one that only asks goes on."""
    held = world(minted, {"eku": ["clientAuth"]})
    case = _case(Device(send=(), trust=("root",), required=required))
    said = opinion(case, held)
    assert (f"{said.expect}:{said.reason}" if said.reason else str(said.expect)) == wanted


def test_a_case_about_a_device_has_no_traits(minted: Mint) -> None:
    """What clients stumble over is no matter of a case in which the server judges."""
    held = world(minted, {"eku": ["clientAuth"]})
    about = Device(send=("device", "mid"), trust=("root",))
    assert particulars(_case(None), held)
    assert particulars(_case(about), held) == frozenset()
    assert opinion(_case(about), held).path == ("device", "mid", "root")


def _case(device: Device | None) -> Case:
    return Case(
        scenario="test", chain="one", store="root", time="now", at=AT, host="shop.example",
        send=("device",), trust=("root", "mid"), device=device,
    )  # fmt: skip
