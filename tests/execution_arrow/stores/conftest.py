"""A PostgreSQL server, and the URL of a place for jobs in a schema of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from execution_arrow.stores.postgres import PostgresStore
from execution_arrow.testing.steps import ManualClock
from tests.services import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def server() -> PostgresServer:
    return postgres_server()


@pytest.fixture
def empty_url(server: PostgresServer) -> Iterator[str]:
    """The URL of a place without tables."""
    with server.schema() as url:
        yield url


@pytest.fixture
def url(empty_url: str) -> str:
    """The URL of an empty job store."""
    PostgresStore(empty_url, migrate=True).close()
    return empty_url


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
