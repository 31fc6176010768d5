"""How a ledger is laid out in an ordered key-value store.

Keys are one letter and then names, as digests of 32 bytes so that every key stays below 300 bytes whatever
the names are, and numbers, as 8 bytes in the order of their size:

    a account            an account                s start-of-name account   its name, in order
    e account version    an entry                  k account key             the version of its entry
    h account key        a hold                    o account key             while the hold is open
    m account member     a member                  n account version         a note
    t account version place   a notice             p time account version place   while nobody has it
    d due account        its name, by the time that changes it
    c number             a checkpoint              l                         the last one's number

Values are the rows of `json_rows`, or a name or number where only that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final, Protocol

from ledger_fortress.entries import Entry, Note, Notice
from ledger_fortress.protocol import Changes
from ledger_fortress.state import OPEN, Account, Checkpoint, Hold, Member

from .json_rows import (
    account_of,
    checkpoint_of,
    entry_of,
    hold_of,
    member_of,
    note_of,
    notice_of,
    row_of,
)

LAST: Final = b"l"
_START: Final = 200


class Snapshot(Protocol):
    """What is stored at one moment."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""
        ...

    def range(self, first: bytes, end: bytes) -> Iterable[tuple[bytes, bytes]]:
        """Keys and values from `first` up to but without `end`, in the order of the keys' bytes."""
        ...


class Transaction(Snapshot, Protocol):
    """A snapshot that sees its own writes, which take effect together or not at all."""

    def put(self, key: bytes, value: bytes) -> object:
        """Set the value of a key."""
        ...

    def delete(self, key: bytes) -> object:
        """Forget a key that exists."""
        ...


def place(kind: bytes, *parts: str | int) -> bytes:
    """A key, or the beginning of several."""
    return kind + b"".join(
        sha256(part.encode()).digest() if isinstance(part, str) else part.to_bytes(8, "big") for part in parts
    )


def after(beginning: bytes) -> bytes:
    """The least key behind all that begin like this."""
    return (int.from_bytes(beginning, "big") + 1).to_bytes(len(beginning), "big")


def name_start(account: str) -> bytes:
    """Where an account is in the list of names. Long names that begin alike share the place."""
    return (
        b"s" + account.encode()[:_START] + b"\0"
    )  # no name contains it, and it comes before all that they do


class StoredRows:
    """A snapshot as values; see `row_by_row.Rows`. Where no account is named, the rows of all of them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def account(self, account: str) -> Account | None:
        row = self._snapshot.get(place(b"a", account))
        return None if row is None else account_of(row)

    def entry(self, account: str, version: int) -> Entry | None:
        row = self._snapshot.get(place(b"e", account, version))
        return None if row is None else entry_of(row)

    def keyed(self, account: str, key: str) -> Entry | None:
        version = self._snapshot.get(place(b"k", account, key))
        return None if version is None else self.entry(account, int(version))

    def hold(self, account: str, key: str) -> Hold | None:
        row = self._snapshot.get(place(b"h", account, key))
        return None if row is None else hold_of(row)

    def member(self, account: str, member: str) -> Member | None:
        row = self._snapshot.get(place(b"m", account, member))
        return None if row is None else member_of(row)

    def checkpoint(self, number: int) -> Checkpoint | None:
        row = self._snapshot.get(place(b"c", number))
        return None if row is None else checkpoint_of(row)

    def open_holds(self, account: str | None) -> Iterator[Hold]:
        for key, _ in self.under(b"o", account):
            row = self._snapshot.get(b"h" + key[1:])
            assert row is not None
            yield hold_of(row)

    def entries(self, account: str | None) -> Iterator[Entry]:
        return (entry_of(row) for _, row in self.under(b"e", account))

    def holds(self, account: str | None) -> Iterator[Hold]:
        return (hold_of(row) for _, row in self.under(b"h", account))

    def notes(self, account: str | None) -> Iterator[Note]:
        return (note_of(row) for _, row in self.under(b"n", account))

    def members(self, account: str | None) -> Iterator[Member]:
        return (member_of(row) for _, row in self.under(b"m", account))

    def notices(self, account: str | None) -> Iterator[Notice]:
        return (notice_of(row) for _, row in self.under(b"t", account))

    def under(self, kind: bytes, account: str | None = None) -> Iterable[tuple[bytes, bytes]]:
        """Keys and values of a kind, of one account or of all."""
        first = kind if account is None else place(kind, account)
        return self._snapshot.range(first, after(first))


def save(rows: Transaction, changes: Changes) -> None:
    """Write what was decided."""
    for account, expected in changes.accounts:
        _save_account(rows, account, new=expected == 0)
    for entry in changes.entries:
        rows.put(place(b"e", entry.account, entry.version), row_of(entry).encode())
        if entry.key is not None:
            rows.put(place(b"k", entry.account, entry.key), b"%d" % entry.version)
    for hold in changes.holds:
        rows.put(place(b"h", hold.account, hold.key), row_of(hold).encode())
        mark = place(b"o", hold.account, hold.key)
        if hold.state == OPEN:
            rows.put(mark, b"1")
        elif rows.get(mark) is not None:
            rows.delete(mark)
    for note in changes.notes:
        rows.put(place(b"n", note.account, note.version), row_of(note).encode())
    for member in changes.members:
        rows.put(place(b"m", member.account, member.member), row_of(member).encode())
    for notice in changes.notices:
        rows.put(place(b"t", *notice[:3]), row_of(notice).encode())
        rows.put(pending(notice), row_of(notice).encode())


def pending(notice: Notice) -> bytes:
    """The key of a notice that nobody has acknowledged."""
    return place(b"p", notice.at, *notice[:3])


def _save_account(rows: Transaction, account: Account, *, new: bool) -> None:
    key, name = place(b"a", account.account), account.account.encode()
    if new:
        rows.put(name_start(account.account) + key[1:], name)
    else:
        stored = rows.get(key)
        assert stored is not None
        rows.delete(place(b"d", account_of(stored).due, account.account))
    rows.put(key, row_of(account).encode())
    rows.put(place(b"d", account.due, account.account), name)
