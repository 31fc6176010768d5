"""`AsyncArrow`: generations for asyncio services.

`generate` returns when the row and the hold are durable; it never talks to a provider. The work is done by
whoever drives: a worker of this process (`worker=True`), another process, or `wait` itself when nobody
else owns the generation.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from execution_arrow import facts as f
from execution_arrow.admission import Admission, Estimate, Wish
from execution_arrow.driver import Driver
from execution_arrow.errors import (
    CancelTooLate,
    GenerationFailed,
    InsufficientCredits,
    LedgerRefused,
    StoreUnavailable,
    UnknownGeneration,
    WaitTimeout,
    WrongLoop,
)
from execution_arrow.lease import Lease
from execution_arrow.machine.codec import load_run, load_spec
from execution_arrow.machine.state import Phase, Run, Status
from execution_arrow.perform import Performer
from execution_arrow.policy import Policy
from execution_arrow.record import Generation, view
from execution_arrow.session import Heard, Session, to_inbox
from execution_arrow.stores.base import Append, Row
from execution_arrow.stores.writer import Writer
from execution_arrow.worker import Limits, Worker

if TYPE_CHECKING:
    from adaptive_island import Island
    from execution_arrow.wiring import Parts
    from ledger_fortress import AsyncLedger, Ledger
    from rosetta_bridge import Catalog

_ELSEWHERE = 0.1  # seconds between looks at a generation that another process drives


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """Everything that was due has been done. Come back at `next_at` (unix seconds); `done`: never again."""

    version: int
    next_at: float | None
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Somebody alive owns the generation, until this time at least."""

    owner: str
    until: float


