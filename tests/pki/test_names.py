"""Names: how an entity's are built, and which are the same."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from lab.model.scenario import Entity
from lab.pki.names import alternative_names, canonical, common_name, distinguished, subtree

UTF8, PRINTABLE = 0x0C, 0x13


def _cn(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def test_order_of_attributes() -> None:
    """A distinguished name is C, ST, L, O, OU, CN, whatever the order in the file."""
    entity = Entity(cn="n", ou="u", o="o", l="l", st="s", c="US")
    assert distinguished(entity, "slug", "e").rfc4514_string() == "CN=n,OU=u,O=o,L=l,ST=s,C=US"


@pytest.mark.parametrize(("strings", "tag"), [("utf8", UTF8), ("printable", PRINTABLE)])
def test_string_types(strings: str, tag: int) -> None:
    """The author chooses the string type of every attribute but the country, which is always printable."""
    der = distinguished(Entity(cn="n", c="US", strings=strings), "slug", "e").public_bytes()
    assert bytes([tag, 1]) + b"n" in der
    assert bytes([PRINTABLE, 2]) + b"US" in der


@pytest.mark.parametrize(
    "entity",
    [Entity(cn="x" * 65), Entity(o=""), Entity(cn=""), Entity(cn="caf\u00e9", strings="printable"), Entity(c="**")],
)
def test_refused_attributes(entity: Entity) -> None:
    """An attribute that is too long, empty, or does not fit its string type is refused."""
    with pytest.raises(ValueError, match=r"."):
        distinguished(entity, "slug", "e")


def test_unnamed_entities_differ() -> None:
    """Entities that nobody named get names of their own."""
    assert distinguished(Entity(), "slug", "a") != distinguished(Entity(), "slug", "b")
    assert distinguished(Entity(), "slug", "a") != distinguished(Entity(), "other", "a")


@pytest.mark.parametrize(
    ("entity", "name"),
    [
        (Entity(cn="said", dns=("shop.example",)), "said"),
        (Entity(dns=("shop.example", "b.example")), "shop.example"),
        (Entity(ip=("192.0.2.1",)), "192.0.2.1"),
        (Entity(dns=("x" * 60 + ".example",)), None),
        (Entity(o="only"), None),
        (Entity(cn=False, dns=("shop.example",)), None),
    ],
)
def test_common_name(entity: Entity, name: str | None) -> None:
    """A common name is the author's, else the first DNS name or address that fits."""
    assert common_name(entity) == name


def test_alternative_names() -> None:
    """DNS names come before addresses, in the file's order; none at all make no extension; U-labels are refused."""
    found = alternative_names(Entity(dns=("b.example", "*.a.example"), ip=("2001:db8::1",)))
    assert [str(name.value) for name in found or ()] == ["b.example", "*.a.example", "2001:db8::1"]
    assert alternative_names(Entity()) is None
    with pytest.raises(ValueError, match=r"."):
        alternative_names(Entity(dns=("caf\u00e9.example",)))


def test_no_common_name() -> None:
    """Without a common name the subject is what else the author says, or empty."""
    assert distinguished(Entity(cn=False, o="o", dns=("shop.example",)), "slug", "e").rfc4514_string() == "O=o"
    assert not distinguished(Entity(cn=False, dns=("shop.example",)), "slug", "e").rdns


def test_raw_names() -> None:
    """A raw DNS name stands in the extension in UTF-8, behind the others."""
    found = alternative_names(Entity(dns=("b.example",), raw_dns=("caf\u00e9.example",)))
    assert found is not None
    assert found.public_bytes().endswith(b"\x82\x09b.example\x82\x0dcaf\xc3\xa9.example")


def test_subtree() -> None:
    """What reads as an IP network is one; everything else is a DNS name."""
    assert isinstance(subtree("192.0.2.0/24"), x509.IPAddress)
    assert isinstance(subtree("2001:db8::/32"), x509.IPAddress)
    assert subtree("shop.example") == x509.DNSName("shop.example")


@pytest.mark.parametrize("other", ["isrg root x1", "ISRG  Root\tX1", " ISRG Root X1 ", "\uff29SRG Root X1"])
def test_same_names(other: str) -> None:
    """Case, runs of spaces and compatibility forms do not tell names apart (RFC 5280 section 7.1)."""
    assert canonical(_cn("ISRG Root X1")) == canonical(_cn(other))


def test_different_names() -> None:
    """Another value, type or order of attributes is another name."""
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "a")
    common = x509.NameAttribute(NameOID.COMMON_NAME, "a")
    assert canonical(_cn("a")) != canonical(_cn("b"))
    assert canonical(x509.Name([organisation])) != canonical(x509.Name([common]))
    assert canonical(x509.Name([organisation, common])) != canonical(x509.Name([common, organisation]))


@given(st.text(min_size=1, max_size=15))
def test_canonical_is_stable(text: str) -> None:
    """Folding a folded name changes nothing."""
    (attribute,) = canonical(_cn(text))[0]
    folded = str(attribute[1])
    if folded:
        assert canonical(_cn(folded)) == canonical(_cn(text))
