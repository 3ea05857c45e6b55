"""The command line.  With the pytest plug-in, the only place that touches the global reactor."""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self, TypeVar

import click
from rich.console import Console
from twisted.internet.defer import CancelledError, Deferred

from lab.adopt import choose_clients
from lab.campaign import FAIL_ON, Campaign, DialIn, conduct, exit_status, resumed
from lab.cli_clients import clients_command
from lab.cli_corpus import COMMANDS
from lab.cli_serve import serve_command
from lab.corpus import Corpus
from lab.errors import InputError, LabError, did_you_mean
from lab.ledger import RunRecord, read
from lab.model.result import Cell, ColumnState, Verdict
from lab.report import FORMATS, write_all
from lab.report.diff import compare, print_diff
from lab.report.progress import RunProgress
from lab.report.table import print_table
from lab.reproduce import as_text, find, same_outcome
from lab.reproduce import reproduce as probe_again
from lab.run import Progress, Settings
from lab.server.faults import read_faults

__all__ = ["main"]

T = TypeVar("T")

_EXIT_INTERRUPTED = 130
_MOST_LINES = 3000
"""As much of a matrix as a terminal keeps: a run that takes more is told in a sentence a scenario."""

_kept_in = click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Where runs are kept.",
)


def _in_reactor(work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function on the global reactor; Ctrl-C cancels it and waits until it has cleared up."""
    from twisted.internet import reactor  # noqa: PLC0415 - importing it installs it: only here, only when needed

    loop: Any = reactor
    outcome: list[Any] = []

    def begin() -> None:
        doing = Deferred.fromCoroutine(work(loop))
        finished: Deferred[None] = Deferred()

        def interrupted() -> Deferred[None] | None:
            if outcome:
                return None
            doing.cancel()
            return finished

        def end(result: Any) -> None:
            outcome.append(result)
            finished.callback(None)
            if loop.running:
                loop.callLater(0, _stop, loop)

        loop.addSystemEventTrigger("before", "shutdown", interrupted)
        doing.addBoth(end)

    loop.callWhenRunning(begin)
    loop.run()
    result = outcome[0] if outcome else CancelledError()
    error = getattr(result, "value", result)
    if isinstance(error, CancelledError):
        raise KeyboardInterrupt
    if isinstance(error, BaseException):
        raise error
    return result  # type: ignore[return-value]


def _stop(loop: Any) -> None:
    if loop.running and not loop._stopped:  # noqa: SLF001 - a second stop would be an error
        loop.stop()


def _say(text: str) -> None:
    click.echo(text, err=True)


class _Lab(click.Group):
    """Turns the lab's errors into exit statuses: 2 for what a person wrote, 3 for what is broken."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            for problem in error.problems:
                _say(str(problem))
            count = len(error.problems)
            _say(f"{count} problem{'s' if count > 1 else ''}; nothing was started")
            ctx.exit(InputError.exit_status)
        except LabError as error:
            _say(str(error))
            ctx.exit(error.exit_status)
        except KeyboardInterrupt:
            _say("interrupted; what was measured is kept")
            ctx.exit(_EXIT_INTERRUPTED)


@click.group(cls=_Lab, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("tlslab"), prog_name="tlslab")
@click.option(
    "--scenarios",
    "scenario_folders",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Look for scenarios here too.",
)
@click.option(
    "--clients",
    "client_folders",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Look for clients here too.",
)
@click.pass_context
def main(ctx: click.Context, scenario_folders: tuple[Path, ...], client_folders: tuple[Path, ...]) -> None:
    """Tell which TLS clients still connect if the server shows this chain on that day."""
    ctx.obj = lambda: Corpus(scenario_folders, client_folders)


def _verdicts(_ctx: click.Context, _option: click.Parameter, value: str | None) -> tuple[Verdict, ...]:
    if value is None:
        return FAIL_ON
    names = [name for name in value.split(",") if name and name != "never"]
    known = [verdict.value for verdict in Verdict]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise click.BadParameter("; ".join(f'"{name}" is no verdict: {did_you_mean(name, known)}' for name in wrong))
    return tuple(Verdict(name) for name in names)


def _address(_ctx: click.Context, _option: click.Parameter, value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - the highest port
        raise click.BadParameter(f'"{value}" is no HOST:PORT')
    return host.strip("[]"), int(port)


@main.command()
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]...")
@click.option("--client", "clients", multiple=True, metavar="NAME", help="A column, a glob or a group; all by default.")
@click.option(
    "--runtime",
    type=click.Choice(["auto", "process", "docker", "dial"]),
    default="auto",
    show_default=True,
    help="Where clients run.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=os.cpu_count() or 2,
    show_default=True,
    help="Client sessions at once.",
)
@click.option("--resume", type=click.Path(path_type=Path), help="Finish a run that was interrupted.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", *FORMATS]),
    default="table",
    show_default=True,
    help="What is printed.",
)
@_kept_in
@click.option(
    "--fail-on",
    callback=_verdicts,
    metavar="VERDICT,...",
    help=f"Exit with 1 on these.  [default: {','.join(FAIL_ON)}]",
)
@click.option("--seed", type=click.IntRange(0, 2**63), help="Order of the probes; random if not given.")
@click.option("--timeout", type=click.FloatRange(0.1, 600), default=5.0, show_default=True, help="Seconds for a probe.")
@click.option("--fault", "wire", multiple=True, metavar="NAME", help="A fault on the wire for every case.")
@click.option("--process-per-probe", is_flag=True, help="Start a client anew for every cell.")
@click.option(
    "--listen",
    callback=_address,
    default="127.0.0.1:7300",
    show_default=True,
    metavar="HOST:PORT",
    help="Where clients dial in (--runtime dial).",
)
@click.option(
    "--patience",
    type=click.FloatRange(1, 86400),
    default=120.0,
    show_default=True,
    help="Seconds a column may take to dial in.",
)
@click.pass_context
def run(
    ctx: click.Context,
    scenarios: tuple[str, ...],
    clients: tuple[str, ...],
    runtime: str,
    jobs: int,
    resume: Path | None,
    form: str,
    output: Path,
    fail_on: tuple[Verdict, ...],
    seed: int | None,
    timeout: float,
    wire: tuple[str, ...],
    process_per_probe: bool,
    listen: tuple[str, int],
    patience: float,
) -> None:
    """Put scenarios before clients and print the matrix.

    The run is kept below --output: its ledger, and every form of report.
    """
    corpus = ctx.obj().sound()
    before: RunRecord | None = None
    if resume is not None:
        if scenarios or clients or wire:
            raise InputError.one("--resume takes up a run as it was", remedy="name no scenarios, clients or faults")
        folder = _run_folder(resume, output)
        before, files, columns = resumed(folder, corpus)
        seed, runtime, wire = before.run.seed, before.run.runtime, before.run.faults
    else:
        files, columns = tuple(corpus.choose_scenarios(scenarios)), tuple(choose_clients(corpus, clients))
        folder = output / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    dial = DialIn(*listen, token=os.environ.get("TLSLAB_TOKEN") or secrets.token_urlsafe(16), patience=patience)
    if runtime == "dial":
        _announce(dial)
    campaign = Campaign(
        corpus=corpus,
        scenarios=files,
        clients=columns,
        runtime=runtime,
        folder=folder,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        settings=Settings(jobs=jobs, timeout_ms=int(timeout * 1000), process_per_probe=process_per_probe),
        dial=dial,
        before=before,
        wire=wire,
    )
    read_faults(wire, field="--fault")
    begun = time.monotonic()

    def finished(record: RunRecord) -> None:
        write_all(record, folder)
        _print(record, form, folder, time.monotonic() - begun, most=_MOST_LINES)

    with _Watching(campaign) as watching:
        record = _in_reactor(
            lambda reactor: conduct(reactor, campaign, watching, say=_say, report=watching.then(finished))
        )
    ctx.exit(exit_status(record, fail_on))


