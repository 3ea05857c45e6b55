"""Writes a new client's folder: a working client to begin with, and the places where one's own stack goes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import lab
from lab.corpus import home
from lab.errors import InputError

__all__ = ["KINDS", "scaffold"]

KINDS = ("c", "command", "python", "node")
"""What a new client can begin as."""

_SOURCES: Mapping[str, Mapping[str, str]] = {
    "c": {
        "openssl/openssl.c": "driver.c",
        "openssl/reasons.h": "reasons.h",
        "openssl/staple.c": "staple.c",
        "openssl/staple.h": "staple.h",
    },
    "command": {},
    "python": {"python/driver.py": "driver.py"},
    "node": {"node/driver.js": "driver.js", "node/reasons.js": "reasons.js"},
}
"""Where a new client's source comes from: drivers that work, of clients that are here."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def scaffold(name: str, kind: str, folder: Path, replace: Mapping[str, str] | None = None) -> list[Path]:
    """Write a client called ``name`` into ``folder/name`` and return its files.

    ``replace`` overrides the placeholders of the template.  Raise InputError where the name is none or taken.
    """
    if not _NAME.fullmatch(name):
        raise InputError.one(f'"{name}" is no name', remedy="lower-case words joined by hyphens: acme-fw")
    target = folder / name
    if target.exists():
        raise InputError.one("it is there already", file=target)
    words = {"NAME": name, **(replace or {})}
    target.mkdir(parents=True)
    for template in sorted((Path(lab.__file__).parent / "templates" / kind).iterdir()):
        text = re.sub(r"@([A-Z_]+)@", lambda match: words[match[1]], template.read_text(encoding="utf-8"))
        (target / template.name).write_text(text, encoding="utf-8")
    for source, file in _SOURCES[kind].items():
        text = (home() / "clients" / source).read_text(encoding="utf-8")
        (target / file).write_text(text, encoding="utf-8")
    return sorted(target.iterdir())
