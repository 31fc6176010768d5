"""Every shipped store keeps the shipped contract, and the contract catches stores that do not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from execution_arrow.stores.base import Append, Claim, Commit, Committed, JobStore, Op, Result
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.stores.sqlite import SqliteStore
from execution_arrow.testing import JobStoreContract


class TestMemory(JobStoreContract):
    @pytest.fixture
    def store(self) -> JobStore:
        return MemoryStore()


class TestSqlite(JobStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[JobStore]:
        store = SqliteStore(tmp_path / "arrow.db")
        yield store
        store.close()


class Unfenced(MemoryStore):
    """Believes everybody who wants to write."""

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        for op in ops:
            if isinstance(op, Commit) and op.id in self._records:
                row = self._records[op.id].row
                object.__setattr__(op, "version", row.version)
                object.__setattr__(op, "epoch", row.epoch)
                object.__setattr__(op, "owner", row.owner)
        return super().apply(ops)


class Lossy(MemoryStore):
    """Says that it has committed, and forgets the state."""

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        return [
            Committed(op.version + 1) if isinstance(op, Commit) else super(Lossy, self).apply([op])[0]
            for op in ops
        ]


class Deaf(MemoryStore):
    """Loses facts that nobody has folded."""

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        results = super().apply(ops)
        if any(isinstance(op, Append) for op in ops):
            for record in self._records.values():
                record.facts.clear()
        return results


class Racy(MemoryStore):
    """Gives the same row to everybody who asks."""

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        if any(isinstance(op, Claim) for op in ops):
            self._leases.clear()
        return super().apply(ops)


def promises() -> list[Callable[[JobStoreContract, JobStore], None]]:
    found = inspect.getmembers(JobStoreContract, inspect.isfunction)
    return [function for name, function in found if name.startswith("test_")]


@pytest.mark.parametrize("broken", [Unfenced, Lossy, Deaf, Racy])
def test_the_contract_catches_a_store_that(broken: type[MemoryStore]):
    failed = 0
    for promise in promises():
        try:
            promise(JobStoreContract(), broken())
        except Exception:  # a broken store fails in more ways than a wrong value
            failed += 1
    assert failed, f"{broken.__name__} passed all {len(promises())} promises"
