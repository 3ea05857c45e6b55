"""Cases moved to a clock that nobody can move: shifted so that they happen now, under anchors that stay the same.

A board's anchors are flashed, so they are minted once, at the scenario's own dates, and kept; everything else is
minted anew with its dates shifted.  A replay is exact, or it is refused: every certificate, anchors included, must
stand to the real day as it stands to the case's moment (not yet valid, valid, or over), at least a day from the
nearest end, and the reference relying party must say the same of both.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lab.errors import InputError, did_you_mean
from lab.expectation import opinion
from lab.gallery import Gallery
from lab.model.scenario import Case, Scenario
from lab.pki.facts import facts, signed_by
from lab.pki.keys import KeyRing, WantedKey, load_key
from lab.pki.mint import Minted, mint, wanted_keys
from lab.pki.unread import read

__all__ = ["MARGIN", "Replay", "Replayer", "Unplayable", "renamed", "steady"]

MARGIN = timedelta(days=1)
"""How far a replayed moment keeps from the nearest end of a certificate: the clocks of boards are not exact."""

_STATES = {-1: "is not yet valid", 0: "is valid", 1: "is over"}


class Unplayable(Exception):  # noqa: N818 - not an error: what a case is, in words
    """Why a case cannot be replayed on a real clock."""


def steady(at: datetime, ends: Iterable[datetime]) -> datetime:
    """Return the moment nearest to ``at`` that lies on the same side of every end, a margin away from each.

    Raise Unplayable where there is none, as where ``at`` is itself an end: no real clock stays there.
    """
    dates = set(ends)
    if at in dates:
        raise Unplayable(f"it is set at the very second at which a certificate begins or ends, {at:%Y-%m-%dT%H:%M:%SZ}")
    earlier = max((end + MARGIN for end in dates if end < at), default=None)
    later = min((end - MARGIN for end in dates if end > at), default=None)
    if earlier is not None and later is not None and earlier > later:
        raise Unplayable(f"certificates begin or end on both sides of {at:%Y-%m-%dT%H:%M:%SZ} within two days")
    moment = at if earlier is None else max(at, earlier)
    return moment if later is None else min(moment, later)


def renamed(scenario: Scenario, one: str, other: str) -> Scenario:
    """Return a scenario in which two DNS names have changed places: a board asks for the one name that it knows."""
    swap = {one: other, other: one}
    entities = {
        name: entity.model_copy(
            update={
                "dns": tuple(swap.get(dns, dns) for dns in entity.dns),
                "cn": swap.get(entity.cn, entity.cn) if isinstance(entity.cn, str) else entity.cn,
            }
        )
        for name, entity in scenario.entities.items()
    }
    chains = {
        name: chain.model_copy(update={"host": chain.host if chain.host is None else swap.get(chain.host, chain.host)})
        for name, chain in scenario.chains.items()
    }
    server = scenario.server.model_copy(update={"host": swap.get(scenario.server.host, scenario.server.host)})
    return scenario.model_copy(update={"entities": entities, "chains": chains, "server": server})


@dataclass(frozen=True)
class Replay:
    """A case as it is served now: with today's date and the board's host name, in a gallery of its own."""

    case: Case
    gallery: Gallery


@dataclass(frozen=True)
class _Story:
    """A scenario with the store that is flashed: as its author tells it, and as the board meets it."""

    told: Minted
    hosted: Scenario
    store: str
    anchors: Mapping[str, x509.Certificate]
    """The flashed certificates by their names in the scenario, in the store's order."""


