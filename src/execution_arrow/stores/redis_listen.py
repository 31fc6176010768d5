"""Hearing what other processes do, by `SUBSCRIBE`.

One thread with one connection of its own, only while somebody wants to hear. A message carries hints; a
connection that was lost may have missed some, so a new one begins with the hint that anything may have
happened.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import threading
from collections.abc import Callable
from typing import Final

from redis.exceptions import RedisError

from execution_arrow.stores.base import ANYTHING, Hear
from execution_arrow.stores.hints import Bell, hints_in
from execution_arrow.stores.redis_server import Server

logger = logging.getLogger("execution_arrow")

_PAUSES: Final = (0.05, 0.2, 1.0, 5.0)
_LONGEST: Final = 60.0  # seconds for which silence is waited for at once


class Listener:
    """Rings for everybody in this process who watches the store."""

    def __init__(self, server: Server, channel: bytes) -> None:
        self._server, self._channel = server, channel
        self._bell = Bell()
        self._lock = threading.Lock()
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def watch(self, hear: Hear) -> Callable[[], None]:
        remove = self._bell.add(hear)
        with self._lock:
            if self._thread is None or self._pid != os.getpid():
                self._pid, self._stop = os.getpid(), threading.Event()
                self._thread = threading.Thread(
                    target=self._listen, args=(self._stop,), name="execution-arrow-listen", daemon=True
                )
                self._thread.start()

        def end() -> None:
            remove()
            if not self._bell:
                self._signal()

        return end

    def stop(self) -> None:
        """End the thread, and wait until it has gone, a second at most. What comes later starts another."""
        thread = self._signal()
        if thread is not None and self._pid == os.getpid() and thread is not threading.current_thread():
            thread.join(1.0)

    def _signal(self) -> threading.Thread | None:
        with self._lock:
            thread, self._thread = self._thread, None
            stop, self._stop = self._stop, None
        if stop is not None:
            stop.set()
            with contextlib.suppress(RedisError):  # an empty message wakes everybody, and says nothing
                self._server.client.publish(self._channel, b"")
        return thread

    def _listen(self, stop: threading.Event) -> None:
        failures = 0
        while not stop.is_set():
            try:
                with self._server.client.pubsub() as channel:
                    channel.subscribe(self._channel)
                    while not stop.is_set():
                        message = channel.get_message(timeout=_LONGEST)
                        failures = 0
                        self._told(message)
            except (RedisError, OSError, ValueError) as error:  # the last from a connection that was closed
                logger.log(logging.DEBUG if failures else logging.WARNING, "not_listening error=%s", error)
            pause = _PAUSES[min(failures, len(_PAUSES) - 1)] * (0.5 + random.random())
            failures += 1
            if stop.wait(pause):
                return

    def _told(self, message: dict[str, object] | None) -> None:
        if message is None:
            return
        data = message["data"]
        if message["type"] == "subscribe":
            self._bell.ring([ANYTHING])
        elif isinstance(data, bytes):
            self._bell.ring(hints_in(data.decode("utf-8", "replace")))
