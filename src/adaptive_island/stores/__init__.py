"""Stores behind an island: the two Protocols, and where to open one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from adaptive_island.errors import MissingExtra, UnknownStore

from .base import Circuit, Counters, News, RankingCache, Report, Store, ranking_key
from .memory import MemoryRankings

if TYPE_CHECKING:
    from adaptive_island.policy import Policy

__all__ = [
    "Circuit",
    "Counters",
    "MemoryRankings",
    "News",
    "RankingCache",
    "Report",
    "Store",
    "open_store",
    "ranking_key",
]


def open_store(url: str, policy: Policy | None = None, *, migrate: bool = False) -> Store:
    """The store at `sqlite:///path`, `postgresql://…` or `redis://…`; nothing is connected yet.

    `policy` says for how long its memories are worth keeping. Raises `UnknownStore` and `MissingExtra`.
    """
    from adaptive_island.policy import Policy

    opener = _OPENERS.get(url.partition(":")[0])
    if opener is None:
        raise UnknownStore(url, ("memory:", "sqlite:///path", "postgresql://host/database", "redis://host/0"))
    return opener(url, policy or Policy(), migrate)


def _sqlite(url: str, policy: Policy, migrate: bool) -> Store:
    from .sqlite import SqliteStore

    return SqliteStore(url, policy)


def _postgres(url: str, policy: Policy, migrate: bool) -> Store:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise MissingExtra("postgresql:// stores", "postgres", error) from error
    from .postgres import PostgresStore

    return PostgresStore(url, policy, migrate=migrate)


def _redis(url: str, policy: Policy, migrate: bool) -> Store:
    try:
        import redis  # noqa: F401
    except ImportError as error:
        raise MissingExtra("redis:// stores", "redis", error) from error
    from .redis import RedisStore

    return RedisStore(url, policy)


_OPENERS: dict[str, Callable[[str, Policy, bool], Store]] = {
    "sqlite": _sqlite,
    "postgresql": _postgres,
    "postgres": _postgres,
    "redis": _redis,
    "rediss": _redis,
    "redis+unix": _redis,
}
