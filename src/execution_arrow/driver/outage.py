"""A store that does not answer is said once, not once for each of ten thousand generations.

One warning when it begins, one every five minutes with the number of failures since, one when it is over.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from execution_arrow.ports import Clock

logger = logging.getLogger("execution_arrow")

EVERY = 300.0  # seconds between two warnings of one outage


@dataclass(slots=True)
class Outage:
    """Whether the job store answers, as one process has seen it. Times are the monotonic clock's."""

    clock: Clock
    began: float | None = None
    failures: int = 0
    _said: float = 0.0

    def failed(self, what: str, error: Exception) -> None:
        """`what` could not be done; it will be tried again."""
        now = self.clock.monotonic()
        if self.began is None:
            self.began, self._said, self.failures = now, now, 1
            logger.warning(
                "store_unavailable %s error=%s: nothing is lost, everything waits and is tried again",
                what,
                error,
            )
            return
        self.failures += 1
        if now - self._said >= EVERY:
            self._said = now
            logger.warning(
                "store_unavailable still, since %.0f s, %d failures, the last: %s error=%s",
                now - self.began, self.failures, what, error,
            )  # fmt: skip

    def over(self) -> None:
        """Something was written."""
        if self.began is not None:
            logger.warning(
                "store_back after %.0f s and %d failures", self.clock.monotonic() - self.began, self.failures
            )
            self.began = None
