"""Clients given on the command line, which are in no folder: an image, or a program with its arguments."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path

from lab.corpus import Client, ClientFolder, Corpus, load_client
from lab.errors import InputError
from lab.model.client import Build, ClientManifest, Clock, Column
from lab.pki.keys import default_folder
from lab.scaffold import scaffold

__all__ = ["adopt", "choose_clients"]

_EXITS = "--exit 0=accepted --exit 1=rejected:other --exit 127=unsupported"
"""What the exit status of a program means that nobody wrote rules for."""

_RULES = """# What was given on the command line.
# Nobody said how it tells its version: the digest of the program does.
exec "$here/command" --client @NAME@ --clock {clock} {exits} \\
    --version-command {version} \\
    -- {program} -- "$@"
"""


def choose_clients(corpus: Corpus, patterns: Iterable[str]) -> list[Client]:
    """Return the columns that patterns name, as ``Corpus.choose_clients`` does, with ``image:`` and ``command:``.

    Raise InputError for a pattern that names nothing.
    """
    return corpus.choose_clients([adopt(corpus, one).name if _is_given(one) else one for one in patterns])


def _is_given(pattern: str) -> bool:
    return pattern.startswith(("image:", "command:"))


def adopt(corpus: Corpus, given: str) -> Client:
    """Make a column of ``image:NAME`` or ``command:PROGRAM ARGUMENT...`` and add it to a corpus.

    An image speaks the dialogue on its standard input and output.  A command is run once for each probe, with the
    placeholders of clients/kit/command.c filled in; its exit status 0 is accepted, 1 rejected, 127 unsupported, and
    every other a failure of the harness.  It runs under libfaketime, unless it takes the ``{time}``.
    """
    kind, _, what = given.partition(":")
    client = _image(what, given) if kind == "image" else _command(what, given)
    corpus.clients[client.name] = client
    return client


def _image(image: str, given: str) -> Client:
    if not image:
        raise InputError.one(f'"{given}" names no image', remedy="such as image:acme/fw-client:1.2")
    column = Column(name=f"image-{_slug(image)}", version=image, reports="*")
    manifest = ClientManifest(
        schema_version=1,
        stack="image",
        title=image,
        summary="An image given on the command line.",
        clock=Clock.NATIVE,
        build=Build(native=False),
        columns=(column,),
    )
    return Client(column, ClientFolder(Path(given), manifest), image=image, given=given)


def _command(line: str, given: str) -> Client:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise InputError.one(f'"{given}": {error}') from None
    program = shutil.which(words[0]) if words else None
    if program is None:
        remedy = "such as command:./fwclient --ca {anchors} --host {server_name} --port {port}"
        raise InputError.one(f'"{given}" names no program that can be run', remedy=remedy)
    clock = "real" if "{time}" in line else "faketime"
    path = str(Path(program).resolve())
    rules = _RULES.format(
        clock=clock,
        exits=_EXITS,
        version=shlex.quote(f"sha256sum {path}"),
        program=shlex.join([path, *words[1:]]),
    ).replace("@NAME@", "command")
    folder = default_folder().parent / "commands" / hashlib.sha256(rules.encode()).hexdigest()[:16]
    if not (folder / "command").is_dir():
        scaffold("command", "command", folder)
        (folder / "command" / "rules").write_text(rules, encoding="utf-8")
    found, problems = load_client(folder / "command")
    if found is None:
        raise InputError(problems)
    column = found.manifest.columns[0].model_copy(update={"name": f"command-{_slug(Path(program).name)}"})
    return Client(column, found, given=given)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.+_]+", "-", text.lower()).strip("-")
