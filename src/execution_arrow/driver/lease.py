"""A worker's lease: who we are to the store, what time it is there, and whether we may still act.

The store's clock says when a lease ends for others; our own monotonic clock says when it ends for us, two
thirds of the way, so that a worker which was paused or whose wall clock jumped stops before anybody else
starts. A lease that lapsed and is renewed is a new `term`: others may have taken over meanwhile, so what was
owned in an older term is looked at before anything is done with it.

The times in a generation are the store's, too. Every answer about the lease says what time it is there, and
`StoreClock` goes on from that by the monotonic clock; so a host with a wrong date neither polls late nor
declares another host's attempts overdue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from execution_arrow.ports import Clock
from execution_arrow.stores.access import Access
from execution_arrow.stores.base import Beat, Beaten, Claim, Claimed, Disown


class StoreClock:
    """The store's time as far as it is known; the machine's own until the store has said a word."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead: float | None = None  # of the monotonic clock

    def now(self) -> float:
        return self._clock.now() if self._ahead is None else self._clock.monotonic() + self._ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()

    @property
    def known(self) -> bool:
        """Whether the store has said what time it is."""
        return self._ahead is not None

    def learn(self, said: float) -> None:
        """It was `said` at the store a moment ago."""
        self._ahead = said - self._clock.monotonic()


TIDY_EVERY = 60.0  # seconds


class Lease:
    """One worker's lease of `seconds`; renewed when a third of it has passed."""

    def __init__(self, store: Access, clock: StoreClock, owner: str, seconds: float) -> None:
        self._store, self.clock, self._seconds = store, clock, seconds
        self.owner = owner
        self._since = float("-inf")  # monotonic time of the last renewal that was answered
        self._ended = False
        self.term = 0
        self.doubtful = asyncio.Event()  # rows may carry our name without our knowing: an answer was lost
        self.needed = asyncio.Event()  # something is ours, or may be
        self.making: set[str] = set()  # new rows in our name that nobody drives yet
        self._tidied = clock.monotonic()

    def safe(self) -> bool:
        """Whether an effect may be started under this lease."""
        return not self._ended and not self._lapsed()

    def _lapsed(self) -> bool:
        return self.clock.monotonic() - self._since >= self._seconds * 2 / 3

    def renew_in(self) -> float:
        """Seconds until `keep` has something to do."""
        return max(0.0, self._since + self._seconds / 3 - self.clock.monotonic())

    async def keep(self) -> None:
        """Renew when it is time. Raises `StoreUnavailable`."""
        if self.renew_in() > 0.0:
            return
        started = self.clock.monotonic()
        beaten = await self._store.apply(Beat(owner=self.owner, seconds=self._seconds))
        assert isinstance(beaten, Beaten)
        self._renewed(started, beaten.now)

    async def claim(self, ids: Iterable[str], limit: int, owning: bool) -> Claimed:
        """Take rows that nobody alive owns; what is taken renews the lease. Raises `StoreUnavailable`.

        Whoever owns rows already (`owning`) renews first: else a claim would find his own rows free.
        """
        if owning:
            await self.keep()
        started = self.clock.monotonic()
        claim = Claim(owner=self.owner, seconds=self._seconds, limit=limit, ids=tuple(ids))
        try:
            claimed = await self._store.apply(claim)
        except BaseException:  # cancelled or without an answer: it may have happened all the same
            self.doubt()
            raise
        assert isinstance(claimed, Claimed)
        if claimed.rows:
            self._renewed(started, claimed.now)
        else:
            self.clock.learn(claimed.now)
        return claimed

    def _renewed(self, started: float, now: float) -> None:
        """The store has extended the lease at some moment after `started`; that it lapsed before is looked at
        now, because the answer may have been long on its way."""
        self.term += self._lapsed()
        self._since = started
        self.clock.learn(now)

    async def tidy(self, keep: Iterable[str]) -> None:
        """Hand back what carries our name and is not in `keep`, when there may be any. A row too many that
        is handed back costs a look, never a call: its session is fenced. Raises `StoreUnavailable`.

        Once in a while it is looked for without a reason: a store that was restored from a copy says what we
        owned then, and nobody else touches that as long as our lease lives.
        """
        now = self.clock.monotonic()
        if self.doubtful.is_set() or now - self._tidied >= TIDY_EVERY:
            self.doubtful.clear()
            self._tidied = now
            try:
                await self._store.apply(Disown(owner=self.owner, keep=(*keep, *self.making)))
            except BaseException:
                self.doubt()
                raise

    def doubt(self) -> None:
        """An answer was lost: what it was about may be ours."""
        self.doubtful.set()
        self.needed.set()

    def stop_acting(self) -> None:
        """Start nothing from now on; what is under way may still be written."""
        self._ended = True

    async def give_back(self) -> None:
        if not self.term:
            return  # there was never one; a process that only reads writes nothing
        await self._store.apply(Beat(owner=self.owner, seconds=0.0))
