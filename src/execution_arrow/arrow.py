"""`AsyncArrow`: generations for asyncio services.

`generate` returns when the row and the hold are durable; it never talks to a provider. The work is done by
whoever drives: a worker of this process (`worker=True`), another process, or `wait` itself when nobody
else owns the generation.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from execution_arrow.admission import Admission, Estimate, Options, wish_of
from execution_arrow.checks import check_opening, check_page, check_timeout
from execution_arrow.committing import Committer
from execution_arrow.driver import Driver
from execution_arrow.errors import GenerationFailed, StoreUnavailable, WrongLoop
from execution_arrow.following import Advanced, Busy, Follower, Reader
from execution_arrow.lease import Lease, StoreClock
from execution_arrow.machine.state import Phase, Run, Status
from execution_arrow.operating import Operating
from execution_arrow.perform import Performer
from execution_arrow.policy import Policy
from execution_arrow.record import Generation
from execution_arrow.tasks import to_the_end
from execution_arrow.webhooks import Inbound
from execution_arrow.worker import Limits, Worker

if TYPE_CHECKING:
    from adaptive_island import Island
    from execution_arrow.wiring import Parts
    from ledger_fortress import AsyncLedger, Ledger
    from rosetta_bridge import Catalog

T = TypeVar("T")


class AsyncArrow(Operating):
    """Runs generations. Use it with `async with`: it owns its tasks and ends them in order.

    `Arrow.open` and `AsyncArrow.open` take the same arguments. Every verb raises `execution_arrow.errors`
    only. Cancelling an await stops the waiting, not the work.
    """

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
    ) -> None:
        check_opening(parts.providers, policy, region, base_urls, public_url)
        self._parts = parts
        self._worker_wanted = worker
        self._limits = limits or Limits()
        self._watch = watch
        self._store = parts.access(parts.store)
        self._reader = Reader(self._store, parts.artifacts)
        self._clock = StoreClock(parts.clock)
        self._follower = Follower(self._reader, self._store, self._clock, self._here)
        self._lease = Lease(self._store, self._clock, f"w-{parts.names.attempt()}", self._limits.lease)
        self._performer = Performer(
            providers=parts.providers,
            transport=parts.transport,
            ledger=parts.holds,
            artifacts=parts.artifacts,
            credentials=parts.credentials,
            spool=parts.spool,
            base_urls=base_urls or {},
            public_url=public_url,
        )
        self._inbound = Inbound(self._store, self._performer, parts.clock, self._here)
        self._admission = Admission(
            parts, self._store, self._lease, policy or Policy(), region, public_url is not None
        )
        self._tasks: asyncio.TaskGroup | None = None
        self._driver: Driver | None = None
        self._worker: Worker | None = None
        self._watches: list[Callable[[], None]] = []
        self._pid = os.getpid()

    @classmethod
    def open(
        cls,
        where: str | Path,
        *,
        policy: Policy | None = None,
        region: str = "us",
        base_urls: Mapping[str, str] | None = None,
        public_url: str | None = None,
        worker: bool = False,
        limits: Limits | None = None,
        watch: Callable[[Generation], None] | None = None,
        **parts: Any,
    ) -> Self:
        """Open everything in one folder (`ledger.db`, `arrow.db`, `artifacts/`), or `memory:`.

        `worker` claims and drives whatever is due, also what a killed process left. `base_urls` replaces a
        provider's address (a sandbox, a regional host). `watch` is called with every changed generation.
        `parts` replace single ones: `catalog`, `ledger`, `island`, `tariff`, `credentials`, `providers`,
        `transport`, `egress`, `artifacts` (see `wiring.default_parts`).
        """
        from execution_arrow.wiring import default_parts

        return cls(
            default_parts(where, **parts),
            policy=policy,
            region=region,
            base_urls=base_urls,
            public_url=public_url,
            worker=worker,
            limits=limits,
            watch=watch,
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
            watch=self._changed,
        )
        self._worker = Worker(self._driver, self._store, self._lease, self._limits)
        self._watches = [self._store.watch(hear) for hear in (self._worker.hear, self._follower.hear)]
        self._tasks.create_task(self._worker.keep_house())
        self._tasks.create_task(self._worker.read_inbox())
        if self._worker_wanted:
            self._tasks.create_task(self._worker.serve())
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
        for end in self._watches:
            end()
        with contextlib.suppress(StoreUnavailable):  # our lease ends by itself; others take over then
            await self._driver.stop(grace)
        await tasks.__aexit__(None, None, None)
        await self._parts.transport.aclose()
        await self._parts.artifacts.aclose()
        await self._store.aclose()
        await self._parts.ledger.aclose()
        self._parts.island.close()

    def close_unstarted(self) -> None:
        """Release the files of an Arrow that was opened and never entered."""
        self._store.close()
        self._parts.blocking_ledger.close()
        self._parts.island.close()

    def _here(self) -> Driver:
        if os.getpid() != self._pid:
            raise WrongLoop(
                "this Arrow was opened before a fork: open one in the child, `AsyncArrow.open(...)`"
            )
        if self._driver is None or self._tasks is None:
            raise WrongLoop("open it first: `async with AsyncArrow.open(...) as arrow:`")
        return self._driver

    # --- verbs ---

    async def generate(
        self, model: str, request: Mapping[str, Any], *, account: str, **options: Unpack[Options]
    ) -> Generation:
        """Check the request, hold the credits, and write the generation down (`pending`).

        The same `idempotency_key` with the same request returns the first generation; with another one it
        raises `IdempotencyConflict`. Raises `RequestRejected` with all issues, `NoPrice`,
        `InsufficientCredits`, `LedgerRefused`; then nothing was dispatched. After `StoreUnavailable` repeat
        with the same key.
        """
        wish = wish_of(model, request, account, options)
        session = await self._finish(self._admission.begin(wish, self._here(), drive=self._worker_wanted))
        if isinstance(session, str):
            return await self.get(session)
        return self._reader.view(session.run, session.version, wish.key)

    async def generate_and_wait(
        self,
        model: str,
        request: Mapping[str, Any],
        *,
        account: str,
        timeout: float | None = None,
        **options: Unpack[Options],
    ) -> Generation:
        """`generate`, then `wait`. Raises `GenerationFailed` unless it succeeded."""
        check_timeout(timeout)
        wish = wish_of(model, request, account, options)
        session = await self._finish(self._admission.begin(wish, self._here(), drive=True))
        generation_id = session if isinstance(session, str) else session.run.spec.id
        found = await self.wait(generation_id, timeout=timeout)
        if found.status is not Status.SUCCEEDED:
            raise GenerationFailed(found)
        return found

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it to the end even when the caller stops waiting: a row must not be left without a driver."""

        assert self._tasks is not None
        return await to_the_end(self._tasks, work)

    async def estimate(self, model: str, request: Mapping[str, Any], **options: Unpack[Options]) -> Estimate:
        """What the request would be charged at most, and who would be asked first. Holds nothing."""
        return self._admission.estimate(wish_of(model, request, "", options))

    async def get(self, generation_id: str) -> Generation:
        """The generation as it stands. Raises `UnknownGeneration`."""
        self._here()
        return self._reader.show(await self._reader.row(generation_id))

    async def list(
        self,
        *,
        account: str | None = None,
        status: Status | str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Generation]:
        """Newest first. `before`: the last id of the previous page."""
        self._here()
        wanted = check_page(account, status, before, limit)
        return await self._reader.page(account, wanted, before, limit)

    async def wait(self, generation_id: str, *, timeout: float | None = None) -> Generation:
        """Wait until the status is final, driving the generation when nobody else does.

        Raises `WaitTimeout` after `timeout` seconds; the generation goes on.
        """
        self._here()
        check_timeout(timeout)
        return await self._follower.wait(generation_id, timeout)

    async def cancel(self, generation_id: str) -> Generation:
        """Ask for the end. The credits come back; the provider is told, and its job is watched to the end.

        Raises `CancelTooLate` when results are being stored or the generation has ended otherwise.
        """
        self._here()
        return await self._follower.cancel(generation_id)

    async def advance(self, generation_id: str) -> Advanced | Busy:
        """Do everything that is due now, then hand the generation back.

        Safe to call twice at once, to kill anywhere, and to call for ever after the end: any at-least-once
        runner may own the schedule. Never sleeps on a provider; `next_at` says when to come back.
        """
        self._here()
        return await self._follower.advance(generation_id)

    def _changed(self, run: Run) -> None:
        if run.phase is Phase.CLOSED:
            self._follower.ended(run)
        if self._watch is not None:
            self._watch(self._reader.view(run, 0, None))
