"""The job store in a PostgreSQL database: several processes and hosts, durable when a call returns.

A batch is one transaction of two round trips. The first locks the rows that are to change, in order, and
carries all operations; each is decided by its own statement, which sees what was committed before its lock
was granted. The second tells the others (`NOTIFY`) and commits. Time is the server's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeVar

import psycopg
from psycopg import errors

from execution_arrow.errors import ArrowError, StoreUnavailable
from execution_arrow.machine.state import Event
from execution_arrow.stores.base import Hear, Inboxed, Op, Result, Row, durable, plain
from execution_arrow.stores.hints import hints_of, payload_of
from execution_arrow.stores.outgoing import Delivery, DeliveryState, Endpoint
from execution_arrow.stores.postgres_listen import Listener
from execution_arrow.stores.postgres_ops import Batch, Undone, fact_of, named, row_of
from execution_arrow.stores.postgres_outgoing import delivery_of, endpoint_of
from execution_arrow.stores.postgres_pool import (
    BUSY_SECONDS,
    SQL,
    Connection,
    Pool,
    brief,
    run,
    without_password,
)
from execution_arrow.stores.postgres_schema import open_schema

ATTEMPTS: Final = 4
"""A batch that was undone for the sake of another, or met a dead connection, is tried so often."""

_T = TypeVar("_T")
_UNDONE: Final = (errors.SerializationFailure, errors.DeadlockDetected, Undone)
_ENDED: Final = (errors.AdminShutdown, errors.CrashShutdown, errors.IdleInTransactionSessionTimeout)
_PAGES: Final = {
    "page": b" WHERE g.id < coalesce(%(before)s::text, chr(1114111))",
    "page_of": b" WHERE g.account = %(account)s::text AND g.id < coalesce(%(before)s::text, chr(1114111))",
}
_ROW: Final = SQL.pop("row")
_TAKE: Final = SQL.pop("take")
for _name in ("claim", "claim_named"):
    SQL[_name] += b"\n" + _TAKE
for _name, _where in _PAGES.items():
    SQL[_name] = (
        _ROW
        + _where
        + b" AND g.status = coalesce(%(status)s::text, g.status) ORDER BY g.id DESC LIMIT %(limit)s::int"
    )
SQL["load"] = _ROW + b" WHERE g.id = ANY (%(ids)s::text[])"
SQL["unfinished"] = b"\n".join((SQL.pop("open_rows"), _ROW, SQL.pop("open_page")))


class PostgresStore:
    """The jobs in the database at `url`: `postgresql://user@host/database?…`, with any of libpq's options.

    To keep the tables in a schema of their own, put it on the search path:
    `?options=-csearch_path%3Djobs`. The pool opens up to `pool_size` connections per process, lazily, and one
    more to listen. `clock` replaces the server's clock, for tests. Without `migrate` missing or old tables
    are `SchemaOutdated`.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] | None = None,
        migrate: bool = False,
        pool_size: int = 8,
    ) -> None:
        self._clock = clock
        self._pool = Pool(url, pool_size)
        self._where = self._pool.where
        self._listener = Listener(self._pool)
        try:
            with self._pool.connection() as connection:
                open_schema(connection, self._where, without_password(url), migrate)
        except psycopg.Error as error:
            self.close()
            raise ArrowError(f"{self._where} cannot be used as a job store: {brief(error)}") from error
        except BaseException:
            self.close()
            raise

    # --- writing ---

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        return self._patiently(lambda connection: self._apply(connection, ops))

    def _apply(self, connection: Connection, ops: Sequence[Op]) -> list[Result]:
        rows = named(ops)
        with connection.pipeline():
            run(connection, "begin")
            run(connection, "pin")
            patience = {"patience": f"{BUSY_SECONDS:g}s", "durable": any(map(durable, ops))}
            run(connection, "guard", patience)
            batch = Batch(connection, self._clock() if self._clock else None, run(connection, "now"))
            if rows:
                batch.ask("lock", ids=rows)
            answers = [batch.perform(op) for op in ops]
        results = [answer() for answer in answers]
        hints = hints_of(ops, results)
        with self._committing(connection):
            with connection.pipeline():
                if hints:
                    run(connection, "notify", {"payload": payload_of(hints)})
                commit = run(connection, "commit")
            if commit.statusmessage != "COMMIT":
                raise StoreUnavailable(
                    f"{self._where} undid the transaction instead of committing it", maybe_applied=False
                )
        return results

    @contextmanager
    def _committing(self, connection: Connection) -> Iterator[None]:
        """From here on a COMMIT may be on its way, and a lost connection means that nobody knows."""
        try:
            yield
        except psycopg.Error as error:
            if _lost(connection, error):
                raise StoreUnavailable(
                    f"the commit to {self._where} was not answered ({brief(error)})", maybe_applied=True
                ) from error
            raise

    def _patiently(self, action: Callable[[Connection], _T]) -> _T:
        """Run `action` on a connection, again where the server undid it or the connection had died."""
        for attempt in range(1, ATTEMPTS + 1):
            with self._pool.connection() as connection:
                try:
                    return action(connection)
                except (psycopg.Error, Undone) as error:
                    _clean_up(connection)
                    again = isinstance(error, _UNDONE) or (
                        isinstance(error, psycopg.Error) and _lost(connection, error)
                    )
                    if attempt == ATTEMPTS or not again:
                        self._give_up(error)
                except BaseException:
                    connection.close()
                    raise
        raise AssertionError("unreachable")

    def _give_up(self, error: Exception) -> NoReturn:
        if isinstance(error, errors.LockNotAvailable):
            why = f"a row was kept locked by others for {BUSY_SECONDS:g} s"
        else:
            why = brief(error)
        raise StoreUnavailable(f"{self._where}: {why}", maybe_applied=False) from error

    # --- reading ---

    def _ask(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        def ask(connection: Connection) -> list[tuple[Any, ...]]:
            with connection.pipeline():
                run(connection, "begin_reading")
                run(connection, "pin")
                rows = run(connection, name, values)
                run(connection, "commit")
            return rows.fetchall()

        return self._patiently(ask)

    def load(self, generation_id: str) -> Row | None:
        return next(iter(self.load_many((generation_id,))), None)

    def load_many(self, generation_ids: Sequence[str]) -> list[Row]:
        return list(map(row_of, self._ask("load", ids=list(generation_ids))))

    def by_key(self, account: str, key: str) -> tuple[str, str] | None:
        found = self._ask("by_key", account=account, key=key)
        return (found[0][0], found[0][1]) if found else None

    def of_job(self, provider: str, job: str) -> list[str]:
        return [name for (name,) in self._ask("of_job", provider=plain(provider), job=plain(job))]

    def holders(self, text: str) -> list[str]:
        return [name for (name,) in self._ask("holders", text=text)]

    def page(self, account: str | None, status: str | None, before: str | None, limit: int) -> list[Row]:
        values: dict[str, Any] = {"status": status, "before": before, "limit": limit}
        if account is None:
            return list(map(row_of, self._ask("page", **values)))
        return list(map(row_of, self._ask("page_of", account=account, **values)))

    def unfinished(self, after: str | None, limit: int) -> list[Row]:
        return list(map(row_of, self._ask("unfinished", after=after or "", limit=limit)))

    def events(self, generation_id: str) -> list[Event]:
        rows = self._ask("events", id=generation_id)
        return [Event(no=no, type=kind, at=at, settled=settled) for no, kind, at, settled in rows]

    def inbox(self, owner: str) -> list[Inboxed]:
        return list(map(fact_of, self._ask("inbox", owner=owner)))

    def endpoints(self) -> list[Endpoint]:
        return list(map(endpoint_of, self._ask("endpoints")))

    def deliveries(
        self, endpoint: str | None, state: DeliveryState | None, subject: str | None, limit: int
    ) -> list[Delivery]:
        rows = self._ask("deliveries", endpoint=endpoint, state=state, subject=subject, limit=limit)
        return list(map(delivery_of, rows))

    def watch(self, hear: Hear) -> Callable[[], None]:
        """Changes of every process, as the server passes them on."""
        return self._listener.watch(hear)

    def close(self) -> None:
        self._listener.stop()
        self._pool.close()


def _lost(connection: Connection, error: psycopg.Error) -> bool:
    """Whether the error ended the connection, so that an answer may be on its way for ever."""
    unsaid = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and error.sqlstate is None
    return connection.closed or unsaid or isinstance(error, _ENDED)


def _clean_up(connection: Connection) -> None:
    """Leave the connection idle, or closed where that is in doubt."""
    try:
        if not connection.closed:
            connection.rollback()
    except psycopg.Error:
        connection.close()
