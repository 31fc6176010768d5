"""The server's clock, as this process believes it.

Every process of a ledger reads the same clock, the server's. A jump of it is noticed by each process with the
help of its own steady count, as with every other store; one that has just been started believes what it sees.
"""

from __future__ import annotations

import threading

from .base import Clock, SteadyClock, now_micros


class ServerClock:
    """Microseconds since 1970: a test's clock where one is given, or what the server says and is believed."""

    def __init__(self, given: Clock | None) -> None:
        self.asks = given is None
        self._given = given
        self._lock = threading.Lock()
        self._said = 0.0
        self._steady: SteadyClock | None = None

    def now(self, said: int) -> int:
        """The time, when the server says `said`."""
        if self._given is not None:
            return now_micros(self._given)
        with self._lock:
            believed = self._steady_at(said)()
            return said if believed == self._said else round(believed * 1_000_000)

    def trust(self, said: int) -> bool:
        """Believe the server, which says `said`; returns whether it was not believed."""
        with self._lock:
            return self._given is None and self._steady_at(said).trust()

    def _steady_at(self, said: int) -> SteadyClock:
        self._said = said / 1_000_000
        if self._steady is None:
            self._steady = SteadyClock(lambda: self._said)
        return self._steady
