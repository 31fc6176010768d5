"""The asyncio face: the same answers, no loop of its own, and cancelling abandons the answer alone."""

import asyncio
import inspect
import os
import threading
from pathlib import Path

import pytest

from ledger_fortress import AsyncLedger, Credits, Ledger, Refused
from ledger_fortress.commands import Reserve
from ledger_fortress.protocol import Changes, Decide, Touch
from ledger_fortress.stores.memory import MemoryStore


def test_every_verb_is_there_with_the_same_arguments() -> None:
    blocking = {
        name: inspect.signature(value)
        for name, value in inspect.getmembers(Ledger, inspect.isfunction)
        if name[:1] != "_" and name not in ("close", "entries", "within")
    }
    awaited = {
        name: inspect.signature(value)
        for name, value in inspect.getmembers(AsyncLedger, inspect.iscoroutinefunction)
        if name[:1] != "_" and name != "aclose"
    }
    assert awaited == blocking
    assert inspect.signature(AsyncLedger.open) == inspect.signature(Ledger.open)


def test_a_whole_life(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncLedger.open(f"sqlite:///{tmp_path}/c.db") as ledger:
            await ledger.open_account("a", key="o")
            await ledger.grant("a", 10, key="in")
            await ledger.reserve("a", 4, key="h")
            await ledger.extend("a", "h", 1_000, key="e")
            await ledger.charge("a", "h", 3)
            await ledger.refund("a", "h", 1, key="r")
            await ledger.freeze("a", key="f")
            with pytest.raises(Refused):
                await ledger.reserve("a", 1, key="h2")
            await ledger.unfreeze("a", key="u")
            await ledger.reserve("a", 1, key="h3")
            await ledger.release("a", "h3")
            await ledger.apply([Reserve(account="a", key="h4", amount=5, timeout=10_000_000)])
            assert [hold.key for hold in await ledger.open_holds("a")] == ["h4"]
            assert await ledger.hold("a", "none") is None
            assert await ledger.accounts() == ["a"]
            assert await ledger.sweep() == 0
            assert (await ledger.balance("a")).held == Credits.micro(5)
            assert (await ledger.balance_at("a", 2)).available == Credits(10)
            await ledger.charge("a", "h4", 0)
            await ledger.close_account("a", key="c")
            assert len(await ledger.statement("a")) == 14
            assert (await ledger.audit()).ok

    asyncio.run(main())


def test_many_tasks_never_overdraw(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncLedger.open(f"sqlite:///{tmp_path}/c.db") as ledger:
            await ledger.grant("a", 20, key="in", create=True)
            jobs = [ledger.reserve("a", 1, key=f"h{number}") for number in range(40)]
            answers = await asyncio.gather(*jobs, return_exceptions=True)
            assert sum(isinstance(answer, Refused) for answer in answers) == 20
            balance = await ledger.balance("a")
            assert (balance.available, balance.held) == (Credits(0), Credits(20))

    asyncio.run(main())


def test_one_ledger_serves_three_loops(tmp_path: Path) -> None:
    ledger = AsyncLedger.open(f"sqlite:///{tmp_path}/c.db")
    for number in range(3):
        asyncio.run(_grant(ledger, number))
    asyncio.run(ledger.aclose())
    asyncio.run(ledger.aclose())


async def _grant(ledger: AsyncLedger, number: int) -> None:
    await ledger.grant("a", 1, key=f"k{number}", create=True)
    assert (await ledger.balance("a")).available == Credits(number + 1)


class SlowStore(MemoryStore):
    """Waits for a sign before it writes."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.left = threading.Event()

    def transact(self, touch: Touch, decide: Decide) -> Changes:
        self.entered.set()
        assert self.go_on.wait(10)
        try:
            return super().transact(touch, decide)
        finally:
            if ("a", "in") in touch.keys:
                self.left.set()


def test_cancelling_stops_the_waiting_not_the_work() -> None:
    async def main() -> None:
        store = SlowStore()
        async with AsyncLedger(store) as ledger:
            task = asyncio.create_task(ledger.grant("a", 5, key="in", create=True))
            await asyncio.to_thread(store.entered.wait, 10)
            queued = [asyncio.create_task(ledger.grant("a", 1, key=f"k{n}", create=True)) for n in range(8)]
            await asyncio.sleep(0)
            for waiting in (task, *queued):
                waiting.cancel()
            answers = await asyncio.gather(task, *queued, return_exceptions=True)
            assert all(isinstance(answer, asyncio.CancelledError) for answer in answers)
            store.go_on.set()
            assert await asyncio.to_thread(store.left.wait, 10)  # the abandoned command ends by itself
            again = await ledger.grant("a", 5, key="in", create=True)
            assert again.replayed

    asyncio.run(main())


def test_a_loop_that_ended_breaks_nothing() -> None:
    """The answer of a command that outlives its loop is dropped; the command is not."""
    store = SlowStore()
    ledger = AsyncLedger(store)

    async def leave() -> None:
        task = asyncio.create_task(ledger.grant("a", 5, key="in", create=True))
        await asyncio.to_thread(store.entered.wait, 10)
        task.cancel()

    asyncio.run(leave())
    store.go_on.set()
    assert asyncio.run(ledger.grant("a", 5, key="in", create=True)).replayed
    asyncio.run(ledger.aclose())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_threads_of_its_own() -> None:
    ledger = AsyncLedger(MemoryStore())
    asyncio.run(ledger.grant("a", 5, key="in", create=True))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            asyncio.run(ledger.grant("a", 5, key="child"))
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    asyncio.run(ledger.aclose())
