"""Scenarios and clients make a plan: which cells are to be filled, in which order."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from lab.corpus import Client, ScenarioFile
from lab.model.client import Clock
from lab.model.scenario import Case

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """The cells of a run: every case before every column.

    ``seed`` decides the order of each column's probes, so that no cell can owe its outcome to its neighbour unseen.
    """

    scenarios: tuple[ScenarioFile, ...]
    clients: tuple[Client, ...]
    seed: int
    only: frozenset[str] | None = None
    wire: tuple[str, ...] = ()
    """Faults on the wire that are added to every case."""

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """The cases in the order of the files: every one, or those whose ids are in ``only``."""
        every = (case.with_faults(self.wire) for file in self.scenarios for case in file.scenario.cases())
        return tuple(case for case in every if self.only is None or case.id in self.only)

    @cached_property
    def at_home(self) -> frozenset[str]:
        """The slugs of those scenarios that are the lab's own."""
        return frozenset(file.scenario.slug for file in self.scenarios if file.at_home)

    def order(self, client: Client, done: Iterable[str] = ()) -> list[Case]:
        """Return the cases that a column has yet to meet, in the order that the seed gives; ``done`` are case ids.

        Where a client's clock is set when its process starts, cases of one moment stand together: each other moment
        costs a process.
        """
        order = list(self.cases)
        seed = hashlib.sha256(f"{self.seed}\0{client.name}".encode()).digest()
        random.Random(seed).shuffle(order)  # noqa: S311 - an order, not a secret
        if client.home.manifest.clock is Clock.FAKETIME:
            first = {case.at: place for place, case in reversed(list(enumerate(order)))}
            order.sort(key=lambda case: first[case.at])
        skipped = set(done)
        return [case for case in order if case.id not in skipped]
