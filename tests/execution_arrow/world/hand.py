"""A world that a test turns by hand: a clock that stands still, and generations that are advanced.

`advance` does what is due and says when it wants to come back; the clock is put there, and so on to the end.
A whole life takes milliseconds, whatever its deadlines.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from execution_arrow import Advanced, AsyncArrow, Generation, Policy
from execution_arrow.credentials import SETTINGS, VARIABLES, EnvironmentCredentials
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.wiring import Parts, default_parts
from rosetta_bridge import Catalog

CATALOG = Catalog.shipped(include="secondary")  # Model Studio's routes are known at second hand
KEYS = dict.fromkeys(VARIABLES.values(), "made-up")
KEYS |= {name: "0" * 32 for names in SETTINGS.values() for name in names.values()}
# Everything ends within a few minutes of the clock.
SHORT = Policy(
    unknown_patience=1.0,
    attempt_deadline=30.0,
    generation_deadline=90.0,
    empty_patience=10.0,
    collect_deadline=30.0,
    write_off_after=120.0,
)


class HandClock:
    """Wall time is what the test says; the monotonic clock is the machine's."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return time.monotonic()


def parts(folder: Path, where: str | Path = "memory:", **more: Any) -> Parts:
    """The product's own parts, but for what is named."""
    asked = {name: more.pop(name) for name in ("transport", "egress", "ledger") if name in more}
    made = default_parts(
        where,
        artifacts=folder / "artifacts",
        catalog=CATALOG,
        credentials=EnvironmentCredentials(KEYS),
        **asked,
    )
    if (clock := more.get("clock")) is not None and isinstance(made.store, MemoryStore):
        more.setdefault("store", MemoryStore(clock.now))  # leases and times are the store's
    return replace(made, **more)


async def live(arrow: AsyncArrow, clock: HandClock, generation_id: str, *, steps: int = 200) -> Generation:
    """Advance a generation to its end, and what it leaves behind to theirs."""
    for _ in range(steps):
        came = await arrow.advance(generation_id)
        assert isinstance(came, Advanced)
        if came.done:
            return await arrow.get(generation_id)
        assert came.next_at is not None
        clock.time = max(clock.time, came.next_at)
    raise AssertionError(f"no end after {steps} steps: {await arrow.get(generation_id)}")
