"""Writing what a turn has decided, and keeping what was heard when it may not be written."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from execution_arrow.errors import StoreUnavailable
from execution_arrow.lease import Lease
from execution_arrow.outage import Outage
from execution_arrow.ports import Clock
from execution_arrow.session import RECORDED, Change, Heard, Session, to_commit, to_inbox
from execution_arrow.stores.access import Access
from execution_arrow.stores.base import (
    Append,
    Commit,
    Committed,
    Fenced,
    JobTaken,
    Release,
)

logger = logging.getLogger("execution_arrow")


class Committer:
    """The store as one worker uses it. Everything may raise `StoreUnavailable`."""

    def __init__(self, store: Access, lease: Lease, clock: Clock) -> None:
        self._store, self._lease, self._clock = store, lease, clock
        self.outage = Outage(clock)

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

    async def append(self, generation_id: str, heard: Iterable[Heard]) -> None:
        """Put the outside's words into the inbox: facts are never fenced, whoever owns the generation now."""
        for item in heard:
            if isinstance(item.fact, RECORDED):
                await self._store.apply(Append(fact=to_inbox(generation_id, item, self._clock.now())))

    async def hand_over(self, generation_id: str, heard: Iterable[Heard]) -> None:
        """We lost a generation while an answer was under way: the answer still counts. Raises nothing."""
        try:
            await self.append(generation_id, heard)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the worker
            logger.warning("fact_lost generation=%s error=%s", generation_id, error)

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
