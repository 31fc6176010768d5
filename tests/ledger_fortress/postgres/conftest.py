"""A PostgreSQL server, and a ledger's URL in a schema of its own."""

from collections.abc import Iterator

import pytest

from ledger_fortress import Ledger
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
    """The URL of an empty ledger."""
    Ledger.open(empty_url, migrate=True).close()
    return empty_url
