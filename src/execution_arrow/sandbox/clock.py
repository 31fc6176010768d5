"""Time as the sandbox sees it: the machine's, or one that a test moves."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time in seconds, and waiting in it."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class RealClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await (asyncio.Event().wait() if math.isinf(seconds) else asyncio.sleep(seconds))


class VirtualClock:
    """Time that stands still until `advance` moves it. Safe to move from another thread than the server's."""

    def __init__(self, start: float = 1_763_600_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, int, asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._ticket = itertools.count()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on and wake everybody whose time has come."""
        if seconds < 0:
            raise ValueError("time does not go backwards")
        with self._lock:
            self._now += seconds
            while self._waiting and self._waiting[0][0] <= self._now:
                _, _, loop, event = heapq.heappop(self._waiting)
                if not loop.is_closed():
                    loop.call_soon_threadsafe(event.set)

    async def sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        with self._lock:
            if seconds <= 0:
                return
            heapq.heappush(
                self._waiting, (self._now + seconds, next(self._ticket), asyncio.get_running_loop(), event)
            )
        await event.wait()
