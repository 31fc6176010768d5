"""Reading a ledger: balances, statements, holds and the proof that they are right.

Readers settle for time in memory and write nothing, so a balance is the same whether or not somebody has
written since a grant expired. A statement shows what is written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from ledger_fortress import history, proving, recovery
from ledger_fortress.answers import Reason, Refusal
from ledger_fortress.entries import Entry, micros_since_epoch
from ledger_fortress.errors import Refused
from ledger_fortress.progress import Progress
from ledger_fortress.protocol import LedgerStore, Loaded, Touch, chunks
from ledger_fortress.proving import Since
from ledger_fortress.recovery import Finding
from ledger_fortress.rules import matured
from ledger_fortress.state import NOTHING_DUE, Account, Hold
from ledger_fortress.views import Balance, HoldView, Statement, Verification, balance_of, view_of

from .exchange import Exchange


class Reader(Exchange):
    """The reading half of `Ledger`."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def balance(self, account: str) -> Balance:
        """What the account has now. Raises `Refused` with `unknown_account`."""
        loaded = self._read(account)
        return balance_of(_matured(loaded, account)[0])

    def balance_at(self, account: str, at: int | datetime) -> Balance:
        """What the account had right after its entry number `at`, or at the moment `at`; replays its entries.

        A moment counts everything that time had done by then, written or not; it may not lie in the future.
        Before its first entry an account had nothing.
        """
        if isinstance(at, datetime):
            moment = micros_since_epoch(at)
            return balance_of(history.state_at_time(self._store, self._read(account), account, moment))
        if type(at) is not int or at < 1:
            raise ValueError(f"at is a version, a whole number from 1, or an aware datetime, got {at!r}")
        self._read(account)
        return balance_of(history.state_at_version(self._store, account, at))

    def statement(
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
        """Up to `limit` entries of the account, oldest first, beginning after version `after`.

        `kind` (one or several), the times [`since`, `until`), `key` and `hold` select entries. A page of a
        rare selection may be short, even empty, although there is more: `next` alone says whether to go on.
        """
        if not 1 <= limit <= 10_000:
            raise ValueError(f"limit is from 1 to 10000, got {limit}")
        wanted = history.filter_of(kind, since, until, key, hold)
        self._read(account)
        return history.page(self._store, account, after or 0, limit, wanted)

    def entries(self, account: str) -> Iterator[Entry]:
        """Every entry of the account, oldest first, read page by page."""
        self._guard()
        return chunks(self._store, account)

    def hold(self, account: str, key: str) -> HoldView | None:
        """The hold that was reserved under `key`, as it stands now; None if there is none."""
        self._guard()
        loaded = self._store.read(Touch((account,), holds=((account, key),)))
        hold = loaded.holds.get((account, key))
        if hold is None:
            return None
        _, changed = _matured(loaded, account)
        return view_of(changed.get(key, hold), max(loaded.now, loaded.accounts[account].at))

    def open_holds(self, account: str | None = None, *, overdue: bool = False) -> list[HoldView]:
        """Holds that can still be settled, by deadline; with `overdue` only those past it."""
        self._guard()
        now = self._store.read(Touch(())).now
        found = [view_of(hold, now) for hold in self._store.open_holds(account) if hold.is_open(now)]
        return [hold for hold in found if hold.overdue] if overdue else found

    def accounts(self, after: str = "", limit: int = 1_000) -> list[str]:
        """Up to `limit` account names above `after`, in order."""
        self._guard()
        return self._store.accounts(after, limit)

    def verify(
        self,
        account: str | None = None,
        *,
        since: Since | None = None,
        progress: Progress | None = None,
    ) -> Verification:
        """Check the chain, the sums and the seals, of one account or all.

        That is: every entry has the hash of its own fields, follows the entry before it, and changes its
        balances by what it says; stored balances are those of the last entry and of the buckets; sealed heads
        are there. Whether buckets, holds, members, notices and notes are what entries say, `audit` answers.

        With `since` (a `Checkpoint` or its hash, a `Receipt` or several) entries up to there are believed and
        not read; accounts that it does not name are read whole. Keep what you pass outside the database: a
        checkpoint that is looked up beside the entries proves nothing about them.

        Reads one consistent picture, and remembers one line per account. `progress` is told how many entries
        are done.
        """
        self._guard()
        return proving.verify(self._store, account, since, progress)

    def audit(self, account: str | None = None, *, progress: Progress | None = None) -> Verification:
        """Check all that `verify` does, and replay every entry against every row beside the entries.

        Buckets, holds, members, alerts, notices and notes of one account or all, by code that shares no rule
        with the code that wrote them. Reads every entry twice, and keeps one account's holds in mind at a
        time. `progress` is told how many entries are done, each counted twice.
        """
        self._guard()
        return proving.audit(self._store, account, progress)

    def reconcile(
        self,
        account: str | None = None,
        *,
        since: datetime | None = None,
        stuck_after: timedelta = timedelta(days=1),
    ) -> list[Finding]:
        """What a person should look at, of one account or all: overdue and stuck holds, late charges, debts.

        Late and short charges are listed from `since` on, everything else while it lasts. Reads one
        consistent picture of all accounts, holds and notices.
        """
        self._guard()
        now = self._store.read(Touch(())).now
        begin = 0 if since is None else micros_since_epoch(since)
        with self._store.scan(account) as scan:
            return recovery.reconcile(
                scan, now, since=begin, stuck_after=stuck_after // timedelta(microseconds=1)
            )

    def _read(self, account: str, members: tuple[str, ...] = ()) -> Loaded:
        self._guard()
        touch = Touch((account,), members=tuple((account, member) for member in members))
        loaded = self._store.read(touch)
        if account not in loaded.accounts:
            raise Refused(Refusal(Reason.UNKNOWN_ACCOUNT, account, ""))
        return loaded

    @staticmethod
    def _guard() -> None:
        """A call waits for the disk, which would stop every task of a loop running in this thread."""
        asyncio = sys.modules.get("asyncio")
        if asyncio is not None and asyncio._get_running_loop() is not None:
            raise RuntimeError("Ledger blocks, and an event loop is running in this thread: use AsyncLedger")


def _matured(loaded: Loaded, account: str) -> tuple[Account, dict[str, Hold]]:
    return matured(loaded.accounts[account], loaded.due.get(account, NOTHING_DUE), loaded.now)
