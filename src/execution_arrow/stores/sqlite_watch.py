"""Noticing what other processes write to a SQLite file.

SQLite tells nobody of a change, but `PRAGMA data_version` on an open connection says for the price of a look
into shared memory whether somebody else has committed (https://sqlite.org/pragma.html#pragma_data_version).
One thread per file asks it four times a second, only while somebody wants to hear, and never where no other
process may write.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from typing import Final

from execution_arrow.errors import StoreUnavailable
from execution_arrow.stores.base import ANYTHING, Hear
from execution_arrow.stores.hints import Bell

POLL_SECONDS: Final = 0.25

logger = logging.getLogger("execution_arrow")


class Watcher:
    """Rings the bell when the file was written by another process.

    `version` reads the file's version as another process's commits change it, or None when none can come.
    """

    def __init__(self, version: Callable[[], object], bell: Bell) -> None:
        self._version, self._bell = version, bell
        self._lock = threading.Lock()
        self._stop: threading.Event | None = None

    def watch(self, hear: Hear) -> Callable[[], None]:
        remove = self._bell.add(hear)
        with self._lock:
            if self._stop is None:
                self._stop = threading.Event()
                threading.Thread(
                    target=self._look, args=(self._stop,), name="execution-arrow-watch", daemon=True
                ).start()

        def end() -> None:
            remove()
            with self._lock:
                if not self._bell and self._stop is not None:
                    self._stop.set()
                    self._stop = None

        return end

    def stop(self) -> None:
        with self._lock:
            if self._stop is not None:
                self._stop.set()
                self._stop = None

    def _look(self, stop: threading.Event) -> None:
        seen = self._ask()
        while not stop.wait(POLL_SECONDS if seen is not None else None):
            found = self._ask()
            if found != seen:
                seen = found
                self._bell.ring([ANYTHING])

    def _ask(self) -> object:
        try:
            return self._version()
        except (sqlite3.Error, StoreUnavailable, OSError) as error:
            logger.debug("cannot look for changes: %s", error)
            return "unknown"
