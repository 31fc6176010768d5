"""How much memory the files of requests may take, in the whole process.

A file is fetched, written as text and sent, and is in memory for all of that. A hundred generations with big
files at once would be a hundred times that, so they share a `Room`: who would exceed it waits until others
have sent theirs. First come, first served; whoever waits has asked for nothing but its place in the queue.

Two rules keep a queue from standing still. A request that is larger than the whole room has it for itself.
And where everybody who holds something waits for more (two requests with several files each), the oldest of
them goes on: the one case in which the limit is exceeded, by one request.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

# What a file takes while its call is made: its bytes twice, then as base64, then as the JSON that is sent.
COPIES = 4
LIMIT = 512 << 20


class Room:
    """Bytes that are shared by every event loop of a process. `limit` may be changed at any time."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._begin()

    @property
    def taken(self) -> int:
        """Bytes that are taken now."""
        return sum(guest.bytes for guest in self._guests)

    @asynccontextmanager
    async def guest(self) -> AsyncIterator[Guest]:
        """Somebody who will take room, and gives it back at the end of the block."""
        if self._pid != os.getpid():
            self._begin()  # a forked child: what its parent holds is its parent's
        guest = Guest(self)
        with self._lock:
            self._guests[guest] = None
        try:
            yield guest
        finally:
            with self._lock:
                self._guests.pop(guest, None)
                self._serve()

    def _begin(self) -> None:
        self._pid, self._lock = os.getpid(), threading.Lock()
        self._guests: dict[Guest, None] = {}  # the oldest first

    def _ask(self, guest: Guest, wait: _Wait | None) -> None:
        with self._lock:
            guest.wait = wait
            self._serve()

    def _serve(self) -> None:
        """Let in whose turn it is. The lock is held."""
        while waiting := [guest for guest in self._guests if guest.wait is not None]:
            first, taken = waiting[0], self.taken
            assert first.wait is not None
            fits = taken < self.limit and taken + first.wait.bytes <= self.limit
            if not fits and any(guest.bytes and guest.wait is None for guest in self._guests):
                return  # somebody is about to leave
            try:
                first.wait.loop.call_soon_threadsafe(_finish, first.wait.done)
            except RuntimeError:  # its loop was closed under it: nobody is there any more
                del self._guests[first]
            else:
                first.bytes += first.wait.bytes
                first.wait = None


@dataclass(frozen=True, slots=True)
class _Wait:
    bytes: int
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


class Guest:
    """One request's share of a `Room`."""

    def __init__(self, room: Room) -> None:
        self.bytes = 0
        self.wait: _Wait | None = None
        self._room = room

    async def take(self, size: int) -> None:
        """Wait until there is room for so many bytes more. With 0: until there is any."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._room._ask(self, _Wait(size, loop, done))
        try:
            await done
        except asyncio.CancelledError:
            self._room._ask(self, None)
            raise


SHARED = Room()
