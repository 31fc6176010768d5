"""The store of one process: plain tables with an upper bound, shared by nobody.

Models that were not touched for the longest time leave first. Within a model only the two newest epochs
of each memory are kept, and at most `cells` pairs of provider and class of work in each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cachetools import LRUCache, TLRUCache

from .base import Batch, Cell

Shelf = dict[tuple[str, int], dict[Cell, list[float]]]


class MemoryCounters:
    """`Counters` in this process. Callers serialize access."""

    def __init__(self, models: int = 10_000, cells: int = 2_048) -> None:
        self._shelves: LRUCache[tuple[str, str], Shelf] = LRUCache(maxsize=models)
        self._cells = cells

    def add(self, batch: Batch) -> None:
        """Add, forgetting epochs older than the two newest."""
        for (bucket, cell), sums in batch.items():
            shelf = self._shelves.get((bucket.region, bucket.model))
            if shelf is None:
                shelf = self._shelves[bucket.region, bucket.model] = {}
            cells = shelf.get((bucket.memory, bucket.epoch))
            if cells is None:
                cells = self._opened(shelf, bucket.memory, bucket.epoch)
                if cells is None:
                    continue
            known = cells.get(cell)
            if known is None:
                if len(cells) >= self._cells:
                    del cells[next(iter(cells))]
                cells[cell] = list(sums)
            else:
                for position, value in enumerate(sums):
                    known[position] += value

    @staticmethod
    def _opened(shelf: Shelf, memory: str, epoch: int) -> dict[Cell, list[float]] | None:
        """A new epoch's table, or None where it is already out of sight."""
        epochs = sorted(number for kind, number in shelf if kind == memory)
        if len(epochs) >= 2 and epoch < epochs[-1] - 1:
            return None
        cells: dict[Cell, list[float]] = {}
        shelf[memory, epoch] = cells
        for number in epochs:
            if number < max(epoch, *epochs) - 1:
                del shelf[memory, number]
        return cells

    def read(self, region: str, model: str) -> Mapping[tuple[str, int], Mapping[Cell, Sequence[float]]]:
        """What is on the shelf; nothing is allocated for a model nobody reported on."""
        return self._shelves.get((region, model), {})


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
