"""An empty place for each kind of store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger_fortress.redis.servers import RedisServer
from tests.services import postgres_server

KINDS = ("sqlite", "postgres", "redis")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/island.db"
    elif request.param == "postgres":
        with postgres_server().schema() as place:
            yield place
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        with server.client() as client:
            client.flushall()
        yield server.url


@pytest.fixture
def postgres_url() -> Iterator[str]:
    with postgres_server().schema() as place:
        yield place
