"""What every model shares: frozen, no unknown field, names as people write them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

__all__ = ["Model", "Name", "Slug"]

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
"""The name of a scenario or a stack: lower-case words joined by hyphens."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60)]
"""The name of an entity, a certificate, a chain, a store or a time inside a scenario."""


class Model(BaseModel):
    """The base of all models: immutable, strict about unknown fields, filled by field name or alias."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)
