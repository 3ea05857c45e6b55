"""Errors that say whose fault it is, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

__all__ = ["ClientError", "EngineError", "InputError", "LabError", "Problem", "did_you_mean"]


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with something a person wrote.

    ``file`` and ``line`` (counted from 1) say where, ``field`` is a dotted path inside that file, ``found`` is
    what stands there, ``remedy`` what would be right.  All but ``found`` may be empty.
    """

    file: str = ""
    line: int = 0
    field: str = ""
    found: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        place = self.file + (f":{self.line}" if self.line else "")
        parts = [part for part in (place, self.field, self.found) if part]
        return ": ".join(parts) + (f" ({self.remedy})" if self.remedy else "")


class LabError(Exception):
    """Something that stops the lab; ``exit_status`` is what the command line then ends with."""

    exit_status = 3


class InputError(LabError):
    """What a person wrote cannot be used: every problem of it at once, in ``problems``."""

    exit_status = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def one(cls, found: str, *, file: Path | str = "", field: str = "", remedy: str = "") -> InputError:
        """Return the error for a single problem."""
        return cls([Problem(file=str(file), field=field, found=found, remedy=remedy)])


class ClientError(LabError):
    """A client's harness broke its side of the dialogue, or could not be built or started.

    ``client`` is the column's name, ``evidence`` what it printed (its tail).
    """

    def __init__(self, client: str, what: str, evidence: str = "") -> None:
        self.client = client
        self.what = what
        self.evidence = evidence
        super().__init__(f"{client}: {what}" + (f"\n{evidence}" if evidence else ""))


class EngineError(LabError):
    """The Docker engine does not do what the lab needs of it."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a remedy that names the nearest of the ``known`` names, or all of them."""
    names = sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f'"{one}"' for one in near) + "?"
    return "known: " + (", ".join(names) if names else "none")
