"""The command that only serves: every exhibit on a port of its own, or one case after the other for a board."""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import click
from rich.console import Console

from lab.campaign import exit_status
from lab.clients import features
from lab.clients.controls import SCENARIO
from lab.corpus import Corpus, ScenarioFile
from lab.device import Bench, Order
from lab.errors import InputError
from lab.flash import write_anchors
from lab.gallery import Gallery
from lab.ledger import RunRecord
from lab.model.scenario import Case, Scenario
from lab.pki.keys import KeyRing, default_folder
from lab.pki.mint import Minted
from lab.report import FORMATS, write_all
from lab.report.table import print_table
from lab.serve import Door, Visit, minted_for, stay, story_of
from lab.server.exhibit import Exhibit
from lab.server.faults import read_faults

__all__ = ["serve_command"]

_Work = Callable[[Any], Coroutine[Any, Any, Any]]
InReactor = Callable[[_Work], Any]

_BOARD_PORT = 8443
_COLUMN = re.compile(r"[a-z0-9]+(-[a-z0-9.+_]+)*")
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def _say(text: str) -> None:
    click.echo(text, err=True)


def _place(_ctx: click.Context, _option: click.Parameter, value: str) -> tuple[str, int | None]:
    """Read HOST or HOST:PORT; an IPv6 address with a port stands in brackets."""
    found = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?|([^:]+)(?::(\d+))?|([0-9a-fA-F:]+)", value)
    if found is None:
        raise click.BadParameter(f'"{value}" is neither HOST nor HOST:PORT')
    port = found[2] or found[4]
    if port is not None and int(port) > 65535:  # noqa: PLR2004 - the highest port
        raise click.BadParameter(f"{port} is no port")
    return found[1] or found[3] or found[5], None if port is None else int(port)


def serve_command(in_reactor: InReactor) -> click.Command:
    """Return the command; ``in_reactor`` runs a coroutine function on the global reactor."""

    @click.command("serve")
    @click.argument("scenarios", nargs=-1, metavar="[SCENARIO]...")
    @click.option(
        "--listen",
        callback=_place,
        default="127.0.0.1",
        show_default=True,
        metavar="HOST[:PORT]",
        help=f"Where to listen.  The port is the first one, or the board's only one (by default {_BOARD_PORT}).",
    )
    @click.option("--shift", metavar="TIME", help="Move the dates so that this time of the scenarios is now.")
    @click.option("--fault", "wire", multiple=True, metavar="NAME", help="A fault on the wire for every chain.")
    @click.option(
        "--alternate",
        nargs=2,
        metavar="CASE CASE",
        help="On one port, show what two cases show in turn, one a connection, as a load balancer would.",
    )
    @click.option("--device", metavar="NAME", help="Serve case after case to a board, as the column NAME.")
    @click.option("--store", metavar="NAME", help="The trust store that the board holds.")
    @click.option("--host", metavar="NAME", help="The host name that the board asks for; else the scenarios'.")
    @click.option(
        "--advance",
        type=click.Choice(["enter", "connection"]),
        default="enter",
        show_default=True,
        help="What moves on to the board's next case: you, or each connection.",
    )
    @click.option(
        "--patience",
        type=click.FloatRange(0.1, 86400),
        default=120.0,
        show_default=True,
        help="Seconds after which a board that has not connected is unreachable.",
    )
    @click.option(
        "--cannot",
        multiple=True,
        type=click.Choice(["host", "dates", "chain"]),
        help="A check that the board does not make, by design.",
    )
    @click.option(
        "--format", "form", type=click.Choice(["table", *FORMATS]), default="table", help="What the board's run prints."
    )
    @click.option(
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        help="Where runs are kept, and anchors written.",
    )
    @click.pass_context
    def serve(
        ctx: click.Context,
        scenarios: tuple[str, ...],
        listen: tuple[str, int | None],
        shift: str | None,
        wire: tuple[str, ...],
        alternate: tuple[str, str] | None,
        device: str | None,
        store: str | None,
        host: str | None,
        advance: str,
        patience: float,
        cannot: tuple[str, ...],
        form: str,
        output: Path,
    ) -> None:
        """Run only the server, until Ctrl-C: each chain of the scenarios on a port of its own.

        With --device, one fixed port shows case after case to a board that runs its own firmware.  What has to be
        flashed into it is written below --output first and stays the same on every day; everything else is minted
        so that each case happens now, on the board's real clock.  A case that this would change is unsupported.
        """
        corpus: Corpus = ctx.obj().sound()
        if listen[0] not in _LOOPBACK:
            _say(f"LISTENING BEYOND LOOPBACK on {listen[0]}: this is a bad TLS server on purpose")
        if device is None:
            if store is not None or host is not None or cannot:
                raise InputError.one("--store, --host and --cannot are about a board", remedy="name it: --device NAME")
            read_faults(wire, field="--fault")
            hall = _Hall(shift, wire, *listen, output / "serve")
            if alternate is not None:
                if scenarios:
                    raise InputError.one("--alternate names its scenarios itself", remedy="name none besides")
                cases = tuple(corpus.case(one) for one in alternate)
                work: _Work = partial(_alternate, corpus=corpus, cases=cases, hall=hall)
            else:
                files = _for_everybody(corpus, scenarios, shift)
                work = partial(_exhibit, files=files, hall=hall)
            with suppress(KeyboardInterrupt):  # the only way in which this ends well
                in_reactor(work)
            return
        if shift is not None or wire or alternate is not None:
            raise InputError.one(
                "--shift, --fault and --alternate are about everybody, --device is about a board",
                remedy="a board's cases are all moved to now, with the faults that its scenarios name",
            )
        files = _for_board(corpus, scenarios, device, store)
        order = Order(
            name=device,
            store=store or "",
            scenarios=files,
            host=host or _only_host(files),
            listen=(listen[0], _BOARD_PORT if listen[1] is None else listen[1]),
            folder=output / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
            advance=cast("Literal['enter', 'connection']", advance),
            patience=patience,
            cannot=cannot,
        )
        record = in_reactor(lambda reactor: _attend(reactor, corpus, order, output / f"device-{device}", form))
        ctx.exit(exit_status(record))

    return serve


