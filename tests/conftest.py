"""What all tests share: the one reactor, running in a thread of its own, and a look at what it logged."""

from __future__ import annotations

import inspect
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import settings
from twisted.internet.defer import ensureDeferred, maybeDeferred
from twisted.internet.process import reapAllProcesses
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

# How long an example takes says nothing on a busy machine.
settings.register_profile("lab", deadline=None)
settings.load_profile("lab")

PATIENCE = 60.0
"""Seconds that a test waits for the reactor's thread before it fails."""


@pytest.fixture(scope="session")
def running_reactor() -> Iterator[Any]:
    """Yield the global reactor, running in a daemon thread until the session ends.

    The children's signal reaches the main thread only, so it is handed on from here: ``spawnProcess`` works.
    """
    from twisted.internet import reactor, tcp  # noqa: PLC0415 - importing it installs it

    running = threading.Event()
    reactor.callWhenRunning(running.set)
    thread = threading.Thread(target=reactor.run, kwargs={"installSignalHandlers": False}, daemon=True)
    thread.start()
    assert running.wait(PATIENCE)
    before = signal.signal(signal.SIGCHLD, lambda *_: reactor.callFromThread(reapAllProcesses))
    yield reactor
    signal.signal(signal.SIGCHLD, before)
    reactor.callFromThread(reactor.stop)
    thread.join(PATIENCE)
    # Twisted keeps a descriptor for the day when there are none, and never closes it.
    reserved = tcp._reservedFD._fileDescriptor
    if reserved is not None:
        reserved.close()


@pytest.fixture
def in_reactor(running_reactor: Any) -> Callable[..., Any]:
    """Return a callable that runs a function in the reactor's thread and returns its result.

    ``in_reactor(function, *args, **kwargs)``: the function may return a value, a Deferred or a coroutine; what it
    raises is raised here.  It must not be called from the reactor's thread.
    """

    def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        future: Future[Any] = Future()

        def run() -> Any:
            result = function(*args, **kwargs)
            return ensureDeferred(result) if inspect.iscoroutine(result) else result

        def failed(failure: Failure) -> None:
            future.set_exception(failure.value)

        running_reactor.callFromThread(lambda: maybeDeferred(run).addCallbacks(future.set_result, failed))
        return future.result(PATIENCE)

    return call


@pytest.fixture
def logged_failures() -> Iterator[list[Any]]:
    """Return the list of the failures that twisted logs while the test runs: unhandled errors and tracebacks."""
    seen: list[Any] = []

    def observe(event: Any) -> None:
        if event.get("log_failure") is not None or event.get("isError"):
            seen.append(event)

    globalLogPublisher.addObserver(observe)
    yield seen
    globalLogPublisher.removeObserver(observe)
