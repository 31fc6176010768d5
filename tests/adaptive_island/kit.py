"""Small helpers shared by the tests of an island."""

from __future__ import annotations

import itertools
from typing import Any

from adaptive_island import Attempt, Fault, Island, Outcome, Policy
from adaptive_island.testing import Events, FakeClock

MODEL = "bytedance/seedream-4.5"
THREE = ("byteplus", "replicate", "fal")
_ids = itertools.count()


class World:
    """An island with a clock of its own and all events in a list."""

    def __init__(self, policy: Policy | None = None, seed: int = 7) -> None:
        self.clock = FakeClock()
        self.events = Events()
        self.island = Island.open("memory:", policy=policy, clock=self.clock, hook=self.events, seed=seed)

    def report(
        self,
        provider: str,
        outcome: Outcome = Outcome.USED,
        *,
        model: str = MODEL,
        seconds: float = 5.0,
        after: float = 0.0,
        times: int = 1,
        **more: Any,
    ) -> str:
        """Report verdicts under new ids, or all under the one given; `after` seconds pass before each."""
        given = more.pop("id", None)
        for _ in range(times):
            self.clock.advance(after)
            name = given or f"a{next(_ids)}"
            attempt = Attempt(
                id=name, model=model, provider=provider, outcome=outcome, seconds=seconds, **more
            )
            self.island.record(attempt)
        return name

    def fail(self, provider: str, times: int = 1, **more: Any) -> None:
        """Report failures of attempts that started just now."""
        more.setdefault("seconds", 0.0)
        self.report(provider, Outcome.FAILED, times=times, fault=more.pop("fault", Fault.PROVIDER), **more)

    def rank(self, allowed: Any = THREE, **more: Any) -> tuple[str, ...]:
        """The order for the usual model."""
        return tuple(self.island.rank(more.pop("model", MODEL), allowed, **more))

    def states(self) -> list[str]:
        """The states that breakers went to, in order."""
        return [event.after for event in self.events if hasattr(event, "after")]
