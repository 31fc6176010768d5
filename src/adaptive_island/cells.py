"""Where sums are kept, by model and region, and by epoch, provider and class of work.

`CellTable` is one process's bounded table. `SharedCells` reads like one and is three of them: what the store
says everybody reported, what was handed to the store and not read back yet, and what is new since. Nothing
counts twice and nothing is missing in between, and whoever asks waits for nobody.

Not safe for threads by itself; the island's lock is around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import add
from typing import NamedTuple, Protocol

from cachetools import LRUCache

Cell = tuple[str, str]  # provider, class of work
Epoch = tuple[str, int]  # memory, number
Shelf = Mapping[Epoch, Mapping[Cell, Sequence[float]]]


class Bucket(NamedTuple):
    """One epoch of one memory (`fast` or `slow`) for one model in one region; model "" is the provider
    over all models."""

    memory: str
    epoch: int
    region: str
    model: str


Batch = Mapping[tuple[Bucket, Cell], Sequence[float]]
Sum = tuple[Bucket, Cell, Sequence[float]]


class Table(Protocol):
    """What knowledge is kept in."""

    def add(self, batch: Batch) -> None:
        """Add each sums to its cell, creating what is missing. Old epochs may be forgotten."""
        ...

    def read(self, region: str, model: str) -> Shelf:
        """Everything known about a model in a region; empty where nothing is."""
        ...


class CellTable:
    """A bounded table. Models that were not touched for the longest time leave first. Within a model only
    the two newest epochs of each memory are kept, and at most `cells` pairs of provider and class of work in
    each."""

    def __init__(self, models: int = 10_000, cells: int = 2_048) -> None:
        self._shelves: LRUCache[tuple[str, str], dict[Epoch, dict[Cell, list[float]]]] = LRUCache(models)
        self._most = cells

    def add(self, batch: Batch) -> None:
        """Add, forgetting epochs older than the two newest."""
        for (bucket, cell), sums in batch.items():
            cells = self._cells(bucket)
            if cells is None:
                continue
            known = cells.get(cell)
            if known is None:
                self._place(cells, cell, sums)
            else:
                for position, value in enumerate(sums):
                    known[position] += value

    def put(self, bucket: Bucket, cell: Cell, sums: Sequence[float]) -> None:
        """Say what a cell holds, whatever it held before."""
        cells = self._cells(bucket)
        if cells is not None:
            self._place(cells, cell, sums)

    def read(self, region: str, model: str) -> Shelf:
        """What is on the shelf; nothing is allocated for a model nobody reported on."""
        return self._shelves.get((region, model), {})

    def items(self) -> Iterable[Sum]:
        """Everything, cell by cell."""
        for (region, model), shelf in self._shelves.items():
            for (memory, number), cells in shelf.items():
                for cell, sums in cells.items():
                    yield Bucket(memory, number, region, model), cell, sums

    def clear(self) -> None:
        """Forget everything."""
        self._shelves.clear()

    def _cells(self, bucket: Bucket) -> dict[Cell, list[float]] | None:
        """The cells of a bucket, made where they are missing; None where the epoch is out of sight."""
        shelf = self._shelves.get((bucket.region, bucket.model))
        if shelf is None:
            shelf = self._shelves[bucket.region, bucket.model] = {}
        cells = shelf.get((bucket.memory, bucket.epoch))
        return _opened(shelf, bucket.memory, bucket.epoch) if cells is None else cells

    def _place(self, cells: dict[Cell, list[float]], cell: Cell, sums: Sequence[float]) -> None:
        if cell not in cells and len(cells) >= self._most:
            del cells[next(iter(cells))]
        cells[cell] = list(sums)


def _opened(
    shelf: dict[Epoch, dict[Cell, list[float]]], memory: str, epoch: int
) -> dict[Cell, list[float]] | None:
    epochs = sorted(number for kind, number in shelf if kind == memory)
    if len(epochs) >= 2 and epoch < epochs[-1] - 1:
        return None
    cells: dict[Cell, list[float]] = {}
    shelf[memory, epoch] = cells
    for number in epochs:
        if number < max(epoch, *epochs) - 1:
            del shelf[memory, number]
    return cells


class SharedCells:
    """What all processes together know. `add` counts here at once. A round with the store is `hand_over`,
    `hear`, `confirm`; one that breaks off is made up for by the next."""

    def __init__(self, models: int) -> None:
        self._everybody, self._handed, self._own = CellTable(models), CellTable(models), CellTable(models)

    def add(self, batch: Batch) -> None:
        """Add what this process learned."""
        self._own.add(batch)

    def read(self, region: str, model: str) -> Shelf:
        """The sum of the three tables."""
        found = [shelf for table in self._tables() if (shelf := table.read(region, model))]
        if len(found) < 2:
            return found[0] if found else {}
        total: dict[Epoch, dict[Cell, Sequence[float]]] = {}
        for shelf in found:
            for number, cells in shelf.items():
                into = total.setdefault(number, {})
                for cell, sums in cells.items():
                    known = into.get(cell)
                    into[cell] = sums if known is None else tuple(map(add, known, sums))
        return total

    def hand_over(self) -> None:
        """What is new is about to be told to the store, with what could not be told before."""
        self._handed.add({(bucket, cell): sums for bucket, cell, sums in self._own.items()})
        self._own.clear()

    def hear(self, sums: Iterable[Sum]) -> None:
        """What cells hold in the store, with all that it was told before."""
        for bucket, cell, values in sums:
            self._everybody.put(bucket, cell, values)

    def confirm(self) -> None:
        """The store has taken what was handed over, and what it holds since then was heard."""
        self._handed.clear()

    def renew(self) -> None:
        """The store forgot everything: what it said before counts no more."""
        self._everybody.clear()

    def _tables(self) -> tuple[CellTable, CellTable, CellTable]:
        return self._everybody, self._handed, self._own
