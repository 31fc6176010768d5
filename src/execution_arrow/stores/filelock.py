"""One writing process per file, by a lock that dies with its process.

SQLite builds before the fix of the "WAL-reset" bug can corrupt a file when several processes write or
checkpoint it at once (https://sqlite.org/wal.html, fixed in 3.51.3 and in the backports 3.50.7 and
3.44.6). On such a build the first process that writes takes this lock; others may still read.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from execution_arrow.errors import StoreUnavailable

FIXED_FROM = (3, 51, 3)
BACKPORTS = {(3, 50): 7, (3, 44): 6}


def many_writers_are_safe(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this SQLite build has the fix."""
    backport = BACKPORTS.get((version[0], version[1]))
    return version >= FIXED_FROM or (backport is not None and version[2] >= backport)


class WriterLock:
    """An exclusive lock on `<file>.writer`, taken on the first write and dropped by `release` or by death."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".writer")
        self._handle: int | None = None
        self._pid = 0

    def acquire(self) -> None:
        """Raises `StoreUnavailable` naming the file when another process holds it."""
        if self._handle is not None and self._pid == os.getpid():
            return
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(handle)
        except OSError as error:
            os.close(handle)
            raise StoreUnavailable(
                f"another process writes {self._path.with_suffix('')}, and SQLite {sqlite3.sqlite_version} "
                "allows one (3.51.3 and newer allow several): send the work to that process",
                maybe_applied=False,
            ) from error
        self._handle, self._pid = handle, os.getpid()

    def release(self) -> None:
        if self._handle is not None and self._pid == os.getpid():
            os.close(self._handle)
        self._handle = None


def _lock(handle: int) -> None:
    if os.name == "nt":  # pragma: no cover - exercised on Windows only
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        # Record locks (lockf) would vanish when any other descriptor of the file is closed.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
