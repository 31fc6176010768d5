"""The reference store: dictionaries behind a lock. It forgets everything when the process ends."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

from ledger_fortress.entries import Entry, Note, Notice
from ledger_fortress.protocol import Changes, Decide, Loaded, Part, Rows, Touch, partition
from ledger_fortress.state import OPEN, Account, Checkpoint, Hold, Member

from .base import Clock, SteadyClock, now_micros, trust
from .row_by_row import check, load


class _Tables:
    """The rows: see `row_by_row.Rows`."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.entries: dict[str, list[Entry]] = defaultdict(list)
        self.keys: dict[tuple[str, str], Entry] = {}
        self.holds: dict[tuple[str, str], Hold] = {}
        self.open: dict[str, dict[str, Hold]] = defaultdict(dict)
        self.notes: dict[tuple[str, int], Note] = {}
        self.members: dict[tuple[str, str], Member] = {}
        self.notices: dict[tuple[str, int, int], Notice] = {}

    def account(self, account: str) -> Account | None:
        return self.accounts.get(account)

    def entry(self, account: str, version: int) -> Entry | None:
        rows = self.entries.get(account, [])
        return rows[version - 1] if 0 < version <= len(rows) else None

    def keyed(self, account: str, key: str) -> Entry | None:
        return self.keys.get((account, key))

    def hold(self, account: str, key: str) -> Hold | None:
        return self.holds.get((account, key))

    def member(self, account: str, member: str) -> Member | None:
        return self.members.get((account, member))

    def open_holds(self, account: str) -> Iterable[Hold]:
        return self.open.get(account, {}).values()


class MemoryStore:
    """Keeps a ledger in this process. What the other stores do must be indistinguishable from it."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SteadyClock()
        self._lock = threading.RLock()
        self._rows = _Tables()
        self._delivered: set[tuple[str, int, int]] = set()
        self._checkpoints: list[Checkpoint] = []

    def transact(self, touch: Touch, decide: Decide) -> Changes:
        with self._lock:
            changes = decide(self._load(touch))
            self._check(changes)
            self._save(changes)
            return changes

    def read(self, touch: Touch) -> Loaded:
        with self._lock:
            return self._load(touch)

    def entries(self, account: str, after: int, limit: int) -> list[Entry]:
        with self._lock:
            return self._rows.entries.get(account, [])[after : after + limit]

    def open_holds(self, account: str | None) -> list[Hold]:
        with self._lock:
            groups = self._rows.open.values() if account is None else [self._rows.open.get(account, {})]
            found = [hold for group in groups for hold in group.values()]
        return sorted(found, key=lambda hold: (hold.deadline, hold.account, hold.key))

    def accounts(self, after: str, limit: int) -> list[str]:
        with self._lock:
            return sorted(name for name in self._rows.accounts if name > after)[:limit]

    def due(self, limit: int) -> list[str]:
        with self._lock:
            now = now_micros(self._clock)
            late = [account for account in self._rows.accounts.values() if account.due <= now]
        return [account.account for account in sorted(late, key=lambda a: (a.due, a.account))[:limit]]

    def notices(self, account: str | None, kinds: tuple[str, ...], pending: bool, limit: int) -> list[Notice]:
        with self._lock:
            found = [
                notice
                for mark, notice in self._rows.notices.items()
                if account in (None, notice.account)
                and (not kinds or notice.kind in kinds)
                and not (pending and mark in self._delivered)
            ]
        return sorted(found, key=lambda notice: (notice.at, *notice[:3]))[:limit]

    def acknowledge(self, marks: Sequence[tuple[str, int, int]]) -> int:
        with self._lock:
            fresh = (set(marks) & set(self._rows.notices)) - self._delivered
            self._delivered |= fresh
        return len(fresh)

    def checkpoints(self, after: int, limit: int) -> list[Checkpoint]:
        with self._lock:
            return self._checkpoints[after : after + limit]

    def last_checkpoint(self) -> Checkpoint | None:
        with self._lock:
            return self._checkpoints[-1] if self._checkpoints else None

    def add_checkpoint(self, checkpoint: Checkpoint) -> bool:
        with self._lock:
            if checkpoint.number != len(self._checkpoints) + 1:
                return False
            self._checkpoints.append(checkpoint)
            return True

    def trust_clock(self) -> bool:
        return trust(self._clock)

    @contextmanager
    def scan(self, account: str | None = None) -> Iterator[Picture]:
        with self._lock:
            tables: tuple[Iterable[tuple[Any, ...]], ...] = (
                [row for rows in self._rows.entries.values() for row in rows],
                list(self._rows.accounts.values()),
                list(self._rows.holds.values()),
                list(self._rows.notes.values()),
                list(self._rows.members.values()),
                list(self._rows.notices.values()),
            )
        yield Picture(tuple([row for row in rows if account in (None, row[0])] for rows in tables))

    def close(self) -> None:
        """Nothing to release."""

    def _load(self, touch: Touch) -> Loaded:
        return load(self._rows, touch, now_micros(self._clock))

    def _check(self, changes: Changes) -> None:
        check(self._rows, changes)

    def _save(self, changes: Changes) -> None:
        for account, _ in changes.accounts:
            self._rows.accounts[account.account] = account
        for entry in changes.entries:
            self._rows.entries[entry.account].append(entry)
            if entry.key is not None:
                self._rows.keys[entry.account, entry.key] = entry
        for hold in changes.holds:
            self._rows.holds[hold.account, hold.key] = hold
            if hold.state == OPEN:
                self._rows.open[hold.account][hold.key] = hold
            else:
                self._rows.open[hold.account].pop(hold.key, None)
        for note in changes.notes:
            self._rows.notes[note.account, note.version] = note
        for member in changes.members:
            self._rows.members[member.account, member.member] = member
        for notice in changes.notices:
            self._rows.notices[notice[:3]] = notice


class Picture(Part):
    """A picture of a ledger that fits into memory."""

    def parts(self) -> Iterator[tuple[str, Rows]]:
        return partition(*(sorted(rows, key=itemgetter(0)) for rows in self.table))
