"""One SQLite file, one writer.

All ledgers of a process that name the same file share one writing connection, behind one lock. Between
processes SQLite's own lock decides; because its busy handler starves some waiters for seconds, waiting is
done here, with full jitter, and ends in `StoreBusy`.

SQLite before 3.51.3 can corrupt a WAL file when two connections write or checkpoint at the same instant
(https://sqlite.org/wal.html#walresetbug; the fix is also in 3.44.6 and 3.50.7). With such a build only one
process may write a file: the first to write takes a lock on a file beside it, which the system gives back
when the process ends, however it ends. Any process may read.

Nothing of SQLite may cross a fork: a child that inherits an open file believes to hold locks that are its
parent's, also for connections that it opens itself. Therefore a process closes its connections before it
forks and opens them again when it next needs them, and so does the child. A fork in the middle of a
transaction of the forking thread cannot be helped that way; the child then refuses to open the file.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from ledger_fortress.errors import StoreBusy, StoreUnavailable, WriterElsewhere

BUSY_SECONDS: Final = 5.0
FIRST_PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 0.005  # a longer one loses to a writer that hardly pauses between two commits
_BUSY_CODES: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_T = TypeVar("_T")

_registry: dict[str, SharedFile] = {}
_registry_lock = threading.Lock()
_abandoned: list[object] = []  # kept alive so that nothing closes them: see _after_fork_in_child
_tainted: set[str] = set()  # files that were in use while this process was forked


def several_writers_are_safe(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite build has the fix for the WAL-reset bug."""
    if version >= (3, 51, 3):
        return True
    return (3, 44, 6) <= version < (3, 45) or (3, 50, 7) <= version < (3, 51)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def patiently(action: Callable[[], _T], path: str, seconds: float = BUSY_SECONDS) -> _T:
    """Run `action` until the file is free; `StoreBusy` after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = FIRST_PAUSE
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if (getattr(error, "sqlite_errorcode", 0) & 0xFF) not in _BUSY_CODES:
                raise
            if time.monotonic() >= deadline:
                raise StoreBusy(f"{path} was kept locked by other writers for {seconds:g} s") from error
        time.sleep(random.random() * pause)
        pause = min(pause * 2, LONGEST_PAUSE)


class SharedFile:
    """The connections of this process to one file. Get one with `acquire`, give it back with `release`."""

    def __init__(self, path: str, factory: type[sqlite3.Connection], several_writers: bool) -> None:
        self.path = path
        self.inherited = False  # whether the connections are those of a process that forked this one
        self.users = 0
        self._factory = factory
        self._several_writers = several_writers or several_writers_are_safe()
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._process_lock: IO[bytes] | None = None
        self._scans = 0
        self._file: tuple[int, int] | None = None  # which file it is, whatever its name

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The writing connection, for one thread at a time.

        Raises `StoreUnavailable` when the file is not there any more: what is written to a file without a
        name is gone with the process.
        """
        if not self._write_lock.acquire(timeout=BUSY_SECONDS):
            raise StoreBusy(f"{self.path} was kept busy by other threads for {BUSY_SECONDS:g} s")
        try:
            if self._file is not None and _identity(self.path) != self._file:
                raise StoreUnavailable(
                    f"{self.path} was removed or replaced while it was open: put the same file back, or "
                    "restart to begin with what is there now"
                )
            if self._writer is None:
                self._take_process_lock()
                self._writer = self.connect()
                self._file = _identity(self.path)
            yield self._writer
        finally:
            self._write_lock.release()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that cannot write, for one thread at a time."""
        with self._read_lock:
            if self._reader is None:
                self._reader = self.connect(read_only=True)
            yield self._reader

    @contextmanager
    def scanning(self) -> Iterator[sqlite3.Connection]:
        """A reading connection of its own, for long reads."""
        with self._read_lock:
            self._scans += 1
        try:
            connection = self.connect(read_only=True)
            try:
                yield connection
            finally:
                _close(connection)
        finally:
            with self._read_lock:
                self._scans -= 1

    def forget_writer(self) -> None:
        """Drop the writing connection after an error that leaves its state in doubt. Call while writing."""
        writer, self._writer = self._writer, None
        if writer is not None:
            _close(writer)

    def connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        """A new connection. Committed means synced: WAL with synchronous=FULL."""
        if not Path(self.path).parent.is_dir():
            raise FileNotFoundError(f"the directory of {self.path} does not exist: create it first")
        try:
            connection = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False, factory=self._factory
            )
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self.path} cannot be opened ({error})") from error
        try:
            patiently(lambda: self._set_up(connection, read_only), self.path)
        except BaseException:
            _close(connection)
            raise
        return connection

    def close(self) -> None:
        """Close everything; the last to close also empties the WAL into the file."""
        with self._read_lock, self._write_lock:
            self._close_connections()
            lock, self._process_lock = self._process_lock, None
            if lock is not None:
                lock.close()

    def before_fork(self) -> bool:
        """Wait for running calls and close the connections. False: something stays open."""
        for lock in (self._read_lock, self._write_lock):
            if not lock.acquire(timeout=BUSY_SECONDS):
                if lock is self._write_lock:
                    self._read_lock.release()
                return False
        if self._scans:
            self.after_fork()
            return False
        self._close_connections()
        return True

    def after_fork(self) -> None:
        """In the parent: let calls go on."""
        self._write_lock.release()
        self._read_lock.release()

    def _close_connections(self) -> None:
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        for connection in (reader, writer):
            if connection is not None:
                _close(connection)

    @staticmethod
    def _set_up(connection: sqlite3.Connection, read_only: bool) -> None:
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync there does not reach the disk
        connection.execute("PRAGMA wal_autocheckpoint = 10000")  # 40 MB: a page changed often is copied once
        connection.execute("PRAGMA cache_size = -16384")

    def _take_process_lock(self) -> None:
        if self._several_writers or self._process_lock is not None:
            return
        handle = open(f"{self.path}.writer-lock", "ab")  # noqa: SIM115  (held until close)
        try:
            _lock_file(handle)
        except OSError as error:
            handle.close()
            raise WriterElsewhere(
                f"another process is writing {self.path}, and SQLite {sqlite3.sqlite_version} can corrupt "
                "a file that two processes write (fixed in 3.51.3); let one process write, or update SQLite"
            ) from error
        self._process_lock = handle


def acquire(path: str, factory: type[sqlite3.Connection], several_writers: bool) -> SharedFile:
    """This process's share of the file, made on first use."""
    real = os.path.realpath(path)
    if real in _tainted:
        raise StoreUnavailable(
            f"{path} was in use while this process was forked: fork at another time, or use spawn"
        )
    with _registry_lock:
        shared = _registry.get(real)
        if shared is None:
            shared = _registry[real] = SharedFile(real, factory, several_writers)
        shared.users += 1
        return shared


