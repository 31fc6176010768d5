"""The job store on SQLite: one file, WAL, full synchronisation.

`apply` runs a whole batch in one `BEGIN IMMEDIATE` transaction, so a commit costs one sync for everybody
in it. A batch in which nothing asks to be durable is written without a sync; the next durable one carries
it along. Reads use connections of their own and never wait for the writer.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from execution_arrow.errors import StoreUnavailable
from execution_arrow.machine.state import Event
from execution_arrow.stores import sqlite_outgoing
from execution_arrow.stores.base import Hear, Inboxed, Op, Result, Row, durable, plain
from execution_arrow.stores.hints import hints_of
from execution_arrow.stores.outgoing import Delivery, DeliveryState, Endpoint
from execution_arrow.stores.sqlite_file import connect, share, unshare
from execution_arrow.stores.sqlite_ops import NAMED, UNFINISHED, Batch, inboxed, read_rows
from execution_arrow.stores.sqlite_schema import ensure, refuse_outdated, verify, version_of


class SqliteStore:
    """Open with a path; the file and its tables are made when they are missing.

    The store's clock is the host's, or `clock` (unix seconds). Tables of an earlier version are brought up by
    `migrate`, else they are `SchemaOutdated`. `several_writers` lets more than one process
    write even with an SQLite build that may then corrupt the file; see `sqlite_file`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], float] = time.time,
        several_writers: bool = False,
        migrate: bool = False,
    ) -> None:
        self._path = Path(path)
        self._clock = clock
        self._side = share(self._path, partial(ensure, path=self._path), several_writers)
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._closed = False
        self.syncs = 0  # durable commits so far, for tests and benchmarks
        try:
            if migrate and self._path.exists():
                self._side.prepare(partial(ensure, path=self._path, migrate=True))
            refuse_outdated(self._path)
        except sqlite3.Error as error:
            self.close()
            raise StoreUnavailable(f"{self._path}: {error}", maybe_applied=False) from error
        except BaseException:
            self.close()
            raise

    # --- writing ---

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        if self._side.pid != os.getpid():
            raise StoreUnavailable(
                f"{self._path} was opened before a fork; open it again", maybe_applied=False
            )
        with self._side.lock:
            results = self._apply(ops)
        if self._side.bell:
            self._side.bell.ring(hints_of(ops, results))
        return results

    def _apply(self, ops: Sequence[Op]) -> list[Result]:
        sync = any(durable(op) for op in ops)
        committing = False
        connection = self._side.connection()
        try:
            self._side.synchronous(connection, full=sync)
            connection.execute("BEGIN IMMEDIATE")
            batch = Batch(connection, self._clock())
            results = [batch.perform(op) for op in ops]
            committing = True
            connection.execute("COMMIT")
        except Exception as error:
            # Also what SQLite cannot bind: then the writer finds the one operation that is to blame.
            self._side.drop()
            raise StoreUnavailable(f"{self._path}: {error}", maybe_applied=committing) from error
        self.syncs += sync
        return results

    # --- reading ---

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        connection: sqlite3.Connection | None = getattr(self._local, "reader", None)
        try:
            if connection is None:
                connection = self._open_reader()
            yield connection
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self._path}: {error}", maybe_applied=False) from error

    def _open_reader(self) -> sqlite3.Connection:
        if not self._path.exists():
            return _empty()
        connection = connect(self._path)
        if version_of(connection) is None:
            connection.close()
            return _empty()
        connection.execute("PRAGMA query_only=ON")
        verify(connection, self._path)
        self._local.reader = connection
        self._readers.append(connection)
        return connection

    def load(self, generation_id: str) -> Row | None:
        with self._reading() as connection:
            return next(iter(read_rows(connection, "WHERE g.id = ?", (generation_id,))), None)

    def load_many(self, generation_ids: Sequence[str]) -> list[Row]:
        with self._reading() as connection:
            return read_rows(connection, NAMED, (json.dumps(list(generation_ids)),))

    def by_key(self, account: str, key: str) -> tuple[str, str] | None:
        with self._reading() as connection:
            found = connection.execute(
                "SELECT id, fingerprint FROM generations WHERE account = ? AND key = ?", (account, key)
            ).fetchone()
            return (found[0], found[1]) if found else None

    def of_job(self, provider: str, job: str) -> list[str]:
        with self._reading() as connection:
            found = connection.execute(
                "SELECT DISTINCT generation FROM jobs WHERE provider = ? AND job = ? AND generation NOT NULL",
                (plain(provider), plain(job)),
            )
            return [name for (name,) in found.fetchall()]

    def holders(self, text: str) -> list[str]:
        with self._reading() as connection:
            found = connection.execute("SELECT id FROM generations WHERE instr(state, ?)", (text,))
            return [name for (name,) in found.fetchall()]

    def page(self, account: str | None, status: str | None, before: str | None, limit: int) -> list[Row]:
        wanted = {"g.account =": account, "g.status =": status, "g.id <": before}
        terms = [f"{column} ?" for column, value in wanted.items() if value is not None]
        values = [value for value in wanted.values() if value is not None]
        where = f"WHERE {' AND '.join(terms)}" if terms else ""
        with self._reading() as connection:
            return read_rows(connection, f"{where} ORDER BY g.id DESC LIMIT ?", (*values, limit))

    def unfinished(self, after: str | None, limit: int) -> list[Row]:
        with self._reading() as connection:
            return read_rows(connection, f"WHERE g.id IN ({UNFINISHED}) ORDER BY g.id", (after or "", limit))

    def events(self, generation_id: str) -> list[Event]:
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT no, type, at, settled FROM events WHERE generation = ? ORDER BY no", (generation_id,)
            )
            return [Event(no=no, type=kind, at=at, settled=bool(settled)) for no, kind, at, settled in rows]

    def inbox(self, owner: str) -> list[Inboxed]:
        with self._reading() as connection:
            rows = connection.execute(
                """SELECT f.seq, f.generation, f.attempt, f.dedup, f.body, f.at FROM facts f
                   JOIN generations g ON g.id = f.generation
                   WHERE f.folded = 0 AND g.owner = ? ORDER BY f.seq""",
                (owner,),
            ).fetchall()
            return [inboxed(row) for row in rows]

    def endpoints(self) -> list[Endpoint]:
        with self._reading() as connection:
            return sqlite_outgoing.endpoints(connection)

    def deliveries(
        self, endpoint: str | None, state: DeliveryState | None, subject: str | None, limit: int
    ) -> list[Delivery]:
        with self._reading() as connection:
            return sqlite_outgoing.deliveries(connection, endpoint, state, subject, limit)

    def watch(self, hear: Hear) -> Callable[[], None]:
        """Changes of this process at once, those of others within a quarter of a second."""
        return self._side.watcher.watch(hear)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for reader in self._readers:
            reader.close()
        self._readers.clear()
        self._local = threading.local()
        unshare(self._path, self._side)


def _empty() -> sqlite3.Connection:
    """What a file shows that nobody has written yet. Reading must not make it: that is the writer's."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    ensure(connection, Path(":memory:"))
    return connection