# --- everybody


def _for_everybody(corpus: Corpus, patterns: tuple[str, ...], shift: str | None) -> tuple[ScenarioFile, ...]:
    files = corpus.choose_scenarios(patterns)
    if shift is not None and not patterns:
        files = [file for file in files if shift in file.scenario.times] or files
    return tuple(files)


@dataclass(frozen=True)
class _Hall:
    """Where and how everybody is served: the time that is now, the faults on every wire, address, folder of stores."""

    shift: str | None
    wire: tuple[str, ...]
    host: str
    port: int | None
    folder: Path


def _visited(visit: Visit[str]) -> None:
    click.echo(f"{story_of(visit, datetime.now(UTC))}  {visit.shown}")


async def _open(
    reactor: Any, hall: _Hall, shown: Iterable[tuple[Sequence[tuple[str, Exhibit]], str, list[str]]]
) -> None:
    """Open a door for each thing that is shown, or shown in turn; say its name and what belongs to it; stay."""
    doors: list[Door[str]] = []
    try:
        for exhibits, title, lines in shown:
            door: Door[str] = Door(reactor, hall.host, _visited)
            doors.append(door)
            door.show_in_turn(exhibits)
            door.open(hall.port + len(doors) - 1 if hall.port else 0)
            click.echo(f"{_url(hall.host, door.port)}  {title}")
            for line in lines:
                click.echo(f"    {line}")
        click.echo(f"trust stores are in {hall.folder}; Ctrl-C ends this")
    except BaseException:
        for door in doors:
            await door.close()
        raise
    await stay(doors)


def _galleries(scenarios: Iterable[Scenario], hall: _Hall) -> dict[str, Gallery]:
    """Return a gallery a scenario, by slug, minted for the time that is now; its trust stores are written."""
    ring = KeyRing(default_folder())
    made = minted_for(scenarios, ring, hall.shift, datetime.now(UTC))
    for slug, (_scenario, minted) in made.items():
        _write_stores(hall.folder / slug, minted)
    return {slug: Gallery({slug: one}, ring, _minted={slug: minted}) for slug, (one, minted) in made.items()}


async def _exhibit(reactor: Any, files: tuple[ScenarioFile, ...], hall: _Hall) -> None:
    """Serve every chain on a port of its own, and say who came."""

    def shown() -> Iterator[tuple[Sequence[tuple[str, Exhibit]], str, list[str]]]:
        for slug, gallery in _galleries((file.scenario for file in files), hall).items():
            for name, cases in _served(gallery, slug, hall).items():
                what = f"{slug}/{name}"
                lines = [f"{case.name}  {gallery.expected(case)}" for case in cases]
                yield [(what, gallery.exhibit(cases[0]))], f"{what}  for {cases[0].host}", lines

    await _open(reactor, hall, shown())


async def _alternate(reactor: Any, corpus: Corpus, cases: tuple[Case, ...], hall: _Hall) -> None:
    """Serve what cases show in turn, one a connection, on one port."""
    hosts = {case.host for case in cases}
    if len(hosts) > 1:
        raise InputError.one(f"these cases have several host names: {', '.join(sorted(hosts))}", field="--alternate")
    scenarios = {case.scenario: corpus.scenarios[case.scenario].scenario for case in cases}
    galleries = _galleries(scenarios.values(), hall)
    faulted = [_at_hand(case, galleries[case.scenario], hall) for case in cases]
    exhibits = [(case.id, galleries[case.scenario].exhibit(case)) for case in faulted]
    lines = [f"{case.id}  {galleries[case.scenario].expected(case)}" for case in faulted]
    await _open(reactor, hall, [(exhibits, f"in turn, one a connection, for {cases[0].host}", lines)])