def release(shared: SharedFile) -> None:
    """Give back what `acquire` gave; the last user closes the file. In a forked child nothing is closed."""
    with _registry_lock:
        shared.users -= 1
        if shared.users or shared.inherited:
            return
        _registry.pop(shared.path, None)
    shared.close()


def _lock_file(handle: IO[bytes]) -> None:
    """A lock that dies with its process and that a forked child does not inherit."""
    try:
        import fcntl
    except ImportError:  # Windows
        msvcrt: Any = __import__("msvcrt")
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _close(connection: sqlite3.Connection) -> None:
    try:
        # Closing does not end a transaction while somebody, a traceback for instance, still has a cursor.
        if connection.in_transaction:
            connection.rollback()
        connection.close()
    except sqlite3.Error:  # closing can only fail to tidy up; the next opener does it
        _abandoned.append(connection)


_closed_for_fork: list[SharedFile] = []
_open_at_fork: list[SharedFile] = []


def _before_fork() -> None:
    _registry_lock.acquire()
    for shared in _registry.values():
        (_closed_for_fork if shared.before_fork() else _open_at_fork).append(shared)


def _after_fork_in_parent() -> None:
    for shared in _closed_for_fork:
        shared.after_fork()
    _closed_for_fork.clear()
    _open_at_fork.clear()
    _registry_lock.release()


def _after_fork_in_child() -> None:
    global _registry_lock
    _tainted.update(shared.path for shared in _open_at_fork)
    for shared in _registry.values():
        shared.inherited = True
    _abandoned.extend(_registry.values())
    for inherited in (_registry, _closed_for_fork, _open_at_fork):
        inherited.clear()
    _registry_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
