"""A ledger in any ordered key-value store with transactions: the short way to a store of one's own.

Subclass `KeyValueStore` and say how to read a snapshot and how to write a transaction; everything else is
here. LMDB, FoundationDB, TiKV, RocksDB or one table `(key, value)` of a SQL database will do. What the class
needs of it:

- a snapshot is one moment: writes that are committed while it is read are not in it;
- a transaction commits as a whole when its `with` block ends, and not at all when the block raises;
- two transactions never both build on the same state: either one waits for the other (a lock), or the one
  that comes second raises `Conflict`, and is then decided anew;
- when `writing()` has ended without an error, its writes survive what you promise your users that they
  survive. Raise `StoreUnavailable` where that cannot be said, with `maybe_applied=True` where a commit was
  sent and not answered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import groupby, islice
from typing import Any, TypeVar

from ledger_fortress.entries import Entry, Note, Notice
from ledger_fortress.errors import StoreBusy
from ledger_fortress.protocol import Changes, Decide, Loaded, Rows, Touch, partition
from ledger_fortress.state import Account, Checkpoint, Hold, Member

from .base import ATTEMPTS, Clock, SteadyClock, attempts, now_micros, trust
from .json_rows import account_of, entry_of, notice_of, row_of
from .keyvalue_rows import (
    LAST,
    Snapshot,
    StoredRows,
    Transaction,
    after,
    name_start,
    pending,
    place,
    save,
)
from .row_by_row import check, load

__all__ = ["Conflict", "KeyValueStore", "Snapshot", "Transaction"]

_T = TypeVar("_T")
_V = TypeVar("_V", bound=tuple[Any, ...])


class Conflict(Exception):
    """Somebody else's transaction came first, and nothing of this one was written."""


class KeyValueStore(ABC):
    """Keeps a ledger in an ordered key-value store; see the module's description."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SteadyClock()

    @abstractmethod
    def reading(self) -> AbstractContextManager[Snapshot]:
        """One moment of what is stored."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[Transaction]:
        """A transaction, committed when the block ends without an error."""

    @abstractmethod
    def close(self) -> None:
        """Release what the store holds; closing twice is harmless."""

    def transact(self, touch: Touch, decide: Decide) -> Changes:
        def act(rows: Transaction) -> Changes:
            stored = StoredRows(rows)
            changes = decide(load(stored, touch, now_micros(self._clock)))
            check(stored, changes)
            save(rows, changes)
            return changes

        return self._write(act)

    def read(self, touch: Touch) -> Loaded:
        with self.reading() as rows:
            return load(StoredRows(rows), touch, now_micros(self._clock))

    def entries(self, account: str, after: int, limit: int) -> list[Entry]:
        first, end = place(b"e", account, after + 1), place(b"e", account, after + limit + 1)
        with self.reading() as rows:
            return [entry_of(row) for _, row in rows.range(first, end)]

    def open_holds(self, account: str | None) -> list[Hold]:
        with self.reading() as rows:
            found = list(StoredRows(rows).open_holds(account))
        return sorted(found, key=lambda hold: (hold.deadline, hold.account, hold.key))

    def accounts(self, after: str, limit: int) -> list[str]:
        with self.reading() as rows:
            return list(islice(_names(rows, after), limit))

    def due(self, limit: int) -> list[str]:
        with self.reading() as rows:
            found = rows.range(b"d", place(b"d", now_micros(self._clock) + 1))
            names = _by_instant(found, lambda name: (name.decode(),))
            return [name for (name,) in islice(names, limit)]

    def notices(self, account: str | None, kinds: tuple[str, ...], pending: bool, limit: int) -> list[Notice]:
        with self.reading() as rows:
            if pending:
                found = _by_instant(rows.range(b"p", after(b"p")), notice_of)
            else:
                found = iter(sorted(StoredRows(rows).notices(account), key=lambda n: (n.at, *n[:3])))
            fitting = (n for n in found if account in (None, n.account) and (not kinds or n.kind in kinds))
            return list(islice(fitting, limit))

    def acknowledge(self, marks: Sequence[tuple[str, int, int]]) -> int:
        def act(rows: Transaction) -> int:
            found = [rows.get(place(b"t", *mark)) for mark in dict.fromkeys(marks)]
            keys = [pending(notice_of(row)) for row in found if row is not None]
            open_ones = [key for key in keys if rows.get(key) is not None]
            for key in open_ones:
                rows.delete(key)
            return len(open_ones)

        return self._write(act)

    def checkpoints(self, after: int, limit: int) -> list[Checkpoint]:
        with self.reading() as rows:
            wanted = range(after + 1, min(after + limit, int(rows.get(LAST) or 0)) + 1)
            found = [StoredRows(rows).checkpoint(number) for number in wanted]
        return [checkpoint for checkpoint in found if checkpoint is not None]

    def last_checkpoint(self) -> Checkpoint | None:
        with self.reading() as rows:
            return StoredRows(rows).checkpoint(int(rows.get(LAST) or 0))

    def add_checkpoint(self, checkpoint: Checkpoint) -> bool:
        def act(rows: Transaction) -> bool:
            if checkpoint.number != int(rows.get(LAST) or 0) + 1:
                return False
            rows.put(place(b"c", checkpoint.number), row_of(checkpoint).encode())
            rows.put(LAST, b"%d" % checkpoint.number)
            return True

        return self._write(act)

    def trust_clock(self) -> bool:
        return trust(self._clock)

    @contextmanager
    def scan(self, account: str | None = None) -> Iterator[_Picture]:
        with self.reading() as rows:
            yield _Picture(StoredRows(rows), account)

    def _write(self, act: Callable[[Transaction], _T]) -> _T:
        for _ in attempts():
            try:
                with self.writing() as rows:
                    result = act(rows)
            except Conflict:
                continue
            return result
        raise StoreBusy(f"other writers were faster {ATTEMPTS} times")


class _Picture:
    """A snapshot, for auditors: of one account or of everything."""

    def __init__(self, rows: StoredRows, account: str | None) -> None:
        self._rows, self._account = rows, account

    def parts(self) -> Iterator[tuple[str, Rows]]:
        tables = self.entries(), self.accounts(), self.holds(), self.notes(), self.members(), self.notices()
        return partition(*tables, order=lambda name: place(b"", name))

    def entries(self) -> Iterable[Entry]:
        return self._rows.entries(self._account)

    def accounts(self) -> Iterable[Account]:
        return (account_of(row) for _, row in self._rows.under(b"a", self._account))

    def holds(self) -> Iterable[Hold]:
        return self._rows.holds(self._account)

    def notes(self) -> Iterable[Note]:
        return self._rows.notes(self._account)

    def members(self) -> Iterable[Member]:
        return self._rows.members(self._account)

    def notices(self) -> Iterable[Notice]:
        return self._rows.notices(self._account)


def _names(rows: Snapshot, behind: str) -> Iterator[str]:
    """Account names in order; the list is ordered by how they begin."""
    found = rows.range(name_start(behind), after(b"s"))
    for _, alike in groupby(found, key=lambda pair: name_start(pair[1].decode())):
        yield from sorted(name for _, raw in alike if (name := raw.decode()) > behind)


def _by_instant(found: Iterable[tuple[bytes, bytes]], value: Callable[[bytes], _V]) -> Iterator[_V]:
    """The values of keys that begin with a time: in its order, and those of one instant in their own."""
    for _, alike in groupby(found, key=lambda pair: pair[0][:9]):
        yield from sorted(value(row) for _, row in alike)
