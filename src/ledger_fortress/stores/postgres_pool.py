"""A process's connections to one PostgreSQL database.

Connections are opened when they are needed, in the thread that needs one, so that a server that cannot be
reached is reported at once and by its own message, and a server that is back is used at once. Nothing runs in
the background and there is nothing to restart after a fork: a child starts with no connections and leaves the
inherited ones untouched, because closing them would end its parent's sessions.

A connection that lay idle should have nothing to say. One whose socket is readable has been told something
that nobody waited for, nearly always that it is being terminated, and is thrown away before use.
"""

from __future__ import annotations

import os
import selectors
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger_fortress.errors import StoreBusy, StoreUnavailable

Connection = psycopg.Connection[Any]

BUSY_SECONDS: Final = 5.0
# Unless the URL says otherwise: give up on a silent server in seconds, not in the quarter of an hour that the
# system's own limits would take.
_DEFAULTS: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "60",
    "tcp_user_timeout": "30000",
    "application_name": "ledger_fortress",
    "client_encoding": "utf8",
}

_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
_abandoned: list[object] = []  # the parent's connections, in a child: kept, so that nothing closes them


class Pool:
    """At most `size` connections, used last in, first out."""

    def __init__(self, url: str, size: int) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise ValueError(f"this is not a PostgreSQL URL ({error}): {without_password(url)}") from error
        self._conninfo = make_conninfo(url, **{k: v for k, v in _DEFAULTS.items() if k not in given})
        self._size = size
        self.where = f"PostgreSQL database {without_password(url)}"
        self._start()
        _pools.add(self)

    def _start(self) -> None:
        self._closed = False
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(self._size)
        self._idle: list[Connection] = []

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for this thread alone. Raises `StoreBusy` when all were in use for too long."""
        if self._closed:
            raise StoreUnavailable(f"the ledger in {self.where} is closed")
        if not self._slots.acquire(timeout=BUSY_SECONDS):
            raise StoreBusy(
                f"all {self._size} connections to {self.where} were in use for {BUSY_SECONDS:g} s"
            )
        pid, slots = os.getpid(), self._slots
        try:
            connection = self._take()
            try:
                yield connection
            finally:
                if pid == os.getpid():
                    self._give(connection)
        finally:
            slots.release()

    def close(self) -> None:
        """Close what is idle; what is in use closes when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connect()
            if not _readable(connection):
                return connection
            connection.close()

    def _give(self, connection: Connection) -> None:
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.close()  # whatever was going on in there ends with it
        with self._lock:
            if not (self._closed or connection.closed):
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> Connection:
        try:
            return psycopg.connect(self._conninfo, autocommit=True)
        except psycopg.OperationalError as error:
            raise StoreUnavailable(f"{self.where} cannot be reached ({brief(error)})") from error

    def after_fork_in_child(self) -> None:
        """Leave the parent's connections alone and start anew."""
        closed = self._closed
        _abandoned.append(self._idle)
        self._start()
        self._closed = closed


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


def _readable(connection: Connection) -> bool:
    if connection.closed:
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        return bool(selector.select(0))


def _after_fork_in_child() -> None:
    for pool in list(_pools):
        pool.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
