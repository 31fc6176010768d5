"""The part of a driver that runs by itself: heartbeat, inbox, and claiming what is due."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from execution_arrow.driver import Driver
from execution_arrow.errors import StoreUnavailable
from execution_arrow.lease import Lease
from execution_arrow.session import from_inbox
from execution_arrow.stores.access import Access

logger = logging.getLogger("execution_arrow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one process does at once, and how often it looks. Times are seconds."""

    lease: float = 15.0
    inbox_every: float = 0.25
    claim_every: float = 0.5
    claim_batch: int = 64
    sessions: int = 10_000
    effects: int = 512


class Worker:
    """Keeps a driver's lease and inbox while it owns anything, and (`serve`) claims what nobody owns."""

    def __init__(self, driver: Driver, store: Access, lease: Lease, limits: Limits) -> None:
        self._driver, self._store, self._lease, self._limits = driver, store, lease, limits
        self._stopping = asyncio.Event()
        self._unreadable: set[int] = set()

    async def keep_house(self) -> None:
        """Heartbeat and inbox; touches the store only while something is owned."""
        while not self._stopping.is_set():
            if self._driver.sessions or self._lease.doubtful:
                try:
                    await self._lease.keep()
                    await self._lease.tidy(self._driver.sessions)
                    await self._read_inbox()
                except StoreUnavailable as error:
                    logger.warning("store_unavailable housekeeping error=%s", error)
                except Exception:
                    logger.exception("housekeeping_failed")  # the worker lives on; the next round tries again
            await self._pause(self._limits.inbox_every)

    async def _read_inbox(self) -> None:
        for item in await self._store.inbox(self._lease.owner):
            try:
                self._driver.hear(item.generation, from_inbox(item))
            except Exception:
                if item.seq not in self._unreadable:  # it waits for a version that can read it
                    self._unreadable.add(item.seq)
                    logger.exception("unreadable fact=%d generation=%s", item.seq, item.generation)

    async def serve(self) -> None:
        """Claim whatever is due until `stop`."""
        while not self._stopping.is_set():
            room = self._limits.sessions - len(self._driver.sessions)
            claimed: list[str] = []
            try:
                if room > 0:
                    claimed = await self._driver.claim(limit=min(room, self._limits.claim_batch))
            except StoreUnavailable as error:
                logger.warning("store_unavailable claiming error=%s", error)
            except Exception:
                logger.exception("claiming_failed")
            if len(claimed) < self._limits.claim_batch:
                await self._pause(self._limits.claim_every)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def stop(self) -> None:
        self._stopping.set()
