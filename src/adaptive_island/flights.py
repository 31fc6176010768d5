"""Attempts that have no verdict yet, and the ids of those that have one.

An attempt is in flight from its start, so that a provider that hangs is visible before anything times
out: one that is overdue (older than nearly all successes there), or of which nobody knows whether it was
accepted, weighs like a failure for as long as that lasts. Both maps are bounded; the oldest leave first.

Not safe for threads by itself; the island's lock is around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from .lanes import Flight, Flying, Place


def oldest(table: dict[Any, Any], most: int) -> list[Any]:
    """The keys that leave a full table first: some at once, because a dict finds its first key the slower
    the more were deleted before it."""
    return list(islice(table, most // 64 + 1))


class Flights:
    """Attempts in flight by id and by `places`, and the ids of `settled` ones."""

    def __init__(self, most: int, age: float, places: dict[Place, Flying]) -> None:
        self._most = most
        self._age = age
        self._flights: dict[str, Flight] = {}
        self._places = places
        self.settled: dict[str, None] = {}
        self.lost = 0

    def __len__(self) -> int:
        return len(self._flights)

    def get(self, attempt: str) -> Flight | None:
        """The attempt, if it is in flight."""
        return self._flights.get(attempt)

    def start(self, attempt: str, flight: Flight) -> None:
        """Put an attempt in flight, or replace what is known about it."""
        flights = self._flights
        if attempt in flights:
            self._remove(attempt)  # a name that is used again may be for another model
        elif len(flights) >= self._most:
            self._lose(oldest(flights, self._most))
        flights[attempt] = flight.lane.flying[attempt] = flight

    def settle(self, attempt: str) -> Flight | None:
        """Take an attempt out of flight and remember that it has its verdict."""
        settled = self.settled
        if len(settled) >= self._most:
            for old in oldest(settled, self._most):
                del settled[old]
        settled[attempt] = None
        flight = self._flights.pop(attempt, None)
        if flight is not None:
            del flight.lane.flying[attempt]
        return flight

    def any(self, region: str, model: str) -> bool:
        """Whether any attempt is in flight for a model."""
        return bool(self._places.get((region, model)))

    def of(self, region: str, model: str, now: float) -> Iterator[Flight]:
        """Attempts in flight for a model that are young enough to say something."""
        return self._young(self._places.get((region, model), {}), now)

    def all(self, now: float) -> Iterator[Flight]:
        """All attempts in flight that are young enough to say something."""
        return self._young(self._flights, now)

    def sweep(self, now: float) -> None:
        """Forget attempts that started too long ago for their verdict to come."""
        self._lose([name for name, flight in self._flights.items() if now - flight.started >= self._age])

    def _young(self, flying: Flying, now: float) -> Iterator[Flight]:
        return (flight for flight in flying.values() if now - flight.started < self._age)

    def _lose(self, attempts: list[str]) -> None:
        for attempt in attempts:
            self._remove(attempt)
        self.lost += len(attempts)

    def _remove(self, attempt: str) -> None:
        del self._flights.pop(attempt).lane.flying[attempt]
