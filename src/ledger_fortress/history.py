"""Looking back: pages of a statement, and what an account had at some moment.

An account's entries are numbered without gaps and never dated before the entry ahead of them. A moment is
therefore found by halving the versions, and a page goes on after a version, so that it neither skips nor
repeats an entry while others are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, NamedTuple

from .audit import Replay
from .entries import GENESIS, Entry, micros_since_epoch
from .errors import LedgerError
from .protocol import LedgerStore, Loaded, Touch, chunks
from .rules import mature
from .state import NOTHING_DUE, OPEN, Account
from .views import Statement

MOST_READ: Final = 50_000
"""Rows that one page looks at before it is returned as it is, so that a rare filter never blocks for long."""
_STEP: Final = 1_000


class Filter(NamedTuple):
    """Which entries are wanted: those that pass all that is not None. Times are [since, until)."""

    kinds: frozenset[str] | None = None
    since: int | None = None
    until: int | None = None
    key: str | None = None
    hold: str | None = None

    def passes(self, entry: Entry) -> bool:
        return (
            (self.kinds is None or entry.kind in self.kinds)
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
            and (self.key is None or entry.key == self.key)
            and (self.hold is None or entry.hold == self.hold)
        )


def filter_of(
    kind: str | Iterable[str] | None,
    since: datetime | None,
    until: datetime | None,
    key: str | None,
    hold: str | None,
) -> Filter:
    """A filter from what a caller may say."""
    return Filter(
        None if kind is None else frozenset([kind] if isinstance(kind, str) else kind),
        None if since is None else micros_since_epoch(since),
        None if until is None else micros_since_epoch(until),
        key,
        hold,
    )


def page(store: LedgerStore, account: str, after: int, limit: int, wanted: Filter) -> Statement:
    """Up to `limit` entries above version `after` that pass; the page may be short before the end is reached.

    A key is looked up, a moment is searched for, and a hold is read from the entry that made it.
    """
    if wanted.key is not None:
        entry = store.read(Touch((account,), ((account, wanted.key),))).entries.get((account, wanted.key))
        hit = entry is not None and entry.version > after and wanted.passes(entry)
        return Statement((entry,) if entry is not None and hit else (), None)
    after = _start(store, account, after, wanted)
    found: list[Entry] = []
    read = 0
    while read < MOST_READ:
        rows = store.entries(account, after, _STEP if wanted != Filter() else limit + 1)
        for entry in rows:
            if wanted.until is not None and entry.at >= wanted.until:
                return Statement(tuple(found), None)
            if wanted.passes(entry):
                if len(found) == limit:
                    return Statement(tuple(found), found[-1].version)
                found.append(entry)
        if len(rows) < _STEP:
            return Statement(tuple(found), None)
        read += len(rows)
        after = rows[-1].version
    return Statement(tuple(found), after)


def state_at_version(store: LedgerStore, account: str, version: int) -> Account:
    """The account right after its entry number `version`, or after its last entry if there are fewer."""
    entries = (entry for entry in chunks(store, account) if entry.version <= version)
    return _replayed(account, _until(entries, version))


def state_at_time(store: LedgerStore, loaded: Loaded, account: str, at: int) -> Account:
    """The account at the instant `at`, with all that time had done to it by then.

    What fell due before `at` counts even where nobody has written it down yet. `loaded` is the account as it
    is now; raises ValueError for an instant after that.
    """
    current = loaded.accounts[account]
    now = max(loaded.now, current.at)
    if at > now:
        raise ValueError("a balance of the future is not known; ask for a time up to now")

    def entries() -> Iterator[Entry]:
        for entry in chunks(store, account):
            if entry.at > at or entry.version > current.version:
                return
            yield entry
            if entry.version == current.version:
                break
        if current.due <= now:
            unwritten = mature(current, loaded.due.get(account, NOTHING_DUE), now)[1]
            yield from (entry for entry in unwritten if entry.at <= at)

    return _replayed(account, entries())


def _until(entries: Iterable[Entry], version: int) -> Iterator[Entry]:
    for entry in entries:
        yield entry
        if entry.version == version:
            return


def _replayed(account: str, entries: Iterable[Entry]) -> Account:
    books = Replay()
    for entry in entries:
        books.feed(entry)
    if books.problems:
        raise LedgerError(f"{books.problems[0]}; run verify: this history cannot be replayed")
    if account not in books.names():
        return Account(account, 0, GENESIS, 0, OPEN, 0, 0, 0, 0, ())
    return books.account(account)


def _start(store: LedgerStore, account: str, after: int, wanted: Filter) -> int:
    """The highest version after which nothing that is wanted can be missed."""
    if wanted.hold is not None:
        hold = store.read(Touch((account,), holds=((account, wanted.hold),))).holds.get(
            (account, wanted.hold)
        )
        if hold is not None:
            after = max(after, hold.version - 1)
    if wanted.since is None:
        return after
    low, high = after, store.read(Touch((account,))).accounts[account].version
    while low < high:
        middle = (low + high) // 2
        if store.entries(account, middle, 1)[0].at < wanted.since:
            low = middle + 1
        else:
            high = middle
    return low
