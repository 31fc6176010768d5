"""The grouping writer: who commits, with whom, what a failing store does to each, and who hears of it."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ledger_fortress import AsyncLedger, Ledger, StoreBusy, StoreUnavailable
from ledger_fortress import writer as writing
from ledger_fortress.answers import Applied, Replayed
from ledger_fortress.commands import Grant, Item, Linked, Reserve
from ledger_fortress.errors import WriterElsewhere
from ledger_fortress.grouping import Group, Job
from ledger_fortress.protocol import Changes, Decide, Failure, Touch
from ledger_fortress.rules import Policy
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.stores.sqlite import SQLiteStore
from ledger_fortress.writer import Writer, writer_of

C = 1_000_000


def grant(key: str, account: str = "a") -> Grant:
    return Grant(account=account, key=key, amount=C, create=True)


class Store(MemoryStore):
    """Counts transactions and who made them; breaks or waits where a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.touched: list[tuple[str, ...]] = []
        self.threads: list[threading.Thread] = []
        self.errors: list[Exception] = []
        self.poison: str | None = None
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def transact(self, touch: Touch, decide: Decide) -> Changes:
        self.touched.append(tuple(key for _, key in touch.keys))
        self.threads.append(threading.current_thread())
        self.entered.set()
        assert self.open.wait(10)
        if self.errors:
            raise self.errors.pop(0)
        if any(key == self.poison for _, key in touch.keys):
            raise StoreUnavailable("this key is poison")
        return super().transact(touch, decide)


def jobs_of(*keys: str) -> list[Job]:
    return [Job([grant(key)], Policy()) for key in keys]


def offered(store: Store, *keys: str) -> tuple[Group, list[Job]]:
    group, jobs = Group(store), jobs_of(*keys)
    assert all(group.offer(job) for job in jobs)
    return group, jobs


def test_what_waits_together_shares_a_commit() -> None:
    store = Store()
    group, jobs = offered(store, "x", "y", "z")
    group.resolve(group.take_batch())
    assert store.touched == [("x", "y", "z")]
    assert [type(job.result()[0]) for job in jobs] == [Applied] * 3
    assert not group


def test_each_job_gets_its_own_answers() -> None:
    """Jobs of many commands, linked ones among them, and one that fails alone by a bug."""
    store = Store()
    sizes = [1, 3, 2, 1]
    jobs = [
        Job([grant("k0")], Policy()),
        Job([grant("k1"), grant("k2"), grant("k1")], Policy()),
        Job([Linked("l", (grant("k3"), Reserve(account="a", key="h", amount=C, timeout=C)))], Policy()),
        Job([grant("k4")], None),  # type: ignore[arg-type]  # a policy that breaks the rules of its own job
    ]
    group = Group(store)
    for job in jobs:
        assert group.offer(job)
    group.resolve(group.take_batch())
    assert [len(job.result()) for job in jobs] == sizes == [job.size for job in jobs]
    assert isinstance(jobs[1].result()[2], Replayed)
    keys = [answer.entry.key for job in jobs[:3] for answer in job.result() if isinstance(answer, Applied)]
    assert keys == ["k0", "k1", "k2", "k3", "h"]


def test_a_bug_in_a_command_fails_it_alone() -> None:
    class Broken(Grant):
        def fingerprint(self, link: str | None = None) -> bytes:
            raise RuntimeError("a bug")

    group = Group(Store())
    jobs = [*jobs_of("x"), Job([Broken(account="a", key="b", amount=C)], Policy()), *jobs_of("y")]
    for job in jobs:
        group.offer(job)
    group.resolve(group.take_batch())
    failed = jobs[1].result()[0]
    assert isinstance(failed, Failure)
    assert str(failed.error) == "a bug"
    assert all(isinstance(job.result()[0], Applied) for job in (jobs[0], jobs[2]))


def test_the_queue_is_bounded_and_batches_are() -> None:
    group = Group(Store(), capacity=5, most=3)
    jobs = [Job([grant(f"{n}{m}") for m in range(2)], Policy()) for n in range(3)]
    assert [group.offer(job) for job in jobs] == [True, True, False]
    assert group.take_batch() == jobs[:1]
    assert group.offer(jobs[2])
    assert [group.take_batch(), group.take_batch(), group.take_batch()] == [jobs[1:2], jobs[2:], []]


