"""Where generations are kept. `open_store(url)` picks one; `base` says what a store must do."""

from __future__ import annotations

from execution_arrow.stores.base import JobStore

__all__ = ["JobStore", "open_store"]


def open_store(url: str) -> JobStore:
    """`memory:` or `sqlite:///path`. Raises `ValueError` for anything else."""
    if url == "memory:":
        from execution_arrow.stores.memory import MemoryStore

        return MemoryStore()
    if url.startswith("sqlite:///"):
        from execution_arrow.stores.sqlite import SqliteStore

        return SqliteStore(url.removeprefix("sqlite:///"))
    raise ValueError(f"no job store for {url!r}: use 'memory:' or 'sqlite:///path/to/arrow.db'")
