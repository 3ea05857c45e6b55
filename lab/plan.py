"""Scenarios and clients make a plan: which cells are to be filled, in which order."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from lab.corpus import Client, ScenarioFile
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

    def order(self, column: str, done: Iterable[str] = ()) -> list[Case]:
        """Return the cases that a column has yet to meet, in the order that the seed gives; ``done`` are case ids."""
        skipped = set(done)
        rest = [case for case in self.cases if case.id not in skipped]
        seed = hashlib.sha256(f"{self.seed}\0{column}".encode()).digest()
        random.Random(seed).shuffle(rest)  # noqa: S311 - an order, not a secret
        return rest
