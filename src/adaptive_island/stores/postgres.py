"""What islands share in one PostgreSQL schema.

A server that works is given two seconds for a statement. One that is frozen, or whose host is gone, is given
up after `ANSWER` seconds without an answer: its connection is closed, and the next round opens another.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.resources import files
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adaptive_island.cells import Bucket
from adaptive_island.errors import StoreTrouble
from adaptive_island.policy import Policy

from .base import CIRCUIT_SECONDS, LOG_SECONDS, Circuit, News, Report, totals
from .rows import CIRCUIT, COLUMNS, SUMS, attempt_row, lifetimes
from .sql_store import PRUNE_EVERY, PRUNE_MOST, SqlStore

SCHEMA = 1
ANSWER = 4.0  # seconds that an answer may take
# An answer that never comes is noticed by keepalives alone, whose default is to begin after two hours.
_LIMITS = {
    "connect_timeout": "2",
    "application_name": "adaptive_island",
    "tcp_user_timeout": "4000",
    "keepalives_idle": "2",
    "keepalives_interval": "1",
    "keepalives_count": "2",
}

_T = TypeVar("_T")


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """One that waits for an answer for `ANSWER` seconds at most. libpq itself would wait for as long as the
    server's kernel says that the host is there."""

    def wait(self, gen: Generator[Any, Any, _T], *more: Any, **named: Any) -> _T:
        """Take the steps of `gen` as the socket becomes ready for them."""
        return super().wait(self._bounded(gen, time.monotonic() + ANSWER), *more, **named)

    def _bounded(self, gen: Generator[Any, Any, _T], until: float) -> Generator[Any, Any, _T]:
        try:
            wish = next(gen)
            while True:
                ready = yield wish
                if not ready and time.monotonic() > until:
                    self.close()  # or psycopg would wait once more, to roll back
                    raise psycopg.OperationalError(f"no answer for {ANSWER:g} s; it is asked again next time")
                wish = gen.send(ready)
        except StopIteration as end:
            result: _T = end.value
            return result


class PostgresStore(SqlStore[Connection]):
    """`postgresql://user@host/database`; tables are made by `migrate=True`."""

    _trouble = psycopg.Error

    def __init__(self, url: str, policy: Policy, *, migrate: bool = False) -> None:
        super().__init__(_without_password(url))
        self._url = url
        self._lifetimes = lifetimes(policy)
        self._pruned = 0.0
        self._migrate = migrate

    def push(self, reports: Sequence[Report], circuits: Sequence[Circuit]) -> None:
        """See `Counters`."""
        with self._transaction() as db:
            # Everything in one order, so that no two processes wait for each other.
            rows = sorted({r.attempt.id: attempt_row(r.attempt) for r in reports}.values())
            fresh = {id for (id,) in db.execute(_LOG_IN, _columns(rows, _ATTEMPT_TYPES))} if rows else set()
            first = {report.attempt.id: report for report in reversed(reports)}
            added = totals(report for id, report in first.items() if id in fresh)
            if added:
                cells = sorted((*key, *sums) for key, sums in added.items())
                db.execute(_ADD, _columns(cells, _CELL_TYPES))
            if circuits:
                last = {circuit[:3]: circuit for circuit in circuits}
                db.execute(_TELL, _columns(sorted(last.values()), _CIRCUIT_TYPES))
            if time.monotonic() - self._pruned >= PRUNE_EVERY or not self._pruned:
                self._pruned = time.monotonic()
                self._prune(db)

    def pull(self, life: str, cursor: str) -> News:
        """See `Counters`."""
        cursor = cursor if cursor.isdecimal() else "0"
        with self._transaction() as db:
            own, next_cursor, known = db.execute(_CURSOR, (cursor,)).fetchall()[0]
            since = cursor if own == life and known else "0"
            sums = db.execute(_CELLS, (since,)).fetchall()
            circuits = db.execute(_CIRCUITS, (since,)).fetchall()
        return News(
            own,
            next_cursor,
            [(Bucket(m, e, r, model), (p, w), values) for m, e, r, model, p, w, *values in sums],
            [Circuit(*row) for row in circuits],
        )

    def read(self) -> Mapping[str, str | bytes]:
        """See `RankingCache`."""
        with self._transaction() as db:
            return dict(db.execute("SELECT key, document FROM island_rankings WHERE expires > now()"))

    def write(self, key: str, document: str, seconds: float) -> None:
        """See `RankingCache`."""
        with self._transaction() as db:
            db.execute(_RANKING, (key, document, seconds))

    def _begun(self, db: Connection, writing: bool) -> AbstractContextManager[object]:
        return db.transaction()

    def _page(self, db: Connection, values: tuple[float, str, int]) -> Sequence[Sequence[Any]]:
        return db.execute(_LOG_OUT, values).fetchall()

    def _open(self) -> Connection:
        given = conninfo_to_dict(self._url)
        limits = {name: value for name, value in _LIMITS.items() if name not in given}
        db = Connection.connect(make_conninfo(self._url, **limits), autocommit=True)
        try:
            db.execute("SET statement_timeout = '2s'")
            if self._version(db) is None and self._migrate:
                with db.transaction():
                    db.execute("SELECT pg_advisory_xact_lock(hashtext('adaptive_island'))")
                    if self._version(db) is None:
                        db.execute(
                            files("adaptive_island.stores")
                            .joinpath("sql/postgres.sql")
                            .read_text("utf-8")
                            .encode()
                        )
            if (version := self._version(db)) != SCHEMA:
                raise StoreTrouble(self._advice(version))
        except BaseException:
            db.close()
            raise
        return db

    def _advice(self, version: int | None) -> str:
        if version is None:
            return f"{self.where} has no tables of an island yet: adaptive-island migrate '{self.where}'"
        return f"{self.where} has schema {version}, this version works with {SCHEMA}; update the package"

    @staticmethod
    def _version(db: Connection) -> int | None:
        if db.execute("SELECT to_regclass('island') IS NULL").fetchall()[0][0]:
            return None
        return int(db.execute("SELECT schema FROM island").fetchall()[0][0])

    def _prune(self, db: Connection) -> None:
        """Forget what nobody reads any more: sums out of sight, old attempts, breakers long closed."""
        for memory, seconds in self._lifetimes.items():
            db.execute(
                "DELETE FROM island_cells WHERE memory = %s AND told < now() - make_interval(secs => %s)",
                (memory, seconds),
            )
        db.execute(_PRUNE_LOG, (LOG_SECONDS, PRUNE_MOST))
        db.execute(_PRUNE_CIRCUITS, (CIRCUIT_SECONDS, LOG_SECONDS))
        db.execute("DELETE FROM island_rankings WHERE expires < now()")


