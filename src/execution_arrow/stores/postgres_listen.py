"""Hearing what other processes do, by `LISTEN`.

One thread with one connection of its own, only while somebody wants to hear. A notification carries hints;
a connection that was lost may have missed some, so a new one begins with the hint that anything may have
happened. Where notifications do not arrive at all (a pooler between us and the server), workers still look
by themselves every few seconds.
"""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import sql

from execution_arrow.errors import StoreUnavailable
from execution_arrow.stores.base import ANYTHING, Hear
from execution_arrow.stores.hints import Bell, hints_in
from execution_arrow.stores.postgres_pool import Connection, Pool, readable, run

logger = logging.getLogger("execution_arrow")

_PAUSES: Final = (0.05, 0.2, 1.0, 5.0)


class Listener:
    """Rings for everybody in this process who watches the store."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._bell = Bell()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._awake: int | None = None  # closing it ends the thread's wait
        self._pid = os.getpid()

    def watch(self, hear: Hear) -> Callable[[], None]:
        remove = self._bell.add(hear)
        with self._lock:
            if self._thread is None or self._pid != os.getpid():
                asleep, self._awake = os.pipe()
                self._pid = os.getpid()
                self._thread = threading.Thread(
                    target=self._listen, args=(asleep,), name="execution-arrow-listen", daemon=True
                )
                self._thread.start()

        def end() -> None:
            remove()
            if not self._bell:
                self._signal()

        return end

    def stop(self) -> None:
        """End the thread, and wait until it has gone. What comes later starts another."""
        thread = self._signal()
        if thread is not None and self._pid == os.getpid() and thread is not threading.current_thread():
            thread.join()

    def _signal(self) -> threading.Thread | None:
        with self._lock:
            thread, self._thread = self._thread, None
            awake, self._awake = self._awake, None
        if awake is not None:
            os.close(awake)
        return thread

    def _listen(self, asleep: int) -> None:
        failures = 0
        try:
            while True:
                try:
                    with self._pool.connect() as connection:
                        self._begin(connection)
                        failures = 0
                        self._bell.ring([ANYTHING])
                        if not self._hear(connection, asleep):
                            return
                except (psycopg.Error, StoreUnavailable, OSError) as error:
                    logger.log(
                        logging.DEBUG if failures else logging.WARNING, "not_listening error=%s", error
                    )
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)] * (0.5 + random.random())
                failures += 1
                if readable([asleep], pause):
                    return
        finally:
            os.close(asleep)

    def _begin(self, connection: Connection) -> None:
        channel = run(connection, "channel").fetchall()[0][0]
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))

    def _hear(self, connection: Connection, asleep: int) -> bool:
        """Pass on what arrives; False when the watching is over."""
        while True:
            if asleep in readable([connection.fileno(), asleep], None):
                return False
            for notice in connection.notifies(timeout=0):
                self._bell.ring(hints_in(notice.payload))
