"""The ledger for asyncio: every verb and read of `Ledger`, awaited.

Verbs are handed to the store's writer, which commits together what many tasks ask for at once and answers all
of a loop in one call. Reads run on a small thread pool of the ledger's own. So nothing here belongs to the
loop of the first caller: one `AsyncLedger` may serve several loops, one after the other or at once.
Cancelling an await stops the waiting, never the command; repeat it with the same key to learn what came of
it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from ledger_fortress.answers import Answer, Receipt
from ledger_fortress.commands import Close, Command, Freeze, Item, OnMissing, OnTimeout, OpenAccount, Unfreeze
from ledger_fortress.credits import CreditsLike
from ledger_fortress.progress import Progress
from ledger_fortress.protocol import Failure, LedgerStore
from ledger_fortress.proving import Since
from ledger_fortress.recovery import Finding
from ledger_fortress.rules import Policy
from ledger_fortress.stores.base import Clock
from ledger_fortress.views import Balance, HoldView, Statement, Verification
from ledger_fortress.writer import writer_of

from . import Ledger, making
from .aio_verbs import AsyncVerbs

_P = ParamSpec("_P")
_T = TypeVar("_T")
_THREADS = 4


class AsyncLedger(AsyncVerbs):
    """Like `Ledger`, for coroutines. Arguments, answers and errors are the same."""

    def __init__(self, store: LedgerStore, *, policy: Policy | None = None) -> None:
        """Over a store of one's own; `AsyncLedger.open` is the usual way."""
        from .awaiting import commit  # asyncio, for those who use it

        self._commit = commit
        self._ledger = Ledger(store, policy=policy)
        self._policy = policy or Policy()
        self._writer = writer_of(store)
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._pid = 0

    @classmethod
    def open(
        cls, url: str, *, clock: Clock | None = None, migrate: bool = False, policy: Policy | None = None
    ) -> Self:
        """As `Ledger.open`. Opening is quick and not awaited; close with `async with` or `aclose()`."""
        from ledger_fortress.stores import open_store

        return cls(open_store(url, clock=clock, migrate=migrate), policy=policy)

    async def aclose(self) -> None:
        """Finish what was begun and release the store. Closing twice is harmless."""
        await self._call(self._ledger.close)
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and self._pid == os.getpid():
            pool.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def open_account(self, account: str, *, key: str, note: str | None = None) -> Receipt:
        """See `Ledger.open_account`."""
        return await self._one(OpenAccount(account=account, key=key, note=note))

    async def grant(
        self,
        account: str,
        amount: CreditsLike,
        *,
        key: str,
        source: str | None = None,
        priority: int = 0,
        effective: datetime | None = None,
        expires: datetime | None = None,
        note: str | None = None,
        create: bool = False,
        rollover: CreditsLike | None = None,
        rollover_life: float = 0,
    ) -> Receipt:
        """See `Ledger.grant`."""
        return await self._one(
            making.grant(
                account,
                amount,
                key,
                source,
                priority,
                effective,
                expires,
                note,
                create,
                rollover,
                rollover_life,
            )
        )

    async def reserve(
        self,
        account: str,
        amount: CreditsLike,
        *,
        key: str,
        timeout: float = 900,
        on_timeout: OnTimeout = "release",
        member: str | None = None,
        note: str | None = None,
        seen: Receipt | None = None,
    ) -> Receipt:
        """See `Ledger.reserve`."""
        return await self._one(making.reserve(account, amount, key, timeout, on_timeout, member, note, seen))

    async def charge(
        self,
        account: str,
        hold_key: str,
        amount: CreditsLike | None = None,
        *,
        on_missing: OnMissing | None = None,
        key: str | None = None,
        note: str | None = None,
    ) -> Receipt:
        """See `Ledger.charge`."""
        return await self._one(making.charge(account, hold_key, amount, on_missing, key, note))

    async def release(
        self, account: str, hold_key: str, *, key: str | None = None, note: str | None = None
    ) -> Receipt:
        """See `Ledger.release`."""
        return await self._one(making.release(account, hold_key, key, note))

    async def refund(
        self,
        account: str,
        hold_key: str,
        amount: CreditsLike | None = None,
        *,
        key: str,
        note: str | None = None,
    ) -> Receipt:
        """See `Ledger.refund`."""
        return await self._one(making.refund(account, hold_key, amount, key, note))

    async def extend(self, account: str, hold_key: str, timeout: float, *, key: str) -> Receipt:
        """See `Ledger.extend`."""
        return await self._one(making.extend(account, hold_key, timeout, key))

    async def freeze(self, account: str, *, key: str, note: str | None = None) -> Receipt:
        """See `Ledger.freeze`."""
        return await self._one(Freeze(account=account, key=key, note=note))

    async def unfreeze(self, account: str, *, key: str, note: str | None = None) -> Receipt:
        """See `Ledger.unfreeze`."""
        return await self._one(Unfreeze(account=account, key=key, note=note))

    async def close_account(self, account: str, *, key: str, note: str | None = None) -> Receipt:
        """See `Ledger.close_account`."""
        return await self._one(Close(account=account, key=key, note=note))

    async def apply(self, commands: Sequence[Item]) -> list[Answer]:
        """See `Ledger.apply`."""
        return making.answers_of(await self._run(commands))

    async def sweep(self, limit: int = 100) -> int:
        """See `Ledger.sweep`."""
        return await self._call(self._ledger.sweep, limit)

    async def balance(self, account: str) -> Balance:
        """See `Ledger.balance`."""
        return await self._call(self._ledger.balance, account)

    async def balance_at(self, account: str, at: int | datetime) -> Balance:
        """See `Ledger.balance_at`."""
        return await self._call(self._ledger.balance_at, account, at)

    async def statement(
        self,
        account: str,
        after: int | None = None,
        limit: int = 100,
        *,
        kind: str | Iterable[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        key: str | None = None,
        hold: str | None = None,
    ) -> Statement:
        """See `Ledger.statement`."""
        read = self._ledger.statement
        return await self._call(
            read, account, after, limit, kind=kind, since=since, until=until, key=key, hold=hold
        )

    async def hold(self, account: str, key: str) -> HoldView | None:
        """See `Ledger.hold`."""
        return await self._call(self._ledger.hold, account, key)

    async def open_holds(self, account: str | None = None, *, overdue: bool = False) -> list[HoldView]:
        """See `Ledger.open_holds`."""
        return await self._call(self._ledger.open_holds, account, overdue=overdue)

    async def accounts(self, after: str = "", limit: int = 1_000) -> list[str]:
        """See `Ledger.accounts`."""
        return await self._call(self._ledger.accounts, after, limit)

    async def verify(
        self,
        account: str | None = None,
        *,
        since: Since | None = None,
        progress: Progress | None = None,
    ) -> Verification:
        """See `Ledger.verify`; `progress` is told in another thread."""
        return await self._call(self._ledger.verify, account, since=since, progress=progress)

    async def audit(self, account: str | None = None, *, progress: Progress | None = None) -> Verification:
        """See `Ledger.audit`; `progress` is told in another thread."""
        return await self._call(self._ledger.audit, account, progress=progress)

    async def reconcile(
        self,
        account: str | None = None,
        *,
        since: datetime | None = None,
        stuck_after: timedelta = timedelta(days=1),
    ) -> list[Finding]:
        """See `Ledger.reconcile`."""
        return await self._call(self._ledger.reconcile, account, since=since, stuck_after=stuck_after)

    async def _one(self, command: Command) -> Receipt:
        answers = await self._commit(self._writer, (making.with_salt(command),), self._policy)
        return making.receipt_of(answers[0])

    async def _run(self, items: Sequence[Item]) -> list[Answer | Failure]:
        return await self._commit(self._writer, [making.with_salt(item) for item in items], self._policy)

    async def _call(self, verb: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        import asyncio

        running = self._threads().submit(verb, *args, **kwargs)
        waiting: asyncio.Future[_T] = asyncio.wrap_future(running)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            waiting.add_done_callback(_forget)
            raise

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None or self._pid != os.getpid():  # a forked child inherits no threads
                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="ledger-fortress")
                self._pid = os.getpid()
            return self._pool


def _forget(future: Any) -> None:
    """Nobody waits for this answer any more, so nobody is told about an error that it may be."""
    if not future.cancelled():
        future.exception()
