"""Every shipped store keeps the shipped contract, and the contract catches stores that do not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path

import pytest

from execution_arrow.stores.base import Append, Beat, Claim, Commit, Committed, JobStore, Op, Result
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.stores.postgres import PostgresStore
from execution_arrow.stores.redis import RedisStore
from execution_arrow.stores.sqlite import SqliteStore
from execution_arrow.testing import JobStoreContract
from execution_arrow.testing.steps import ManualClock
from tests.ledger_fortress.redis.servers import redis_server


class TestMemory(JobStoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock) -> JobStore:
        return MemoryStore(clock)


class TestSqlite(JobStoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock, tmp_path: Path) -> Iterator[JobStore]:
        store = SqliteStore(tmp_path / "arrow.db", clock=clock)
        yield store
        store.close()


class TestPostgres(JobStoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock, url: str) -> Iterator[JobStore]:
        store = PostgresStore(url, clock=clock)
        yield store
        store.close()


class TestRedis(JobStoreContract):
    @pytest.fixture
    def store(self, clock: ManualClock) -> Iterator[JobStore]:
        server = redis_server()
        with server.client() as client:
            client.flushall()
        store = RedisStore(server.url, clock=clock, accept_duplicate_submits=True)
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


class Credulous(MemoryStore):
    """Believes that a lease lasts for ever."""

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        longer = [
            replace(op, seconds=1e9) if isinstance(op, Beat | Claim) and op.seconds else op for op in ops
        ]
        return super().apply(longer)


def promises() -> list[Callable[..., None]]:
    found = inspect.getmembers(JobStoreContract, inspect.isfunction)
    return [function for name, function in found if name.startswith("test_")]


@pytest.mark.parametrize("broken", [Unfenced, Lossy, Deaf, Racy, Credulous])
def test_the_contract_catches_a_store_that(broken: type[MemoryStore]):
    failed = 0
    for promise in promises():
        try:
            clock = ManualClock()
            given = {"store": broken(clock), "clock": clock}
            promise(
                JobStoreContract(), **{name: given[name] for name in list(signature(promise).parameters)[1:]}
            )
        except Exception:  # a broken store fails in more ways than a wrong value
            failed += 1
    assert failed, f"{broken.__name__} passed all {len(promises())} promises"
