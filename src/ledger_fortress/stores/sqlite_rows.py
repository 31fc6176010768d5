"""Rows of a SQLite ledger as values, and a scan of them all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final

from ledger_fortress.commands import NEVER
from ledger_fortress.entries import Entry, Note, Notice
from ledger_fortress.protocol import Rows, partition
from ledger_fortress.state import (
    NO_TERMS,
    Account,
    Due,
    Hold,
    Member,
    unpack_buckets,
    unpack_slices,
    unpack_terms,
)
from ledger_fortress.tuples import maker, new

from .sql import queries

_SQL: Final = queries("sqlite")
entry_of: Final = maker(Entry)


class Picture:
    """A read transaction of its own, streamed."""

    def __init__(self, connection: sqlite3.Connection, account: str | None) -> None:
        self._connection = connection
        self._suffix = "" if account is None else "_of"
        self._values = () if account is None else (account,)

    def parts(self) -> Iterator[tuple[str, Rows]]:
        whole = self._suffix == ""
        return partition(
            map(entry_of, self._rows("scan_entries_sorted" if whole else "scan_entries")),
            self.accounts(),
            map(hold_of, self._rows("scan_holds_sorted" if whole else "scan_holds")),
            self.notes(),
            self.members(),
            self.notices(),
        )

    def entries(self) -> Iterable[Entry]:
        return map(entry_of, self._rows("scan_entries"))

    def accounts(self) -> Iterable[Account]:
        return map(account_of, self._rows("scan_accounts"))

    def holds(self) -> Iterable[Hold]:
        return map(hold_of, self._rows("scan_holds"))

    def notes(self) -> Iterable[Note]:
        return map(Note._make, self._rows("scan_notes"))

    def members(self) -> Iterable[Member]:
        return map(Member._make, self._rows("scan_members"))

    def notices(self) -> Iterable[Notice]:
        return map(Notice._make, self._rows("scan_notices"))

    def _rows(self, name: str) -> sqlite3.Cursor:
        return self._connection.execute(_SQL[name + self._suffix], self._values)


def account_of(row: tuple[Any, ...]) -> Account:
    name, version, head, at, status, available, held, debt, due, buckets, terms = row
    promised = unpack_terms(terms) if terms else NO_TERMS
    return new(
        Account,
        (name, version, head, at, status, available, held, debt, due, unpack_buckets(buckets), promised),
    )


def hold_of(row: tuple[Any, ...]) -> Hold:
    return new(Hold, (*row[:12], unpack_slices(row[12])))


def due_holds(connection: sqlite3.Connection, account: str, until: int) -> Due:
    holds = tuple(map(hold_of, connection.execute(_SQL["load_due_holds"], (account, until))))
    after = connection.execute(_SQL["next_deadline"], (account, until)).fetchone()[0]
    return Due(holds, NEVER if after is None else after)


def statements(script: str) -> Iterator[str]:
    """A script's statements one by one; a trigger's inner semicolons do not end it."""
    statement = ""
    for line in script.splitlines():
        if statement or (line and not line.startswith("--")):
            statement += line + "\n"
        if statement and sqlite3.complete_statement(statement):
            yield statement
            statement = ""
