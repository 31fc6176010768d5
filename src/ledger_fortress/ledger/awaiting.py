"""Coroutines that wait for the grouping writer.

A job goes to the writer's thread; its answers come back to the loop that asked, in one call for all jobs of a
commit. A coroutine that is cancelled abandons its answer; its command goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any

from ledger_fortress.answers import Answer
from ledger_fortress.commands import Item
from ledger_fortress.grouping import Job
from ledger_fortress.protocol import Failure
from ledger_fortress.rules import Policy
from ledger_fortress.writer import ROOM_SECONDS, Writer, no_room


async def commit(writer: Writer, items: Sequence[Item], policy: Policy) -> list[Answer | Failure]:
    """Apply the items in one commit, perhaps with others'. Raises `StoreBusy` if there is no room."""
    job = _Awaited(items, policy, asyncio.get_running_loop())
    if not job.size:
        return []
    if not writer.offer(job):
        room = _Room(job.loop)
        await room.wait(lambda: writer.offer(job, room))
    await job.future
    return job.result()


class _Room:
    """Waits for room in the writer's queue."""

    __slots__ = ("address", "event")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.address = loop
        self.event = asyncio.Event()

    def deliver(self, rooms: list[_Room]) -> bool:
        """There is room for these. Called from the writer's thread."""
        return _call(self.address, _tell, rooms)

    async def wait(self, offer: Callable[[], bool]) -> None:
        """Offer now and whenever there is room, until it is taken or the time is over."""
        try:
            async with asyncio.timeout(ROOM_SECONDS):
                while not offer():
                    await self.event.wait()
                    self.event.clear()
        except TimeoutError:
            raise no_room() from None


class _Awaited(Job):
    """A job that a coroutine waits for."""

    __slots__ = ("future", "loop")

    def __init__(self, items: Sequence[Item], policy: Policy, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(items, policy)
        self.loop = loop
        self.future: asyncio.Future[None] = loop.create_future()

    @property
    def address(self) -> Hashable:
        return self.loop

    def deliver(self, jobs: list[Any]) -> bool:
        return _call(self.loop, _arrive, jobs)


def _tell(rooms: list[_Room]) -> None:
    for room in rooms:
        room.event.set()


def _arrive(jobs: list[_Awaited]) -> None:
    for job in jobs:
        if not job.future.done():  # cancelled: the waiting has ended, the command has not
            job.future.set_result(None)


def _call(loop: asyncio.AbstractEventLoop, callback: Any, *args: Any) -> bool:
    """Call it in the loop's thread; False if the loop has closed, and with it whoever waited."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, *args)
        return True
    return False
