"""The shipped contract and the readable histories, over a real Redis in cluster mode."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger_fortress import Ledger
from ledger_fortress.protocol import LedgerStore
from ledger_fortress.stores.redis import RedisStore
from ledger_fortress.testing import FakeClock, LedgerStoreContract, run_scenario

OpenStore = Callable[[Callable[[], float]], LedgerStore]
FILES = sorted((Path(__file__).parent.parent / "scenarios").glob("*.txt"))


class TestRedis(LedgerStoreContract):
    @pytest.fixture
    def stores(self, url: str) -> Iterator[OpenStore]:
        opened: list[RedisStore] = []

        def open_it(clock: Callable[[], float]) -> LedgerStore:
            opened.append(RedisStore(url, clock=clock))
            return opened[-1]

        yield open_it
        for store in opened:
            store.close()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario(file: Path, url: str) -> None:
    clock = FakeClock()
    with Ledger.open(url, clock=clock) as ledger:
        assert run_scenario(file.read_text("utf-8"), ledger, clock, file.name) > 10
