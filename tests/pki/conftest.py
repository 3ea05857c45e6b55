"""Shared by the tests of lab.pki: one ring of keys for the session, and scenarios written as short as can be."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import settings

from lab.model.scenario import Scenario
from lab.pki.keys import KeyRing
from lab.pki.mint import Minted, mint
from lab.pki.reference import Opinion, reference

settings.register_profile("pki", deadline=None, derandomize=True, database=None)
settings.load_profile("pki")

DESIGN_SCENARIO = """
schema  = 1
title   = "Let's Encrypt, 30 September 2021: DST Root CA X3 expires under ISRG Root X1"
date    = 2021-09-30
summary = "DST expires; who holds ISRG Root X1 has a second, shorter path."

[entities]
dst  = { cn = "DST Root CA X3", o = "Digital Signature Trust Co.", key = "rsa2048" }
isrg = { cn = "ISRG Root X1", o = "Internet Security Research Group", c = "US", key = "rsa4096" }
r3   = { cn = "R3", o = "Let's Encrypt", c = "US", key = "rsa2048" }
site = { dns = ["shop.example"], key = "ec256" }

[certificates]
dst-root   = { subject = "dst",  issuer = "dst",  from = 2000-09-30T21:12:19Z, until = 2021-09-30T14:01:15Z }
isrg-root  = { subject = "isrg", issuer = "isrg", from = 2015-06-04T11:04:38Z, until = 2035-06-04T11:04:38Z }
isrg-cross = { subject = "isrg", issuer = "dst",  from = 2021-01-20T19:14:03Z, until = 2024-09-30T18:14:03Z }
r3         = { subject = "r3",   issuer = "isrg", from = 2020-09-04T00:00:00Z, until = 2025-09-15T16:00:00Z }
site       = { subject = "site", issuer = "r3",   from = 2021-08-20T00:00:00Z, until = 2021-11-18T00:00:00Z }
site-2024  = { subject = "site", issuer = "r3",   from = 2024-08-20T00:00:00Z, until = 2024-11-18T00:00:00Z }

[server]
host = "shop.example"

[chains]
long      = { send = ["site", "r3", "isrg-cross"], at = ["before", "after"] }
short     = { send = ["site", "r3"], at = ["before", "after"] }
long-2024 = { send = ["site-2024", "r3", "isrg-cross"], at = ["cross-sign-dead"] }

[stores]
old  = ["dst-root"]
both = ["dst-root", "isrg-root"]
new  = ["isrg-root"]

[times]
before = 2021-09-30T14:01:14Z
after  = 2021-09-30T14:01:16Z
cross-sign-dead = 2024-10-01T00:00:00Z

[expect.long]
old  = { before = "accept", after = "either" }
both = { before = "accept", after = "accept" }
new  = { before = "accept", after = "accept" }
[expect.short]
old  = { before = "reject:unknown-ca", after = "reject:unknown-ca" }
both = { before = "accept", after = "accept" }
new  = { before = "accept", after = "accept" }
[expect.long-2024]
old  = { cross-sign-dead = "reject:expired" }
both = { cross-sign-dead = "accept" }
new  = { cross-sign-dead = "accept" }
"""


AT = datetime(2022, 1, 1, tzinfo=UTC)
"""What time it is in tests that have no other."""

Mint = Callable[..., Minted]


def _scenario(entities: dict[str, Any], certificates: dict[str, Any], **more: Any) -> Scenario:
    return Scenario.model_validate(
        {
            "schema": 1,
            "slug": "test",
            "title": "a test",
            "date": "2022-01-01",
            "summary": "a test",
            "entities": entities,
            "certificates": {
                name: {"subject": said[0], "issuer": said[1], **(said[2] if len(said) > 2 else {})}
                for name, said in certificates.items()
            },
            "server": {"host": "shop.example"},
            "chains": {},
            "stores": {},
            "times": {"now": AT},
            "expect": {},
            **more,
        }
    )


@pytest.fixture(scope="session")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    """Return a ring whose keys live as long as the session."""
    return KeyRing(tmp_path_factory.mktemp("cache") / "keys")


@pytest.fixture(scope="session")
def scenario() -> Callable[..., Scenario]:
    """Return a function of entities and certificates, each ``(subject, issuer, {field: value})``."""
    return _scenario


@pytest.fixture(scope="session")
def minted(ring: KeyRing) -> Mint:
    """Return a function that mints such a scenario at once."""
    return lambda entities, certificates, **more: mint(_scenario(entities, certificates, **more), ring)


@pytest.fixture(scope="session")
def judge() -> Callable[..., Opinion]:
    """Return a function that asks the reference about certificates by name."""

    def ask(world: Minted, served: str, anchors: str, at: datetime = AT, host: str = "shop.example") -> Opinion:
        held = world.certificates
        return reference(
            [held[name] for name in served.split()], [held[name] for name in anchors.split()], at, host, world.name_of
        )

    return ask


@pytest.fixture(scope="session")
def design() -> Scenario:
    """Return the scenario of DESIGN.md."""
    return Scenario.model_validate({**tomllib.loads(DESIGN_SCENARIO), "slug": "letsencrypt-2021"})
