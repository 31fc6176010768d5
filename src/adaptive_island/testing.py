"""Public helpers for tests of code that uses an island."""

from __future__ import annotations


class FakeClock:
    """A clock that goes only when told to; give it to `Island.open(clock=…)`."""

    def __init__(self, now: float = 1_750_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Let time pass; returns the new time."""
        self.now += seconds
        return self.now


class Events(list[object]):
    """A hook that keeps every event; give it to `Island.open(hook=…)`."""

    def __call__(self, event: object) -> None:
        self.append(event)
