"""Facts: what is read of a certificate, and whose signature it carries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock, PropertyMock, patch

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from lab.pki import facts as facts_module
from lab.pki.facts import facts, signed_by
from lab.pki.mint import Minted

Mint = Callable[..., Minted]


@pytest.mark.parametrize("key", ["ec256", "ec384", "ed25519", "rsa2048"])
def test_signed_by(minted: Mint, key: str) -> None:
    """A signature verifies under the key that made it and under no other, whatever the types of the two."""
    twins = {name: {"cn": "A", "key": key} for name in "ab"}
    cas = {**twins, "c": {"cn": "C"}, "r": {"cn": "R", "key": "rsa2048"}}
    world = minted(
        {**cas, "site": {"dns": ["shop.example"]}}, {**{name: (name, name) for name in cas}, "site": ("site", "a")}
    )
    held = world.certificates
    assert signed_by(held["site"], held["a"])
    assert not any(signed_by(held["site"], held[other]) for other in ("b", "c", "r", "site"))


def test_read_once(minted: Mint) -> None:
    """Entity, issuer, key ids and constraints are as minted, and equal for two certificates of one entity."""
    said: dict[str, Any] = {"path_length": 3, "name_constraints": {"permitted": ["example"]}}
    world = minted({"a": {"cn": "A"}, "b": {"cn": "B"}}, {"aa": ("a", "a", said), "ab": ("a", "b"), "bb": ("b", "b")})
    own, cross = facts(world.certificates["aa"]), facts(world.certificates["ab"])
    assert own.entity == cross.entity
    assert own.self_issued
    assert not cross.self_issued
    assert own.subject_key_id == cross.subject_key_id == own.authority_key_id
    assert cross.authority_key_id == facts(world.certificates["bb"]).subject_key_id
    assert own.basic_constraints == x509.BasicConstraints(ca=True, path_length=3)
    assert own.name_constraints is not None
    assert not own.unknown_critical
    assert not own.malformed


@pytest.mark.parametrize("digest", ["sha1", "md5"])
def test_weak_digests(minted: Mint, digest: str) -> None:
    """SHA-1 and MD5 are called weak; anything that is not known is not."""
    stub = Mock()
    stub.signature_hash_algorithm.name = digest
    assert facts_module._weak_hash(stub) == digest
    type(stub).signature_hash_algorithm = PropertyMock(side_effect=UnsupportedAlgorithm("?"))
    assert facts_module._weak_hash(stub) == ""


def test_names_that_cannot_be_read(minted: Mint) -> None:
    """A certificate whose very names cannot be read is malformed, and no two such are one entity's issuer."""
    held = minted({"a": {"cn": "A"}}, {"a": ("a", "a")}).certificates["a"]
    facts.cache_clear()
    with patch.object(facts_module, "canonical", side_effect=ValueError("bad name")):
        found = facts(held)
    facts.cache_clear()
    assert found.malformed == "bad name"
    assert not found.self_issued
