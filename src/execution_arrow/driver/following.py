"""Reading generations, and following one to its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from execution_arrow import facts as f
from execution_arrow.driver.driver import Driver
from execution_arrow.driver.inbox import readable
from execution_arrow.driver.session import Heard, to_inbox
from execution_arrow.errors import CancelTooLate, UnknownGeneration, WaitTimeout
from execution_arrow.intake.checks import check_id
from execution_arrow.machine.codec import load_run, load_spec, phase_of
from execution_arrow.machine.state import Phase, Run, Status
from execution_arrow.ports import ArtifactStore, Clock
from execution_arrow.record import Generation, view
from execution_arrow.stores.access import Access
from execution_arrow.stores.base import Append, Hint, Row

_LOOK_AGAIN = 5.0  # seconds between looks at a generation, should a hint have been lost
_SHORTEST = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """Everything that was due has been done. Come back at `next_at` (unix seconds); `done`: never again."""

    version: int
    next_at: float | None
    done: bool

    def pause(self, now: float) -> float | None:
        """Seconds from `now` (unix seconds) to the next visit; None: never again."""
        return None if self.next_at is None else max(0.0, self.next_at - now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Somebody alive owns the generation, until this time at least."""

    owner: str
    until: float

    def pause(self, now: float) -> float:
        """Seconds from `now` (unix seconds) after which a visit may find it free; half a second at least."""
        return max(0.5, self.until - now)


class Reader:
    """Rows as the records that callers see. Reads never wait for the writer."""

    def __init__(self, store: Access, artifacts: ArtifactStore) -> None:
        self._store, self._artifacts = store, artifacts

    async def row(self, generation_id: str) -> Row:
        """Raises `UnknownGeneration`."""
        check_id(generation_id)
        row = await self._store.load(generation_id)
        if row is None:
            raise UnknownGeneration(generation_id)
        return row

    async def page(
        self, account: str | None, status: str | None, before: str | None, limit: int
    ) -> list[Generation]:
        rows = await self._store.page(account, status, before, limit)
        return [self.show(row) for row in rows]

    def show(self, row: Row) -> Generation:
        return self.view(load_run(load_spec(row.spec), row.state), row.version, row.key)

    def view(self, run: Run, version: int, key: str | None) -> Generation:
        return view(run, version, key, self._artifacts.path)


class _Waiter:
    """Somebody who waits for an end: the end, once it is told, and the bell that tells."""

    __slots__ = ("bell", "end")

    def __init__(self) -> None:
        self.bell = asyncio.Event()
        self.end: Generation | None = None


