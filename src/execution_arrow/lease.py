"""A worker's lease: who we are to the store, and whether we may still act.

The store's time says when a lease ends for others; our own monotonic clock says when it ends for us, two
thirds of the way, so that a worker which was paused or whose wall clock jumped stops before anybody else
starts. A lease that lapsed and is renewed is a new `term`: others may have taken over meanwhile, so what was
owned in an older term is looked at before anything is done with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from execution_arrow.ports import Clock
from execution_arrow.stores.access import Access
from execution_arrow.stores.base import Beat, Disown


class Lease:
    """One worker's lease of `seconds`; renewed when a third of it has passed."""

    def __init__(self, store: Access, clock: Clock, owner: str, seconds: float) -> None:
        self._store, self._clock, self._seconds = store, clock, seconds
        self.owner = owner
        self._since = float("-inf")  # monotonic time of the last renewal that was answered
        self._ended = False
        self.term = 0
        self.doubtful = False  # rows may carry our name without our knowing: an answer was lost

    def safe(self) -> bool:
        """Whether an effect may be started under this lease."""
        return not self._ended and self._clock.monotonic() - self._since < self._seconds * 2 / 3

    async def keep(self) -> None:
        """Renew when it is time. Raises `StoreUnavailable`."""
        started = self._clock.monotonic()
        if started - self._since < self._seconds / 3:
            return
        lapsed = started - self._since >= self._seconds * 2 / 3
        now = self._clock.now()
        await self._store.apply(Beat(owner=self.owner, now=now, until=now + self._seconds))
        self.term += lapsed
        self._since = started

    async def tidy(self, keep: Iterable[str]) -> None:
        """Hand back what carries our name and is not in `keep`, when there may be any. A row too many that
        is handed back costs a look, never a call: its session is fenced. Raises `StoreUnavailable`."""
        if self.doubtful:
            self.doubtful = False
            try:
                await self._store.apply(Disown(owner=self.owner, keep=tuple(keep), now=self._clock.now()))
            except BaseException:
                self.doubtful = True
                raise

    def stop_acting(self) -> None:
        """Start nothing from now on; what is under way may still be written."""
        self._ended = True

    async def give_back(self) -> None:
        if not self.term:
            return  # there was never one; a process that only reads writes nothing
        now = self._clock.now()
        await self._store.apply(Beat(owner=self.owner, now=now, until=now - 1))
