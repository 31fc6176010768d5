"""Writing a transaction's changes to SQLite.

Python's sqlite3 passes int, str and bytearray straight on and asks an adapter registry about everything else,
None and bytes included; on a row of an entry that doubles the time. Hence the bytearrays, and a statement of
its own for the usual entry, which has no link and no note.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

from ledger_fortress.entries import Entry
from ledger_fortress.protocol import Changes, Loaded
from ledger_fortress.state import NO_TERMS, Account, Hold, pack_buckets, pack_slices, pack_terms

from .sql import queries

_SQL: Final = queries("sqlite")


class Stale(Exception):
    """A row was not as it had been loaded."""


def save(connection: sqlite3.Connection, changes: Changes, loaded: Loaded) -> None:
    """Write everything. Raises `Stale` if an account or a hold has changed since it was loaded."""
    _save_accounts(connection, changes.accounts)
    if changes.holds:
        _save_holds(connection, changes.holds, loaded)
    _save_entries(connection, changes.entries)
    for name, rows in (
        ("insert_note", changes.notes),
        ("save_member", changes.members),
        ("insert_notice", changes.notices),
    ):
        if rows:
            connection.executemany(_SQL[name], rows)


def _save_accounts(connection: sqlite3.Connection, accounts: Iterable[tuple[Account, int]]) -> None:
    inserts: list[tuple[Any, ...]] = []
    updates: list[tuple[Any, ...]] = []
    for account, expected in accounts:
        name, version, head, at, status, available, held, debt, due, buckets, terms = account
        packed = pack_buckets(buckets), "" if terms is NO_TERMS else pack_terms(terms)
        row = (version, bytearray(head), at, status, available, held, debt, due, *packed, name)
        if expected == 0:
            inserts.append(row)
        else:
            updates.append((*row, expected))
    if inserts:
        connection.executemany(_SQL["insert_account"], inserts)
    if updates and connection.executemany(_SQL["update_account"], updates).rowcount != len(updates):
        raise Stale("an account was changed by somebody else")


def _save_holds(connection: sqlite3.Connection, holds: Sequence[Hold], loaded: Loaded) -> None:
    """New holds are inserted whole; of others only what can change is written, the slices if they did."""
    inserts: list[tuple[Any, ...]] = []
    updates: list[tuple[Any, ...]] = []
    resliced: list[tuple[Any, ...]] = []
    known = loaded.holds
    if loaded.due:
        known = {(hold.account, hold.key): hold for due in loaded.due.values() for hold in due.holds} | known
    for hold in holds:
        account, key, state, deadline, _, _, _, _, charged, refunded, _, _, slices = hold
        old = known.get((account, key))
        if old is None:
            inserts.append((*hold[:12], pack_slices(slices)))
            continue
        updates.append((state, deadline, charged, refunded, key, account))
        if slices is not old.slices:
            resliced.append((pack_slices(slices), key, account))
    if inserts:
        connection.executemany(_SQL["insert_hold"], inserts)
    if updates and connection.executemany(_SQL["update_hold"], updates).rowcount != len(updates):
        raise Stale("a hold was changed by somebody else")
    if resliced:
        connection.executemany(_SQL["update_slices"], resliced)


def _save_entries(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """In their order, which within an account is the order of its chain."""
    for usual, group in groupby(entries, _is_usual):
        if usual:
            rows: list[tuple[Any, ...]] = [
                (*entry[:14], bytearray(entry[14] or b""), bytearray(entry[17]), bytearray(entry[18]))
                for entry in group
            ]
            connection.executemany(_SQL["insert_usual_entry"], rows)
        else:
            connection.executemany(_SQL["insert_entry"], list(group))


def _is_usual(entry: Entry) -> bool:
    return entry.link is None and entry.note_hash is None and entry.fingerprint is not None