def _at_hand(case: Case, gallery: Gallery, hall: _Hall) -> Case:
    """Return a case as it is served: with the faults of all, and at the time to which its certificates are moved."""
    return case.with_faults(hall.wire).model_copy(update={"at": case.at + gallery.minted(case.scenario).shift})


def _served(gallery: Gallery, slug: str, hall: _Hall) -> dict[str, list[Case]]:
    """Return the cases by what is shown in them, those of the time that is now, or all: ``long``, ``long~reset``."""
    scenario = gallery.scenarios[slug]
    cases: dict[str, list[Case]] = {}
    for case in scenario.cases():
        if hall.shift in {None, case.time}:
            one = _at_hand(case, gallery, hall)
            other = f",{case.remedy}" if case.remedy and case.send != scenario.chains[case.chain].send else ""
            cases.setdefault(f"{case.chain}{other}" + (f"~{one.fault}" if one.fault else ""), []).append(one)
    if not cases:
        file = f"{scenario.slug}/scenario.toml"
        raise InputError.one(f'no chain is served at "{hall.shift}"', file=file, field="chains")
    return cases


def _write_stores(folder: Path, minted: Minted) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for store, names in minted.scenario.stores.items():
        (folder / f"{store}.pem").write_bytes(minted.pem(names))


def _url(host: str, port: int) -> str:
    return f"https://[{host}]:{port}/" if ":" in host else f"https://{host}:{port}/"


# --- a board


def _for_board(corpus: Corpus, patterns: tuple[str, ...], device: str, store: str | None) -> tuple[ScenarioFile, ...]:
    """Return the scenarios that have this store: where none is named, every one that has it."""
    if not _COLUMN.fullmatch(device):
        raise InputError.one(f'"{device}" is no name of a column', remedy="lower case, such as acme-gateway-2.1")
    if device in corpus.clients:
        raise InputError.one(f'there is a client called "{device}"', remedy="choose another name for the board")
    if store is None:
        raise InputError.one("a board has a trust store", remedy="--store NAME, one of the scenario's")
    files = [file for file in corpus.choose_scenarios(patterns) if file.scenario.slug != SCENARIO]
    if not patterns:
        files = [file for file in files if file.scenario.slug != features.SCENARIO and file.scenario.stores.get(store)]
        if not files:
            raise InputError.one(f'no scenario has a store "{store}"', remedy="tlslab show SCENARIO lists them")
    return tuple(files)


def _only_host(files: tuple[ScenarioFile, ...]) -> str:
    hosts = {file.scenario.server.host for file in files}
    if len(hosts) > 1:
        found = f"these scenarios have several host names: {', '.join(sorted(hosts))}"
        raise InputError.one(found, remedy="--host NAME says which one the board asks for")
    return hosts.pop() if hosts else ""


async def _attend(reactor: Any, corpus: Corpus, order: Order, folder: Path, form: str) -> RunRecord:
    bench = Bench(reactor, corpus, order, ring=KeyRing(default_folder()), say=_say)
    if write_anchors(folder, bench.anchors):
        _say("THE ANCHORS HAVE CHANGED since they were last written: flash the board again")
    begun = time.monotonic()

    def ready(port: int) -> None:
        _say(f"anchors to flash are in {folder} (PEM, DER and a C header): " + ", ".join(bench.anchors))
        _say(f"the board is to ask for {order.host} at {order.listen[0]}:{port}; {bench.cases} cases; Ctrl-C ends this")
        if order.advance == "enter":
            _say("Enter moves on")
            threading.Thread(target=_operator, args=(reactor, bench), daemon=True).start()

    def report(record: RunRecord) -> None:
        write_all(record, order.folder)
        if form == "table":
            print_table(record, Console(), folder=order.folder, took=time.monotonic() - begun)
        else:
            click.echo(FORMATS[form](record), nl=False)

    return await bench.run(ready=ready, report=report)


def _operator(reactor: Any, bench: Bench) -> None:
    """Hand each line of the standard input to the bench, from a thread: any kind of file can be waited for here."""
    while True:
        try:
            held = os.read(0, 4096)  # unbuffered: sys.stdin's lock would be held when the interpreter ends
        except OSError:
            held = b""
        if not held:
            reactor.callFromThread(bench.unattended)
            return
        for _line in range(held.count(b"\n")):
            reactor.callFromThread(bench.advance)
