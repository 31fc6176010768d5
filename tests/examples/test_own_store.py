"""The example of a team's own store: the shipped contract, histories, processes, and how it fails."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples.ledger_own_store import LmdbStore
from ledger_fortress import Ledger, StoreUnavailable
from ledger_fortress.protocol import LedgerStore
from ledger_fortress.testing import FakeClock, LedgerStoreContract, run_scenario
from tools.packages import ROOT

OpenStore = Callable[[Callable[[], float]], LedgerStore]
SCENARIOS = sorted((ROOT / "tests" / "ledger_fortress" / "scenarios").glob("*.txt"))


class TestLmdb(LedgerStoreContract):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Iterator[OpenStore]:
        opened: list[LmdbStore] = []

        def open_it(clock: Callable[[], float]) -> LedgerStore:
            if not opened:
                opened.append(LmdbStore(tmp_path, clock=clock))
            return opened[0]

        yield open_it
        for store in opened:
            store.close()


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_scenario(file: Path, tmp_path: Path) -> None:
    clock = FakeClock()
    with Ledger(LmdbStore(tmp_path, clock=clock)) as ledger:
        assert run_scenario(file.read_text("utf-8"), ledger, clock, file.name) > 10


def take(folder: str, worker: int, rounds: int) -> int:
    """Ask for one credit at a time; how many were had."""
    from ledger_fortress import Refused

    held = 0
    with Ledger(LmdbStore(folder)) as ledger:
        for number in range(rounds):
            try:
                ledger.reserve("hot", 1, key=f"w{worker}n{number}", timeout=900)
                held += 1
            except Refused:
                pass
    return held


def test_processes_never_overdraw(tmp_path: Path) -> None:
    folder = str(tmp_path)
    with Ledger(LmdbStore(folder)) as ledger:
        ledger.grant("hot", 50, key="in", create=True)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert sum(job.get(60) for job in [pool.apply_async(take, (folder, n, 40)) for n in (0, 1)]) == 50
    with Ledger(LmdbStore(folder)) as ledger:
        assert str(ledger.balance("hot")) == "0.000000 available, 50.000000 held"
        assert ledger.audit().ok


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_told_to_open_its_own(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path)
    with Ledger(store) as ledger:
        ledger.grant("a", 1, key="in", create=True)
        child = os.fork()
        if child == 0:
            try:
                store.accounts("", 1)
            except StoreUnavailable as error:
                os._exit(0 if "open it here" in str(error) else 2)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert ledger.accounts() == ["a"]
    with pytest.raises(StoreUnavailable, match="open it here"):
        store.accounts("", 1)


def test_a_full_store_applies_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The map's end is met while writing, before any commit: nothing half-written, and said so."""
    monkeypatch.setattr("examples.ledger_own_store.ROOM", 1 << 17)
    with Ledger(LmdbStore(tmp_path)) as ledger:
        granted = 0

        def fill() -> None:
            nonlocal granted
            for granted in range(10_000):
                ledger.grant("a", 1, key=f"in{granted}", create=True, note="n" * 500)

        with pytest.raises(StoreUnavailable, match="MAP_FULL") as told:
            fill()
        assert not told.value.maybe_applied
        assert ledger.balance("a").available.micros == granted * 1_000_000
        assert ledger.audit().ok
