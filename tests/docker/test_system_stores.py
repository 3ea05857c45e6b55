"""No system store sneaks in: a root that stands in all of them is trusted by nobody who was not given it.

``TLSLAB_FLEET`` as in ``test_fleet``.  Three things show that the planting works: whoever is given the root accepts the
chain; a misbehaving client that turns to the system's store as well accepts it without; and so do, left to themselves,
the programs of which some columns are made.
"""

from __future__ import annotations

import os
from concurrent.futures import Future
from fnmatch import fnmatchcase

import pytest
from docker.errors import ContainerError
from twisted.internet.defer import Deferred

import lab.campaign
from lab.campaign import Campaign, DialIn, conduct, gallery_for
from lab.clients.build import cache_folder
from lab.corpus import Corpus
from lab.run import Progress, Settings
from lab.server.listener import Lane
from tests.docker.planted import NSS, PlantedRuntime
from tests.docker.test_fleet import CHOSEN
from tests.e2e.conftest import DATA

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]

HOST, PATIENCE = "planted.example", 3600.0
TURNS_TO_IT = "rogue-1+system-store"
CORPUS = Corpus([DATA / "scenarios"], [DATA / "clients"]).sound()
VERIFYING = [name for name in CHOSEN if "chain" not in CORPUS.clients[name].cannot]

PYTHON = "import sys, urllib.request; urllib.request.urlopen('https://' + sys.argv[1]).read()"
NODE = "require('https').get('https://' + process.argv[1]).on('error', function(e) { throw e; })"
BROWSER = "/usr/lib/chromium/chromium --headless --no-sandbox --disable-gpu --user-data-dir=/tmp/profile --dump-dom"
# By column: what a user would type for "https://planted.example:PORT/".  Node before 7.5 knows its own roots only.
LEFT_TO_THEMSELVES = {
    "chromium-*": f"mkdir /tmp/.pki && cp -r /{NSS[1]} /tmp/.pki && HOME=/tmp {BROWSER} https://$0/",
    "curl-*": "curl --fail https://$0/",
    "git-*": "git ls-remote https://$0/ || true",
    "mender-*": "HOME=/tmp mender --data /tmp install https://$0/ || true",
    "node-10.*": NODE,
    "node-24.*": NODE,
    "python-*": f'$(ls /usr/bin/python3.*) -c "{PYTHON}" $0',
    "wget-*": "wget --output-document=- https://$0/",
}


class _Planted:
    """The runtime with its network, and what was measured in it."""

    def __init__(self, reactor, folder):
        self.reactor = reactor
        self.file = CORPUS.scenarios["planted-town"]
        self.gallery = gallery_for(CORPUS, [self.file])
        root = self.gallery.minted("planted-town").certificates["planted"]
        self.runtime = PlantedRuntime(reactor, cache_folder(), root)
        self.campaign = Campaign(
            corpus=CORPUS,
            scenarios=(self.file,),
            clients=tuple(CORPUS.clients[name] for name in (*VERIFYING, TURNS_TO_IT)),
            runtime="docker",
            folder=folder,
            seed=0,
            settings=Settings(jobs=os.cpu_count() or 1, timeout_ms=20_000),
            dial=DialIn(),
        )

    def wait(self, function, *arguments):
        """Run a coroutine in the reactor's thread; return its result."""
        future: Future = Future()

        def run():
            done = Deferred.fromCoroutine(function(*arguments))
            done.addCallbacks(future.set_result, lambda failure: future.set_exception(failure.value))

        self.reactor.callFromThread(run)
        return future.result(PATIENCE)

    async def measure(self):
        """Fill the cells, by column and store; keep what each column's control says of a root that it does not know."""
        record = await conduct(self.reactor, self.campaign, Progress())
        self.states = {state.name: (state.state, state.why) for state in record.columns}
        self.cells = {(cell.client, cell.store): cell for cell in record.cells}
        self.unknown = {one.column: one.observation.reason for one in record.controls if one.name == "twin-root"}

    async def open_lane(self):
        """Return a lane that shows the chain."""
        lane = Lane(self.reactor, interface=self.runtime.interface)
        lane.open()
        lane.show(self.gallery.exhibit(next(iter(self.file.scenario.cases()))))
        return lane

    async def close_lane(self, lane):
        """Return what the lane saw."""
        witness = await lane.settled(1)
        await lane.close()
        return witness


@pytest.fixture(scope="module")
def planted(running_reactor, tmp_path_factory):
    """Return a runtime with planted images, and the cells that were measured in it."""
    planted = _Planted(running_reactor, tmp_path_factory.mktemp("planted") / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lab.campaign, "open_runtime", lambda *_arguments: planted.runtime)
        try:
            planted.wait(planted.measure)
            yield planted
        finally:
            planted.wait(planted.runtime.finish)


@pytest.mark.parametrize("name", VERIFYING)
def test_only_the_given_anchors_are_trusted(planted, name):
    """Whoever is given the system's root accepts what is below it; given another root, or none, nobody does.

    The reason is an unknown authority, as far as the stack tells.  An empty store some already refuse to load, and
    one (awscrt) cannot have.
    """
    assert planted.states[name] == ("ok", "")
    given, other, empty = (planted.cells[name, store].observation for store in ("given", "other", "empty"))
    assert given.observed == "accepted", given
    assert other.observed == "rejected", other
    assert other.reason in {"unknown-ca", planted.unknown[name]}, other
    if empty.stage == "load":
        assert empty.observed in {"rejected", "unsupported"}, empty
    else:
        assert empty.observed == "rejected", empty
        assert empty.reason in {"unknown-ca", planted.unknown[name]}, empty


def test_a_client_that_turns_to_the_system_is_found_out(planted):
    """Where a system store does sneak in, it shows: the cell is an exposure."""
    cells = {store: planted.cells[TURNS_TO_IT, store].verdict for store in ("given", "other", "empty")}
    assert cells == {"given": "pass", "other": "exposure", "empty": "exposure"}


def left_to_itself(name):
    """Return the command for a column; None where its program has none, or no store of the system."""
    return next((command for glob, command in LEFT_TO_THEMSELVES.items() if fnmatchcase(name, glob)), None)


@pytest.mark.parametrize("name", [name for name in VERIFYING if left_to_itself(name)])
def test_left_to_itself_the_program_trusts_the_planted_root(planted, engine, name):
    """The planting works: in the same image, without the lab's options, the program finds the root by itself."""
    lane = planted.wait(planted.open_lane)
    command = left_to_itself(name)
    program, *rest = ["/node", "-e", command] if name.startswith("node-") else ["sh", "-euc", command]
    try:
        engine.containers.run(
            planted.runtime.image_of(name),
            [*rest, f"{HOST}:{lane.port}"],
            entrypoint=[program],
            network=planted.runtime.network,
            extra_hosts={HOST: planted.runtime.interface},
            tmpfs={"/tmp": "size=64m,mode=1777"},
            remove=True,
        )
    except ContainerError as error:
        pytest.fail(f"{name}: exit status {error.exit_status}: {error.stderr.decode()[-2000:]}")
    finally:
        witness = planted.wait(planted.close_lane, lane)
    assert witness.answered, witness
