"""The blocking face at its edges: closing under load, workers that nobody calls, a fork."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import Arrow, AsyncArrow, Status
from execution_arrow import facts as f
from execution_arrow.errors import ArrowClosed
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.stores.sqlite import SqliteStore
from execution_arrow.testing import FakeProvider, fake_parts
from execution_arrow.testing.steps import NOW, created_by
from tests.execution_arrow.driver.test_driver import QUICK, REQUEST


def arrow_of(
    tmp_path: Path, provider: FakeProvider | None = None, *, worker: bool = False, **more: Any
) -> Arrow:
    def make() -> AsyncArrow:
        parts = fake_parts({"fake": provider or FakeProvider()}, tmp_path, **more)
        return AsyncArrow(parts, limits=QUICK, worker=worker)

    arrow = Arrow(make)
    arrow._worker = worker  # as `open` does
    return arrow


def test_closing_ends_every_wait_with_an_error_of_ours(tmp_path: Path):
    arrow = arrow_of(tmp_path, FakeProvider(polls=iter(lambda: f.Running(), None)))
    started = arrow.generate("m", REQUEST, account="acct")
    heard: list[BaseException] = []

    def wait() -> None:
        try:
            arrow.wait(started.id)
        except BaseException as error:
            heard.append(error)

    threads = [threading.Thread(target=wait, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    arrow.close()
    for thread in threads:
        thread.join(5)
    assert [type(error) for error in heard] == [ArrowClosed] * 3
    with pytest.raises(ArrowClosed, match="open another"):
        arrow.get(started.id)
    arrow.close()


def test_a_worker_works_from_with_on(tmp_path: Path):
    store = MemoryStore()
    with arrow_of(tmp_path, store=store) as first:
        started = first.generate("m", REQUEST, account="acct")
    with arrow_of(tmp_path, store=store, worker=True):
        for _ in range(200):
            row = store.load(started.id)
            assert row is not None
            if row.next_at is None:
                break
            time.sleep(0.02)
    with arrow_of(tmp_path, store=store) as last:
        assert (
            last.wait(started.id, timeout=0).status is Status.SUCCEEDED
        )  # no time is needed for what has ended


def _parent(path: str, ready: Any, gone: Any) -> None:
    """Writes, forks a child that lives on, and dies."""
    SqliteStore(path).apply([created_by()])
    if os.fork() == 0:
        gone.wait(20)
        os._exit(0)
    ready.set()
    os._exit(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_the_writers_lock_dies_with_the_writer_and_not_with_its_children(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    ready, gone = context.Event(), context.Event()
    parent = context.Process(target=_parent, args=(str(tmp_path / "a.db"), ready, gone))
    parent.start()
    try:
        assert ready.wait(30)
        time.sleep(0.5)  # no join: the child that lives on keeps it waiting
        store = SqliteStore(tmp_path / "a.db")
        store.apply([created_by("gen_2", created_at=NOW)])
        store.close()
    finally:
        gone.set()
