"""Where generations are kept. `open_store(url)` picks one; `base` says what a store must do."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote

from execution_arrow.errors import MissingExtra
from execution_arrow.stores.base import JobStore

__all__ = ["JobStore", "open_store"]

SEVERAL_WRITERS = "i_accept_corruption_by_several_writers"


def open_store(url: str, *, migrate: bool = False) -> JobStore:
    """`memory:`, `sqlite:///path`, `postgresql://…` or `redis://…`. Raises `ValueError` for anything else.

    A SQLite file is made when it is missing. Tables in a database are made only by `migrate`, old ones in
    either are brought up only by it; else they are `SchemaOutdated`.
    """
    if url == "memory:":
        from execution_arrow.stores.memory import MemoryStore

        return MemoryStore()
    if url.startswith("sqlite:///"):
        from execution_arrow.stores.sqlite import SqliteStore

        path, _, query = url.removeprefix("sqlite:///").partition("?")
        options = parse_qs(query, keep_blank_values=True)
        if set(options) - {SEVERAL_WRITERS}:
            raise ValueError(f"{url!r}: the only option of a SQLite job store is {SEVERAL_WRITERS}=1")
        return SqliteStore(
            unquote(path), several_writers=options.get(SEVERAL_WRITERS) == ["1"], migrate=migrate
        )
    if url.startswith(("postgresql://", "postgres://")):
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise MissingExtra("postgresql:// job stores", "postgres") from error
        from execution_arrow.stores.postgres import PostgresStore

        return PostgresStore(url, migrate=migrate)
    if url.startswith(("redis://", "rediss://", "redis+unix://")):
        try:
            import redis  # noqa: F401
        except ImportError as error:
            raise MissingExtra("redis:// job stores", "redis") from error
        from execution_arrow.stores.redis import RedisStore

        return RedisStore.from_url(url)
    raise ValueError(
        f"no job store for {url!r}: use 'memory:', 'sqlite:///path/to/arrow.db', "
        "'postgresql://user@host/database' or 'redis://host/0'"
    )
