"""Results that are not to be kept any longer."""

from __future__ import annotations

import asyncio
import logging

from execution_arrow.driver.lease import StoreClock
from execution_arrow.errors import ArrowError
from execution_arrow.machine.codec import load_spec
from execution_arrow.ports import ArtifactStore
from execution_arrow.stores.access import Access

logger = logging.getLogger("execution_arrow")

EVERY = 3600.0  # seconds
_SOON = 0.05
_ROWS = 200


async def shared(store: Access, key: str, but: str) -> bool:
    """Whether another generation than `but`, which has not been deleted, made the very same bytes.

    Every row is looked at: that is for a person's wish, not for the work of every day.
    """
    others = [name for name in await store.holders(f'"{key}"') if name != but]
    for start in range(0, len(others), _ROWS):
        rows = await store.load_many(others[start : start + _ROWS])
        if any(not load_spec(row.spec).erased for row in rows):
            return True
    return False


class Sweeper:
    """Deletes old files of an artifact store: when asked, or (`serve`) every hour.

    What is old is told by the job store's time: one host with a wrong date must not delete everybody's files.
    """

    def __init__(self, artifacts: ArtifactStore, clock: StoreClock) -> None:
        self._artifacts, self._clock = artifacts, clock
        self._serving: asyncio.Task[None] | None = None

    async def sweep(self, older_than: float) -> int:
        """Delete what was last stored more than so many seconds ago; returns how many files."""
        return await self._artifacts.sweep(self._clock.now() - older_than)

    def start(self, tasks: asyncio.TaskGroup, retain: float | None) -> None:
        """Keep files for `retain` seconds from now on; None: for ever."""
        if retain is not None:
            self._serving = tasks.create_task(self._serve(retain))

    async def _serve(self, retain: float) -> None:
        while not self._clock.known:  # the worker asks it at once
            await asyncio.sleep(_SOON)
        while True:
            try:
                await self.sweep(retain)
            except (ArrowError, OSError) as error:
                logger.warning("sweep_failed error=%s: old results are looked for again in an hour", error)
            await asyncio.sleep(EVERY)

    def stop(self) -> None:
        if self._serving is not None:
            self._serving.cancel()
