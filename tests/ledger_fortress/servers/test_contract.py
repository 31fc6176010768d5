"""The shipped contract and the readable histories, over real servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ledger_fortress import Ledger
from ledger_fortress.protocol import LedgerStore
from ledger_fortress.stores import open_store
from ledger_fortress.testing import FakeClock, LedgerStoreContract, run_scenario

OpenStore = Callable[[Callable[[], float]], LedgerStore]
FILES = sorted((Path(__file__).parent.parent / "scenarios").glob("*.txt"))


class TestServers(LedgerStoreContract):
    @pytest.fixture
    def stores(self, url: str) -> Iterator[OpenStore]:
        with ExitStack() as opened:

            def open_it(clock: Callable[[], float]) -> LedgerStore:
                store = open_store(url, clock=clock)
                opened.callback(store.close)
                return store

            yield open_it


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario(file: Path, url: str) -> None:
    clock = FakeClock()
    with Ledger.open(url, clock=clock) as ledger:
        assert run_scenario(file.read_text("utf-8"), ledger, clock, file.name) > 10
