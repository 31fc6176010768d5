"""The grouping writer: many callers, one commit.

Operations are offered from event loops or threads and performed by one thread in the order of arrival,
as many as are waiting in one transaction. Whoever comes while a commit is on its way to the disk shares
the next one, so the cost of a sync is divided by the number of generations in flight.

When a batch has no answer, everybody in it is told so (`StoreUnavailable`); nothing is repeated here,
because only the caller knows whether repeating is safe. Cancelling a waiter abandons the answer, never
the operation.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

from execution_arrow.errors import StoreUnavailable
from execution_arrow.stores.base import JobStore, Op, Result

BATCH = 256

_Waiting = tuple[Op, Callable[[Result | BaseException], None]]


class Writer:
    """Owns the store's writing side. The thread starts with the first operation and ends with `close`."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._closed = False

    async def apply(self, op: Op) -> Result:
        """Perform one operation; returns when its transaction has committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def resolve(answer: Result | BaseException) -> None:
            with contextlib.suppress(RuntimeError):  # a closed loop: done, and nobody is there to hear it
                loop.call_soon_threadsafe(_settle, future, answer)

        self._offer(op, resolve)
        return await future

    def apply_blocking(self, op: Op) -> Result:
        """The same for a caller without a loop."""
        future: Future[Result] = Future()
        self._offer(op, lambda answer: _settle(future, answer))
        return future.result()

    def _offer(self, op: Op, resolve: Callable[[Result | BaseException], None]) -> None:
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the store is closed", maybe_applied=False)
            if self._pid != os.getpid():
                raise StoreUnavailable(
                    "this store was opened before a fork; open it again", maybe_applied=False
                )
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="execution-arrow-writer", daemon=True)
                self._thread.start()
            self._queue.put((op, resolve))

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            ended = False
            while len(batch) < BATCH and not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    ended = True
                    break
                batch.append(item)
            self._perform(batch)
            if ended:
                return

    def _perform(self, batch: list[_Waiting]) -> None:
        answers: list[Result | BaseException]
        try:
            answers = list(self._store.apply([op for op, _ in batch]))
        except BaseException as error:  # noqa: BLE001 - every waiter must hear of it, whatever it is
            if len(batch) > 1 and not getattr(error, "maybe_applied", True):
                for item in batch:  # nothing was written: one bad operation must not take the others along
                    self._perform([item])
                return
            answers = [error] * len(batch)
        for (_, resolve), answer in zip(batch, answers, strict=True):
            resolve(answer)

    def close(self) -> None:
        """Perform what was offered, then stop."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._thread is not None and self._pid == os.getpid():
            self._queue.put(None)
            self._thread.join()
        self._store.close()


def _settle(future: asyncio.Future[Result] | Future[Result], answer: Result | BaseException) -> None:
    if future.done():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
