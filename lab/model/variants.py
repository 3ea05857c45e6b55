"""What the lab makes of a case by itself: its dates' boundaries, its store's other order, its remedies, its faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field

from lab.model.base import Model, Name
from lab.model.case import Case, Device, Expected
from lab.model.entity import Certificate

__all__ = [
    "BOUNDARIES",
    "ChainChange",
    "DeviceChange",
    "Remedy",
    "StoreChange",
    "WireFault",
    "boundaries",
    "changed",
    "faulted",
    "named",
    "remedied",
]

BOUNDARIES = "boundaries"
"""The word that stands among a chain's times for every date that bears on the case."""

_SECOND = timedelta(seconds=1)
_STEPS = (("-1s", -_SECOND), ("", timedelta(0)), ("+1s", _SECOND))


class _Change(Model):
    without: tuple[Name, ...] = ()
    """Certificates that are taken out."""
    added: tuple[Name, ...] = Field(default=(), alias="with")
    """Certificates that are put behind."""

    def _apply(self, names: tuple[str, ...]) -> tuple[str, ...]:
        kept = tuple(name for name in names if name not in self.without)
        return (*kept, *(name for name in self.added if name not in kept))


class StoreChange(_Change):
    """Another trust store."""

    trust: tuple[Name, ...] | None = None
    """The whole store, in its order, in place of the case's."""

    def apply(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the store that becomes of ``names``."""
        return self._apply(names if self.trust is None else self.trust)


class ChainChange(_Change):
    """Another chain."""

    send: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """The whole chain, end-entity certificate first, in place of the case's."""

    def apply(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the chain that becomes of ``names``."""
        return self._apply(names if self.send is None else self.send)


class DeviceChange(_Change):
    """Other certificates of the device."""

    send: tuple[Name, ...] | None = None
    """All that the device shows, its own certificate first, in place of the case's; an empty list for none."""

    def apply(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return what the device shows in place of ``names``."""
        return self._apply(names if self.send is None else self.send)


class Remedy(Model):
    """A change of a case that is said to help; the matrix shows what it does to every client."""

    title: str
    """What is done, in a few words."""
    of: Annotated[tuple[str, ...], Field(min_length=1)]
    """The written cases that it is a remedy for: names, or globs over them."""
    store: StoreChange | None = None
    """What becomes of the trust store."""
    chain: ChainChange | None = None
    """What becomes of the chain that is served."""
    device: DeviceChange | None = None
    """What becomes of what the device shows."""
    device_store: StoreChange | None = None
    """What becomes of the store that the server trusts for devices."""
    clock: str | None = None
    """The time that the client is made to believe, by its name in the scenario."""
    column: str | None = None
    """Another column of the same stack: ``+trusted-first`` for the one with that option, ``newer`` for the newest."""
    expect: Expected | None = None
    """What a careful relying party then does; by default what the reference relying party says."""
    why: str = ""
    """Why it helps, and whom it hurts."""


class WireFault(Model):
    """Faults on the wire that are added to cases of a scenario."""

    of: Annotated[tuple[str, ...], Field(min_length=1)]
    """The written cases that it is added to: names, or globs over them."""
    wire: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of faults as ``tlslab faults`` lists them, applied in this order."""
    expect: Literal["same", "fail"] | None = None
    """Whether what was expected still is, or the connection must fail; by default what the faults say of themselves."""
    why: str = ""
    """The author's words."""


def boundaries(
    names: Iterable[str],
    certificates: Mapping[str, Certificate],
    leaf: str,
    span: tuple[datetime, datetime],
) -> Iterator[tuple[str, datetime]]:
    """Yield the moments around every end of validity of the named certificates, with their names, each moment once.

    One second before, at, and one second after; only those within the life of the end-entity certificate ``leaf``
    (by a second), outside which it alone decides.  ``span`` stands for that life where the leaf has no dates.
    """
    life = certificates[leaf]
    first, last = (life.not_before or span[0]) - _SECOND, (life.not_after or span[1]) + _SECOND
    seen: set[datetime] = set()
    for name in dict.fromkeys(names):
        certificate = certificates[name]
        for end, moment in (("from", certificate.not_before), ("until", certificate.not_after)):
            if moment is None:
                continue
            for offset, step in _STEPS:
                at = _moved(moment, step)
                if at is not None and first <= at <= last and at not in seen:
                    seen.add(at)
                    yield f"{name}.{end}{offset}", at


def _moved(moment: datetime, step: timedelta) -> datetime | None:
    """Return a moment a step away, or None where that is beyond the years 1 to 9999."""
    try:
        return moment + step
    except OverflowError:
        return None


def changed(case: Case, remedy: Remedy, clock: datetime | None) -> Case | None:
    """Return a case as a remedy leaves it, or None where the remedy changes nothing of it."""
    send = remedy.chain.apply(case.send) if remedy.chain else case.send
    trust = remedy.store.apply(case.trust) if remedy.store else case.trust
    at = clock or case.at
    device = _changed_device(case.device, remedy)
    if (send, trust, at, device) == (case.send, case.trust, case.at, case.device) or not send:
        return None
    return case.model_copy(update={"send": send, "trust": trust, "at": at, "device": device})


def _changed_device(device: Device | None, remedy: Remedy) -> Device | None:
    if device is None:
        return None
    send = remedy.device.apply(device.send) if remedy.device else device.send
    trust = remedy.device_store.apply(device.trust) if remedy.device_store else device.trust
    return device.model_copy(update={"send": send, "trust": trust})


def remedied(case: Case, remedies: Mapping[str, Remedy], clocks: Mapping[str, datetime]) -> Iterator[Case]:
    """Yield what each remedy makes of a written case that it names; ``clocks`` are the moments of remedies' clocks."""
    for name, remedy in remedies.items():
        if named(case, remedy.of):
            other = changed(case, remedy, clocks.get(name))
            if other is not None:
                yield other.model_copy(update={"remedy": name, "origin": "remedy", "expected": remedy.expect})


def faulted(case: Case, faults: Mapping[str, WireFault]) -> Iterator[Case]:
    """Yield a written case with each fault on the wire that names it."""
    for name, fault in faults.items():
        if named(case, fault.of):
            yield case.model_copy(
                update={"fault": name, "wire": fault.wire, "endures": fault.expect, "origin": "fault"}
            )


def named(case: Case, patterns: Iterable[str]) -> bool:
    """Tell whether a pattern, a name or a glob, names the case without what was put to it."""
    return any(fnmatchcase(case.base, pattern) for pattern in patterns)
