"""The floor under one operation alone: the same writes to the same tables, and nothing else.

The ledger's own statements and values are recorded while it works on one file, and executed again on a twin
of that file without reading, deciding or hashing anything.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.ledger.work import Ours
from ledger_fortress.stores.sqlite import SQLiteStore

WRITES = ("INSERT", "UPDATE", "DELETE")
SETTINGS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 10000",
    "cache_size = -16384",
)


class Recording(sqlite3.Connection):
    """Keeps what is written, transaction by transaction."""

    tape: ClassVar[list[list[tuple[str, list[Any]]]]] = []

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        if sql == "BEGIN IMMEDIATE":
            self.tape.append([])
        elif sql.startswith(WRITES):
            self.tape[-1].append((sql, [values]))
        return super().execute(sql, values)

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        rows = list(rows)
        self.tape[-1].append((sql, rows))
        return super().executemany(sql, rows)


class Bare:
    """Executes what `Recording` kept."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        for setting in SETTINGS:
            self.db.execute(f"PRAGMA {setting}")
        self.tape: list[list[tuple[str, list[Any]]]] = []

    def transactions(self, number: int) -> None:
        """So many of the recorded transactions, in order."""
        run = self.db.execute
        for _ in range(number):
            run("BEGIN IMMEDIATE")
            for sql, rows in self.tape.pop():
                if len(rows) == 1:
                    run(sql, rows[0])
                else:
                    self.db.executemany(sql, rows)
            run("COMMIT")


def twins(folder: Path, accounts: int, pairs: int) -> tuple[Ours, Bare]:
    """A ledger, and the bare writes of so many pairs ready to be made on a copy of it."""
    Ours(SQLiteStore(folder / "ours.db"), accounts).close()
    for copy in ("bare.db", "tape.db"):
        shutil.copy(folder / "ours.db", folder / copy)
    taped = Ours(SQLiteStore(folder / "tape.db", factory=Recording), accounts, fresh=False)
    Recording.tape.clear()
    taped.alone(pairs)
    taped.close()
    bare = Bare(folder / "bare.db")
    bare.tape = [writes for writes in Recording.tape if writes][::-1]
    Recording.tape.clear()
    return Ours(SQLiteStore(folder / "ours.db"), accounts, fresh=False), bare
