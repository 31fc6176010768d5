"""A process's connections to the database that holds the jobs.

They are opened when one is needed, in the thread that needs it, so that a server that cannot be reached is
reported at once in its own words, and one that is back is used at once. Nothing runs in the background. A
forked child starts with none and leaves the inherited ones untouched: closing them would end its parent's
sessions. One that lay idle and has something to say has been told that it is ended; it is not used again.
"""

from __future__ import annotations

import os
import selectors
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from execution_arrow.errors import StoreUnavailable
from execution_arrow.stores.sql import queries

Row = tuple[Any, ...]
Connection = psycopg.Connection[Row]
Cursor = psycopg.Cursor[Row]

BUSY_SECONDS: Final = 5.0
SQL: Final = {name: text.encode() for name, text in queries("postgres").items()}
# Unless the URL says otherwise: a silent server is given up in seconds, not after the system's own limits.
_LIMITS: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "30",
    "tcp_user_timeout": "30000",
    "application_name": "execution_arrow",
    "client_encoding": "utf8",
}
_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
_inherited: list[Sequence[Connection]] = []  # a parent's: kept, so that nothing closes them


def run(connection: Connection, name: str, values: dict[str, Any] | None = None) -> Cursor:
    """Run a named statement or, in a pipeline, put it on its way."""
    return psycopg.Cursor(connection, row_factory=tuple_row).execute(SQL[name], values, binary=True)


class Pool:
    """At most `size` connections, the last one given back used first."""

    def __init__(self, url: str, size: int) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise ValueError(f"this is not a PostgreSQL URL ({error}): {without_password(url)}") from error
        self._conninfo = make_conninfo(url, **{k: v for k, v in _LIMITS.items() if k not in given})
        self._size = size
        self.where = f"PostgreSQL database {without_password(url)}"
        self._closed = False
        self._start()
        _pools.add(self)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(self._size)
        self._idle: list[Connection] = []

    def connect(self) -> Connection:
        """A connection outside the pool. Raises `StoreUnavailable`."""
        try:
            return psycopg.connect(self._conninfo, autocommit=True, row_factory=tuple_row)
        except psycopg.Error as error:
            raise StoreUnavailable(
                f"{self.where} cannot be reached ({brief(error)})", maybe_applied=False
            ) from error

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for this thread alone. Raises `StoreUnavailable`."""
        if self._closed:
            raise StoreUnavailable(f"the store in {self.where} is closed", maybe_applied=False)
        slots, pid = self._slots, os.getpid()
        if not slots.acquire(timeout=BUSY_SECONDS):
            raise StoreUnavailable(
                f"all {self._size} connections to {self.where} were in use for {BUSY_SECONDS:g} s",
                maybe_applied=False,
            )
        try:
            connection = self._take()
            try:
                yield connection
            finally:
                if pid == os.getpid():
                    self._give(connection)
        finally:
            slots.release()

    def _take(self) -> Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self.connect()
            if not connection.closed and not readable([connection.fileno()], 0):
                return connection
            connection.close()

    def _give(self, connection: Connection) -> None:
        if connection.info.transaction_status == TransactionStatus.IDLE:
            with self._lock:
                if not self._closed:
                    self._idle.append(connection)
                    return
        connection.close()  # whatever was going on in there ends with it

    def close(self) -> None:
        """Close what is idle; what is in use closes when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def after_fork_in_child(self) -> None:
        _inherited.append(self._idle)
        self._start()


def readable(files: Sequence[int], timeout: float | None) -> list[int]:
    """Those that have something to say, waited for as long as told; None waits until one has.

    Not `select.select`: it takes no file beyond the first 1,024 of a process, and a busy worker has more.
    """
    with selectors.DefaultSelector() as selector:
        for file in files:
            selector.register(file, selectors.EVENT_READ)
        return [key.fd for key, _ in selector.select(timeout)]


def without_password(url: str) -> str:
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


def brief(error: Exception) -> str:
    """The error's own words, without the lines of detail that the cause keeps."""
    return str(error).strip().partition("\n")[0]


def _after_fork_in_child() -> None:
    for pool in list(_pools):
        pool.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
