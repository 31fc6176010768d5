"""Loading and checking for stores that look their rows up one by one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ledger_fortress.entries import Entry
from ledger_fortress.errors import StoreUnavailable
from ledger_fortress.protocol import Changes, Loaded, Touch, due_of, is_due, members_of
from ledger_fortress.state import Account, Hold, Member


class Rows(Protocol):
    """What is stored, in one consistent picture. What does not exist is None."""

    def account(self, account: str) -> Account | None: ...
    def entry(self, account: str, version: int) -> Entry | None: ...
    def keyed(self, account: str, key: str) -> Entry | None: ...
    def hold(self, account: str, key: str) -> Hold | None: ...
    def member(self, account: str, member: str) -> Member | None: ...
    def open_holds(self, account: str) -> Iterable[Hold]: ...


def load(rows: Rows, touch: Touch, now: int) -> Loaded:
    """What a transaction about `touch` has to know."""
    loaded = Loaded(now)
    for name in touch.accounts:
        account = rows.account(name)
        if account is not None:
            loaded.accounts[name] = account
            if is_due(account, now):
                loaded.due[name] = due_of(rows.open_holds(name), max(now, account.at))
    wanted = list(touch.holds)
    for pair in touch.keys:
        entry = rows.keyed(*pair)
        if entry is not None:
            loaded.entries[pair] = entry
            if entry.hold is not None:
                wanted.append((entry.account, entry.hold))
    for pair in wanted:
        hold = rows.hold(*pair)
        if hold is not None:
            loaded.holds[pair] = hold
    for pair in members_of(loaded, touch):
        member = rows.member(*pair)
        if member is not None:
            loaded.members[pair] = member
    for mark in touch.marks:
        entry = rows.entry(*mark)
        if entry is not None:
            loaded.hashes[mark] = entry.hash
    return loaded


def check(rows: Rows, changes: Changes) -> None:
    """Refuse to save what was decided on another state than the stored one."""
    for account, expected in changes.accounts:
        stored = rows.account(account.account)
        if (stored.version if stored else 0) != expected:
            raise StoreUnavailable(f"account {account.account!r} was changed by somebody else")
    for entry in changes.entries:
        if entry.key is not None and rows.keyed(entry.account, entry.key) is not None:
            raise StoreUnavailable(f"key {entry.key!r} of {entry.account!r} was written by somebody else")
