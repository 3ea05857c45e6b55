"""Name constraints: inside and outside, permitted and excluded."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from lab.pki.constraints import Subtrees, within
from lab.pki.hostname import Match
from lab.pki.names import subtree

LABELS = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(".".join)


def _dns(*names: str) -> list[x509.GeneralName]:
    return [x509.DNSName(name) for name in names]


@pytest.mark.parametrize(
    ("name", "base", "match"),
    [
        ("shop.example", "example", Match.YES),
        ("shop.example", "shop.example", Match.YES),
        ("Shop.Example", "sHop.example", Match.YES),
        ("shop.example", "", Match.YES),
        ("shop.example", "op.example", Match.NO),
        ("example", "shop.example", Match.NO),
        ("*.shop.example", "shop.example", Match.YES),
        ("*.example", "shop.example", Match.NO),
        ("shop.example", ".example", Match.OPEN),
        ("example", ".example", Match.OPEN),
        ("shop.other", ".example", Match.NO),
    ],
)
def test_dns(name: str, base: str, match: Match) -> None:
    """A DNS subtree holds its base and whatever has more labels to the left; a leading dot is left open."""
    assert within(x509.DNSName(name), x509.DNSName(base)) is match


@given(LABELS, LABELS)
def test_more_labels_stay_inside(prefix: str, base: str) -> None:
    """Adding labels to the left never leaves a subtree."""
    assert within(x509.DNSName(f"{prefix}.{base}"), x509.DNSName(base)) is Match.YES


def test_addresses() -> None:
    """An address is inside its network, and never inside one of the other family."""
    address = x509.IPAddress(ip_address("192.0.2.7"))
    assert within(address, subtree("192.0.2.0/24")) is Match.YES
    assert within(address, subtree("198.51.100.0/24")) is Match.NO
    assert within(address, subtree("2001:db8::/32")) is Match.NO
    assert within(address, x509.DNSName("example")) is Match.NO


def test_directory_names() -> None:
    """A directory name is inside a subtree that it begins with."""

    def name(*values: str) -> x509.DirectoryName:
        return x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, value) for value in values]))

    assert within(name("a", "b"), name("A")) is Match.YES
    assert within(name("b", "a"), name("a")) is Match.NO


@pytest.mark.parametrize("bases", [("example", "shop.example"), ("shop.example", "example")])
def test_every_level_permits(bases: tuple[str, str]) -> None:
    """What two certificates permit is what both of them do; a form that neither mentions stays free."""
    both = Subtrees()
    for base in bases:
        both = both.narrowed(x509.NameConstraints([x509.DNSName(base)], None))
    assert not list(both.judge([*_dns("a.shop.example"), x509.IPAddress(ip_address("192.0.2.1"))]))
    assert [verdict for _, verdict in both.judge(_dns("other.example"))] == [Match.NO]


def test_any_base_of_a_level_permits() -> None:
    """One of several subtrees of a certificate is enough."""
    subtrees = Subtrees().narrowed(x509.NameConstraints(_dns("a.example", "b.example"), None))
    assert not list(subtrees.judge(_dns("x.a.example", "b.example")))


def test_every_level_excludes() -> None:
    """What any of two certificates excludes is excluded."""
    both = Subtrees()
    for base in ("a.example", "b.example"):
        both = both.narrowed(x509.NameConstraints(None, [x509.DNSName(base)]))
    assert [verdict for _, verdict in both.judge(_dns("a.example", "b.example", "c.example"))] == [Match.NO, Match.NO]


def test_excluded() -> None:
    """An excluded name is refused even where it is permitted; a wildcard that only touches it is left open."""
    subtrees = Subtrees().narrowed(x509.NameConstraints(_dns("example"), _dns("bad.example")))
    assert [verdict for _, verdict in subtrees.judge(_dns("x.bad.example"))] == [Match.NO]
    assert [verdict for _, verdict in subtrees.judge(_dns("*.example"))] == [Match.OPEN]
    assert not list(subtrees.judge(_dns("*.good.example")))


@pytest.mark.parametrize("kind", ["permitted", "excluded"])
def test_unprocessed_forms(kind: str) -> None:
    """A constraint of a form that is not processed refuses names of that form, and no others (RFC 5280 4.2.1.10)."""
    bases = [x509.RFC822Name("example")]
    said = x509.NameConstraints(bases, None) if kind == "permitted" else x509.NameConstraints(None, bases)
    subtrees = Subtrees().narrowed(said)
    assert [verdict for _, verdict in subtrees.judge([x509.RFC822Name("a@example")])] == [Match.NO]
    assert not list(subtrees.judge(_dns("shop.example")))
