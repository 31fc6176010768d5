"""What islands on one machine share, in one SQLite file.

All that is kept is sums, breakers, rankings and the attempt log; losing the last second of it costs nothing,
so commits are not synced (WAL, `synchronous=NORMAL`).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from adaptive_island.attempt import Attempt
from adaptive_island.cells import Bucket
from adaptive_island.errors import StoreTrouble
from adaptive_island.policy import Policy

from .base import LOG_SECONDS, Circuit, News, Report, totals
from .rows import CIRCUIT, COLUMNS, SUMS, attempt_row, lifetimes, row_attempt

SCHEMA = 1
_BUSY_SECONDS = 1.0
_PRUNE_EVERY = 600.0
_PRUNE_MOST = 50_000  # old attempts at a time: others wait for the file meanwhile
_PAGE = 1_000


class SqliteStore:
    """`sqlite:///relative.db` or `sqlite:////absolute.db`; the file is made when it is first needed."""

    def __init__(self, url: str, policy: Policy) -> None:
        path = url.partition("///")[2]
        if not path:
            raise ValueError(f"{url!r} names no file: sqlite:///path/to/island.db")
        self.where = url
        self._path = Path(path)
        self._lifetimes = lifetimes(policy)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._left: list[sqlite3.Connection] = []  # a parent's connections, in a child: kept, never closed
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
            if now - self._pruned >= _PRUNE_EVERY:
                self._pruned = now
                self._prune(db, now)

    def pull(self, life: str, cursor: str) -> News:
        """See `Counters`."""
        with self._transaction("DEFERRED") as db:
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

    def log(self, after: float = 0.0) -> Iterator[Attempt]:
        """See `Counters`."""
        place: tuple[float, str] = (after, "\U0010ffff")
        while True:
            with self._transaction("DEFERRED") as db:
                rows = db.execute(_LOG, (*place, _PAGE)).fetchall()
            if not rows:
                return
            for row in rows:
                yield row_attempt(row)
            place = (rows[-1][-1], rows[-1][0])

    def read(self) -> Mapping[str, str | bytes]:
        """See `RankingCache`."""
        with self._transaction("DEFERRED") as db:
            return dict(
                db.execute("SELECT key, document FROM rankings WHERE expires > ?", (time.time(),)).fetchall()
            )

    def write(self, key: str, document: str, seconds: float) -> None:
        """See `RankingCache`."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO rankings VALUES (?,?,?)", (key, document, time.time() + seconds)
            )

    def after_fork(self) -> None:
        """See `Counters`."""
        self._lock = threading.Lock()
        if self._connection is not None:
            self._left.append(self._connection)
            self._connection = None

    def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                db = self._connection = self._connection or self._open()
                db.execute(f"BEGIN {kind}")
                try:
                    yield db
                except BaseException:
                    db.rollback()
                    raise
                db.commit()
            except sqlite3.DatabaseError as error:
                self._drop()
                raise StoreTrouble(f"{self.where}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
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

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _prune(self, db: sqlite3.Connection, now: float) -> None:
        """Forget what nobody reads any more: sums out of sight, old attempts, breakers long closed."""
        for memory, seconds in self._lifetimes.items():
            db.execute("DELETE FROM cells WHERE memory = ? AND told < ?", (memory, now - seconds))
        db.execute(_PRUNE_LOG, (now - LOG_SECONDS, _PRUNE_MOST))
        db.execute("DELETE FROM circuits WHERE state = 'closed' AND told < ?", (now - 86_400.0,))
        db.execute("DELETE FROM rankings WHERE expires < ?", (now,))


_CELL = f"memory, epoch, region, model, provider, work, {SUMS}"
_ADD = (
    f"INSERT INTO cells ({_CELL}, change, told) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) "
    "ON CONFLICT DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS.split(", "))
    + ", change = excluded.change, told = excluded.told"
)
_TELL = f"INSERT OR REPLACE INTO circuits ({CIRCUIT}, change, told) VALUES (?,?,?,?,?,?,?,?,?,?,?)"
_PRUNE_LOG = "DELETE FROM attempts WHERE id IN (SELECT id FROM attempts WHERE told < ? ORDER BY told LIMIT ?)"
_LOG = f"SELECT {COLUMNS} FROM attempts WHERE (at, id) > (?, ?) ORDER BY at, id LIMIT ?"
