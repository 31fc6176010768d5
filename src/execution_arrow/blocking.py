"""`Arrow`: the same verbs for code without an event loop.

One daemon thread runs a loop of its own with an `AsyncArrow` inside; it starts with the first verb and ends
with `close`. After a fork the child gets a thread of its own on its first verb.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from execution_arrow.arrow import AsyncArrow
from execution_arrow.delivery import Webhooks
from execution_arrow.delivery.blocking import BlockingWebhooks
from execution_arrow.driver.following import Advanced, Busy
from execution_arrow.errors import ArrowClosed, WrongLoop
from execution_arrow.intake.admission import Estimate, Options
from execution_arrow.machine.state import Status
from execution_arrow.record import Generation
from execution_arrow.reports.accounting import Usage
from execution_arrow.reports.outlook import Health, Library
from execution_arrow.reports.reconciling import Finding
from execution_arrow.webhooks import WebhookReply

if TYPE_CHECKING:
    from adaptive_island import Island
    from ledger_fortress import Ledger
    from rosetta_bridge import Catalog

T = TypeVar("T")


class Arrow:
    """Runs generations for blocking code. Safe to share between threads; a context manager.

    With `worker=True` it works from `with` (or `start`) on. A verb that meets `close` raises `ArrowClosed`.
    """

    def __init__(self, make: Callable[[], AsyncArrow]) -> None:
        self._make = make
        self._worker = self._closed = False
        self._lock = threading.RLock()
        self._inner: AsyncArrow | None = None
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        _open.add(self)

    @classmethod
    def open(cls, where: str | Path, **options: Any) -> Self:
        """As `AsyncArrow.open`; nothing is started before the first verb, or `with` for a worker."""
        arrow = cls(lambda: AsyncArrow.open(where, **options))
        arrow._worker = options.get("worker", False)
        return arrow

    # --- what it is made of ---

    @property
    def ledger(self) -> Ledger:
        return self._arrow().blocking_ledger

    @property
    def island(self) -> Island:
        return self._arrow().island

    @property
    def catalog(self) -> Catalog:
        return self._arrow().catalog

    @property
    def webhooks(self) -> BlockingWebhooks:
        """See `AsyncArrow.webhooks`."""

        def run(verb: Callable[[Webhooks], Coroutine[Any, Any, T]]) -> T:
            return self._run(lambda arrow: verb(arrow.webhooks))

        return BlockingWebhooks(run)

    # --- verbs ---

    def generate(
        self, model: str, request: Mapping[str, Any], *, account: str, **options: Unpack[Options]
    ) -> Generation:
        """See `AsyncArrow.generate`. Without a worker, `wait` or `advance` do the work."""
        return self._run(lambda arrow: arrow.generate(model, request, account=account, **options))

    def generate_and_wait(
        self,
        model: str,
        request: Mapping[str, Any],
        *,
        account: str,
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> Generation:
        """See `AsyncArrow.generate_and_wait`."""
        return self._run(
            lambda arrow: arrow.generate_and_wait(model, request, account=account, timeout=timeout, **options)
        )

    def estimate(self, model: str, request: Mapping[str, Any], **options: Unpack[Options]) -> Estimate:
        """See `AsyncArrow.estimate`."""
        return self._run(lambda arrow: arrow.estimate(model, request, **options))

    def get(self, generation_id: str) -> Generation:
        """See `AsyncArrow.get`."""
        return self._run(lambda arrow: arrow.get(generation_id))

    def list(
        self,
        *,
        account: str | None = None,
        status: Status | str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Generation]:
        """See `AsyncArrow.list`."""
        return self._run(lambda arrow: arrow.list(account=account, status=status, before=before, limit=limit))

    def wait(self, generation_id: str, *, timeout: float | None = None) -> Generation:
        """See `AsyncArrow.wait`."""
        return self._run(lambda arrow: arrow.wait(generation_id, timeout=timeout))

    def cancel(self, generation_id: str) -> Generation:
        """See `AsyncArrow.cancel`."""
        return self._run(lambda arrow: arrow.cancel(generation_id))

    def advance(self, generation_id: str) -> Advanced | Busy:
        """See `AsyncArrow.advance`."""
        return self._run(lambda arrow: arrow.advance(generation_id))

    def delete(self, generation_id: str, *, files: bool = False) -> bool:
        """See `AsyncArrow.delete`."""
        return self._run(lambda arrow: arrow.delete(generation_id, files=files))

    def link(self, key: str) -> str | None:
        """See `AsyncArrow.link`."""
        return self._run(lambda arrow: arrow.link(key))

    def sweep(self, older_than: float) -> int:
        """See `AsyncArrow.sweep`."""
        return self._run(lambda arrow: arrow.sweep(older_than))

    def health(self) -> Health:
        """See `AsyncArrow.health`."""
        return self._run(lambda arrow: arrow.health())

    def library(self, *models: str) -> Library:
        """See `AsyncArrow.library`."""
        return self._run(lambda arrow: arrow.library(*models))

    def usage(self, *, since: datetime | None = None, until: datetime | None = None) -> Usage:
        """See `AsyncArrow.usage`."""
        return self._run(lambda arrow: arrow.usage(since=since, until=until))

    def reconcile(
        self, *, since: datetime | None = None, grace: float = 300.0, repair: bool = False
    ) -> tuple[Finding, ...]:
        """See `AsyncArrow.reconcile`."""
        return self._run(lambda arrow: arrow.reconcile(since=since, grace=grace, repair=repair))

    def handle_webhook(
        self, provider: str, token: str, headers: Mapping[str, str], body: bytes
    ) -> WebhookReply:
        """See `AsyncArrow.handle_webhook`."""
        return self._run(lambda arrow: arrow.handle_webhook(provider, token, headers, body))

    # --- the thread ---

    def _arrow(self) -> AsyncArrow:
        with self._lock:
            if self._closed:
                raise ArrowClosed
            if self._inner is None or self._pid != os.getpid():
                self._inner, self._pid = self._make(), os.getpid()
                self._loop = self._thread = self._stop = None
            return self._inner

    def _run(self, verb: Callable[[AsyncArrow], Coroutine[Any, Any, T]]) -> T:
        _refuse_on_loop()
        with self._lock:
            arrow = self._arrow()
            loop = self._loop or self._start(arrow)
            # Under the lock, so that it is the loop's before `close` can end it, and never left waiting.
            answer = asyncio.run_coroutine_threadsafe(verb(arrow), loop)
        try:
            return answer.result()
        except concurrent.futures.CancelledError as error:
            raise ArrowClosed from error

    def start(self) -> Self:
        """Start the thread now, for a worker that should claim without waiting for a verb."""
        with self._lock:
            arrow = self._arrow()
            if self._loop is None:
                self._start(arrow)
        return self

    def _start(self, arrow: AsyncArrow) -> asyncio.AbstractEventLoop:
        ready: threading.Event = threading.Event()
        failed: list[BaseException] = []

        async def live() -> None:
            self._stop = asyncio.Event()
            async with arrow:
                self._loop = asyncio.get_running_loop()
                ready.set()
                await self._stop.wait()

        def run() -> None:
            try:
                asyncio.run(live())
            except BaseException as error:  # noqa: BLE001 - told to the caller that started us
                failed.append(error)
            finally:
                ready.set()

        self._thread = threading.Thread(target=run, name="execution-arrow", daemon=True)
        self._thread.start()
        ready.wait()
        if failed:
            raise failed[0]
        atexit.register(self.close)
        assert self._loop is not None
        return self._loop

    def close(self) -> None:
        """Stop claiming, finish what is under way, hand everything back. Closing twice is harmless."""
        with self._lock:
            inner, loop, thread, stop = self._inner, self._loop, self._thread, self._stop
            self._inner = self._loop = self._thread = self._stop = None
            self._closed = True
        atexit.unregister(self.close)
        if inner is None or self._pid != os.getpid():
            return
        if loop is not None and stop is not None and thread is not None:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
        else:
            inner.close_unstarted()

    def __enter__(self) -> Self:
        return self.start() if self._worker else self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_open: weakref.WeakSet[Arrow] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for arrow in list(_open):
        arrow._lock = threading.RLock()  # a thread that is not here may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _refuse_on_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise WrongLoop("a blocking verb would stop this event loop: use `async with AsyncArrow.open(...)` here")
