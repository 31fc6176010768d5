"""Rows of the PostgreSQL store: what is asked, what comes back, what is saved.

Batches travel as arrays, one per column, in PostgreSQL's own text form. Every statement then has the same
parameter types whatever the values are, and so one plan, prepared once. The statements are written and the
planner is told (`pin`) so that this plan is the right one for a table of any size: a plan that was made
while the tables were new must not become a scan of all of them a million entries later.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count, product
from typing import Any, Final

import psycopg
from psycopg.rows import tuple_row

from ledger_fortress.commands import NEVER
from ledger_fortress.entries import Entry
from ledger_fortress.protocol import Changes, Loaded, Touch, is_due
from ledger_fortress.state import (
    Account,
    Due,
    Hold,
    Member,
    pack_buckets,
    pack_slices,
    pack_terms,
    unpack_buckets,
    unpack_slices,
    unpack_terms,
)

from .postgres_clock import ServerClock
from .postgres_pool import Connection
from .sql import queries

Row = tuple[Any, ...]
Cursor = psycopg.Cursor[Row]

_SQL: Final = {name: text.encode() for name, text in queries("postgres").items()}
_CONDITIONS: Final = {
    "_of": b" AND account = %s",
    "_kinds": b" AND kind = ANY (%s::text[])",
    "_pending": b" AND NOT acked",
}
_NOTICES: Final = _SQL.pop("notices")


def notices_name(*conditions: str) -> str:
    """The statement with just these conditions, so that each has a plan of its own."""
    return "notices" + "".join(conditions)


for _some in product(*(("", name) for name in _CONDITIONS)):
    _SQL[notices_name(*_some)] = (
        _NOTICES
        + b"".join(_CONDITIONS[name] for name in _some if name)
        + b" ORDER BY at, account, version, place LIMIT %s"
    )


_serial: Final = count(1)


class Session:
    """A connection, with the named statements."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def run(self, name: str, *values: Any) -> Cursor:
        """Run or, in a pipeline, queue a statement. A caller's cursor and row factories are not ours."""
        cursor = psycopg.Cursor(self.connection, row_factory=tuple_row)
        return cursor.execute(_SQL[name], values or None, binary=True)

    def pipeline(self) -> AbstractContextManager[Any]:
        """Statements in it share one round trip. An error in one skips those after it."""
        return self.connection.pipeline() if psycopg.Pipeline.is_supported() else nullcontext()

    def stream(self, name: str, *values: Any) -> Generator[Row, None, None]:
        """The rows of a long answer, fetched in parts; close it before the transaction ends."""
        own = f"ledger_fortress_{next(_serial)}"
        with psycopg.ServerCursor(self.connection, own, row_factory=tuple_row) as cursor:
            cursor.itersize = 2_000
            cursor.execute(_SQL[name], values or None, binary=True)
            yield from cursor


class Loading:
    """Loads what a `Touch` names: `ask` queues the statements, `answer` reads what came back.

    The accounts are read by the statement that locks them, which waits for whoever has them and then sees the
    newest row. Everything else must be asked by later statements: each sees what was committed before it
    began, and one that began before the wait was over would see what was there before the wait.
    """

    def __init__(self, session: Session, touch: Touch, clock: ServerClock) -> None:
        self.unmade: list[str] = []
        self._session = session
        self._touch = touch
        self._clock = clock
        self._names = sorted(set(touch.accounts))

    def lock(self) -> None:
        """Make the accounts that are not there and lock all, both in order of their names."""
        names = texts(self._names)
        self._session.run("make_accounts", names)
        self._accounts = self._session.run("lock_accounts", names)

    def look(self) -> None:
        """Read the accounts without a lock."""
        self._accounts = self._session.run("load_accounts", texts(self._names))

    def ask(self) -> None:
        """Everything else that can be named before the first answers are there."""
        run, touch = self._session.run, self._touch
        self._now = run("now") if self._clock.asks else None
        self._entries = run("load_keys", *pairs(touch.keys)) if touch.keys else None
        self._holds = run("load_holds", *pairs(touch.holds)) if touch.holds else None
        self._found_members = run("load_members", *pairs(touch.members)) if touch.members else None
        self._hashes = run("load_hashes", *_marks(touch.marks)) if touch.marks else None

    def answer(self) -> Loaded:
        """What was found, after asking for what only the first answers could name."""
        loaded = Loaded(self._clock.now(self._now.fetchall()[0][0] if self._now else 0))
        for row in self._accounts:
            account = account_of(row)
            if account.version:
                loaded.accounts[account.account] = account
            else:
                self.unmade.append(account.account)
        for row in self._entries or ():
            entry = Entry._make(row)
            loaded.entries[row[0], row[3]] = entry
        for row in self._holds or ():
            loaded.holds[row[0], row[1]] = hold_of(row)
        for row in self._found_members or ():
            loaded.members[row[0], row[1]] = Member._make(row)
        for row in self._hashes or ():
            loaded.hashes[row[0], row[1]] = row[2]
        self._ask_again(loaded)
        self._ask_for_members(loaded)
        return loaded

    def unchanged(self, loaded: Loaded) -> bool:
        """Whether the accounts that were looked at now are the same as those in `loaded`."""
        return {row[0]: row[1] for row in self._accounts} == {
            name: account.version for name, account in loaded.accounts.items()
        }

    def _ask_again(self, loaded: Loaded) -> None:
        found = {(entry.account, entry.hold) for entry in loaded.entries.values() if entry.hold is not None}
        missing = sorted(found.difference(loaded.holds, self._touch.holds))
        due = [
            (name, max(loaded.now, account.at))
            for name, account in loaded.accounts.items()
            if is_due(account, loaded.now)
        ]
        if not (missing or due):
            return
        run = self._session.run
        with self._session.pipeline():
            holds = run("load_holds", *pairs(missing)) if missing else None
            late = run("load_due_holds", *_marks(due)) if due else None
            after = run("next_deadlines", *_marks(due)) if due else None
        for row in holds or ():
            loaded.holds[row[0], row[1]] = hold_of(row)
        released: dict[str, list[Hold]] = {name: [] for name, _ in due}
        for row in late or ():
            released[row[0]].append(hold_of(row))
        for name, deadline in after or ():
            loaded.due[name] = Due(tuple(released[name]), NEVER if deadline is None else deadline)

    def _ask_for_members(self, loaded: Loaded) -> None:
        """Those of the holds that were found."""
        holds = [*loaded.holds.values(), *(hold for due in loaded.due.values() for hold in due.holds)]
        wanted = {(hold.account, hold.member) for hold in holds if hold.member is not None}
        missing = sorted(wanted.difference(self._touch.members))
        for row in self._session.run("load_members", *pairs(missing)) if missing else ():
            loaded.members[row[0], row[1]] = Member._make(row)


