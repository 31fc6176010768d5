"""Making and migrating the tables in a SQLite file.

As `postgres_schema`: `schema.sql` is the whole of today's tables, `migrations/NNNN_*.sql` lead there from all
earlier versions. A file without tables is made at the first write; an older one is brought up when that is
asked for. Whoever else does the same at that moment is waited for, and finds it done.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from execution_arrow.errors import StoreUnavailable
from execution_arrow.stores import sql
from execution_arrow.stores.sqlite_file import connect
from execution_arrow.stores.versions import check

SCHEMA: Final = 3


def ensure(connection: sqlite3.Connection, path: Path, migrate: bool = False) -> None:
    """See that the tables are there in a version we can use. Raises `SchemaOutdated`, `sqlite3.Error`."""
    found = version_of(connection)
    if found is None or (migrate and found < SCHEMA):
        connection.execute("BEGIN IMMEDIATE")
        try:
            _bring_up(connection, version_of(connection))  # somebody else may have been quicker
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise
    verify(connection, path)


def verify(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `SchemaOutdated` for tables that this version cannot use; there must be some."""
    advice = f"stop its workers and run: execution-arrow migrate --data {str(path.parent)!r}"
    check(str(path), advice, SCHEMA, version_of(connection), version_of(connection, "compatible"))


def refuse_outdated(path: Path) -> None:
    """Raise `SchemaOutdated` where a file is of another version; what else is wrong, its first user hears."""
    if not path.exists():
        return
    with contextlib.suppress(sqlite3.Error, StoreUnavailable), closing(connect(path)) as connection:
        if version_of(connection) is not None:
            verify(connection, path)


def version_of(connection: sqlite3.Connection, name: str = "schema") -> int | None:
    """The tables' version, or (`compatible`) the oldest code that may use them; None where it is not told."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'arrow_meta'").fetchone()
    if known is None:
        return None
    found = connection.execute("SELECT value FROM arrow_meta WHERE name = ?", (name,)).fetchone()
    return int(found[0]) if found else None


def _bring_up(connection: sqlite3.Connection, found: int | None) -> None:
    scripts = sql.migrations("sqlite")
    if found is None:
        _run(connection, sql.text("sqlite/schema.sql"))
        return
    for version, script in scripts.items():
        if version > found:
            _run(connection, script)
            connection.execute("REPLACE INTO arrow_meta VALUES ('schema', ?)", (str(version),))


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Inside the transaction under way: `executescript` would commit it first."""
    for statement in _statements(script):
        connection.execute(statement)


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
