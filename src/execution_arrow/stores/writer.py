"""The grouping writer: many callers, one commit.

Operations are performed in the order of arrival, as many as are waiting in one transaction. Whoever comes
while a commit is on its way to the disk shares the next one, so the cost of a sync is divided by the number
of generations in flight. `Group` is the whole of that, as a plain object; `Writer` puts a queue for other
threads and one thread around it.

When a batch has no answer, everybody in it is told so (`StoreUnavailable`); nothing is repeated here,
because only the caller knows whether repeating is safe. Cancelling a waiter abandons the answer, never
the operation.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence

from execution_arrow.errors import StoreUnavailable
from execution_arrow.stores.base import JobStore, Op, Result

BATCH = 256

Answer = Callable[[Result | BaseException], object]
Waiting = tuple[Op, Answer]
_Letter = tuple[asyncio.Future[Result], Result | BaseException]


class Group:
    """Operations that wait for a transaction, in order. No lock and no thread: its owner sees to both."""

    def __init__(self, store: JobStore, most: int = BATCH) -> None:
        self._store, self._most = store, most
        self._waiting: deque[Waiting] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def offer(self, op: Op, answer: Answer) -> None:
        """Let an operation wait; `answer` is called once, with its result or with what went wrong."""
        self._waiting.append((op, answer))

    def take_batch(self) -> list[Waiting]:
        """What the next transaction takes along; empty when nothing waits."""
        return [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]

    def resolve(self, batch: Sequence[Waiting]) -> None:
        """Perform a batch in one transaction and answer everybody in it."""
        answers: Sequence[Result | BaseException]
        try:
            answers = self._store.apply([op for op, _ in batch])
        except BaseException as error:  # noqa: BLE001 - every waiter must hear of it, whatever it is
            if len(batch) > 1 and not getattr(error, "maybe_applied", True):
                for item in batch:  # nothing was written: one bad operation must not take the others along
                    self.resolve([item])
                return
            answers = [error] * len(batch)
        for (_, answer), result in zip(batch, answers, strict=True):
            answer(result)


class Writer:
    """A group with a thread, which starts with the first operation and ends with `close`."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._group = Group(store)
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._mail: dict[asyncio.AbstractEventLoop, list[_Letter]] = {}  # the thread's own
        self._pid = os.getpid()
        self._closed = False

    async def apply(self, op: Op) -> Result:
        """Perform one operation; returns when its transaction has committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self.offer(op, lambda result: self._mail.setdefault(loop, []).append((future, result)))
        return await future

    def offer(self, op: Op, answer: Answer) -> None:
        """Hand an operation to the thread; `answer` is called from there. Raises `StoreUnavailable`."""
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the store is closed", maybe_applied=False)
            if self._pid != os.getpid():
                raise StoreUnavailable(
                    "this store was opened before a fork; open it again", maybe_applied=False
                )
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name="execution-arrow-writer", daemon=True
                )
                self._thread.start()
            self._group.offer(op, answer)
            self._work.notify()

    def _serve(self) -> None:
        while batch := self._next_batch():
            self._group.resolve(batch)
            self._deliver()

    def _deliver(self) -> None:
        """Wake every loop once, whatever number of answers it has waited for."""
        mail, self._mail = self._mail, {}
        for loop, answers in mail.items():
            with contextlib.suppress(RuntimeError):  # a closed loop: done, and nobody is there to hear it
                loop.call_soon_threadsafe(_settle, answers)

    def _next_batch(self) -> list[Waiting]:
        with self._lock:
            self._work.wait_for(lambda: self._group or self._closed)
            return self._group.take_batch()

    def close(self) -> None:
        """Perform what was offered, then stop and close the store."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._work.notify()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join()
        self._store.close()


def _settle(answers: list[_Letter]) -> None:
    for future, answer in answers:
        if future.done():
            continue
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)
