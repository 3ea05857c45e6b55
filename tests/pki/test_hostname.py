"""Host names: RFC 9525, with the questions that it leaves open."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from lab.pki.hostname import Match, match_dns, match_host

LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=8)
HOST = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


@pytest.mark.parametrize(
    ("presented", "host", "match"),
    [
        ("shop.example", "shop.example", Match.YES),
        ("SHOP.Example", "shop.eXample", Match.YES),
        ("shop.example", "shop.example.", Match.YES),
        ("shop.example.", "shop.example", Match.NO),
        ("shop.example", "www.shop.example", Match.NO),
        ("*.shop.example", "www.shop.example", Match.YES),
        ("*.shop.example", "shop.example", Match.NO),
        ("*.shop.example", "a.b.shop.example", Match.NO),
        ("*.shop.example", ".shop.example", Match.NO),
        ("w*.shop.example", "www.shop.example", Match.NO),
        ("*w.shop.example", "www.shop.example", Match.NO),
        ("www.*.example", "www.shop.example", Match.NO),
        ("*.*.example", "www.shop.example", Match.NO),
        ("*", "example", Match.NO),
        ("*.example", "shop.example", Match.OPEN),
        ("", "", Match.NO),
        ("", "shop.example", Match.NO),
    ],
)
def test_dns(presented: str, host: str, match: Match) -> None:
    """A wildcard is the whole left-most label and stands for one label; all else is compared label by label."""
    assert match_dns(presented, host) is match


@given(HOST)
def test_name_matches_itself(host: str) -> None:
    """A name without wildcard matches itself in any case."""
    assert match_dns(host.upper(), host) is Match.YES


@given(HOST, HOST)
def test_no_other_name(presented: str, host: str) -> None:
    """A name without wildcard matches nothing but itself."""
    assert (match_dns(presented, host) is Match.YES) == (presented == host)


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text(presented: str, host: str) -> None:
    """Any two texts get an answer."""
    assert match_dns(presented, host) in Match


def test_addresses_match_addresses_only() -> None:
    """An address is looked for among the addresses, in any of its text forms, and never among the DNS names."""
    names = [x509.DNSName("192.0.2.1"), x509.IPAddress(ip_address("2001:db8::1"))]
    assert match_host(names, "2001:DB8:0::1") is Match.YES
    assert match_host(names, "192.0.2.1") is Match.NO
    assert match_host([x509.IPAddress(ip_address("192.0.2.1"))], "192.0.2.1") is Match.YES


def test_best_of_several() -> None:
    """Any name that certainly matches outweighs one that may, and that outweighs one that does not."""
    names = [x509.DNSName("other.example"), x509.DNSName("*.example")]
    assert match_host(names, "shop.example") is Match.OPEN
    assert match_host([*names, x509.DNSName("shop.example")], "shop.example") is Match.YES
    assert match_host([], "shop.example") is Match.NO
