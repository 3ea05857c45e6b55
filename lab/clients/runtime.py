"""What a runtime is: where clients run, how they are made ready, started and cleared away."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lab.clients.session import Session
from lab.corpus import Client

__all__ = ["Ready", "Runtime", "Unready", "owner", "owner_alive"]


@dataclass(frozen=True)
class Ready:
    """A column that can be started; ``digest`` identifies the inputs of its build."""

    digest: str


@dataclass(frozen=True)
class Unready:
    """A column that cannot be had here, and why."""

    why: str


class Runtime(Protocol):
    """Where clients run."""

    name: str

    @property
    def interface(self) -> str:
        """The numeric address on which lanes listen, as clients reach it."""

    async def reached_at(self) -> str:
        """Return the numeric address at which clients reach the lab, known before anything is built."""

    async def prepare(self, clients: Sequence[Client]) -> dict[str, Ready | Unready]:
        """Build what is not built; return each column's state by name."""

    async def start(self, client: Client) -> Session:
        """Start a client; raise ClientError where it cannot be started."""

    async def close(self) -> None:
        """End everything that this runtime started, and wait until it is gone."""


def owner() -> str:
    """Return a mark of this process that no later process shares: pid and start time."""
    return f"{os.getpid()}:{_start_time(os.getpid())}"


def owner_alive(mark: str) -> bool:
    """Tell whether the process that an ``owner`` mark names still runs; what follows a second colon is no matter."""
    pid, started, *_rest = [*mark.split(":"), "", ""]
    return pid.isdigit() and bool(started) and _start_time(int(pid)) == started


def _start_time(pid: int) -> str:
    """Return field 22 of /proc/PID/stat (proc(5)), in clock ticks since boot; empty where there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
