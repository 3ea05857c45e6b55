"""What a client's manifest says: stack, columns, build, clock, and the deviations that we know."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from lab.model.base import Model, Slug
from lab.model.case import Reason, Trait
from lab.model.result import Observed

__all__ = ["Build", "ClientManifest", "Clock", "Column", "Deviation", "Deviations"]

ColumnName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9.+_]+)*$", max_length=80)]


class Clock(StrEnum):
    """Who decides what time a stack believes."""

    NATIVE = "native"
    """The stack is told the time."""
    FAKETIME = "faketime"
    """libfaketime, set when the process starts: one process per distinct time."""
    REAL = "real"
    """Nobody can move it: the scenario is shifted instead."""


class Build(Model):
    """How a client is built, natively and as an image, by one Makefile."""

    packages: tuple[str, ...] = ()
    """Debian packages that a native build needs."""
    program: str = "probe"
    """What the build leaves in its output folder."""
    native: bool = True
    """Whether it can be built on this machine at all; an image can always be."""
    memory: Annotated[int, Field(ge=16, le=4096)] = 256
    """What a container of it may use, in MiB."""
    processes: Annotated[int, Field(ge=1, le=1024)] = 64
    """How many processes and threads a container of it may have."""


class Column(Model):
    """One column of the matrix: a version of the stack with named options."""

    name: ColumnName
    """``<stack>-<version as the library says it>``, with ``+option`` where the stack's defaults are left."""
    version: str
    """Handed to the build as VERSION."""
    reports: str
    """What the library itself must say in its hello: the words, or a glob where patch levels come and go."""
    suite: Literal["bullseye", "bookworm", "trixie", "sid"] | None = None
    """The Debian suite that the stack comes with; its image is built on that suite."""
    min_tls: Literal["1.0", "1.1"] | None = None
    """The lowest TLS version that servers must offer to this column, where a scenario does not say otherwise."""
    make: dict[str, str] = Field(default_factory=dict)
    """More variables for the build: to make, and as build arguments of the image."""
    groups: tuple[Slug, ...] = ()
    """Sets of columns that ``--client`` can name, besides the stack's."""
    options: tuple[str, ...] = ()
    """Handed to the program, each as ``--option``."""
    platforms: tuple[str, ...] = ()
    """Platforms that the artefacts exist for; empty for any."""
    cannot: tuple[Literal["host", "dates", "chain"], ...] = ()
    """Checks that this column does not make, by design."""
    why: str = ""
    """What its options do, and where they are met."""


class ClientManifest(Model):
    """``clients/<stack>/client.toml``."""

    schema_version: Literal[1] = Field(alias="schema")
    stack: Slug
    """The folder's name."""
    title: str
    summary: str
    clock: Clock
    groups: tuple[Slug, ...] = ()
    """Sets of columns that ``--client`` can name."""
    cannot: tuple[Literal["host", "dates", "chain"], ...] = ()
    """Checks that no column of this stack makes, by design."""
    build: Build = Build()
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]

    def column(self, name: str) -> Column:
        """Return a column by name; raise KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


class Deviation(Model):
    """A difference that we know a client to have."""

    scenario: str
    """A scenario's slug, or a glob over slugs."""
    case: str
    """A case inside that scenario, or a glob over its cases."""
    when: tuple[Trait, ...] = ()
    """What must be particular about a case for it to hold: all of these traits."""
    expected: Reason | None = None
    """The reason for which its cases must be rejected, where it holds for such cases only."""
    columns: tuple[str, ...] = ("*",)
    """The columns that it holds for: names or globs; one that begins with ``!`` takes columns out."""
    versions: str = ""
    """The versions that it holds for, as comparisons: ``>=1.0.0,<1.1.0``.  Empty for all."""
    observation: Observed
    """What such a client does."""
    reason: Reason | None = None
    """The reason it gives."""
    code: str | None = None
    """The code it gives, where the code tells this deviation from another."""
    why: str
    """Why, in the stack's own terms."""
    source: str
    """Where that can be read, or ``measured`` and the date."""


class Deviations(Model):
    """``clients/<stack>/deviations.toml``."""

    schema_version: Literal[1] = Field(alias="schema")
    deviation: tuple[Deviation, ...] = ()
