"""A Redis server per test process, and an empty one for each test."""

import time
from collections.abc import Iterator

import pytest

from tests.ledger_fortress.redis.servers import RedisServer, free_port


@pytest.fixture(scope="session")
def shared_server() -> Iterator[RedisServer]:
    # In cluster mode, though alone: it refuses a script whose keys are not all in one slot.
    # Its bus listens at its port plus 10,000: each test process takes a port of its own.
    server = RedisServer("--cluster-enabled", "yes", "--port", str(free_port()), "--bind", "127.0.0.1")
    try:
        with server.client() as client:
            for first in range(0, 16_384, 1_024):
                client.execute_command("CLUSTER ADDSLOTS", *range(first, first + 1_024))
            deadline = time.monotonic() + 20
            while "ok" not in str(client.execute_command("CLUSTER INFO")["cluster_state"]):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield server
    finally:
        server.close()


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    with shared_server.client() as client:
        client.flushall()
    return shared_server


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