class Follower:
    """Waits, cancels and advances, over the driver of this process or beside another one's."""

    def __init__(self, reader: Reader, store: Access, clock: Clock, driver: Callable[[], Driver]) -> None:
        self._reader, self._store, self._clock, self._driver = reader, store, clock, driver
        self._waiters: dict[str, list[_Waiter]] = {}

    def hear(self, hints: Sequence[Hint]) -> None:
        """Wake whoever waits for the end of these generations, or for a change of any."""
        for hint in hints:
            if hint.kind not in ("fact", "post"):
                for name in [hint.generation] if hint.generation else list(self._waiters):
                    for waiter in self._waiters.get(name, ()):
                        waiter.bell.set()

    def ended(self, run: Run) -> None:
        """Tell whoever waits for the end of this generation, which is durable now."""
        if (waiters := self._waiters.get(run.spec.id)) is not None:
            end = self._show_ours(run.spec.id)
            for waiter in waiters:
                waiter.end = end
                waiter.bell.set()

    def _show_ours(self, generation_id: str) -> Generation | None:
        """The generation if we drive it and it has ended: what we hold is what was written last."""
        session = self._driver().sessions.get(generation_id)
        if session is None or session.run.phase is not Phase.CLOSED:
            return None
        return self._reader.view(session.run, session.version, session.key)

    async def wait(self, generation_id: str, timeout: float | None) -> Generation:
        """See `AsyncArrow.wait`."""
        check_id(generation_id)
        if (end := await self._end_of(generation_id)) is not None:
            return end  # no time is needed for what has ended
        waiter = _Waiter()
        self._waiters.setdefault(generation_id, []).append(waiter)
        try:
            async with asyncio.timeout(timeout):
                while (end := waiter.end or await self._end_of(generation_id)) is None:
                    await self._pursue(generation_id, waiter.bell)
                    waiter.bell.clear()
            return end
        except TimeoutError as error:
            raise WaitTimeout(generation_id, timeout or 0.0) from error
        finally:
            self._waiters[generation_id].remove(waiter)
            if not self._waiters[generation_id]:
                del self._waiters[generation_id]

    async def _end_of(self, generation_id: str) -> Generation | None:
        """The generation, if it has ended: from what we drive, otherwise as it is written."""
        if generation_id in self._driver().sessions:
            return self._show_ours(generation_id)
        row = await self._reader.row(generation_id)
        return self._reader.show(row) if phase_of(row.state) is Phase.CLOSED else None

    async def _pursue(self, generation_id: str, told: asyncio.Event) -> None:
        """Drive it if nobody does, and wait: for a change, or for the end of its owner's lease."""
        driver, patience = self._driver(), _LOOK_AGAIN
        if generation_id not in driver.sessions and not await driver.claim([generation_id]):
            until = (await self._reader.row(generation_id)).owner_until or 0.0
            patience = min(max(until - self._clock.now(), _SHORTEST), _LOOK_AGAIN)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await told.wait()

    async def cancel(self, generation_id: str) -> Generation:
        """See `AsyncArrow.cancel`."""
        row = await self._reader.row(generation_id)
        spec = load_spec(row.spec)
        await self.tell(generation_id, f.UserCancel(), claim=True)
        for _ in range(100):
            row = await self._reader.row(generation_id)
            run = load_run(spec, row.state)
            if run.cancel or run.verdict is Status.CANCELED:
                break
            if run.phase in (Phase.COLLECTING, Phase.SETTLING, Phase.CLOSED):
                raise CancelTooLate(f"generation {generation_id} is {run.phase.value}: too late to cancel it")
            await asyncio.sleep(0.05)
        return self._reader.show(row)  # or its owner is busy: the wish is durable and will be folded

    async def delete(self, generation_id: str) -> bool:
        """See `AsyncArrow.delete`."""
        run = _run(await self._reader.row(generation_id))
        if not run.spec.erased:
            await self.tell(generation_id, f.Erase(), claim=run.done)
        for _ in range(100):
            if run.spec.erased or not run.done:
                break
            await asyncio.sleep(0.05)
            run = _run(await self._reader.row(generation_id))
        return run.spec.erased

    async def tell(self, generation_id: str, fact: f.Fact, *, claim: bool) -> None:
        """Put a wish of ours into the inbox; fold it here where we own the generation, or nobody does."""
        now = self._clock.now()
        wish = to_inbox(generation_id, Heard(attempt=None, fact=fact), now)
        # Each wish is a fact of its own: one that came too late must not swallow one that does not.
        await self._store.apply(Append(fact=replace(wish, dedup=f"{wish.dedup}@{now!r}")))
        driver = self._driver()
        if generation_id in driver.sessions:
            for heard in readable((await self._reader.row(generation_id)).inbox):
                driver.hear(generation_id, heard)
        elif claim:
            await driver.claim([generation_id])

    async def advance(self, generation_id: str) -> Advanced | Busy:
        """See `AsyncArrow.advance`."""
        driver = self._driver()
        await self._reader.row(generation_id)
        if generation_id in driver.sessions or await driver.claim([generation_id]):
            await driver.quiet(generation_id)
            await driver.release([generation_id])
        row = await self._reader.row(generation_id)
        if row.owner is not None and row.next_at is not None:
            return Busy(owner=row.owner, until=row.owner_until or 0.0)
        return Advanced(version=row.version, next_at=row.next_at, done=row.next_at is None)


def _run(row: Row) -> Run:
    return load_run(load_spec(row.spec), row.state)
