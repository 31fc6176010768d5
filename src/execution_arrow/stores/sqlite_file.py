"""The writing side of a SQLite file: one connection per file and process, one writing process per file.

SQLite builds before the fix of the "WAL-reset" bug can corrupt a file when several connections write or
checkpoint it at once (https://sqlite.org/wal.html, fixed in 3.51.3 and in the backports 3.50.7 and
3.44.6). So all stores of a process that name the same file share one writing connection, and on such a
build the first process that writes takes a lock that dies with it; others may still read.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from execution_arrow.errors import StoreUnavailable
from execution_arrow.stores.hints import Bell
from execution_arrow.stores.sqlite_watch import Watcher

FIXED_FROM = (3, 51, 3)
BACKPORTS = {(3, 50): 7, (3, 44): 6}
BUSY_SECONDS = 5.0

_OPEN: dict[Path, WriteSide] = {}
_OPEN_LOCK = threading.Lock()


def many_writers_are_safe(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite build has the fix."""
    backport = BACKPORTS.get((version[0], version[1]))
    return version >= FIXED_FROM or (backport is not None and version[2] >= backport)


def connect(path: Path) -> sqlite3.Connection:
    """A connection in WAL mode without implicit transactions. Raises `StoreUnavailable`."""
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path}: {error}", maybe_applied=False) from error
    return connection


class WriteSide:
    """Shared by every store of this process that names the file. Hold `lock` while writing."""

    def __init__(
        self, path: Path, prepare: Callable[[sqlite3.Connection], None], several_writers: bool
    ) -> None:
        self._path, self._prepare = path, prepare
        self._name = str(path)
        self._several_writers = several_writers or many_writers_are_safe()
        self.bell = Bell()
        self.watcher = Watcher(self._foreign_version, self.bell)
        self.lock = threading.RLock()
        self.users = 0
        self.pid = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._full: bool | None = None  # whether its commits wait for the disk; None: as it was opened
        self._file_lock: int | None = None
        self._looking: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None  # which file it is, whatever its name

    def connection(self) -> sqlite3.Connection:
        """The writing connection. Raises `StoreUnavailable` when another process writes the file, or when it
        is not there any more: what is written to a file without a name is gone with the process."""
        if self._file is not None and _identity(self._name) != self._file:
            raise StoreUnavailable(
                f"{self._path} was removed or replaced while it was open: put the same file back, or restart "
                "to begin with what is there now",
                maybe_applied=False,
            )
        if self._connection is None:
            if self._file_lock is None and not self._several_writers:
                self._file_lock = _lock(self._path)
            connection = connect(self._path)
            try:
                self._prepare(connection)
            except BaseException:  # refused tables stay refused: the next use asks anew
                connection.close()
                raise
            self._connection = connection
            self._file = _identity(self._name)
        return self._connection

    def synchronous(self, connection: sqlite3.Connection, *, full: bool) -> None:
        """Let the next commit wait for the disk, or not. Most are as the one before."""
        if self._full is not full:
            connection.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
            self._full = full

    def prepare(self, prepare: Callable[[sqlite3.Connection], None]) -> None:
        """Open the writing connection anew, prepared in this way for once."""
        with self.lock:
            self.drop()
            usual, self._prepare = self._prepare, prepare
            try:
                self.connection()
            finally:
                self._prepare = usual

    def drop(self) -> None:
        """After an error nothing of the connection's state is trusted; the next use opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = self._full = None

    def _foreign_version(self) -> object:
        """Changes when another process has committed; None when no other process may write.

        The number is a connection's own: it changes with the commits of all others. So the writing
        connection is asked, and one that only looks where this process does not write.
        """
        with self.lock:
            if self._file_lock is not None:
                return None
            if self._connection is not None:
                return "writer", _data_version(self._connection)
            if self._looking is None:
                if not self._path.exists():
                    return "missing"
                self._looking = connect(self._path)
            return "reader", _data_version(self._looking)

    def leave_to_parent(self) -> None:
        """In a forked child: the connection is the parent's, and the file lock must die with the parent."""
        if self._file_lock is not None:
            os.close(self._file_lock)  # the parent's own descriptor keeps the lock
            self._file_lock = None

    def end(self) -> None:
        self.watcher.stop()
        self.drop()
        if self._looking is not None:
            self._looking.close()
            self._looking = None
        if self._file_lock is not None:
            os.close(self._file_lock)
            self._file_lock = None


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)  # asked before every commit; a `Path` takes as long again
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def share(
    path: Path, prepare: Callable[[sqlite3.Connection], None], several_writers: bool = False
) -> WriteSide:
    """The writing side of this file, counted; give it back with `unshare`."""
    where = path.absolute()
    with _OPEN_LOCK:
        side = _OPEN.get(where)
        if side is None or side.pid != os.getpid():
            side = _OPEN[where] = WriteSide(where, prepare, several_writers)
        side.users += 1
        return side


def unshare(path: Path, side: WriteSide) -> None:
    with _OPEN_LOCK:
        side.users -= 1
        if side.users == 0 and side.pid == os.getpid():
            _OPEN.pop(path.absolute(), None)
            with side.lock:
                side.end()


_ABANDONED: list[WriteSide] = []  # a parent's connections; closing one in a child could harm the file


def _after_fork_in_child() -> None:
    global _OPEN_LOCK
    _OPEN_LOCK = threading.Lock()
    for side in _OPEN.values():
        side.leave_to_parent()
        _ABANDONED.append(side)
    _OPEN.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _lock(path: Path) -> int:
    handle = os.open(path.with_name(path.name + ".writer"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _exclusive(handle)
    except OSError as error:
        os.close(handle)
        raise StoreUnavailable(
            f"another process writes {path}, and SQLite {sqlite3.sqlite_version} allows one "
            "(3.51.3 and newer allow several): send the work to that process",
            maybe_applied=False,
        ) from error
    return handle


def _exclusive(handle: int) -> None:
    if os.name == "nt":  # pragma: no cover - exercised on Windows only
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        # Record locks (lockf) would vanish when any other descriptor of the file is closed.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
