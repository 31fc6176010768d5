"""A Redis server per test process, and an empty one for each test."""

from collections.abc import Iterator

import pytest

from tests.ledger_fortress.redis.servers import RedisServer, redis_server


@pytest.fixture
def server() -> RedisServer:
    server = redis_server()
    with server.client() as client:
        client.flushall()
    return server


@pytest.fixture
def url(server: RedisServer) -> str:
    """The URL of an empty server."""
    return server.url


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that a test may kill."""
    server = RedisServer("--appendfsync", "always")
    yield server
    server.close()