class _Watching(Progress):
    """A run's progress on the terminal that standard error is."""

    def __init__(self, campaign: Campaign) -> None:
        cases = sum(1 for file in campaign.scenarios for _case in file.scenario.cases())
        done = Counter(cell.client for cell in campaign.before.cells) if campaign.before else {}
        totals = {client.name: cases for client in campaign.clients}
        self._bars = RunProgress(totals, Console(stderr=True), done=done)

    def __enter__(self) -> Self:
        self._bars.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self._bars.stop()

    def column(self, state: ColumnState) -> None:
        if state.state != "ok":
            self._bars.give_up(state.name)

    def cell(self, cell: Cell) -> None:
        self._bars.advance(cell.client)

    def then(self, report: Callable[[RunRecord], None]) -> Callable[[RunRecord], None]:
        """Return a report that takes the bars away first."""

        def clear(record: RunRecord) -> None:
            self._bars.stop()
            report(record)

        return clear


def _announce(dial: DialIn) -> None:
    if dial.host not in {"127.0.0.1", "::1", "localhost"}:
        _say(f"LISTENING BEYOND LOOPBACK on {dial.host}:{dial.port}: this is a bad TLS server on purpose")
    if "TLSLAB_TOKEN" not in os.environ:
        _say(f"clients dial in with --dial {dial.host}:{dial.port} --token {dial.token} --column NAME")


