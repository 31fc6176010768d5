"""What the arrow's benchmarks run in: the shipped parts, with nothing outside that takes time.

Catalogue, normaliser, tariff, ranking, ledger and both SQLite files (WAL, synchronous=FULL) are the real
ones. Providers answer at once, in process, and files are kept in memory.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from execution_arrow.ports import Transport
from execution_arrow.providers.base import Call, Reply
from execution_arrow.testing import FakeArtifacts, FakeCredentials, FakeProvider
from execution_arrow.wiring import Parts, default_parts

MODEL = "bytedance/seedream-4.5"
PROVIDERS = ("byteplus", "fal", "replicate")
REQUEST = {"generation_prompt": "a lighthouse"}
POLL_EVERY = 0.01  # seconds from an accepted job to its first poll
ACCOUNT = "a"


class Instant:
    """A transport that answers 200 with what was sent, and keeps nothing."""

    async def send(self, call: Call, *, spool: Path | None = None) -> Reply:
        return Reply(status=200, body=json.dumps(call.json or {}).encode())

    async def aclose(self) -> None:
        pass


def parts_in(folder: Path, transport: Transport | None = None, **providers: FakeProvider) -> Parts:
    """The default parts in a folder, over providers that accept and succeed, or those that are given."""
    named = providers or {name: FakeProvider(name, poll_every=POLL_EVERY) for name in PROVIDERS}
    parts = default_parts(
        folder, transport=transport or Instant(), credentials=FakeCredentials(), providers=named
    )
    return replace(parts, artifacts=FakeArtifacts())


class Side:
    """One contestant on a loop of its own, with so many in flight at once."""

    def __init__(self, in_flight: int) -> None:
        self._in_flight = in_flight
        self._loop = asyncio.new_event_loop()

    def await_(self, work: Awaitable[Any]) -> Any:
        return self._loop.run_until_complete(work)

    def times(self, number: int, one: Callable[[], Awaitable[object]]) -> Callable[[], None]:
        """A candidate that does `one` so many times."""

        async def all_of_them() -> None:
            slots = asyncio.Semaphore(self._in_flight)

            async def slot() -> None:
                async with slots:
                    await one()

            await asyncio.gather(*(slot() for _ in range(number)))

        return lambda: self.await_(all_of_them())


def on_one_core() -> int:
    """Keep this process and its threads on one core, where the system can; returns the number of cores."""
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return 1
