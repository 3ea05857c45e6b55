"""Sphinx builds the manual with this; ``generated.py`` beside it writes what the code itself knows."""

from __future__ import annotations

import inspect
import sys
from enum import Enum
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from pydantic import BaseModel

sys.path.insert(0, str(Path(__file__).parent))

from generated import catalogue_pages, fill

project = "tlslab"
author = "The tlslab authors"
project_copyright = "The tlslab authors, MIT License"
version = release = version_of("tlslab")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.graphviz"]
graphviz_output_format = "svg"
exclude_patterns = ["_build"]
myst_enable_extensions = ["fieldlist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"tlslab {version}"
html_show_copyright = False

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "exclude-members": "model_config, model_post_init"}
autodoc_typehints = "none"  # signatures stand as they are written: see below
# Only names of this project can be followed: the manual is built without asking any other.
nitpick_ignore_regex = [("py:.*", r"(?!lab\.).*"), ("py:.*", r"lab\.model\.base\..*")]


class _AsWritten(str):
    """An annotation that is shown without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def _signature(_app: Any, what: str, _name: str, thing: Any, *_rest: Any) -> tuple[str, str | None] | None:
    """Return a signature with its annotations as the source has them; none for models, whose fields say more."""
    if isinstance(thing, type) and issubclass(thing, BaseModel | Enum):
        return "", None
    if what not in {"function", "method", "class"}:
        return None
    written = inspect.signature(thing)
    parameters = [
        one.replace(annotation=_AsWritten(one.annotation)) if isinstance(one.annotation, str) else one
        for one in written.parameters.values()
        if one.name not in {"self", "cls"}
    ]
    returns = written.return_annotation
    plain = written.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
    return str(plain), returns if isinstance(returns, str) and what != "class" else None


def _write_catalogue(app: Any) -> None:
    """Write a page for each scenario where it says anything new, and take away those of scenarios that are gone."""
    folder = Path(app.srcdir) / "catalogue"
    folder.mkdir(exist_ok=True)
    pages = {f"{slug}.md": page for slug, page in catalogue_pages()}
    for old in folder.iterdir():
        if old.name not in pages:
            old.unlink()
    for name, page in pages.items():
        file = folder / name
        if not file.is_file() or file.read_text(encoding="utf-8") != page:
            file.write_text(page, encoding="utf-8")


def setup(app: Any) -> None:
    """Put what is generated in the place of its markers, before a page is read; give each scenario a page."""

    def read(_app: Any, _page: str, source: list[str]) -> None:
        source[0] = fill(source[0])

    app.connect("builder-inited", _write_catalogue)
    app.connect("source-read", read)
    app.connect("autodoc-process-signature", _signature)
