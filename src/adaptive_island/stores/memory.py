"""The ranking cache of one process, shared by nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cachetools import TLRUCache


class MemoryRankings:
    """`RankingCache` in this process; a document leaves when its time is over."""

    def __init__(self, clock: Callable[[], float], most: int = 10_000) -> None:
        self._documents: TLRUCache[str, tuple[str, float]] = TLRUCache(
            maxsize=most, ttu=lambda _key, value, now: now + value[1], timer=clock
        )

    def read(self) -> Mapping[str, str | bytes]:
        """All documents that are there now."""
        return {key: document for key, (document, _seconds) in list(self._documents.items())}

    def write(self, key: str, document: str, seconds: float) -> None:
        """Store a document for `seconds`."""
        self._documents[key] = (document, seconds)