def save(session: Session, changes: Changes, unmade: Iterable[str]) -> None:
    """Write the changes; accounts that were made to be locked and were not opened are taken away again."""
    run = session.run
    if changes.accounts:
        rows = [
            (*account[:9], pack_buckets(account.buckets), pack_terms(account.terms), expected)
            for account, expected in changes.accounts
        ]
        run("save_accounts", *columns("tnbntnnnnttn", rows), len(rows))
    left = set(unmade).difference(account.account for account, _ in changes.accounts)
    if left:
        run("drop_unmade", texts(sorted(left)))
    if changes.holds:
        holds = [(*hold[:12], pack_slices(hold.slices)) for hold in changes.holds]
        run("save_holds", *columns("tttntnnnnntnt", holds))
    if changes.entries:
        run("insert_entries", *columns("tntttnnnnnnnntbtbbb", changes.entries))
    if changes.notes:
        if any("\0" in note.text for note in changes.notes):
            raise ValueError("PostgreSQL keeps no NUL character (U+0000): leave it out of the note")
        run("insert_notes", *columns("tnbt", changes.notes))
    if changes.members:
        run("save_members", *columns("ttnnnnnn", changes.members))
    if changes.notices:
        run("insert_notices", *columns("tnntnt", changes.notices))


def account_of(row: Row) -> Account:
    return Account._make((*row[:9], unpack_buckets(row[9]), unpack_terms(row[10])))


def hold_of(row: Row) -> Hold:
    return Hold._make((*row[:12], unpack_slices(row[12])))


def texts(values: Iterable[str | None]) -> str:
    """A text[] in PostgreSQL's text form."""
    return "{" + ",".join([_NULL if value is None else _quoted(value) for value in values]) + "}"


def numbers(values: Iterable[int | None]) -> str:
    """A bigint[] in PostgreSQL's text form."""
    return "{" + ",".join([_NULL if value is None else str(value) for value in values]) + "}"


def blobs(values: Iterable[bytes | None]) -> str:
    """A bytea[] in PostgreSQL's text form."""
    return "{" + ",".join([_NULL if value is None else rf'"\\x{value.hex()}"' for value in values]) + "}"


_NULL: Final = "NULL"
_KINDS: Final[dict[str, Callable[[Any], str]]] = {"t": texts, "n": numbers, "b": blobs}


def columns(kinds: str, rows: Iterable[Sequence[Any]]) -> list[str]:
    """Rows as one array per column; `kinds` has a letter per column: text, number, bytes."""
    return [_KINDS[kind](column) for kind, column in zip(kinds, zip(*rows, strict=True), strict=True)]


def pairs(rows: Iterable[tuple[str, str]]) -> list[str]:
    return columns("tt", rows)


def _marks(rows: Iterable[tuple[str, int]]) -> list[str]:
    return columns("tn", rows)


def _quoted(text: str) -> str:
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
