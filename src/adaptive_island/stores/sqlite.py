"""What islands on one machine share, in one SQLite file.

The file has a rollback journal and no WAL: SQLite before 3.51.3 can corrupt a file with a WAL that several
processes write (https://sqlite.org/wal.html#walresetbug), and to be written by several processes is what this
one is for. With such a journal a connection that does nothing holds no lock either, so that none is carried
over a fork. A round writes once, and nobody but its own thread waits for it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from adaptive_island.cells import Bucket
from adaptive_island.errors import StoreTrouble
from adaptive_island.policy import Policy

from .base import CIRCUIT_SECONDS, LOG_SECONDS, Circuit, News, Report, totals
from .rows import CIRCUIT, COLUMNS, SUMS, attempt_row, lifetimes
from .sql_store import PRUNE_EVERY, PRUNE_MOST, SqlStore

SCHEMA = 1
_BUSY_SECONDS = 1.0


class SqliteStore(SqlStore[sqlite3.Connection]):
    """`sqlite:///relative.db` or `sqlite:////absolute.db`; the file is made when it is first needed."""

    _trouble = sqlite3.DatabaseError

    def __init__(self, url: str, policy: Policy) -> None:
        super().__init__(url)
        path = url.partition("///")[2]
        if not path:
            raise ValueError(f"{url!r} names no file: sqlite:///path/to/island.db")
        self._path = Path(path)
        self._lifetimes = lifetimes(policy)
        self._pruned = 0.0

    def push(self, reports: Sequence[Report], circuits: Sequence[Circuit]) -> None:
        """See `Counters`."""
        with self._transaction() as db:
            now = time.time()
            fresh = [
                report
                for report in reports
                if db.execute(
                    "INSERT INTO attempts VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
                    (*attempt_row(report.attempt), now),
                ).rowcount
            ]
            (change,) = db.execute("UPDATE island SET change = change + 1 RETURNING change").fetchone()
            db.executemany(_ADD, [(*key, *sums, change, now) for key, sums in totals(fresh).items()])
            db.executemany(_TELL, [(*circuit, change, now) for circuit in circuits])
            if now - self._pruned >= PRUNE_EVERY:
                self._pruned = now
                self._prune(db, now)

    def pull(self, life: str, cursor: str) -> News:
        """See `Counters`."""
        with self._transaction(writing=False) as db:
            own, latest = db.execute("SELECT life, change FROM island").fetchone()
            known = own == life and cursor.isdecimal() and int(cursor) <= latest
            since = int(cursor) if known else 0
            sums = db.execute(f"SELECT {_CELL} FROM cells WHERE change > ?", (since,)).fetchall()
            circuits = db.execute(f"SELECT {CIRCUIT} FROM circuits WHERE change > ?", (since,)).fetchall()
        return News(
            own,
            str(latest),
            [(Bucket(m, e, r, model), (p, w), values) for m, e, r, model, p, w, *values in sums],
            [Circuit(*row) for row in circuits],
        )

    def read(self) -> Mapping[str, str | bytes]:
        """See `RankingCache`."""
        with self._transaction(writing=False) as db:
            return dict(
                db.execute("SELECT key, document FROM rankings WHERE expires > ?", (time.time(),)).fetchall()
            )

    def write(self, key: str, document: str, seconds: float) -> None:
        """See `RankingCache`."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO rankings VALUES (?,?,?)", (key, document, time.time() + seconds)
            )

    @contextmanager
    def _begun(self, db: sqlite3.Connection, writing: bool) -> Iterator[None]:
        db.execute("BEGIN IMMEDIATE" if writing else "BEGIN DEFERRED")
        try:
            yield
        except BaseException:
            db.rollback()
            raise
        db.commit()

    def _page(self, db: sqlite3.Connection, values: tuple[float, str, int]) -> Sequence[Sequence[Any]]:
        return db.execute(_LOG, values).fetchall()

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            (journal,) = db.execute("PRAGMA journal_mode = TRUNCATE").fetchone()
            if journal != "truncate":
                raise StoreTrouble(
                    f"{self.where} has a journal of kind {journal!r}: close it everywhere once"
                )
            db.execute("PRAGMA synchronous = NORMAL")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                db.executescript(
                    files("adaptive_island.stores").joinpath("sql/sqlite.sql").read_text("utf-8")
                )
            elif version != SCHEMA:
                raise StoreTrouble(
                    f"{self.where} has schema {version}, this version works with {SCHEMA}: "
                    "use another file, what is in this one is learned again within a day"
                )
        except BaseException:
            db.close()
            raise
        return db

    def _prune(self, db: sqlite3.Connection, now: float) -> None:
        """Forget what nobody reads any more: sums out of sight, old attempts, breakers long closed."""
        for memory, seconds in self._lifetimes.items():
            db.execute("DELETE FROM cells WHERE memory = ? AND told < ?", (memory, now - seconds))
        db.execute(_PRUNE_LOG, (now - LOG_SECONDS, PRUNE_MOST))
        db.execute(_PRUNE_CIRCUITS, (now - CIRCUIT_SECONDS, now - LOG_SECONDS))
        db.execute("DELETE FROM rankings WHERE expires < ?", (now,))


_CELL = f"memory, epoch, region, model, provider, work, {SUMS}"
_ADD = (
    f"INSERT INTO cells ({_CELL}, change, told) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) "
    "ON CONFLICT DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS.split(", "))
    + ", change = excluded.change, told = excluded.told"
)
_TELL = (
    f"INSERT INTO circuits ({CIRCUIT}, change, told) VALUES (?,?,?,?,?,?,?,?,?,?,?,?) "
    "ON CONFLICT DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*CIRCUIT.split(", ")[3:], "change", "told"))
    + " WHERE excluded.word >= word"
)
_PRUNE_LOG = "DELETE FROM attempts WHERE id IN (SELECT id FROM attempts WHERE told < ? ORDER BY told LIMIT ?)"
_PRUNE_CIRCUITS = (
    "DELETE FROM circuits WHERE state = 'closed' AND told < CASE WHEN word = 0 THEN ? ELSE ? END"
)
_LOG = f"SELECT {COLUMNS} FROM attempts WHERE (at, id) > (?, ?) ORDER BY at, id LIMIT ?"
