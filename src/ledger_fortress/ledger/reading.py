"""Reading a ledger: balances, statements, holds and the proof that they are right.

Readers settle for time in memory and write nothing, so a balance is the same whether or not somebody has
written since a grant expired. A statement shows what is written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ledger_fortress import audit
from ledger_fortress.answers import Reason, Refusal
from ledger_fortress.entries import Entry
from ledger_fortress.errors import Refused
from ledger_fortress.protocol import LedgerStore, Loaded, Touch, chunks
from ledger_fortress.rules import matured
from ledger_fortress.state import NOTHING_DUE, Account, Hold
from ledger_fortress.views import Balance, HoldView, Statement, Verification, balance_of, view_of


class Reader:
    """The reading half of `Ledger`."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def balance(self, account: str) -> Balance:
        """What the account has now. Raises `Refused` with `unknown_account`."""
        loaded = self._read(account)
        return balance_of(_matured(loaded, account)[0])

    def balance_at(self, account: str, version: int) -> Balance:
        """What the account had right after its entry number `version`, by replaying its entries."""
        if type(version) is not int or version < 1:
            raise ValueError(f"version is a whole number from 1, got {version!r}")
        self._read(account)
        books = audit.Replay()
        for entry in chunks(self._store, account):
            if entry.version > version:
                break
            books.feed(entry)
        return balance_of(books.account(account))

    def statement(self, account: str, after: int | None = None, limit: int = 100) -> Statement:
        """Up to `limit` entries of the account, oldest first, beginning after version `after`."""
        if not 1 <= limit <= 10_000:
            raise ValueError(f"limit is from 1 to 10000, got {limit}")
        self._read(account)
        entries = self._store.entries(account, after or 0, limit + 1)
        more = len(entries) > limit
        return Statement(tuple(entries[:limit]), entries[limit - 1].version if more else None)

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

    def verify(self, account: str | None = None) -> Verification:
        """Recompute every hash and replay every entry, of one account or all, against what is stored.

        Shares no rule with the code that wrote the entries. Reads one consistent picture.
        """
        self._guard()
        with self._store.scan(account) as scan:
            return audit.verify(scan)

    def _read(self, account: str) -> Loaded:
        self._guard()
        loaded = self._store.read(Touch((account,)))
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
