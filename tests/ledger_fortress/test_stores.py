"""The shipped contract over both stores, and over two that must fail it."""

import inspect
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ledger_fortress.protocol import Changes, LedgerStore, Loaded, Touch
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.stores.sqlite import SQLiteStore
from ledger_fortress.testing import LedgerStoreContract

OpenStore = Callable[[Callable[[], float]], LedgerStore]


def one_of(kind: Any) -> OpenStore:
    """The same store again and again, on the first clock."""
    made: list[LedgerStore] = []

    def open_it(clock: Callable[[], float]) -> LedgerStore:
        if not made:
            made.append(kind(clock))
        return made[0]

    return open_it


class TestMemory(LedgerStoreContract):
    @pytest.fixture
    def stores(self) -> OpenStore:
        return one_of(MemoryStore)

    def test_nobody_else_comes_in_while_it_decides(self) -> None:
        """Said outright: two threads that might meet seldom do on a busy machine."""
        store = MemoryStore()

        def decide(loaded: Loaded) -> Changes:
            with ThreadPoolExecutor(1) as other:
                assert not other.submit(store._lock.acquire, False).result()
            return Changes()

        store.transact(Touch(("a",)), decide)


class TestSQLite(LedgerStoreContract):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> OpenStore:
        return lambda clock: SQLiteStore(tmp_path / "credits.db", clock=clock)


class LossyStore(MemoryStore):
    """Says that it saved, and forgets every other hold."""

    def _save(self, changes: Changes) -> None:
        super()._save(changes._replace(holds=changes.holds[1:]))


class RacyStore(MemoryStore):
    """Looks, thinks and writes without keeping anybody out, and compares nothing."""

    def transact(self, touch: Touch, decide: Callable[[Loaded], Changes]) -> Changes:
        loaded = self._load(touch)
        time.sleep(0.001)
        changes = decide(loaded)
        self._save(changes)
        return changes


class ForgetfulStore(MemoryStore):
    """Keeps balances and loses keys."""

    def _save(self, changes: Changes) -> None:
        super()._save(changes)
        self._rows.keys.clear()


class CarelessStore(MemoryStore):
    """Does not notice that an account has moved on."""

    def _check(self, changes: Changes) -> None:
        pass


def failures(kind: Any) -> set[str]:
    """The contract's tests that a store fails."""
    suite = LedgerStoreContract()
    failed = set()
    for name, test in inspect.getmembers(suite, inspect.ismethod):
        if name.startswith("test_"):
            try:
                test(one_of(kind))
            except Exception:  # the way of failing is not the point
                failed.add(name)
    return failed


def test_the_contract_accepts_the_reference() -> None:
    """Run by hand as below, the good store fails nothing: the failures below are the stores' own."""
    assert failures(MemoryStore) == set()


@pytest.mark.parametrize(
    ("kind", "caught_by"),
    [
        (LossyStore, "test_a_second_store_sees_what_was_written"),
        (LossyStore, "test_every_field_comes_back_as_it_went_in"),
        (RacyStore, "test_two_writers_never_overdraw"),
        (RacyStore, "test_one_key_wins_once"),
        (ForgetfulStore, "test_a_repeat_is_answered_from_the_store"),
        (CarelessStore, "test_what_is_stale_is_not_saved"),
    ],
)
def test_the_contract_catches(kind: Any, caught_by: str) -> None:
    """A suite that no bad store fails proves nothing about good ones."""
    assert caught_by in failures(kind)
