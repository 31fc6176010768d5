"""Where a ledger is kept. `open_store(url)` picks the store by the URL's scheme and imports nothing else."""

from __future__ import annotations

from collections.abc import Callable

from ledger_fortress.errors import MissingExtra
from ledger_fortress.protocol import Changes, LedgerStore, Loaded, Scan, Touch

from .base import Clock

__all__ = ["Changes", "Clock", "LedgerStore", "Loaded", "Scan", "Touch", "open_store"]


def open_store(url: str, *, clock: Clock | None = None, migrate: bool = False) -> LedgerStore:
    """The store at `url`: `memory:`, `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql://…`, `redis://…`."""
    scheme = url.partition(":")[0]
    opener = _OPENERS.get(scheme)
    if opener is None:
        raise ValueError(
            f"{url!r} names no ledger: use 'memory:', 'sqlite:///path/to/credits.db', "
            "'postgresql://user@host/database' or 'redis://host/0'"
        )
    return opener(url, clock, migrate)


def _memory(url: str, clock: Clock | None, migrate: bool) -> LedgerStore:
    if url not in ("memory:", "memory://"):
        raise ValueError(f"{url!r}: a ledger in memory is 'memory:' and has no name")
    from .memory import MemoryStore

    return MemoryStore(clock)


def _sqlite(url: str, clock: Clock | None, migrate: bool) -> LedgerStore:
    from .sqlite import SQLiteStore

    return SQLiteStore.from_url(url, clock=clock, migrate=migrate)


def _postgres(url: str, clock: Clock | None, migrate: bool) -> LedgerStore:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"postgresql:// ledgers need psycopg 3 ({error}): pip install 'babysea-primitives[postgres]', "
            "and libpq from your system (Debian: libpq5) or, for development, psycopg[binary]"
        ) from error
    from .postgres import PostgresStore

    return PostgresStore(url, clock=clock, migrate=migrate)


def _redis(url: str, clock: Clock | None, migrate: bool) -> LedgerStore:
    try:
        import redis  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"redis:// ledgers need redis-py ({error}): pip install 'babysea-primitives[redis]'"
        ) from error
    from .redis import RedisStore

    return RedisStore.from_url(url, clock=clock, migrate=migrate)


_OPENERS: dict[str, Callable[[str, Clock | None, bool], LedgerStore]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "postgresql": _postgres,
    "postgres": _postgres,
    "redis": _redis,
    "rediss": _redis,
    "redis+unix": _redis,
    "redis+cluster": _redis,
    "rediss+cluster": _redis,
}
