"""The part of a driver that runs by itself: heartbeat, inbox, and claiming what is due.

Nothing here asks the store out of habit. The heartbeat runs while something is owned; the inbox is read and
a claim is made when the store hints that there is something, and at a time that the last claim named. Hints
can be lost, so there is a slow look (`Limits.inbox_every`, `claim_every`) behind them, which writes nothing
when it finds nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from execution_arrow.driver.driver import Driver
from execution_arrow.driver.inbox import readable
from execution_arrow.driver.lease import Lease
from execution_arrow.errors import StoreUnavailable
from execution_arrow.stores.access import Access
from execution_arrow.stores.base import LONGEST_LEASE, Hint

logger = logging.getLogger("execution_arrow")

AGAIN = 1.0  # seconds after which a store that did not answer is asked again
SHORTEST = 0.05  # seconds between two looks whatever is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one process does at once, and how often it looks without being told. Times are seconds."""

    lease: float = 15.0
    inbox_every: float = 5.0
    claim_every: float = 5.0
    claim_batch: int = 64
    sessions: int = 10_000
    effects: int = 512

    def __post_init__(self) -> None:
        if not 0 < self.lease <= LONGEST_LEASE:
            raise ValueError(
                f"Limits.lease must be above 0 and up to {LONGEST_LEASE:g} s, not {self.lease!r}"
            )


class Worker:
    """Keeps a driver's lease and inbox while it owns anything, and (`serve`) claims what nobody owns."""

    def __init__(self, driver: Driver, store: Access, lease: Lease, limits: Limits) -> None:
        self._driver, self._store, self._lease, self._limits = driver, store, lease, limits
        self._stopping = asyncio.Event()
        self._told = asyncio.Event()  # somebody may have written to our inbox
        self._free = asyncio.Event()  # there may be something to claim

    def hear(self, hints: Sequence[Hint]) -> None:
        """Wake whoever a hint concerns. One that says nothing concerns all."""
        for hint in hints:
            if hint.kind == "fact" and hint.generation in self._driver.sessions:
                self._told.set()
            elif hint.kind == "free":
                self._free.set()
            elif hint.kind in ("any", "fact"):  # a fact of a row that we are about to own, or may claim
                self._told.set()
                self._free.set()

    async def keep_house(self) -> None:
        """The heartbeat; touches the store only while something is owned."""
        while await self._owning():
            done = await self._tried("housekeeping", self._keep)
            longest = self._limits.lease / 3
            if done:
                seconds = self._lease.renew_in() or longest
                await self._pause(min(max(seconds, SHORTEST), longest), self._lease.doubtful)
            else:
                await self._pause(min(AGAIN, longest), self._stopping)

    async def _keep(self) -> None:
        if self._driver.sessions or self._lease.doubtful.is_set():
            await self._lease.keep()
        await self._driver.committer.say()
        if self._driver.sessions or self._lease.doubtful.is_set():
            await self._lease.tidy(self._driver.sessions)

    async def read_inbox(self) -> None:
        """Facts that others heard about what we own."""
        while await self._owning():
            self._told.clear()
            done = await self._tried("reading the inbox", self._read_inbox)
            await self._pause(self._limits.inbox_every if done else AGAIN, self._told)

    async def _read_inbox(self) -> None:
        if not self._driver.sessions:
            return
        for item in await self._store.inbox(self._lease.owner):
            for heard in readable([item]):
                self._driver.hear(item.generation, heard)

    async def _owning(self) -> bool:
        """Wait, without a timer, until something is ours or may be; False when we are to stop."""
        while not (self._busy() or self._stopping.is_set()):
            self._lease.needed.clear()
            await self._lease.needed.wait()
        return not self._stopping.is_set()

    def _busy(self) -> bool:
        return bool(self._driver.sessions or self._driver.committer.unsaid or self._lease.doubtful.is_set())

    async def serve(self) -> None:
        """Claim whatever is due until `stop`."""
        self._pauses: float = 0.0
        while not self._stopping.is_set():
            self._free.clear()
            if not await self._tried("claiming", self._claim):
                self._pauses = AGAIN
            if self._pauses:
                await self._pause(self._pauses, self._free)

    async def _claim(self) -> None:
        """Take a batch, and work out when to look again if nobody says anything."""
        room = min(self._limits.sessions - len(self._driver.sessions), self._limits.claim_batch)
        self._pauses = AGAIN if room <= 0 else self._limits.claim_every
        if room <= 0:
            return
        claimed, next_at = await self._driver.look(limit=room)
        if len(claimed) == room:
            self._pauses = 0.0
        elif next_at is not None:
            wait = next_at - self._lease.clock.now()
            self._pauses = min(max(wait, SHORTEST), self._limits.claim_every)

    async def _tried(self, what: str, action: Callable[[], Awaitable[None]]) -> bool:
        """A worker lives on whatever the store does; the next round tries again."""
        try:
            await action()
        except StoreUnavailable as error:
            self._driver.committer.outage.failed(what, error)
        except Exception:
            logger.exception("%s failed", what)
        else:
            return True
        return False

    async def _pause(self, seconds: float, until: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await until.wait()

    def stop(self) -> None:
        self._stopping.set()
        self._lease.doubt()  # wakes the housekeeping
        self._told.set()
        self._free.set()
