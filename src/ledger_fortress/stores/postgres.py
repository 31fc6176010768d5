"""A ledger in a PostgreSQL database: several processes and hosts, durable when a call returns.

A transaction is four steps: make the accounts that may be opened, lock all in the order of their names, load
in statements that begin after the locks are held, save. The first three share one round trip, the last one
and the commit another. The decision is made between the two, in Python, while the locks are held; nothing is
cached between transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeVar

import psycopg
from psycopg import errors

from ledger_fortress.entries import Entry, Note, Notice
from ledger_fortress.errors import LedgerError, StoreBusy, StoreUnavailable
from ledger_fortress.protocol import Changes, Decide, Loaded, Rows, Touch, partition
from ledger_fortress.state import Account, Hold, Member

from .base import Clock
from .postgres_clock import ServerClock
from .postgres_joined import JoinedStore
from .postgres_pool import BUSY_SECONDS, Connection, Pool, brief, without_password
from .postgres_reads import Questions
from .postgres_rows import Loading, Row, Session, account_of, hold_of, save
from .postgres_schema import open_schema

ATTEMPTS: Final = 4
"""A transaction that the server undid for the sake of another (deadlock, serialization) is tried so often."""

_T = TypeVar("_T")
_UNDONE: Final = (errors.SerializationFailure, errors.DeadlockDetected)
_ENDED: Final = (errors.AdminShutdown, errors.CrashShutdown, errors.IdleInTransactionSessionTimeout)
_HERE_NO_LONGER: Final = (errors.ReadOnlySqlTransaction,)  # after a failover: the next one may be the primary


class PostgresStore(Questions):
    """The ledger in the database at `url`: `postgresql://user@host/database?…`, with any of libpq's options.

    To keep the tables in a schema of their own, put it on the search path:
    `?options=-csearch_path%3Dcredits`. The pool opens up to `pool_size` connections per process, lazily.
    `clock` replaces the server's clock, for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        migrate: bool = False,
        pool_size: int = 8,
    ) -> None:
        self._clock = ServerClock(clock)
        self._pool = Pool(url, pool_size)
        self._where = self._pool.where
        try:
            with self._pool.connection() as connection:
                open_schema(Session(connection), self._where, without_password(url), migrate)
        except psycopg.Error as error:
            self.close()
            raise LedgerError(f"{self._where} cannot be used as a ledger: {brief(error)}") from error
        except BaseException:
            self.close()
            raise

    def within(self, connection: Any) -> JoinedStore:
        """The same ledger inside the caller's transaction. See `Ledger.within`."""
        return JoinedStore(connection, self._clock)

    def transact(self, touch: Touch, decide: Decide) -> Changes:
        return self._patiently(lambda session: self._transact(session, touch, decide))

    def _transact(self, session: Session, touch: Touch, decide: Decide) -> Changes:
        loading = Loading(session, touch, self._clock)
        with session.pipeline():
            session.run("begin")
            session.run("pin")
            session.run("guard", f"{BUSY_SECONDS:g}s")
            loading.lock()
            loading.ask()
        changes = decide(loading.answer())
        if not (changes.accounts or changes.entries or changes.holds):
            session.run("rollback")
            return changes
        with self._committing(session):
            with session.pipeline():
                save(session, changes, loading.unmade)
                commit = session.run("commit")
            if commit.statusmessage != "COMMIT":
                raise StoreUnavailable(f"{self._where} undid the transaction instead of committing it")
        return changes

    @contextmanager
    def _committing(self, session: Session) -> Iterator[None]:
        """From here on a COMMIT may be on its way, and a lost connection means that nobody knows."""
        try:
            yield
        except psycopg.Error as error:
            if _lost(session.connection, error):
                raise StoreUnavailable(
                    f"the commit to {self._where} was not answered ({brief(error)})", maybe_applied=True
                ) from error
            raise

    def read(self, touch: Touch) -> Loaded:
        def look(session: Session) -> Loaded:
            loading = Loading(session, touch, self._clock)
            with session.pipeline():
                session.run("begin_reading")
                session.run("pin")
                loading.look()
                loading.ask()
            loaded = loading.answer()
            session.run("commit")
            return loaded

        return self._patiently(look)

    @contextmanager
    def scan(self, account: str | None = None) -> Iterator[_Picture]:
        with self._pool.connection() as connection:
            session = Session(connection)
            try:
                session.run("begin_reading")
                picture = _Picture(session, account)
                yield picture
                picture.close()
                session.run("rollback")
            except BaseException as error:
                _clean_up(connection, error)
                if isinstance(error, psycopg.Error):
                    self._give_up(error)
                raise

    def close(self) -> None:
        self._pool.close()

    def _ask(self, name: str, *values: Any) -> list[Row]:
        def ask(session: Session) -> list[Row]:
            with session.pipeline():
                session.run("begin_reading")
                session.run("pin")
                rows = session.run(name, *values)
                session.run("commit")
            return rows.fetchall()

        return self._patiently(ask)

    def _change(self, name: str, *values: Any) -> list[Row]:
        def change(session: Session) -> list[Row]:
            with self._committing(session), session.pipeline():
                session.run("begin")
                session.run("pin")
                session.run("guard", f"{BUSY_SECONDS:g}s")
                rows = session.run(name, *values)
                session.run("commit")
            return rows.fetchall()

        return self._patiently(change)

    def _patiently(self, action: Callable[[Session], _T]) -> _T:
        """Run `action` on a connection, again where the server undid it or an idle connection had died."""
        for attempt in range(1, ATTEMPTS + 1):
            with self._pool.connection() as connection:
                try:
                    return action(Session(connection))
                except BaseException as error:
                    _clean_up(connection, error)
                    if not isinstance(error, psycopg.Error):
                        raise
                    if attempt == ATTEMPTS or not (_lost(connection, error) or isinstance(error, _UNDONE)):
                        self._give_up(error)
        raise AssertionError("unreachable")

    def _give_up(self, error: psycopg.Error) -> NoReturn:
        if isinstance(error, errors.LockNotAvailable):
            raise StoreBusy(
                f"an account in {self._where} was kept locked by other writers for {BUSY_SECONDS:g} s"
            ) from error
        if isinstance(error, _UNDONE):
            raise StoreBusy(
                f"{self._where} undid the transaction {ATTEMPTS} times ({brief(error)})"
            ) from error
        raise StoreUnavailable(f"{self._where} failed ({brief(error)})") from error


