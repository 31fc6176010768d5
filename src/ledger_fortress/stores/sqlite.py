"""A ledger in one SQLite file: durable when a call returns, readable with any SQLite tool.

Each transaction takes SQLite's write lock before its first read (`BEGIN IMMEDIATE`), loads what is touched,
decides, writes and commits with `synchronous=FULL`. Nothing is cached between transactions.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self, TypeVar
from urllib.parse import parse_qs, unquote

from ledger_fortress.entries import Entry, Notice
from ledger_fortress.errors import LedgerError, SchemaOutdated, StoreUnavailable
from ledger_fortress.protocol import Changes, Decide, Loaded, Touch
from ledger_fortress.state import Checkpoint, Hold

from .base import Clock, SteadyClock, now_micros, trust
from .sql import queries, schema
from .sqlite_file import SharedFile, acquire, patiently, release
from .sqlite_loading import load
from .sqlite_rows import Picture, hold_of, statements
from .sqlite_saving import Stale, save

SCHEMA_VERSION: Final = 2
OLDEST_SQLITE: Final = (3, 37, 0)
SEVERAL_WRITERS: Final = "i_accept_corruption_by_several_writers"

_SQL: Final = queries("sqlite")
_T = TypeVar("_T")


class SQLiteStore:
    """The ledger in the file `path`. Several stores of one process on one file share one writer.

    `several_writers` lets more than one process write even with an SQLite build that may then corrupt the
    file; see `sqlite_file`. `factory` is the connection class, for tests that break connections.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        migrate: bool = False,
        several_writers: bool = False,
        factory: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise LedgerError(f"SQLite {sqlite3.sqlite_version} is too old: the ledger needs 3.37 or later")
        self._path = os.path.abspath(path)
        self._clock = clock or SteadyClock()
        self._options = (factory, several_writers)
        self._closed = False
        self._shared = acquire(self._path, *self._options)
        try:
            self._open_schema(migrate)
        except BaseException:
            self.close()
            raise

    @classmethod
    def from_url(cls, url: str, *, clock: Clock | None = None, migrate: bool = False) -> Self:
        """`sqlite:///relative/path.db` or `sqlite:////absolute/path.db`."""
        rest, _, query = url.partition("?")
        path = unquote(rest.removeprefix("sqlite:///"))
        options = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query))
        if not rest.startswith("sqlite:///") or not path:
            raise ValueError(f"{url!r}: write sqlite:///relative.db or sqlite:////absolute/path.db")
        unknown = sorted(set(options) - {SEVERAL_WRITERS})
        if unknown:
            raise ValueError(f"{url!r}: unknown option {unknown[0]!r}; the only one is {SEVERAL_WRITERS}=1")
        several = options.get(SEVERAL_WRITERS) == ["1"]
        return cls(path, clock=clock, migrate=migrate, several_writers=several)

    def transact(self, touch: Touch, decide: Decide) -> Changes:
        def work(connection: sqlite3.Connection) -> tuple[Changes, bool]:
            loaded = load(connection, touch, now_micros(self._clock))
            changes = decide(loaded)
            if not (changes.accounts or changes.entries or changes.holds):
                return changes, False
            try:
                save(connection, changes, loaded)
            except Stale as stale:
                raise StoreUnavailable(f"{self._path}: {stale}") from stale
            return changes, True

        return self._write(work)

    def _write(self, work: Callable[[sqlite3.Connection], tuple[_T, bool]]) -> _T:
        """Run `work` in a write transaction; it returns its result and whether there is anything to keep."""
        shared = self._file()
        with shared.writing() as connection:
            patiently(lambda: connection.execute("BEGIN IMMEDIATE"), self._path)
            try:
                result, keep = work(connection)
                if not keep:
                    connection.execute("ROLLBACK")
                    return result
            except BaseException as error:
                shared.forget_writer()  # closing rolls back, whatever state the connection is in
                if isinstance(error, sqlite3.Error):
                    raise StoreUnavailable(f"writing {self._path} failed ({error})") from error
                raise
            try:
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                shared.forget_writer()
                raise StoreUnavailable(
                    f"the commit to {self._path} was not answered ({error})", maybe_applied=True
                ) from error
            return result

    def read(self, touch: Touch) -> Loaded:
        with self._snapshot() as connection:
            return load(connection, touch, now_micros(self._clock))

    def entries(self, account: str, after: int, limit: int) -> list[Entry]:
        return [Entry._make(row) for row in self._query("entries_after", account, after, limit)]

    def open_holds(self, account: str | None) -> list[Hold]:
        rows = self._query("open_holds") if account is None else self._query("open_holds_of", account)
        return [hold_of(row) for row in rows]

    def accounts(self, after: str, limit: int) -> list[str]:
        return [row[0] for row in self._query("accounts_after", after, limit)]

    def due(self, limit: int) -> list[str]:
        return [row[0] for row in self._query("due_accounts", now_micros(self._clock), limit)]

    def notices(self, account: str | None, kinds: tuple[str, ...], pending: bool, limit: int) -> list[Notice]:
        rows = self._query("notices", account, json.dumps(kinds), not pending, limit)
        return [Notice._make(row) for row in rows]

    def acknowledge(self, marks: Sequence[tuple[str, int, int]]) -> int:
        def work(connection: sqlite3.Connection) -> tuple[int, bool]:
            count = connection.executemany(_SQL["acknowledge"], marks).rowcount
            return count, count > 0

        return self._write(work) if marks else 0

    def checkpoints(self, after: int, limit: int) -> list[Checkpoint]:
        return [Checkpoint._make(row) for row in self._query("checkpoints_after", after, limit)]

    def last_checkpoint(self) -> Checkpoint | None:
        rows = self._query("last_checkpoint")
        return Checkpoint._make(rows[0]) if rows else None

    def add_checkpoint(self, checkpoint: Checkpoint) -> bool:
        def work(connection: sqlite3.Connection) -> tuple[bool, bool]:
            added = connection.execute(_SQL["add_checkpoint"], checkpoint).rowcount == 1
            return added, added

        return self._write(work)

    def trust_clock(self) -> bool:
        return trust(self._clock)

    @contextmanager
    def scan(self, account: str | None = None) -> Iterator[Picture]:
        with self._file().scanning() as connection:
            connection.execute("BEGIN")
            yield Picture(connection, account)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            release(self._shared)

    def _file(self) -> SharedFile:
        if self._closed:
            raise StoreUnavailable(f"the ledger in {self._path} is closed")
        if self._shared.inherited:
            self._shared = acquire(self._path, *self._options)
        return self._shared

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """A read transaction, so that several statements see one state."""
        with self._file().reading() as connection:
            try:
                connection.execute("BEGIN")
                patiently(lambda: connection.execute(_SQL["schema_version"]).fetchone(), self._path)
                yield connection
            except sqlite3.Error as error:
                raise StoreUnavailable(f"reading {self._path} failed ({error})") from error
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _query(self, name: str, *values: Any) -> list[Any]:
        with self._snapshot() as connection:
            return connection.execute(_SQL[name], values).fetchall()

    def _open_schema(self, migrate: bool) -> None:
        """Make the tables in an empty file; leave an existing ledger as it is."""
        try:
            with self._shared.reading() as connection:
                found = self._schema_version(connection)
            if found is None:
                with self._shared.writing() as connection:
                    self._create(connection)
                    found = self._schema_version(connection)
        except sqlite3.DatabaseError as error:
            raise LedgerError(f"{self._path} cannot be used as a ledger: {error}") from error
        if found != str(SCHEMA_VERSION):
            command = f"ledger-fortress migrate sqlite:///{self._path}"
            advice = "no migration leads there: update the package" if migrate else f"run: {command}"
            raise SchemaOutdated(
                f"{self._path} has ledger schema {found}, this version works with {SCHEMA_VERSION}; {advice}"
            )

    def _schema_version(self, connection: sqlite3.Connection) -> str | None:
        def ask() -> str | None:
            if connection.execute(_SQL["has_ledger"]).fetchone()[0] == 0:
                return None
            version: str = connection.execute(_SQL["schema_version"]).fetchone()[0]
            return version

        return patiently(ask, self._path)

    def _create(self, connection: sqlite3.Connection) -> None:
        patiently(lambda: connection.execute("BEGIN IMMEDIATE"), self._path)
        try:
            if self._schema_version(connection) is None:
                for statement in statements(schema("sqlite")):
                    connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            self._shared.forget_writer()
            raise