def _columns(rows: Sequence[Sequence[Any]], types: Sequence[str]) -> list[list[Any]]:
    """Rows as one array for each column, as `unnest` takes them."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in types]


def _unnest(types: Sequence[str]) -> str:
    return f"unnest({', '.join(f'%s::{name}[]' for name in types)})"


def _without_password(url: str) -> str:
    """The URL as it may be shown, and typed again.

    A password may hold `?` and `#`: for libpq it ends at the `@`, for `urlsplit` it would end there.
    """
    scheme, _, rest = url.partition("://")
    login, at, place = rest.partition("@")
    if not at or "/" in login:  # no password before the first slash; one after it is none that libpq takes
        login, at, place = "", "", rest.rpartition("@")[2] if "@" in rest.partition("?")[0] else rest
    parts = urlsplit(f"{scheme}://{place}")
    shown = [(name, value) for name, value in parse_qsl(parts.query) if "password" not in name]
    query = "?" * bool(shown) + urlencode(shown, quote_via=quote, safe="/")
    return f"{scheme}://{login.partition(':')[0]}{at}{parts.netloc}{parts.path}{query}"


_ATTEMPT_TYPES = ("text",) * 8 + ("double precision", "bigint", "double precision", "double precision")
_CELL_TYPES = ("text", "bigint", "text", "text", "text", "text", *("double precision",) * 8)
_CIRCUIT_TYPES = ("text",) * 4 + (
    "double precision",
    "double precision",
    "text",
    "bigint",
    "double precision",
    "double precision",
)
_KEY = "memory, epoch, region, model, provider, work"
_CHANGED = "change = pg_current_xact_id(), told = now()"
_LOG_IN = (
    f"INSERT INTO island_attempts ({COLUMNS}) SELECT * FROM {_unnest(_ATTEMPT_TYPES)} "
    "ON CONFLICT DO NOTHING RETURNING id"
).encode()
_ADD = (
    f"INSERT INTO island_cells ({_KEY}, {SUMS}) SELECT * FROM {_unnest(_CELL_TYPES)} "
    f"ON CONFLICT ({_KEY}) DO UPDATE SET "
    + ", ".join(f"{name} = island_cells.{name} + excluded.{name}" for name in SUMS.split(", "))
    + f", {_CHANGED}"
).encode()
_TELL = (
    f"INSERT INTO island_circuits ({CIRCUIT}) SELECT * FROM {_unnest(_CIRCUIT_TYPES)} "
    "ON CONFLICT (provider, account, model) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in CIRCUIT.split(", ")[3:])
    + f", {_CHANGED} WHERE excluded.word >= island_circuits.word"
).encode()
_CURSOR = (
    b"SELECT life, pg_snapshot_xmin(pg_current_snapshot())::text, "
    b"%s::xid8 <= pg_snapshot_xmin(pg_current_snapshot()) FROM island"
)
_CELLS = f"SELECT {_KEY}, {SUMS} FROM island_cells WHERE change >= %s::xid8".encode()
_CIRCUITS = f"SELECT {CIRCUIT} FROM island_circuits WHERE change >= %s::xid8".encode()
_LOG_OUT = (
    f"SELECT {COLUMNS} FROM island_attempts WHERE (at, id) > (%s, %s) ORDER BY at, id LIMIT %s"
).encode()
_PRUNE_LOG = (
    b"DELETE FROM island_attempts WHERE id IN (SELECT id FROM island_attempts "
    b"WHERE told < now() - make_interval(secs => %s) ORDER BY told LIMIT %s)"
)
_PRUNE_CIRCUITS = (
    b"DELETE FROM island_circuits WHERE state = 'closed' "
    b"AND told < now() - make_interval(secs => CASE WHEN word = 0 THEN %s ELSE %s END)"
)
_RANKING = (
    b"INSERT INTO island_rankings VALUES (%s, %s, now() + make_interval(secs => %s)) "
    b"ON CONFLICT (key) DO UPDATE SET document = excluded.document, expires = excluded.expires"
)
