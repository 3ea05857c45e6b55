"""Host names: RFC 9525, with the questions that it leaves open."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

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
        ("shop.example", "shop.example.", Match.OPEN),
        ("*.shop.example", "www.shop.example.", Match.OPEN),
        ("mail.example", "shop.example.", Match.NO),
        ("shop.example", "shop.example..", Match.NO),
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
        ("*", "example", Match.OPEN),
        ("*", "shop.example", Match.NO),
        ("*.", "shop.example", Match.NO),
        ("*.shop.example.", "www.shop.example", Match.NO),
        ("*.shop.example", "xn--bcher-kva.shop.example", Match.YES),
        ("xn--*.shop.example", "xn--bcher-kva.shop.example", Match.NO),
        ("b\u00fccher.example", "xn--bcher-kva.example", Match.NO),
        ("b\u00fccher.example", "b\u00fccher.example", Match.NO),
        ("\u212a.example", "k.example", Match.NO),
        ("XN--Bcher-KVA.example", "xn--bcher-kva.example", Match.YES),
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


@given(LABEL, HOST, HOST)
def test_wildcard_stands_for_one_label(label: str, rest: str, deeper: str) -> None:
    """A wildcard matches every single label in its place, no name without one, and none with more than one."""
    matches = Match.YES if "." in rest else Match.OPEN
    assert match_dns(f"*.{rest}", f"{label}.{rest}") is matches
    assert match_dns(f"*.{rest}", rest) is Match.NO
    assert match_dns(f"*.{rest}", f"{label}.{deeper}.{rest}") is Match.NO


@given(LABEL, LABEL, HOST)
def test_wildcard_is_a_whole_label(before: str, after: str, rest: str) -> None:
    """A wildcard that is part of a label, or not in the left-most one, matches nothing."""
    for presented in (f"{before}*.{rest}", f"*{after}.{rest}", f"{before}*{after}.{rest}", f"**.{rest}"):
        assert match_dns(presented, f"{before}{after}.{rest}") is Match.NO
    assert match_dns(f"{before}.*.{rest}", f"{before}.{after}.{rest}") is Match.NO


@given(HOST)
def test_dots_at_the_end(host: str) -> None:
    """A dot behind the host leaves open what would match; one in a certificate matches nothing without it."""
    assert match_dns(host, f"{host}.") is Match.OPEN
    assert match_dns(f"{host}.", host) is Match.NO
    assert match_dns(f"{host}.", f"{host}.") is Match.OPEN


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


@given(st.ip_addresses(), st.ip_addresses())
def test_any_address(one: IPv4Address | IPv6Address, other: IPv4Address | IPv6Address) -> None:
    """An address matches itself octet for octet, however it is written, and no other; no DNS name spells it."""
    for text in (str(one), one.exploded, str(one).upper()):
        assert match_host([x509.IPAddress(one)], text) is Match.YES
        assert match_host([x509.IPAddress(other)], text) is (Match.YES if one == other else Match.NO)
        assert match_host([x509.DNSName(str(one))], text) is Match.NO


def test_best_of_several() -> None:
    """Any name that certainly matches outweighs one that may, and that outweighs one that does not."""
    names = [x509.DNSName("other.example"), x509.DNSName("*.example")]
    assert match_host(names, "shop.example") is Match.OPEN
    assert match_host([*names, x509.DNSName("shop.example")], "shop.example") is Match.YES
    assert match_host([], "shop.example") is Match.NO
