"""Writing what a turn has decided, and keeping what was heard when it may not be written.

Facts are never fenced and never dropped: what was heard about a generation that is not ours any more goes to
its inbox, and waits here while the store is away.
"""

from __future__ import annotations

import asyncio
import logging

from execution_arrow.driver.lease import Lease
from execution_arrow.driver.outage import Outage
from execution_arrow.driver.session import RECORDED, Change, Session, to_commit, to_inbox
from execution_arrow.errors import StoreUnavailable
from execution_arrow.ports import Clock
from execution_arrow.stores.access import Access
from execution_arrow.stores.base import (
    Append,
    Commit,
    Committed,
    Fenced,
    Inboxed,
    JobTaken,
    Release,
)

logger = logging.getLogger("execution_arrow")


class Committer:
    """The store as one worker uses it. Everything may raise `StoreUnavailable`."""

    def __init__(self, store: Access, lease: Lease, clock: Clock) -> None:
        self._store, self._lease, self._clock = store, lease, clock
        self.outage = Outage(clock)
        self.unsaid: list[Inboxed] = []

    async def commit(self, session: Session, change: Change) -> Committed | JobTaken | Fenced:
        """Write a change. An answer that was lost is looked for: only our own epoch can have written it."""
        op = to_commit(session, change, self._lease.owner, self._clock.now())
        try:
            result = await self._store.apply(op)
        except StoreUnavailable:
            if (found := await self._what_happened(op)) is None:
                raise
            return found
        self.outage.over()
        assert isinstance(result, Committed | JobTaken | Fenced)
        return result

    async def _what_happened(self, op: Commit) -> Committed | None:
        try:
            row = await self._store.load(op.id)
        except StoreUnavailable:
            return None
        if row is not None and (row.epoch, row.version, row.state) == (op.epoch, op.version + 1, op.state):
            return Committed(row.version)
        return None

    def keep(self, session: Session) -> None:
        """Let what a session of the past has heard and not folded wait for `say`. What came from the inbox is
        there already; timers and plans are nobody's words."""
        now, heard = self._clock.now(), session.queue
        words = [item for item in heard if not item.seq and isinstance(item.fact, RECORDED)]
        if words:
            self.unsaid += [to_inbox(session.run.spec.id, item, now) for item in words]
            self._lease.needed.set()  # whoever keeps house stays awake until they are said
        heard.clear()

    async def hand_over(self, session: Session) -> None:
        """What it has heard is for whoever owns the generation now. Raises nothing."""
        self.keep(session)
        await self.say_if_possible()

    async def say(self) -> None:
        """Put what waits into the inboxes: facts are never fenced, whoever owns the generation now.

        Raises what the store raised; what was not written waits on, behind the others.
        """
        waiting, self.unsaid = self.unsaid, []
        try:
            while waiting:
                await self._store.apply(Append(fact=waiting[0]))
                del waiting[0]
        finally:
            self.unsaid += [*waiting[1:], *waiting[:1]]

    async def say_if_possible(self) -> None:
        """As `say`, for who has no time to wait: what cannot be written now is tried again in a while."""
        try:
            await self.say()
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the worker
            self.outage.failed(f"facts={len(self.unsaid)}", error)

    async def last_words(self, grace: float) -> None:
        """Before the end: try for `grace` seconds. What even then is not written is told, and asked again:
        its attempt stands as it stood, and whoever claims it goes on from there."""
        until = self._clock.monotonic() + grace
        await self.say_if_possible()
        while self.unsaid and self._clock.monotonic() < until:
            await asyncio.sleep(min(0.5, grace))
            await self.say_if_possible()
        for fact in self.unsaid:
            logger.warning(
                "fact_not_written generation=%s attempt=%s fact=%s: the store is away at the end; asked for "
                "again by whoever claims the generation",
                fact.generation, fact.attempt, fact.body["kind"],
            )  # fmt: skip

    async def release(self, rows: list[tuple[str, float | None]]) -> None:
        """Hand rows back with the time when they need somebody again. Those of others are left alone."""
        if rows:
            try:
                await self._store.apply(Release(owner=self._lease.owner, rows=rows))
            except BaseException:
                self._lease.doubt()
                raise

    async def owns(self, session: Session) -> bool:
        """Whether the row is still this session's. Final while our lease lives: nobody takes it then."""
        row = await self._store.load(session.run.spec.id)
        return row is not None and (row.owner, row.epoch) == (self._lease.owner, session.epoch)
