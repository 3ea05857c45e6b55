"""From a client's folder to a program on this machine, or to the folder that an image is built from."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import DeferredList, DeferredSemaphore
from twisted.internet.threads import deferToThreadPool

from lab.clients.runtime import Unready
from lab.corpus import Client, home
from lab.pki.keys import default_folder

__all__ = [
    "Built",
    "build_all",
    "build_context",
    "build_key",
    "cache_folder",
    "debian_suite",
    "in_parallel",
    "input_digest",
    "machine_platform",
]

_TAIL = 2000
_LEFT_OUT = {"build", "dist", "__pycache__", ".dockerignore"}


@dataclass(frozen=True)
class Built:
    """A program that was built natively; ``digest`` identifies the inputs of the build."""

    program: Path
    digest: str


def cache_folder() -> Path:
    """Return the per-user folder for builds and fetched artefacts, beside the one for keys."""
    return default_folder().parent


def machine_platform() -> str:
    """Return this machine's platform in Docker's words: ``linux/amd64``."""
    machine = platform.machine()
    return f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(machine, machine) }"


def debian_suite() -> str:
    """Return the codename of the Debian release that this machine runs; empty for any other system."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return ""
    return release.get("VERSION_CODENAME", "") if release.get("ID") == "debian" else ""


def build_key(client: Client) -> tuple[str, ...]:
    """Return what two columns share when one build serves both."""
    more = [f"{name}={value}" for name, value in sorted(client.column.make.items())]
    return (client.home.manifest.stack, client.column.version, client.column.suite or "", *more)


def _sources(client: Client) -> list[Path]:
    """Return the folders that a client is built from: its own, and the kit beside it where there is one."""
    return [client.home.folder, _kit(client)]


def _kit(client: Client) -> Path:
    """Return the kit that a client uses: the one beside its folder, else the lab's own."""
    beside = client.home.folder.parent / "kit"
    return beside if beside.is_dir() else home() / "clients" / "kit"


def input_digest(client: Client, more: str = "") -> str:
    """Return a SHA-256 over all that a build is made from: sources, version, and ``more``."""
    digest = hashlib.sha256("\0".join((*build_key(client), more, "")).encode())
    for source in _sources(client):
        for path in sorted(source.rglob("*")):
            inside = path.relative_to(source.parent)
            # What a client is known to do does not change its program.
            if path.is_file() and not _LEFT_OUT & set(inside.parts) and path.name != "deviations.toml":
                digest.update(f"{inside}\0{path.stat().st_size}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


async def in_parallel(
    reactor: Any, work: Callable[[Client], Any], clients: Sequence[Client], key: Callable[[Client], Any]
) -> dict[str, Any]:
    """Do blocking ``work`` once for each distinct ``key``, in threads, as many at once as there are processors.

    Return its result for every client by name.
    """
    first = {key(client): client for client in reversed(clients)}
    places = DeferredSemaphore(os.cpu_count() or 1)
    pool = reactor.getThreadPool()
    pending = {one: places.run(deferToThreadPool, reactor, pool, work, client) for one, client in sorted(first.items())}
    await DeferredList(list(pending.values()), consumeErrors=False)
    return {client.name: await pending[key(client)] for client in clients}


async def build_all(reactor: Any, clients: Sequence[Client], cache: Path) -> dict[str, Built | Unready]:
    """Build clients natively, each version of a stack once; return the programs, or why there is none."""
    return await in_parallel(
        reactor,
        lambda client: _build(client, cache),
        clients,
        build_key,
    )


def _build(client: Client, cache: Path) -> Built | Unready:
    installed, missing = _packages(client.home.manifest.build.packages)
    objection = _objection(client, missing)
    if objection:
        return Unready(objection)
    stack, version = client.home.manifest.stack, client.column.version
    digest = input_digest(client, "native\0" + installed)
    folder = cache / "builds" / f"{stack}-{version}-{digest[:16]}"
    program = folder / client.home.manifest.build.program
    if program.is_file():
        return Built(program, digest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        variables = [f"OUT={work}", f"DIST={_dist(client, cache)}", *_variables(client)]
        failure = _make(client.home.folder, ["fetch", *variables]) or _make(client.home.folder, variables)
        if failure is not None:
            return failure
        if not (work / program.name).is_file():
            return Unready(f"its build left no {program.name}")
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Built(program, digest)


def _objection(client: Client, missing: Sequence[str]) -> str:
    """Say why a client cannot be built on this machine; empty where it can."""
    platforms, suite = client.column.platforms, client.column.suite
    if not client.home.manifest.build.native:
        return "it is built as an image only: --runtime docker"
    if suite is not None and suite != debian_suite():
        return f"it comes with Debian {suite}: --runtime docker"
    if platforms and machine_platform() not in platforms:
        return f"its artefacts are for {', '.join(platforms)}, this machine is {machine_platform()}"
    return f"its build needs Debian packages: apt-get install {' '.join(missing)}" if missing else ""


def _dist(client: Client, cache: Path) -> Path:
    """Return the folder for what one version of a stack is fetched as: no image gets another's artefacts."""
    return cache / "dist" / client.home.manifest.stack / client.column.version


def _variables(client: Client) -> list[str]:
    named = {"VERSION": client.column.version, "KIT": str(_kit(client)), **client.column.make}
    return [f"{name}={value}" for name, value in named.items()]


def _make(folder: Path, arguments: list[str]) -> Unready | None:
    command = ["make", "-C", str(folder), *arguments]
    # A bare machine has no pip but the one beside this interpreter.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"}
    try:
        # The command is ours, the folder is the client's: building a client runs its Makefile, as its author meant.
        done = subprocess.run(  # noqa: S603
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        return Unready(f"make cannot be started: {error}")
    if done.returncode == 0:
        return None
    return Unready(f"{' '.join(command)} ended with {done.returncode}: {(done.stdout + done.stderr)[-_TAIL:].strip()}")


def _packages(wanted: Sequence[str]) -> tuple[str, list[str]]:
    """Return the installed versions of Debian packages as one text, and the names of those that are not installed.

    A program that came from elsewhere (npm often does) will do.  Where there is no dpkg the build itself must tell
    what is missing.
    """
    if not wanted or shutil.which("dpkg-query") is None:
        return "", []
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\n", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    lines = sorted(line for line in done.stdout.splitlines() if line.split()[-1:] == ["ii"])
    present = {line.split()[0] for line in lines}
    return "\n".join(lines), [name for name in wanted if name not in present and shutil.which(name) is None]


def build_context(client: Client, folder: Path, cache: Path) -> Unready | None:
    """Fill ``folder`` with what a client's image is built from: ``kit/``, ``<stack>/`` and fetched ``<stack>/dist/``.

    Artefacts are fetched here, by this machine's own clients, because pip and npm inside a build may not know the
    certificates of a proxy that this machine knows.
    """
    stack = client.home.manifest.stack
    dist = _dist(client, cache)
    failure = _make(client.home.folder, ["fetch", f"DIST={dist}", *_variables(client)])
    if failure is not None:
        return failure
    for source in _sources(client):
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    (folder / stack / "dist").mkdir()
    if dist.is_dir():
        shutil.copytree(dist, folder / stack / "dist", dirs_exist_ok=True)
    return None
