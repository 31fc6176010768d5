"""Attempts that have no verdict yet, and the ids of those that have one.

An attempt is in flight from its start, so that a provider that hangs is visible before anything times
out: one that is overdue (older than nearly all successes there), or of which nobody knows whether it was
accepted, weighs like a failure for as long as that lasts. Both maps are bounded; the oldest leave first.

Not safe for threads by itself; the island's lock is around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Flight(NamedTuple):
    """An attempt on its way."""

    region: str
    model: str
    provider: str
    account: str
    work: str
    started: float
    unknown: bool = False


class Flights:
    """Attempts in flight by id and by model, and the ids of settled ones."""

    def __init__(self, most: int, age: float) -> None:
        self._most = most
        self._age = age
        self._flights: dict[str, Flight] = {}
        self._by_model: dict[tuple[str, str], dict[str, None]] = {}
        self._settled: dict[str, None] = {}  # a plain one, because every attempt asks it twice
        self.lost = 0

    def __len__(self) -> int:
        return len(self._flights)

    def settled(self, attempt: str) -> bool:
        """Whether a verdict about this attempt was counted."""
        return attempt in self._settled

    def get(self, attempt: str) -> Flight | None:
        """The attempt, if it is in flight."""
        return self._flights.get(attempt)

    def start(self, attempt: str, flight: Flight) -> None:
        """Put an attempt in flight, or replace what is known about it."""
        if attempt in self._flights:
            self._remove(attempt)  # a name that is used again may be for another model
        elif len(self._flights) >= self._most:
            self._remove(next(iter(self._flights)))
            self.lost += 1
        self._flights[attempt] = flight
        self._by_model.setdefault((flight.region, flight.model), {})[attempt] = None

    def settle(self, attempt: str) -> Flight | None:
        """Take an attempt out of flight and remember that it has its verdict."""
        if len(self._settled) >= self._most:
            del self._settled[next(iter(self._settled))]
        self._settled[attempt] = None
        return self._remove(attempt)

    def any(self, region: str, model: str) -> bool:
        """Whether any attempt is in flight for a model."""
        return (region, model) in self._by_model

    def of(self, region: str, model: str, now: float) -> Iterator[Flight]:
        """Attempts in flight for a model that are young enough to say something."""
        attempts = self._by_model.get((region, model))
        if attempts:
            for attempt in attempts:
                flight = self._flights[attempt]
                if now - flight.started < self._age:
                    yield flight

    def all(self, now: float) -> Iterator[Flight]:
        """All attempts in flight that are young enough to say something."""
        return (flight for flight in self._flights.values() if now - flight.started < self._age)

    def sweep(self, now: float) -> None:
        """Forget attempts that started too long ago for their verdict to come."""
        old = [name for name, flight in self._flights.items() if now - flight.started >= self._age]
        for attempt in old:
            self._remove(attempt)
            self.lost += 1

    def _remove(self, attempt: str) -> Flight | None:
        flight = self._flights.pop(attempt, None)
        if flight is not None:
            key = flight.region, flight.model
            attempts = self._by_model[key]
            attempts.pop(attempt, None)
            if not attempts:
                del self._by_model[key]
        return flight
