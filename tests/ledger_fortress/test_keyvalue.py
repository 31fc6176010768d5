"""Stores over an ordered key-value store: here an optimistic one that notices conflicts when it commits."""

import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ledger_fortress import Ledger, StoreBusy
from ledger_fortress.commands import Grant, SetAlert
from ledger_fortress.engine import run
from ledger_fortress.protocol import LedgerStore
from ledger_fortress.rules import Policy
from ledger_fortress.stores.keyvalue import Conflict, KeyValueStore
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.testing import FakeClock, LedgerStoreContract

OpenStore = Callable[[Callable[[], float]], LedgerStore]
C = 1_000_000


class Optimistic(KeyValueStore):
    """Each transaction works on a copy, and commits if nobody has committed since it began."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.commits = 0
        self._lock = threading.Lock()
        self._rows: dict[bytes, bytes] = {}

    def close(self) -> None:
        pass

    @contextmanager
    def reading(self) -> Iterator["Copy"]:
        with self._lock:
            copy = Copy(dict(self._rows))
        yield copy

    @contextmanager
    def writing(self) -> Iterator["Copy"]:
        with self._lock:
            copy, begun = Copy(dict(self._rows)), self.commits
        yield copy
        with self._lock:
            if self.commits != begun:
                raise Conflict
            self.commits += 1
            self._rows = copy.rows


class Copy:
    def __init__(self, rows: dict[bytes, bytes]) -> None:
        self.rows = rows
        self._keys = sorted(rows)

    def get(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def range(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in self._keys[bisect_left(self._keys, first) : bisect_left(self._keys, end)]:
            yield key, self.rows[key]

    def put(self, key: bytes, value: bytes) -> None:
        assert len(key) < 300
        if key not in self.rows:
            insort(self._keys, key)
        self.rows[key] = value

    def delete(self, key: bytes) -> None:
        del self.rows[key]
        self._keys.remove(key)


class TestOptimistic(LedgerStoreContract):
    @pytest.fixture
    def stores(self) -> OpenStore:
        made: list[Optimistic] = []

        def open_it(clock: Callable[[], float]) -> LedgerStore:
            if not made:
                made.append(Optimistic(clock))
            return made[0]

        return open_it


def test_names_come_in_their_order() -> None:
    """Also those that begin alike, that are long, and that are no ASCII."""
    clock = FakeClock()
    names = [
        "a",
        "ab",
        "a!",
        "ж",
        "жж",
        "x" * 200,
        "x" * 199,
        "я" * 150 + "b",
        "я" * 150 + "a",
        "я" * 150,
        "z",
    ]
    stores: list[LedgerStore] = [MemoryStore(clock), Optimistic(clock)]
    for store in stores:
        run(store, [Grant(account=name, key="in", amount=C, create=True) for name in names], Policy())
    assert stores[1].accounts("", 99) == sorted(names)
    for behind in ["", *names, "y", "я" * 149, "я" * 151]:
        for limit in (1, 3, 99):
            assert stores[1].accounts(behind, limit) == stores[0].accounts(behind, limit)


def test_equal_times_are_listed_by_account() -> None:
    clock = FakeClock()
    stores: list[LedgerStore] = [MemoryStore(clock), Optimistic(clock)]
    ends = round(clock.seconds * C) + C
    for store in stores:
        for name in ("c", "a", "b", "d"):
            grant = Grant(account=name, key="in", amount=C, create=True, expires=ends)
            run(store, [grant, SetAlert(account=name, key="al", name="low", below=2 * C)], Policy())
    clock.tick(5)
    for limit in (1, 2, 9):
        assert stores[1].due(limit) == stores[0].due(limit) == ["a", "b", "c", "d"][:limit]
        assert stores[1].notices(None, (), True, limit) == stores[0].notices(None, (), True, limit)


def test_whoever_always_comes_second_is_told() -> None:
    clock = FakeClock()
    store = Optimistic(clock)
    decided = 0

    class Unlucky(Optimistic):
        @contextmanager
        def writing(self) -> Iterator[Copy]:
            nonlocal decided
            decided += 1
            with super().writing() as copy:
                self.commits += 1  # somebody else commits meanwhile
                yield copy

    store = Unlucky(clock)
    with pytest.raises(StoreBusy, match="faster 16 times"):
        Ledger(store).grant("a", 1, key="in", create=True)
    assert decided >= 16
    assert store.accounts("", 9) == []
