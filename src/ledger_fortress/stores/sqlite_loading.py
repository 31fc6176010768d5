"""Loading what a transaction touches from SQLite, many rows to a statement.

Most of what is asked for is not there: the keys of new commands. Asking row by row costs five times as much
in the driver as in SQLite, so a statement takes its questions in batches of a few fixed sizes (a statement
text for each is prepared once), the last one filled up with a name that no row has.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

from ledger_fortress.protocol import Loaded, Touch, is_due, members_of
from ledger_fortress.state import Member

from .sql import queries
from .sqlite_rows import account_of, due_holds, entry_of, hold_of

_SQL: Final = queries("sqlite")
_SIZES: Final = (4, 8, 16, 32, 64, 128, 256)
_SELECT: Final = re.compile(r"SELECT (.*)\s+FROM (\w+) WHERE (.*)", re.DOTALL)


def load(connection: sqlite3.Connection, touch: Touch, now: int) -> Loaded:
    """Everything that `touch` names, as the protocol describes it."""
    loaded = Loaded(now)
    for row in _many(connection, "load_account", [(name,) for name in touch.accounts]):
        account = loaded.accounts[row[0]] = account_of(row)
        if is_due(account, now):
            loaded.due[account.account] = due_holds(connection, account.account, max(now, account.at))
    if touch.accounts and not loaded.accounts:
        return loaded  # keys, holds and members belong to accounts
    wanted = dict.fromkeys(touch.holds)
    for row in _many(connection, "load_key", touch.keys):
        entry = entry_of(row)
        loaded.entries[row[0], row[3]] = entry
        if entry.hold is not None:
            wanted[entry.account, entry.hold] = None
    for row in _many(connection, "load_hold", list(wanted)):
        loaded.holds[row[0], row[1]] = hold_of(row)
    for row in _many(connection, "load_member", list(members_of(loaded, touch))):
        loaded.members[row[0], row[1]] = Member._make(row)
    for row in _many(connection, "load_hash", touch.marks):
        loaded.hashes[row[0], row[1]] = row[2]
    return loaded


def _many(
    connection: sqlite3.Connection, name: str, questions: Sequence[tuple[Any, ...]]
) -> Iterable[tuple[Any, ...]]:
    """The rows that answer the questions; those that nothing answers leave no row."""
    if len(questions) <= 2:
        execute, sql = connection.execute, _SQL[name]
        return [row for question in questions for row in execute(sql, question)]
    rows: list[tuple[Any, ...]] = []
    place = 0
    while place < len(questions):
        left = len(questions) - place
        size = next((size for size in _SIZES if size >= left), _SIZES[-1])
        part = questions[place : place + size]
        values = [value for question in part for value in question]
        values += [""] * ((size - len(part)) * len(part[0]))  # no name is empty
        rows += connection.execute(_batched(name, len(part[0]), size), values).fetchall()
        place += size
    return rows


@cache
def _batched(name: str, width: int, size: int) -> str:
    """The statement `name`, which answers one question, for so many of them at once."""
    found = _SELECT.fullmatch(_SQL[name])
    assert found is not None, name
    columns, table, condition = found.groups()
    asked = iter(range(width))
    condition = re.sub(r"\?", lambda _: f"asked.column{next(asked) + 1}", condition)
    one = f"({','.join('?' * width)})"
    asked_for = f"(VALUES {','.join([one] * size)}) AS asked"
    return f"SELECT {columns} FROM {asked_for} CROSS JOIN {table} WHERE {condition}"