class Replayer:
    """Replays cases of some scenarios, each under the store that is flashed, for a board that asks for ``host``.

    ``stores`` names each scenario's store by its slug.  Raise InputError where a scenario has no such store, or is
    such that it cannot be minted.
    """

    def __init__(self, scenarios: Mapping[str, Scenario], stores: Mapping[str, str], host: str, ring: KeyRing) -> None:
        for slug, store in stores.items():
            if store not in scenarios[slug].stores:
                remedy = did_you_mean(store, scenarios[slug].stores)
                raise InputError.one(f'it has no store "{store}"', file=f"{slug}/scenario.toml", remedy=remedy)
        ring.prepare(key for scenario in scenarios.values() for key in wanted_keys(scenario))
        self.host = host
        self._ring = ring
        self._stories = {slug: self._story(scenario, stores[slug]) for slug, scenario in scenarios.items()}

    @property
    def anchors(self) -> dict[str, x509.Certificate]:
        """What is flashed, by ``scenario/certificate``: the same bytes on every day, as long as the cache is kept."""
        return {
            f"{slug}/{name}": anchor for slug, story in self._stories.items() for name, anchor in story.anchors.items()
        }

    def told(self, case: Case) -> Gallery:
        """Return the gallery of a case as its author tells it: the evidence of one that cannot be replayed."""
        told = self._stories[case.scenario].told
        return Gallery({case.scenario: told.scenario}, self._ring, _minted={case.scenario: told})

    def replay(self, case: Case, now: datetime) -> Replay:
        """Return a case as it is served on a real day; raise Unplayable where that would be another case."""
        if case.device is not None:
            raise Unplayable("it is about the device's own certificate, and a board shows the one that it has")
        now = now.replace(microsecond=0)
        story = self._stories[case.scenario]
        send = case.send
        then = story.told.certificates
        for name, anchor in story.anchors.items():
            objection = _other_side(name, then[name], case.at, anchor, now)
            if objection:
                raise Unplayable(f"{objection}; it is flashed, so its dates stay as they are")
        moved = [name for name in send if name not in story.anchors]
        moment = steady(case.at, (end for name in moved for end in _ends(then[name])))
        scenario = story.hosted
        if (asked := scenario.chains[case.chain].host) is not None and asked != self.host:
            scenario = renamed(scenario, asked, self.host)
        try:
            fresh = mint(scenario, self._ring, shift=now - moment)
        except InputError as error:
            raise Unplayable(f"it cannot be minted for today: {error}") from error
        minted = replace(fresh, certificates=MappingProxyType({**fresh.certificates, **story.anchors}))
        for name in moved:
            objection = _other_side(name, then[name], case.at, minted.certificates[name], now)
            if objection:
                raise Unplayable(f"{objection}; its dates cannot be moved")
        today = case.model_copy(update={"at": now, "host": self.host})
        self._same_opinion(story, case, minted, today)
        self._no_stranger(story, case, minted)
        return Replay(today, Gallery({case.scenario: scenario}, self._ring, _minted={case.scenario: minted}))

    def _story(self, scenario: Scenario, store: str) -> _Story:
        told = mint(scenario, self._ring)
        hosted = scenario
        if scenario.server.host != self.host:
            hosted = renamed(scenario, scenario.server.host, self.host)
        fresh = told if hosted is scenario else mint(hosted, self._ring)
        return _Story(told, hosted, store, {name: self._kept(fresh, name) for name in hosted.stores[store]})

    def _kept(self, fresh: Minted, name: str) -> x509.Certificate:
        """Return the certificate that was minted first for what the scenario says here, on whichever day that was."""
        scenario, made = fresh.scenario, fresh.certificates[name]
        said = scenario.certificates[name]
        entities = [scenario.entities[one].model_dump_json() for one in (said.subject, said.issuer)]
        dates = [end.isoformat() for end in _ends(made)]
        whole = repr((name, said.model_dump_json(), entities, scenario.is_ca(name), dates))
        key = load_key(fresh.keys[said.subject]).public_key()

        def load(held: bytes) -> x509.Certificate:
            return read(ssl.PEM_cert_to_DER_cert(held.decode("ascii")), made)

        def check(held: bytes) -> None:
            anchor = load(held)
            if anchor.public_key() != key or (anchor.issuer, anchor.subject) != (made.issuer, made.subject):
                raise ValueError("it is another anchor's")
            if signed_by(made, made) and not signed_by(anchor, anchor):
                raise ValueError("its signature is another's")

        want = WantedKey(scenario.slug, said.subject, scenario.entities[scenario.key_owner(said.subject)].key)
        label = f"anchor-{hashlib.sha256(whole.encode()).hexdigest()[:16]}"
        return load(self._ring.keep(want, label, lambda: made.public_bytes(Encoding.PEM), check))

    def _same_opinion(self, story: _Story, case: Case, minted: Minted, today: Case) -> None:
        before = opinion(case, story.told)
        after = opinion(today, minted)
        if (before.expect, before.reason) != (after.expect, after.reason):
            raise Unplayable(f"it would be another case: {after.why}, where the scenario has {before.why}")

    def _no_stranger(self, story: _Story, case: Case, minted: Minted) -> None:
        """Refuse a case in which an anchor that is flashed for another scenario could play a part."""
        own = list(story.anchors.values())
        part = [facts(one) for one in (*minted.named(case.send), *own)]
        names = {name for one in part for name in (one.entity[0], one.issuer)}
        keys = {one.entity[1] for one in part}
        for label, anchor in self.anchors.items():
            name, key = facts(anchor).entity
            if anchor not in own and (name in names or key in keys):
                raise Unplayable(
                    f"{label} is flashed too and has the name or key of a certificate here: serve it alone"
                )


def _ends(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def _side(certificate: x509.Certificate, at: datetime) -> int:
    begin, end = _ends(certificate)
    return (at > end) - (at < begin)


def _other_side(name: str, then: x509.Certificate, at: datetime, today: x509.Certificate, now: datetime) -> str:
    """Say how a certificate stands to today otherwise than to its case's moment; empty where it does not."""
    if at in _ends(then):
        return f"the case is set at the very second at which {name} begins or ends"
    if _side(then, at) != _side(today, now):
        return f"{name} {_STATES[_side(then, at)]} in this case and {_STATES[_side(today, now)]} today"
    if any(abs(now - end) < MARGIN for end in _ends(today)):
        return f"{name} begins or ends within a day from now"
    return ""