def test_one_job_of_any_size_is_taken_by_an_empty_queue() -> None:
    group = Group(Store(), capacity=2, most=2)
    big = Job([grant(str(n)) for n in range(9)], Policy())
    assert group.offer(big)
    assert group.take_batch() == [big]


def test_a_batch_beyond_the_limit_is_refused_to_its_caller() -> None:
    with pytest.raises(ValueError, match="at most 4096"):
        Job([grant(str(n)) for n in range(4_097)], Policy())


def test_a_passing_error_is_not_seen() -> None:
    """Nothing was applied, so the batch is simply tried again."""
    store = Store()
    store.errors = [StoreUnavailable("once")]
    group, jobs = offered(store, "x", "y")
    group.resolve(group.take_batch())
    assert [type(job.result()[0]) for job in jobs] == [Applied] * 2
    assert store.touched == [("x", "y")] * 2


@pytest.mark.parametrize("poison", range(7))
def test_the_poisoned_job_fails_alone(poison: int) -> None:
    """Halved until it is alone; everybody else is applied, in order."""
    store = Store()
    store.poison = f"k{poison}"
    group, jobs = offered(store, *(f"k{n}" for n in range(7)))
    group.resolve(group.take_batch())
    for number, job in enumerate(jobs):
        if number == poison:
            with pytest.raises(StoreUnavailable, match="poison"):
                job.result()
        else:
            assert isinstance(job.result()[0], Applied)
    written = [entry.key for entry in store.entries("a", 0, 100) if entry.key]
    assert written == [f"k{n}" for n in range(7) if n != poison]
    assert len(store.touched) <= 2 + 2 * 3


def test_errors_of_any_kind_are_isolated() -> None:
    """A store that raises something of its own breaks no thread, and nobody waits for ever."""
    store = Store()
    store.errors = [ZeroDivisionError(), ZeroDivisionError(), ZeroDivisionError()]
    group, jobs = offered(store, "x", "y")
    group.resolve(group.take_batch())
    with pytest.raises(ZeroDivisionError):
        jobs[0].result()
    assert isinstance(jobs[1].result()[0], Applied)


def test_a_job_alone_is_its_callers_to_repeat() -> None:
    store = Store()
    store.errors = [StoreUnavailable("down")]
    group, (job,) = offered(store, "x")
    group.resolve(group.take_batch())
    with pytest.raises(StoreUnavailable) as told:
        job.result()
    assert not told.value.maybe_applied
    assert len(store.touched) == 1


def test_an_unanswered_commit_is_never_tried_again() -> None:
    """Everybody in it is told that it may have been applied, each with an error of his own."""
    store = Store()
    lost = StoreUnavailable("the commit was not answered", maybe_applied=True)
    store.errors = [lost]
    group, jobs = offered(store, "x", "y")
    group.resolve(group.take_batch())
    assert len(store.touched) == 1
    told = []
    for job in jobs:
        with pytest.raises(StoreUnavailable) as error:
            job.result()
        assert error.value.maybe_applied
        assert str(error.value) == str(lost)
        assert error.value.__cause__ is lost
        told.append(error.value)
    assert told[0] is not told[1]


@pytest.mark.parametrize("error", [StoreBusy("locked"), WriterElsewhere("another process")])
def test_a_busy_store_is_not_asked_again_and_again(error: StoreUnavailable) -> None:
    """The store has waited its five seconds; waiting them once per caller would help nobody."""
    store = Store()
    store.errors = [error]
    group, jobs = offered(store, "x", "y", "z")
    group.resolve(group.take_batch())
    assert len(store.touched) == 1
    for job in jobs:
        with pytest.raises(type(error)):
            job.result()


def test_a_lone_caller_commits_in_its_own_thread() -> None:
    store = Store()
    with Ledger(store) as ledger:
        for number in range(3):
            ledger.grant("a", 1, key=f"k{number}", create=True)
        assert set(store.threads) == {threading.current_thread()}
        assert writer_of(store)._thread is None


