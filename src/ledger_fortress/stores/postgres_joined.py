"""The ledger inside somebody else's transaction.

The caller's connection does everything, so that credits move if and only if the caller commits. There is no
retry, because only the caller can repeat what he did before; a savepoint around each step leaves his
transaction usable when a step fails. The accounts stay locked until he commits or rolls back.

READ COMMITTED is required. At the stricter levels a transaction keeps the picture that it began with, so a
balance read after waiting for a lock would be an old one, and the server ends such a transaction instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from ledger_fortress.errors import LedgerError, StoreBusy, StoreUnavailable
from ledger_fortress.protocol import Changes, Decide, Loaded, Scan, Touch

from .postgres_clock import ServerClock
from .postgres_pool import Connection, brief
from .postgres_reads import Questions
from .postgres_rows import Loading, Row, Session, save

_LOOKS: Final = 20


class JoinedStore(Questions):
    """A ledger store on the caller's connection, for one transaction or several after each other."""

    def __init__(self, connection: Any, clock: ServerClock) -> None:
        self._given = connection
        self._clock = clock
        _psycopg_connection(connection)

    def transact(self, touch: Touch, decide: Decide) -> Changes:
        with self._step() as (session, level):
            if level != "read committed":
                raise LedgerError(
                    f"the transaction runs at {level}: a ledger joins READ COMMITTED transactions "
                    "only, because it must see what was committed while it waited for a lock"
                )
            loading = Loading(session, touch, self._clock)
            with session.pipeline():
                loading.lock()
                loading.ask()
            changes = decide(loading.answer())
            with session.pipeline():
                save(session, changes, loading.unmade)
            return changes

    def read(self, touch: Touch) -> Loaded:
        """Under READ COMMITTED each statement has a picture of its own: read until nothing came between."""
        for _ in range(_LOOKS):
            with self._step() as (session, _):
                loading = Loading(session, touch, self._clock)
                with session.pipeline():
                    loading.look()
                    loading.ask()
                loaded = loading.answer()
                again = Loading(session, Touch(touch.accounts), self._clock)
                again.look()
                if again.unchanged(loaded):
                    return loaded
        raise StoreBusy(f"{touch.accounts} were changed by other writers during each of {_LOOKS} reads")

    def scan(self, account: str | None = None) -> AbstractContextManager[Scan]:
        raise LedgerError("verifying needs one picture of everything: do it outside the transaction")

    def close(self) -> None:
        """The connection is the caller's."""

    def _ask(self, name: str, *values: Any) -> list[Row]:
        with self._step() as (session, _):
            return session.run(name, *values).fetchall()

    _change = _ask

    @contextmanager
    def _step(self) -> Iterator[tuple[Session, str]]:
        """A savepoint in the caller's transaction, undone if anything is raised; and its isolation level."""
        connection = _psycopg_connection(self._given)
        _check_in_transaction(connection)
        session = Session(connection)
        try:
            with session.pipeline():
                asked = session.run("settings")
                session.run("savepoint")
                session.run("pin")
            level, *settings = asked.fetchall()[0]
            try:
                yield session, level
            except BaseException:
                if not connection.closed:
                    session.run("undo")
                    session.run("release")
                raise
            with session.pipeline():
                session.run("unpin", *settings)
                session.run("release")
        except psycopg.Error as error:
            raise StoreUnavailable(
                f"a step in the caller's transaction failed ({brief(error)}); the transaction is as it was "
                "before this step if its connection is still open, otherwise roll back and begin again"
            ) from error


def _psycopg_connection(given: Any) -> Connection:
    """The psycopg connection that was given or that Django's wrapper around one holds."""
    if isinstance(given, psycopg.Connection):
        return given
    ensure = getattr(given, "ensure_connection", None)
    if callable(ensure):
        ensure()
        inner = getattr(given, "connection", None)
        if isinstance(inner, psycopg.Connection):
            return inner
    raise TypeError(
        "within() takes a connection of psycopg 3 (psycopg.Connection) or Django's connection on top of one, "
        f"not {type(given).__module__}.{type(given).__qualname__}"
    )


def _check_in_transaction(connection: Connection) -> None:
    status = connection.info.transaction_status
    if status == TransactionStatus.INTRANS:
        return
    if status == TransactionStatus.IDLE and not connection.autocommit:
        return  # the first statement begins the transaction
    if status == TransactionStatus.INERROR:
        raise LedgerError("the caller's transaction has failed already: roll back and begin again")
    if status == TransactionStatus.IDLE:
        raise LedgerError(
            "the connection is in autocommit mode and in no transaction: begin one first "
            "(with connection.transaction(), or Django's atomic())"
        )
    raise LedgerError("the caller's connection is closed or in the middle of something else")
