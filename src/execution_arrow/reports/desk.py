"""Reports over many generations, for operators: `usage` and `reconcile`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from execution_arrow import facts as f
from execution_arrow.driver.following import Follower
from execution_arrow.machine.codec import load_run, load_spec
from execution_arrow.machine.state import Run
from execution_arrow.ports import Clock, LedgerPort
from execution_arrow.reports import reconciling
from execution_arrow.reports.accounting import Tally, Usage
from execution_arrow.reports.reconciling import Finding, Trouble
from execution_arrow.stores.access import Access
from execution_arrow.stores.base import Row

PAGE = 64  # rows; a few milliseconds of the loop
SKEW = 3600.0  # seconds by which the clocks of two hosts that name generations may differ
DAY = 86_400.0


class Desk:
    """See `AsyncArrow.usage` and `AsyncArrow.reconcile`."""

    def __init__(self, store: Access, ledger: LedgerPort, clock: Clock, follower: Follower) -> None:
        self._store, self._ledger, self._clock, self._follower = store, ledger, clock, follower

    async def usage(self, since: float | None, until: float | None) -> Usage:
        end = until if until is not None else self._clock.now()
        begin = since if since is not None else end - 30 * DAY
        tally = Tally()
        async for row in self._newest_first():
            if row.created_at < begin - SKEW:  # ids sort by time, as far as clocks agree
                break
            if not begin <= row.created_at < end:
                continue
            run = _run(row)
            if isinstance(run, Finding):
                tally.unreadable += 1
            else:
                tally.add(run)
        return tally.usage(begin, end)

    async def reconcile(self, since: float | None, grace: float, repair: bool) -> tuple[Finding, ...]:
        now = self._clock.now()
        begin = since if since is not None else now - 30 * DAY
        found = await self._compare(now, grace)
        found += [reconciling.of_remark(remark) for remark in await self._ledger.remarks(begin)]
        if repair:
            found = [await self._repair(finding) for finding in found]
        return reconciling.ordered(dict.fromkeys(found))

    async def _compare(self, now: float, grace: float) -> list[Finding]:
        """Rows by themselves, and against the holds. Both move meanwhile: what looks odd has to do it twice.

        A row is written before its hold is made and closed after it is settled. So an open hold whose row is
        closed is late only if it is still open when it is looked for after the row was read; and work is
        without a hold only if the row still works when it is read after the hold was not found. Kept in
        memory are holds and names; of rows, one page at a time.
        """
        held = {hold.key: hold for hold in await self._ledger.held()}
        unmet = dict(held)  # holds whose rows need nobody, or are not here
        found: list[Finding] = []
        odd: dict[str, Finding] = {}
        alone: list[str] = []
        async for row in self._unfinished():
            hold, run = unmet.pop(row.id, None), _run(row)
            if isinstance(run, Finding):
                found.append(run)
                continue
            found += reconciling.of_row(row, run, now, grace)
            if hold is None and row.id not in held and reconciling.needs_hold(run):
                alone.append(row.id)
            elif hold is not None and (finding := reconciling.of_hold(hold, run)) is not None:
                odd[row.id] = finding
        async for name, about in self._looks(list(unmet)):
            told = about if isinstance(about, Finding) else reconciling.of_hold(held[name], about)
            if told is not None:
                odd[name] = told
        return found + await self._second_look(odd, alone)

    async def _second_look(self, odd: dict[str, Finding], alone: list[str]) -> list[Finding]:
        if not odd and not alone:
            return []
        still = {hold.key for hold in await self._ledger.held()}
        found = [finding for name, finding in odd.items() if name in still]
        async for _, run in self._looks([name for name in alone if name not in still]):
            if isinstance(run, Run) and reconciling.needs_hold(run):
                found.append(reconciling.missing(run))
        return found

    async def _looks(self, names: list[str]) -> AsyncIterator[tuple[str, Run | Finding | None]]:
        """Each of these generations as it is now, a page of them per question; None where there is none."""
        for start in range(0, len(names), PAGE):
            some = names[start : start + PAGE]
            rows = {row.id: row for row in await self._store.load_many(some)}
            for name in some:
                yield name, _run(rows[name]) if name in rows else None
            await asyncio.sleep(0)

    async def _repair(self, finding: Finding) -> Finding:
        """Settle again, through the machine and by the same key, what the ledger does not know as settled."""
        if finding.trouble != Trouble.HOLD_AFTER_END or finding.generation is None:
            return finding
        row = await self._store.load(finding.generation)
        run = _run(row) if row is not None else None
        if not isinstance(run, Run) or run.settlement is None:
            return finding
        await self._follower.tell(finding.generation, f.HoldOpened(), claim=True)
        await self._follower.advance(finding.generation)  # or its owner does what is due
        return replace(finding, repaired=True)

    async def _newest_first(self) -> AsyncIterator[Row]:
        before: str | None = None
        while rows := await self._store.page(None, None, before, PAGE):
            for row in rows:
                yield row
            before = rows[-1].id
            await asyncio.sleep(0)  # a report must not keep the loop from its work

    async def _unfinished(self) -> AsyncIterator[Row]:
        after: str | None = None
        while rows := await self._store.unfinished(after, PAGE):
            for row in rows:
                yield row
            after = rows[-1].id
            await asyncio.sleep(0)


def _run(row: Row) -> Run | Finding:
    try:
        return load_run(load_spec(row.spec), row.state)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a row that cannot be read
        return reconciling.unreadable(row, error)