def _run_folder(given: Path, output: Path) -> Path:
    """Return a run's folder, given as a path, or as its name below ``output``."""
    for candidate in (given, output / given):
        if candidate.is_dir():
            return candidate
    known = [folder.name for folder in output.iterdir() if folder.is_dir()] if output.is_dir() else []
    raise InputError.one(f'no run is called "{given}"', remedy=did_you_mean(str(given), known))


def _print(record: RunRecord, form: str, folder: Path, took: float | None = None, *, most: int | None = None) -> None:
    if form == "table":
        print_table(record, Console(), folder=folder, took=took, most=most)
    else:
        click.echo(FORMATS[form](record), nl=False)


@main.command("report")
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["table", *FORMATS]), default="table", show_default=True)
@_kept_in
def report(run_folder: Path, form: str, output: Path) -> None:
    """Print a run that is over, in another form."""
    folder = _run_folder(run_folder, output)
    _print(read(folder), form, folder)


@main.command("diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@_kept_in
@click.pass_context
def diff(ctx: click.Context, before: Path, after: Path, output: Path) -> None:
    """Say what changed between two runs; exit with 1 where anything did."""
    changes = compare(read(_run_folder(before, output)), read(_run_folder(after, output)))
    print_diff(changes, Console())
    ctx.exit(1 if changes else 0)


@main.command("reproduce")
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("cell")
@click.option("--runtime", type=click.Choice(["auto", "process", "docker"]), help="By default the run's.")
@click.option("--pcap", type=click.Path(path_type=Path, dir_okay=False), help="Capture here; secrets go beside it.")
@_kept_in
@click.pass_context
def reproduce(
    ctx: click.Context, run_folder: Path, cell: str, runtime: str | None, pcap: Path | None, output: Path
) -> None:
    """Make one probe of a run again, with everything shown; exit with 1 where it comes out differently.

    CELL is SCENARIO/CASE@CLIENT, as the reports name it.
    """
    corpus = ctx.obj().sound()
    record = read(_run_folder(run_folder, output))
    before = find(record, cell)
    where = runtime or ("auto" if record.run.runtime == "dial" else record.run.runtime)
    again = _in_reactor(lambda reactor: probe_again(reactor, corpus, record, before, runtime=where, pcap=pcap))
    click.echo(as_text(before, again))
    if pcap is not None:
        _say(f"packets are in {pcap}, secrets in {pcap.with_suffix('.keylog')}")
    broken = exit_status(again, ())
    ctx.exit(broken or (0 if same_outcome(before, again) else 1))


for command in (*COMMANDS, clients_command(_in_reactor), serve_command(_in_reactor)):
    main.add_command(command)
