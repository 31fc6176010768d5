"""Who wakes up when: nobody for nothing, somebody at once for something, whatever the clocks say."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from execution_arrow import AsyncArrow, Status
from execution_arrow import facts as f
from execution_arrow.driver.following import Advanced
from execution_arrow.driver.worker import Limits
from execution_arrow.machine.state import State
from execution_arrow.stores.base import Claim, Inboxed, JobStore, Op, Result
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.stores.sqlite import SqliteStore
from execution_arrow.testing import FakeLedger, FakeProvider, FakeTransport
from tests.execution_arrow.driver.test_driver import REQUEST, arrow_of, run

PATIENT = Limits(inbox_every=600.0, claim_every=600.0)  # nothing is found by looking again


class Counting(MemoryStore):
    """Counts how often it is touched, and by what."""

    def __init__(self) -> None:
        super().__init__()
        self.touched: Counter[str] = Counter()

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        self.touched.update(type(op).__name__ for op in ops)
        return super().apply(ops)

    def inbox(self, owner: str) -> list[Inboxed]:
        self.touched["inbox"] += 1
        return super().inbox(owner)


def stores(tmp_path: Path) -> dict[str, Callable[[], JobStore]]:
    memory = MemoryStore()
    return {"memory": lambda: memory, "sqlite": lambda: SqliteStore(tmp_path / "arrow.db")}


@run
async def test_an_idle_worker_leaves_the_store_alone(tmp_path: Path):
    store = Counting()
    async with arrow_of(tmp_path, store=store, worker=True, limits=Limits()):
        await asyncio.sleep(0.6)
        assert store.touched == Counter({"Claim": 1, "TakeDeliveries": 1})
    assert store.touched == Counter({"Claim": 1, "TakeDeliveries": 1})  # there was never a lease to give back


@run
async def test_waiting_for_a_slow_provider_touches_nothing(tmp_path: Path):
    """One poll says when to come again; until then neither the inbox nor the queue is looked at."""
    store, provider = Counting(), FakeProvider(polls=iter(lambda: f.Running(), None), poll_every=600.0)
    async with arrow_of(tmp_path, provider, store=store, worker=True, limits=Limits()) as arrow:
        started = await arrow.generate("m", REQUEST, account="acct")
        for _ in range(200):
            attempts = (await arrow.get(started.id)).attempts
            if attempts and attempts[0].state is State.LIVE:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        before = Counter(store.touched)
        await asyncio.sleep(0.6)
        assert store.touched == before


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@run
async def test_another_arrows_generation_is_taken_up_at_once(tmp_path: Path, kind: str):
    """Also with a store object of its own on the same file; and its maker hears of the end."""
    new, ledger = stores(tmp_path)[kind], FakeLedger()
    async with (
        arrow_of(tmp_path, store=new(), holds=ledger, worker=True, limits=PATIENT) as worker,
        arrow_of(tmp_path, store=new(), holds=ledger, limits=PATIENT) as maker,
    ):
        started = await maker.generate("m", REQUEST, account="acct")
        for _ in range(300):
            if (await worker.get(started.id)).done:
                break
            await asyncio.sleep(0.02)
        assert (await maker.get(started.id)).status is Status.SUCCEEDED


@run
async def test_a_row_that_was_handed_back_is_taken_up_at_its_time(tmp_path: Path):
    """`advance` hands it back with the time of its next poll; nobody says anything when that comes."""
    shared = {"store": MemoryStore(), "holds": FakeLedger()}
    polls = iter([f.Running(), f.Running(), f.Succeeded(outputs=(f.Output(index=0, url="https://x/0"),))])
    provider = FakeProvider(polls=polls, poll_every=0.3)
    async with arrow_of(tmp_path, provider, limits=PATIENT, **shared) as maker:
        started = await maker.generate("m", REQUEST, account="acct")
        later = await maker.advance(started.id)
        assert isinstance(later, Advanced)
        assert not later.done
        async with arrow_of(tmp_path, provider, worker=True, limits=PATIENT, **shared):
            for _ in range(300):
                if (await maker.get(started.id)).done:
                    break
                await asyncio.sleep(0.02)
        assert (await maker.get(started.id)).status is Status.SUCCEEDED


@run
async def test_a_cancel_elsewhere_reaches_the_owner_at_once(tmp_path: Path):
    shared = {"store": MemoryStore(), "holds": FakeLedger()}
    provider = FakeProvider(polls=iter(lambda: f.Running(), None), poll_every=600.0)
    async with (
        arrow_of(tmp_path, provider, worker=True, limits=PATIENT, **shared) as owner,
        arrow_of(tmp_path, provider, limits=PATIENT, **shared) as other,
    ):
        started = await owner.generate("m", REQUEST, account="acct")
        canceled = await other.cancel(started.id)
        assert (await other.wait(canceled.id, timeout=10)).status is Status.CANCELED


class Wrong:
    """A machine whose date is wrong and whose seconds are right."""

    def __init__(self, by: float) -> None:
        self.by = by

    def now(self) -> float:
        return time.time() + self.by

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.mark.parametrize("hours", [-24, 24])
@run
async def test_a_worker_with_a_wrong_clock_can_neither_steal_nor_keep(tmp_path: Path, hours: int):
    store, ledger, transport = MemoryStore(), FakeLedger(), FakeTransport()
    shared = {"store": store, "holds": ledger, "transport": transport}
    quick = Limits(lease=0.6)
    slow = FakeProvider(polls=iter(lambda: f.Running(), None), poll_every=0.05)
    async with arrow_of(tmp_path, slow, worker=True, limits=quick, **shared) as owner:
        started = await owner.generate("m", REQUEST, account="acct")
        async with arrow_of(
            tmp_path, slow, worker=True, limits=quick, clock=Wrong(hours * 3600.0), **shared
        ) as wrong:
            await asyncio.sleep(0.9)  # longer than a lease
            row = store.load(started.id)
            assert row is not None
            assert row.epoch == 1, "a live owner was robbed"
            second = await wrong.generate("m", REQUEST, account="acct")
            await asyncio.sleep(0.2)
            assert abs((await wrong.get(second.id)).created_at - time.time()) < 60
            await _vanish(wrong)
            for _ in range(200):
                row = store.load(second.id)
                assert row is not None
                if row.owner == owner._lease.owner:
                    break
                await asyncio.sleep(0.02)
            assert row.owner == owner._lease.owner, "a dead owner kept its row"


async def _vanish(arrow: AsyncArrow) -> None:
    """As if killed: its tasks end, nothing is handed back."""
    worker, driver = arrow._worker, arrow._driver
    assert worker is not None
    assert driver is not None
    worker.stop()
    for session in list(driver.sessions.values()):
        driver._forget(session)
    await asyncio.sleep(0.05)


def test_a_claim_that_finds_nothing_writes_nothing(tmp_path: Path):
    store = SqliteStore(tmp_path / "arrow.db")
    store.apply([Claim(owner="w", seconds=10)])
    size = (tmp_path / "arrow.db-wal").stat().st_size
    for _ in range(5):
        store.apply([Claim(owner="w", seconds=10)])
    assert (tmp_path / "arrow.db-wal").stat().st_size == size
    store.close()