def test_callers_at_once_share_commits() -> None:
    """One commit is held up; the twenty who come meanwhile go into the next."""
    store = Store()
    with Ledger(store) as ledger, ThreadPoolExecutor(21) as pool:
        store.open.clear()
        first = pool.submit(ledger.grant, "a", 1, key="first", create=True)
        assert store.entered.wait(10)
        others = [pool.submit(ledger.grant, "a", 1, key=f"k{n}", create=True) for n in range(20)]
        writer = writer_of(store)
        while len(writer._group) < 20:
            time.sleep(0.001)
        store.open.set()
        assert len({other.result(10).version for other in others}) == 20
        assert not first.result(10).replayed
        assert len(store.touched) == 2
        assert len(set(store.threads)) == 2
        assert not {thread.name for thread in store.threads} & {"MainThread"}
    assert writer._thread is None


def test_no_room_in_time_is_store_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads and tasks alike wait for room, then are told; what was refused is not applied."""
    # In this order: a module that is imported here must not take the patched time for its own.
    monkeypatch.setattr("ledger_fortress.ledger.awaiting.ROOM_SECONDS", 0.05)
    monkeypatch.setattr(writing, "ROOM_SECONDS", 0.05)
    store = Store()
    writer = Writer(store, capacity=2)
    ledger, waiting = Ledger(store), AsyncLedger(store)
    ledger._writer = waiting._writer = writer
    store.open.clear()
    with ThreadPoolExecutor(4) as pool:
        pool.submit(ledger.grant, "a", 1, key="k0", create=True)
        assert store.entered.wait(10)
        queued = [pool.submit(ledger.grant, "a", 1, key=f"k{n}", create=True) for n in (1, 2)]
        while len(writer._group) < 2:
            time.sleep(0.001)
        with pytest.raises(StoreBusy, match="nothing was applied"):
            ledger.grant("a", 1, key="late", create=True)
        with pytest.raises(StoreBusy, match="nothing was applied"):
            asyncio.run(waiting.grant("a", 1, key="late", create=True))
        store.open.set()
        assert all(not future.result(10).replayed for future in queued)
    ledger.close()
    assert {entry.key for entry in store.entries("a", 0, 99)} == {None, "k0", "k1", "k2"}


def test_tasks_that_wait_for_room_get_it() -> None:
    """A hundred tasks through a queue of four: all are answered, none twice."""
    store = Store()
    ledger = AsyncLedger(store)
    ledger._writer = Writer(store, capacity=4, most=4)

    async def main() -> None:
        jobs = [ledger.grant("a", 1, key=f"k{n}", create=True) for n in range(100)]
        receipts = await asyncio.wait_for(asyncio.gather(*jobs), 20)
        assert len({receipt.version for receipt in receipts}) == 100
        await ledger.aclose()

    asyncio.run(main())
    ledger._writer.drain()


def test_tasks_share_commits_and_answers_come_in_one_call() -> None:
    store = Store()

    async def main() -> None:
        calls = 0
        loop = asyncio.get_running_loop()
        usual = loop.call_soon_threadsafe

        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            return usual(*args, **kwargs)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]
        ledger = AsyncLedger(store)
        store.open.clear()
        tasks = [asyncio.create_task(ledger.grant("a", 1, key=f"k{n}", create=True)) for n in range(50)]
        await asyncio.sleep(0.01)
        store.open.set()
        await asyncio.gather(*tasks)
        assert calls == len(store.touched) <= 2
        await ledger.aclose()

    asyncio.run(main())


def test_close_finishes_what_was_accepted(tmp_path: Path) -> None:
    """Cancelled waiters included: the answer is abandoned, the command is not."""
    path = tmp_path / "c.db"

    async def main() -> None:
        async with AsyncLedger.open(f"sqlite:///{path}") as ledger:
            await ledger.open_account("a", key="o")
            tasks = [asyncio.create_task(ledger.grant("a", 1, key=f"k{n}")) for n in range(40)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert all(task.cancelled() for task in tasks)

    asyncio.run(main())
    with Ledger(SQLiteStore(path)) as ledger:
        assert len(ledger.statement("a")) == 41


def test_a_program_that_ends_without_closing_loses_nothing(tmp_path: Path) -> None:
    """Cancelled commands that nobody waits for are committed before the process is gone."""
    path = tmp_path / "c.db"
    script = f"""
