"""What a container's session leaves open."""

from __future__ import annotations

import gc
import os

import pytest

from lab.clients.build import cache_folder
from lab.clients.container import ContainerRuntime
from lab.corpus import Corpus

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left")]

WARM_UP = 10
"""Sessions after which docker-py's 25 pools, one for each URL, are full."""


@pytest.fixture
def no_collector():
    """Keep the garbage collector away: it would close what was forgotten."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_a_session_leaves_no_descriptor(running_reactor, in_reactor):
    """When the engine's client has the idle connections that it keeps, every session gives back what it took."""
    (client,) = Corpus().choose_clients(["bearssl-0.6"])
    runtime = ContainerRuntime(running_reactor, cache_folder())

    async def session():
        one = await runtime.start(client)
        await one.greeting(30)
        one.kill()
        await one.gone
        return len(os.listdir("/proc/self/fd"))

    try:
        in_reactor(runtime.prepare, [client])
        counts = [in_reactor(session) for _ in range(WARM_UP + 4)]
    finally:
        in_reactor(runtime.close)
    assert len(set(counts[WARM_UP:])) == 1, counts
