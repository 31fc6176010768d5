"""Every kind of server that a ledger can be kept in: what is tested here holds for all of them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from ledger_fortress import Ledger
from tests.ledger_fortress.redis.servers import redis_cluster, redis_server
from tests.services import postgres_server

Empty = Callable[[], AbstractContextManager[str]]


@contextmanager
def redis_place() -> Iterator[str]:
    server = redis_server()
    with server.client() as client:
        client.flushall()
    yield server.url


@contextmanager
def cluster_place() -> Iterator[str]:
    cluster = redis_cluster()
    cluster.clear()
    yield cluster.url


PLACES: dict[str, Empty] = {
    "postgres": lambda: postgres_server().schema(),
    "redis": redis_place,
    "cluster": cluster_place,
}


@pytest.fixture(params=sorted(PLACES))
def empty(request: pytest.FixtureRequest) -> Empty:
    """Gives the URL of an empty place, for a `with` block."""
    place: Empty = PLACES[request.param]
    return place


@pytest.fixture
def url(empty: Empty) -> Iterator[str]:
    """The URL of an empty ledger."""
    with empty() as found:
        Ledger.open(found, migrate=True).close()
        yield found
