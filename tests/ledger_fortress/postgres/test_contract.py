"""The shipped contract, the readable histories and every store's answers, over a real PostgreSQL."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger_fortress import Ledger
from ledger_fortress.protocol import LedgerStore
from ledger_fortress.stores.postgres import PostgresStore
from ledger_fortress.testing import FakeClock, LedgerStoreContract, run_scenario

OpenStore = Callable[[Callable[[], float]], LedgerStore]
FILES = sorted((Path(__file__).parent.parent / "scenarios").glob("*.txt"))


class TestPostgres(LedgerStoreContract):
    @pytest.fixture
    def stores(self, empty_url: str) -> Iterator[OpenStore]:
        opened: list[PostgresStore] = []

        def open_it(clock: Callable[[], float]) -> LedgerStore:
            opened.append(PostgresStore(empty_url, clock=clock, migrate=True))
            return opened[-1]

        yield open_it
        for store in opened:
            store.close()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario(file: Path, empty_url: str) -> None:
    clock = FakeClock()
    with Ledger.open(empty_url, clock=clock, migrate=True) as ledger:
        assert run_scenario(file.read_text("utf-8"), ledger, clock, file.name) > 10
