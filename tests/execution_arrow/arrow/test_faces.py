"""The table of who runs what, row by row, for the two faces: what runs, what starts it, what stops it, what
a fork, a spawn and the end of a loop leave of it. What is not here is in `test_processes`, `test_postgres`,
`driver/test_review_blocking` and `driver/test_idle`."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import Arrow, AsyncArrow, Status
from execution_arrow.errors import WrongLoop
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.stores.sqlite import SqliteStore
from execution_arrow.testing import FakeLedger, FakeProvider, fake_parts

ROOT = Path(__file__).resolve().parents[3]
PROMPT = {"generation_prompt": "a lighthouse"}
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")


def ours() -> set[str]:
    """Threads of the packages that run now."""
    names = ("execution-arrow", "adaptive-island", "ledger")
    return {thread.name for thread in threading.enumerate() if thread.name.startswith(names)}


def opened(folder: Path, **more: Any) -> AsyncArrow:
    """Over a file, with everything else a fake, made anew by each process that opens it."""
    parts = fake_parts({"fake": FakeProvider()}, folder, store=SqliteStore(folder / "arrow.db"), **more)
    return AsyncArrow(parts)


# --- AsyncArrow -------------------------------------------------------------------------------------------


def test_its_tasks_and_threads_end_with_async_with(tmp_path: Path):
    async def life() -> None:
        mine = asyncio.all_tasks()
        async with opened(tmp_path) as arrow:
            await arrow.generate_and_wait("m", PROMPT, account="a", timeout=20)
            assert asyncio.all_tasks() > mine
            assert "execution-arrow-writer" in ours()
        assert asyncio.all_tasks() == mine

    before = ours()
    asyncio.run(life())
    assert ours() == before


def test_it_works_for_nobody_unless_it_was_opened_as_a_worker(tmp_path: Path):
    """What is due is claimed by `wait`, `advance` or a worker; to have an Arrow open is none of these."""
    shared: dict[str, Any] = {"store": MemoryStore(), "holds": FakeLedger()}

    async def life() -> None:
        async with AsyncArrow(fake_parts({"fake": FakeProvider()}, tmp_path, **shared)) as maker:
            started = await maker.generate("m", PROMPT, account="a")
            async with AsyncArrow(fake_parts({"fake": FakeProvider()}, tmp_path, **shared)) as idle:
                await asyncio.sleep(0.2)
                assert (await idle.get(started.id)).status is Status.PENDING
            worker = AsyncArrow(fake_parts({"fake": FakeProvider()}, tmp_path, **shared), worker=True)
            async with worker:
                while not (await maker.get(started.id)).done:
                    await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(life(), 30))


def test_it_is_one_loops_alone(tmp_path: Path):
    """Entered twice, also from a loop in another thread, it is refused; that harms the first one nothing."""
    arrow = opened(tmp_path)

    async def again() -> None:
        async with arrow:
            pass

    async def life() -> None:
        async with arrow:
            with pytest.raises(WrongLoop, match="second loop"):
                await asyncio.to_thread(asyncio.run, again())
            done = await arrow.generate_and_wait("m", PROMPT, account="a", timeout=20)
            assert done.status is Status.SUCCEEDED

    asyncio.run(life())


def test_two_loops_at_once_have_one_each(tmp_path: Path):
    def one() -> str:
        async def life() -> str:
            async with opened(tmp_path) as arrow:
                return (await arrow.generate_and_wait("m", PROMPT, account="a", timeout=20)).id

        return asyncio.run(life())

    async def both() -> list[str]:
        return await asyncio.gather(asyncio.to_thread(one), asyncio.to_thread(one))

    assert len(set(asyncio.run(both()))) == 2


# --- Arrow ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", ["", ".start()"])
def test_a_process_that_never_closes_it_ends_in_order(tmp_path: Path, begin: str):
    """At exit, by itself: the lease is given back, and what was pending is free at once."""
    code = f"""
from pathlib import Path
from execution_arrow import Arrow
from tests.execution_arrow.arrow.test_faces import opened
arrow = Arrow(lambda: opened(Path({str(tmp_path)!r}))){begin}
print(arrow.generate("m", {PROMPT!r}, account="a").id)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    store = SqliteStore(tmp_path / "arrow.db")
    row = store.load(done.stdout.strip())
    store.close()
    assert row is not None
    assert row.owner is None


def child(work: Any) -> int:
    """Fork, do it in the child, and return the child's exit code; -14 is the alarm of one that hangs."""
    import signal

    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        try:
            os._exit(0 if work() else 2)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@needs_fork
def test_a_forked_child_has_a_thread_of_its_own_and_harms_nothing(tmp_path: Path):
    """It reads what the parent wrote, also after the parent has gone on, and closing it ends only its own."""
    with Arrow(lambda: opened(tmp_path)) as arrow:
        done = arrow.generate_and_wait("m", PROMPT, account="a", timeout=20)

        def use() -> bool:
            same = arrow.get(done.id) == done and "execution-arrow" in ours()
            arrow.close()
            return same and not ours()

        assert child(use) == 0
        assert child(use) == 0
        assert arrow.generate_and_wait("m", PROMPT, account="a", timeout=20).status is Status.SUCCEEDED


@needs_fork
def test_a_child_that_is_forked_while_another_thread_is_in_a_verb_does_not_hang(tmp_path: Path):
    """The lock of a thread that is not there is nobody's."""
    with Arrow(lambda: opened(tmp_path)) as arrow:
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with arrow._lock:
                held.set()
                done.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        try:
            assert child(lambda: arrow.list() == []) == 0
        finally:
            done.set()
            thread.join()


@needs_fork
def test_a_preforking_server_may_open_it_before_it_forks(tmp_path: Path):
    """gunicorn with preload, uWSGI: one object, no verb before the fork, each worker process on its own."""
    before = ours()
    arrow = Arrow(lambda: opened(tmp_path))
    assert ours() == before
    for _ in range(3):  # one after the other: a SQLite file has one writing process
        assert child(lambda: _made(arrow)) == 0
    with Arrow(lambda: opened(tmp_path)) as later:
        assert len(later.list()) == 3


def _made(arrow: Arrow) -> bool:
    done = arrow.generate_and_wait("m", PROMPT, account="a", timeout=20)
    arrow.close()
    return done.status is Status.SUCCEEDED


def _spawned(folder: str, results: Any) -> None:
    with Arrow(lambda: opened(Path(folder))) as arrow:
        results.put([generation.id for generation in arrow.list()])


def test_a_spawned_child_opens_its_own_by_its_place(tmp_path: Path):
    with Arrow(lambda: opened(tmp_path)) as arrow:
        done = arrow.generate_and_wait("m", PROMPT, account="a", timeout=20)
        context = multiprocessing.get_context("spawn")
        results = context.Queue()
        process = context.Process(target=_spawned, args=(str(tmp_path), results))
        process.start()
        assert results.get(timeout=60) == [done.id]
        process.join()