import asyncio
from ledger_fortress import AsyncLedger
async def main():
    ledger = AsyncLedger.open("sqlite:///{path}")
    await ledger.open_account("a", key="o")
    tasks = [asyncio.create_task(ledger.grant("a", 1, key=f"k{{n}}")) for n in range(40)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, env=os.environ | _path())
    with Ledger(SQLiteStore(path)) as ledger:
        assert len(ledger.statement("a")) == 41


def _path() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(writing.__file__).parents[1])}


def test_answers_for_a_closed_loop_are_dropped_and_counted() -> None:
    store = Store()
    ledger = AsyncLedger(store)

    async def leave() -> None:
        store.open.clear()
        task = asyncio.create_task(ledger.grant("a", 5, key="in", create=True))
        await asyncio.to_thread(store.entered.wait)  # the writer has it, alone
        task.cancel()

    asyncio.run(leave())
    store.open.set()
    assert asyncio.run(ledger.grant("a", 5, key="in", create=True)).replayed
    assert writer_of(store).dropped == 1
    asyncio.run(ledger.aclose())


def test_ledgers_on_one_store_share_a_writer_that_goes_with_them() -> None:
    store = MemoryStore()
    one, two = Ledger(store), AsyncLedger(store)
    assert one._writer is two._writer is two._ledger._writer is writer_of(store)
    assert Ledger(MemoryStore())._writer is not one._writer
    place = id(store)
    del one, two
    gc.collect()
    assert place not in writing._writers


def test_the_thread_leaves_when_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "IDLE_SECONDS", 0.02)
    ledger = AsyncLedger(Store())
    for number in range(2):
        asyncio.run(ledger.grant("a", 1, key=f"k{number}", create=True))
        thread = ledger._writer._thread
        if thread is not None:
            thread.join(10)
        assert ledger._writer._thread is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_parents_queue_is_the_parents(tmp_path: Path) -> None:
    """A child forked while the writer is at work has a writer of its own with nothing in it."""
    store = Store()
    ledger = Ledger(store)
    writer = writer_of(store)
    with ThreadPoolExecutor(3) as pool:
        store.open.clear()
        jobs = [pool.submit(ledger.grant, "a", 1, key=f"k{n}", create=True) for n in range(3)]
        while not (writer._busy and len(writer._group) == 2):
            time.sleep(0.001)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                store.open.set()
                assert not writer._group
                items: list[Item] = [grant("child", "b")]
                assert isinstance(writer.call(items, Policy())[0], Applied)
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        store.open.set()
        assert all(not job.result(10).replayed for job in jobs)
    ledger.close()


def test_many_threads_and_tasks_lose_and_double_nothing(tmp_path: Path) -> None:
    """Eight threads and a loop with fifty tasks on one file: every receipt is another entry, all verify."""
    with Ledger(SQLiteStore(tmp_path / "c.db")) as ledger:
        ledger.open_account("a", key="o")
        awaiting = AsyncLedger(ledger._store)

        def thread(worker: int) -> list[int]:
            return [ledger.grant("a", 1, key=f"t{worker}n{n}").version for n in range(25)]

        async def task(worker: int) -> list[int]:
            return [(await awaiting.grant("a", 1, key=f"c{worker}n{n}")).version for n in range(5)]

        async def loop() -> list[int]:
            return [version for many in await asyncio.gather(*map(task, range(50))) for version in many]

        with ThreadPoolExecutor(9) as pool:
            near = [pool.submit(thread, worker) for worker in range(8)]
            far = pool.submit(asyncio.run, loop())
            versions = [version for job in (*near, far) for version in job.result(60)]
        assert sorted(versions) == list(range(2, 452))
        assert ledger.audit().ok
