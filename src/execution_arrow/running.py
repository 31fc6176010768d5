"""What an Arrow is made of, and the order in which it starts and ends.

`AsyncArrow` adds the verbs. Everything here belongs to one process and, once entered, to one loop: the task
group owns every task, the lease says what may be done, and the end hands back what is not finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from execution_arrow.artifacts.sweeping import Sweeper
from execution_arrow.delivery import WebhookPolicy, Webhooks
from execution_arrow.delivery.courier import Courier
from execution_arrow.driver.committing import Committer
from execution_arrow.driver.driver import Driver
from execution_arrow.driver.following import Follower, Reader
from execution_arrow.driver.lease import Lease, StoreClock
from execution_arrow.driver.perform import Performer
from execution_arrow.driver.routing import FailOpen
from execution_arrow.driver.tasks import to_the_end
from execution_arrow.driver.worker import Limits, Worker
from execution_arrow.errors import StoreUnavailable, WrongLoop
from execution_arrow.intake.admission import Admission
from execution_arrow.intake.checks import check_opening
from execution_arrow.machine.state import Phase, Run
from execution_arrow.policy import Policy
from execution_arrow.record import Generation
from execution_arrow.reports.desk import Desk
from execution_arrow.signals import Announcer, Listener, log
from execution_arrow.stores.base import Hear, Hint
from execution_arrow.webhooks import Inbound

if TYPE_CHECKING:
    from adaptive_island import Island
    from execution_arrow.wiring import Parts
    from ledger_fortress import AsyncLedger, Ledger
    from rosetta_bridge import Catalog

T = TypeVar("T")


class Running:
    """See `AsyncArrow`."""

    def __init__(
        self,
        parts: Parts,
        *,
        policy: Policy | None = None,
        region: str = "us",
        base_urls: Mapping[str, str] | None = None,
        public_url: str | None = None,
        worker: bool = False,
        limits: Limits | None = None,
        watch: Callable[[Generation], None] | None = None,
        webhooks: WebhookPolicy | None = None,
        retain: float | None = None,
        on_event: Listener | None = None,
    ) -> None:
        check_opening(parts.providers, policy, region, base_urls, public_url, retain)
        parts = replace(parts, router=FailOpen(parts.router, parts.clock))
        self._parts = parts
        self._worker_wanted = worker
        self._limits = limits or Limits()
        self._watch, self._retain, self._pid = watch, retain, os.getpid()
        self._store = parts.access(parts.store)
        self._reader = Reader(self._store, parts.artifacts)
        self._clock = StoreClock(parts.clock)
        self._sweeper = Sweeper(parts.artifacts, self._clock)
        self._follower = Follower(self._reader, self._store, self._clock, self._here)
        self._lease = Lease(self._store, self._clock, f"w-{parts.names.attempt()}", self._limits.lease)
        self._performer = _performer(parts, base_urls or {}, public_url)
        self._announcer = Announcer(on_event or log, self._changed, self._clock.now)
        self._inbound = Inbound(self._store, self._performer, parts.clock, self._here)
        self._courier = self._courier_of(webhooks or WebhookPolicy())
        self._webhooks = Webhooks(self._store, self._clock, parts.credentials, self._courier)
        self._desk = Desk(self._store, parts.holds, self._clock, self._follower)
        self._admission = Admission(
            parts, self._store, self._lease, policy or Policy(), region, public_url is not None
        )
        self._tasks: asyncio.TaskGroup | None = None
        self._driver: Driver | None = None
        self._worker: Worker | None = None
        self._hearers: list[Hear] = []  # who in this process wants to know of the store's changes

    def _courier_of(self, policy: WebhookPolicy) -> Courier:
        parts = self._parts
        return Courier(
            self._store, self._clock, parts.credentials, policy, parts.artifacts.link, self._announcer.tell
        )

    @property
    def ledger(self) -> AsyncLedger:
        """The credit ledger."""
        return self._parts.ledger

    @property
    def blocking_ledger(self) -> Ledger:
        """The same ledger for threads without a loop."""
        return self._parts.blocking_ledger

    @property
    def webhooks(self) -> Webhooks:
        """Who is told of events, and what became of that."""
        self._here()
        return self._webhooks

    @property
    def island(self) -> Island:
        return self._parts.island

    @property
    def catalog(self) -> Catalog:
        return self._parts.catalog

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise WrongLoop("this Arrow is open already; open a second one for a second loop")
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._driver = Driver(
            committer=Committer(self._store, self._lease, self._clock),
            performer=self._performer,
            router=self._parts.router,
            clock=self._clock,
            names=self._parts.names,
            tasks=self._tasks,
            lease=self._lease,
            effects=self._limits.effects,
            watch=self._announcer,
        )
        self._worker = Worker(self._driver, self._store, self._lease, self._limits)
        self._hearers = [self._worker.hear, self._follower.hear]
        self._unwatch = self._store.watch(self._hear)
        self._tasks.create_task(self._worker.keep_house())
        self._tasks.create_task(self._worker.read_inbox())
        if self._worker_wanted:
            self._tasks.create_task(self._worker.serve())
            self._hearers.append(self._courier.hear)
            self._tasks.create_task(self._courier.serve())
            self._sweeper.start(self._tasks, self._retain)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self, grace: float = 10.0) -> None:
        """Stop claiming, let what is under way finish for `grace` seconds, hand everything back."""
        tasks, self._tasks = self._tasks, None
        if tasks is None:
            return
        assert self._driver is not None
        assert self._worker is not None
        self._worker.stop()
        self._sweeper.stop()
        self._unwatch()
        courier = asyncio.create_task(self._courier.stop(grace))
        with contextlib.suppress(StoreUnavailable):  # our lease ends by itself; others take over then
            await self._driver.stop(grace)
        await courier
        await tasks.__aexit__(None, None, None)
        with contextlib.suppress(StoreUnavailable):  # what a claim or a request under way brought meanwhile
            await self._driver.release(list(self._driver.sessions))
        await self._driver.committer.last_words(grace)
        await self._parts.transport.aclose()
        await self._parts.artifacts.aclose()
        await self._parts.inputs.aclose()
        await self._store.aclose()
        await self._parts.ledger.aclose()
        await asyncio.to_thread(self._parts.island.close)  # one last round, a second at most

    def close_unstarted(self) -> None:
        """Release the files of an Arrow that was opened and never entered."""
        self._store.close()
        self._parts.blocking_ledger.close()
        self._parts.island.close()

    def _hear(self, hints: Sequence[Hint]) -> None:
        """One call of the loop for everybody, not one for each."""
        for hear in self._hearers:
            hear(hints)

    def _here(self) -> Driver:
        if os.getpid() != self._pid:
            raise WrongLoop(
                "this Arrow was opened before a fork: open one in the child, `AsyncArrow.open(...)`"
            )
        if self._driver is None or self._tasks is None:
            raise WrongLoop("open it first: `async with AsyncArrow.open(...) as arrow:`")
        return self._driver

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it to the end even when the caller stops waiting: a row must not be left without a driver."""
        assert self._tasks is not None
        return await to_the_end(self._tasks, work)

    def _changed(self, run: Run) -> None:
        if run.phase is Phase.CLOSED:
            self._follower.ended(run)
        if self._watch is not None:
            self._watch(self._reader.view(run, 0, None))


def _performer(parts: Parts, base_urls: Mapping[str, str], public_url: str | None) -> Performer:
    return Performer(
        providers=parts.providers,
        transport=parts.transport,
        ledger=parts.holds,
        artifacts=parts.artifacts,
        inputs=parts.inputs,
        credentials=parts.credentials,
        spool=parts.spool,
        base_urls=base_urls,
        public_url=public_url,
    )
