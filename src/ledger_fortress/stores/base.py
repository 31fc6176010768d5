"""What stores share: the clock, and trying again.

Time alone expires credits and gives holds back, so a clock that jumps forward moves money. A wrong date from
a time server cannot be told from a long sleep by looking at the wall clock alone; beside a clock that only
ever counts it can. `SteadyClock` follows the wall clock while the two agree. When the wall clock has run
ahead by more than an hour, it is not believed: time goes on at the steady pace until somebody who has looked
says `trust`. Going back a little is harmless, because no account's time ever goes backwards.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

Clock: TypeAlias = Callable[[], float]
"""Seconds since 1970, like `time.time`."""

JUMP_SECONDS: Final = 3_600.0

ATTEMPTS: Final = 16
_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.1


def _counting() -> float:
    """Seconds that only ever count, the machine's sleep included where it can tell."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class SteadyClock:
    """The wall clock, unless it has jumped forward by more than an hour since it was asked last."""

    def __init__(self, wall: Clock = time.time, counting: Clock = _counting) -> None:
        self._wall, self._counting = wall, counting
        self._lock = threading.Lock()
        self._reference = wall(), counting()
        self._suspended = False

    def __call__(self) -> float:
        with self._lock:
            wall, count = self._wall(), self._counting()
            expected = self._reference[0] + count - self._reference[1]
            if wall - expected > JUMP_SECONDS or self._suspended:
                self._doubt(wall - expected)
                self._reference = expected, count
                return expected
            self._reference = wall, count
            return wall

    def trust(self) -> bool:
        """Believe the wall clock again; returns whether it was not believed."""
        with self._lock:
            suspended, self._suspended = self._suspended, False
            self._reference = self._wall(), self._counting()
            return suspended

    def _doubt(self, ahead: float) -> None:
        if not self._suspended:
            self._suspended = True
            logging.getLogger("ledger_fortress").warning(
                "the clock jumped forward by %.0f seconds; expiry and timeouts do not follow it until "
                "trust_clock() is called",
                ahead,
            )


def trust(clock: Clock) -> bool:
    """Believe this clock again, if it is one that doubts."""
    return clock.trust() if isinstance(clock, SteadyClock) else False


def now_micros(clock: Clock | None) -> int:
    """The clock in microseconds since 1970; None is the wall clock as it is."""
    return time.time_ns() // 1_000 if clock is None else round(clock() * 1_000_000)


def attempts() -> Iterator[int]:
    """Turns of an optimistic writer: at most `ATTEMPTS`, with a random pause before each but the first."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)))
        yield attempt