def _lost(connection: Connection, error: psycopg.Error) -> bool:
    """Whether the error ended the connection, so that an answer may be on its way for ever."""
    unsaid = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and error.sqlstate is None
    return connection.closed or unsaid or isinstance(error, _ENDED)


def _clean_up(connection: Connection, error: BaseException) -> None:
    """Leave the connection idle, or closed where that is in doubt."""
    try:
        if isinstance(error, Exception) and not isinstance(error, _HERE_NO_LONGER):
            if not connection.closed:
                connection.rollback()
        else:
            connection.close()
    except psycopg.Error:
        connection.close()


class _Picture:
    """A read transaction of its own, streamed."""

    def __init__(self, session: Session, account: str | None) -> None:
        self._session = session
        self._suffix = "" if account is None else "_of"
        self._values = () if account is None else (account,)
        self._streams: list[Generator[Row, None, None]] = []

    def close(self) -> None:
        """End what was not read to its end: the connection is somebody else's from now on."""
        for stream in self._streams:
            stream.close()

    def parts(self) -> Iterator[tuple[str, Rows]]:
        whole = self._suffix == ""
        return partition(
            self.entries(),
            self.accounts(),
            map(hold_of, self._rows("scan_holds_sorted" if whole else "scan_holds")),
            self.notes(),
            self.members(),
            self.notices(),
        )

    def entries(self) -> Iterable[Entry]:
        return map(Entry._make, self._rows("scan_entries"))

    def accounts(self) -> Iterable[Account]:
        return map(account_of, self._rows("scan_accounts"))

    def holds(self) -> Iterable[Hold]:
        return map(hold_of, self._rows("scan_holds"))

    def notes(self) -> Iterable[Note]:
        return map(Note._make, self._rows("scan_notes"))

    def members(self) -> Iterable[Member]:
        return map(Member._make, self._rows("scan_members"))

    def notices(self) -> Iterable[Notice]:
        return map(Notice._make, self._rows("scan_notices"))

    def _rows(self, name: str) -> Iterable[Row]:
        self._streams.append(self._session.stream(name + self._suffix, *self._values))
        return self._streams[-1]
