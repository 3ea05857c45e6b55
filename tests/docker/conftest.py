"""A real Docker engine, and the command line as in tests/e2e."""

from __future__ import annotations

import docker
import pytest

from lab.clients.runtime import owner_alive
from tests.e2e.conftest import environment, tlslab, workplace

OWNER = "org.tlslab.owner"

__all__ = ["environment", "tlslab", "workplace"]


@pytest.fixture(scope="session")
def engine():
    """Return a client of the engine that answers; without one these tests fail rather than pass unseen."""
    client = docker.from_env()
    client.ping()
    yield client
    client.close()


@pytest.fixture
def nothing_left(engine):
    """Check after a test that no container and no network is left whose lab is gone."""
    yield
    ours = {"label": OWNER}
    labels = [one.labels for one in engine.containers.list(all=True, filters=ours, ignore_removed=True)]
    labels += [one.attrs["Labels"] for one in engine.networks.list(filters=ours)]
    assert [one for one in labels if not owner_alive(one[OWNER])] == []