class AsyncArrow:
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
        self._parts = parts
        self._worker_wanted = worker
        self._limits = limits or Limits()
        self._watch = watch
        self._waiters: dict[str, set[asyncio.Event]] = {}
        self._writer = Writer(parts.store)
        self._lease = Lease(self._writer, parts.clock, f"w-{parts.names.attempt()}", self._limits.lease)
        self._performer = Performer(
            providers=parts.providers,
            transport=parts.transport,
            ledger=parts.holds,
            artifacts=parts.artifacts,
            credentials=parts.credentials,
            clock=parts.clock,
            spool=parts.spool,
            base_urls=base_urls or {},
            public_url=public_url,
        )
        self._admission = Admission(
            parts, self._writer, self._lease, policy or Policy(), region, public_url is not None
        )
        self._tasks: asyncio.TaskGroup | None = None
        self._driver: Driver | None = None
        self._worker: Worker | None = None
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
            store=self._parts.store,
            writer=self._writer,
            performer=self._performer,
            router=self._parts.router,
            clock=self._parts.clock,
            names=self._parts.names,
            tasks=self._tasks,
            lease=self._lease,
            effects=self._limits.effects,
            watch=self._changed,
        )
        self._worker = Worker(self._driver, self._parts.store, self._lease, self._limits)
        self._tasks.create_task(self._worker.keep_house())
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
        with contextlib.suppress(StoreUnavailable):  # our lease ends by itself; others take over then
            await self._driver.stop(grace)
        await tasks.__aexit__(None, None, None)
        await self._parts.transport.aclose()
        await asyncio.to_thread(self._writer.close)
        await self._parts.ledger.aclose()
        self._parts.island.close()

    def close_unstarted(self) -> None:
        """Release the files of an Arrow that was opened and never entered."""
        self._writer.close()
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
        self,
        model: str,
        request: Mapping[str, Any],
        *,
        account: str,
        idempotency_key: str | None = None,
        policy: Policy | None = None,
        region: str | None = None,
        sticky: str | None = None,
    ) -> Generation:
        """Check the request, hold the credits, and write the generation down (`pending`).

        The same `idempotency_key` with the same request returns the first generation; with another one it
        raises `IdempotencyConflict`. Raises `RequestRejected` with all issues, `NoPrice`,
        `InsufficientCredits`, `LedgerRefused`; then nothing was dispatched. After `StoreUnavailable` repeat
        with the same key.
        """
        session = await self._start(
            Wish(
                model=model,
                request=request,
                account=account,
                key=idempotency_key,
                policy=policy,
                region=region,
                sticky=sticky,
            )
        )
        if isinstance(session, str):
            return await self.get(session)
        if self._worker_wanted:
            self._here().adopt(session)
        else:
            await self._admission.hand_back(session.run.spec)
        return self._view(session.run, session.version, idempotency_key)

    async def generate_and_wait(
        self,
        model: str,
        request: Mapping[str, Any],
        *,
        account: str,
        idempotency_key: str | None = None,
        policy: Policy | None = None,
        region: str | None = None,
        sticky: str | None = None,
        timeout: float | None = None,
    ) -> Generation:
        """`generate`, then `wait`. Raises `GenerationFailed` unless it succeeded."""
        session = await self._start(
            Wish(
                model=model,
                request=request,
                account=account,
                key=idempotency_key,
                policy=policy,
                region=region,
                sticky=sticky,
            )
        )
        session_id = session if isinstance(session, str) else session.run.spec.id
        if isinstance(session, Session):
            self._here().adopt(session)
        found = await self.wait(session_id, timeout=timeout)
        if found.status is not Status.SUCCEEDED:
            raise GenerationFailed(found)
        return found

    async def _start(self, wish: Wish) -> Session | str:
        driver = self._here()
        session = await self._admission.admit(wish)
        if isinstance(session, str):
            return session
        held = session.queue[0].fact
        if isinstance(held, f.HoldRefused):
            driver.adopt(session)
            await driver.quiet(session.run.spec.id)
            if held.reason == "insufficient":
                raise InsufficientCredits(wish.account, held.needed, held.available)
            raise LedgerRefused(wish.account, held.reason)
        return session

    async def estimate(
        self,
        model: str,
        request: Mapping[str, Any],
        *,
        policy: Policy | None = None,
        region: str | None = None,
    ) -> Estimate:
        """What the request would be charged at most, and who would be asked first. Holds nothing."""
        self._here()
        return self._admission.estimate(
            Wish(model=model, request=request, account="", policy=policy, region=region)
        )

    async def get(self, generation_id: str) -> Generation:
        """The generation as it stands. Raises `UnknownGeneration`."""
        return self._show(await self._row(generation_id))

    async def list(
        self,
        *,
        account: str | None = None,
        status: Status | str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Generation]:
        """Newest first. `before`: the last id of the previous page."""
        wanted = Status(status).value if status is not None else None
        rows = await asyncio.to_thread(self._parts.store.page, account, wanted, before, limit)
        return [self._show(row) for row in rows]

    async def wait(self, generation_id: str, *, timeout: float | None = None) -> Generation:
        """Wait until the status is final, driving the generation when nobody else does.

        Raises `WaitTimeout` after `timeout` seconds; the generation goes on.
        """
        event = asyncio.Event()
        self._waiters.setdefault(generation_id, set()).add(event)
        try:
            async with asyncio.timeout(timeout):
                while not (found := await self.get(generation_id)).done:
                    event.clear()
                    await self._pursue(generation_id, event)
                return found
        except TimeoutError as error:
            raise WaitTimeout(generation_id, timeout or 0.0) from error
        finally:
            self._waiters[generation_id].discard(event)
            if not self._waiters[generation_id]:
                del self._waiters[generation_id]

    async def _pursue(self, generation_id: str, changed: asyncio.Event) -> None:
        driver = self._here()
        if generation_id in driver.sessions or await driver.claim([generation_id]):
            with contextlib.suppress(TimeoutError):  # `advance` may have handed it back meanwhile: look again
                async with asyncio.timeout(1.0):
                    await changed.wait()
            return
        await asyncio.sleep(_ELSEWHERE)

    async def cancel(self, generation_id: str) -> Generation:
        """Ask for the end. Final once the verdict is `canceled`; the provider is told as well.

        Raises `CancelTooLate` when results are being stored or the generation has ended.
        """
        driver = self._here()
        await self._row(generation_id)
        heard = Heard(attempt=None, fact=f.UserCancel())
        await self._writer.apply(Append(fact=to_inbox(generation_id, heard, self._parts.clock.now())))
        if not driver.hear(generation_id, heard):
            await driver.claim([generation_id])
        for _ in range(100):
            row = await self._row(generation_id)
            run = load_run(load_spec(row.spec), row.state)
            if run.cancel or run.verdict is Status.CANCELED:
                return self._show(row)
            if run.phase in (Phase.COLLECTING, Phase.SETTLING, Phase.CLOSED):
                raise CancelTooLate(
                    f"generation {generation_id} is {run.phase.value}: it cannot be canceled any more"
                )
            await asyncio.sleep(0.05)
        return await self.get(generation_id)  # its owner is busy; the wish is durable and will be folded

    async def advance(self, generation_id: str) -> Advanced | Busy:
        """Do everything that is due now, then hand the generation back.

        Safe to call twice at once, to kill anywhere, and to call for ever after the end: any at-least-once
        runner may own the schedule. Never sleeps on a provider; `next_at` says when to come back.
        """
        driver = self._here()
        if generation_id not in driver.sessions:
            row = await self._row(generation_id)
            if not await driver.claim([generation_id]):
                row = await self._row(generation_id)
                if row.owner is not None and row.next_at is not None:
                    return Busy(owner=row.owner, until=row.owner_until or 0.0)
                return Advanced(version=row.version, next_at=row.next_at, done=row.next_at is None)
        await driver.quiet(generation_id)
        await driver.release([generation_id])
        row = await self._row(generation_id)
        return Advanced(version=row.version, next_at=row.next_at, done=row.next_at is None)

    # --- showing ---

    async def _row(self, generation_id: str) -> Row:
        row = await asyncio.to_thread(self._parts.store.load, generation_id)
        if row is None:
            raise UnknownGeneration(generation_id)
        return row

    def _show(self, row: Row) -> Generation:
        return self._view(load_run(load_spec(row.spec), row.state), row.version, row.key)

    def _view(self, run: Run, version: int, key: str | None) -> Generation:
        return view(run, version, key, self._parts.artifacts.path)

    def _changed(self, run: Run) -> None:
        for event in self._waiters.get(run.spec.id, ()):
            event.set()
        if self._watch is not None:
            self._watch(self._view(run, 0, None))
