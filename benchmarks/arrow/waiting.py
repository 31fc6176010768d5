"""What it costs to have many generations in flight, and to have none. Run as a child by `benchmarks.arrow`.

Ten thousand generations with a prompt of 4 kB each: the first provider accepts and fails, the second accepts
and works for hours. Memory is the most that the process ever needed, above what it needs idle, both files'
caches and the real ledger included. Wake-ups are rounds of the event loop, counted at its selector.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import resource
import string
import sys
import tempfile
from itertools import repeat
from pathlib import Path
from typing import Any

from benchmarks.arrow.world import ACCOUNT, MODEL, parts_in
from execution_arrow import AsyncArrow
from execution_arrow import facts as f
from execution_arrow.driver.worker import Limits
from execution_arrow.facts import Fault
from execution_arrow.testing import FakeProvider

PROMPT = 4_000  # characters, the most that the model takes
AT_ONCE = 256
IDLE_SECONDS = 3.0
MEGABYTE = 1 << 20


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), int(sys.argv[1])))))


async def measure(folder: Path, generations: int) -> dict[str, float]:
    failed = f.Failed(fault=Fault.PROVIDER, code="no")
    first = FakeProvider("byteplus", poll_every=0.01, polls=repeat(failed), image_deadline=3600.0)
    second = FakeProvider("fal", poll_every=1800.0, polls=repeat(f.Running()), image_deadline=7200.0)
    parts = parts_in(folder, byteplus=first, fal=second)
    rounds = Rounds(asyncio.get_running_loop())
    async with AsyncArrow(parts_in(folder / "embedded")) as arrow:
        await arrow.list()
        alone = await rounds.during(IDLE_SECONDS)
    async with AsyncArrow(parts, worker=True, limits=Limits(sessions=2 * generations)) as arrow:
        await arrow.ledger.grant(ACCOUNT, "1000000", key="start", create=True)
        gc.collect()
        idle, worker = resident(), await rounds.during(IDLE_SECONDS)
        driver: Any = arrow._driver
        await start(arrow, generations)
        while any(len(s.run.attempts) < 2 or s.run.attempts[1].job is None for s in driver.sessions.values()):
            await asyncio.sleep(0.2)
        assert len(driver.sessions) == generations
        return {
            "in_flight": generations,
            "megabytes": (peak() - idle) / MEGABYTE,
            "megabytes_at_rest": (resident() - idle) / MEGABYTE,
            "wakeups_idle": alone,
            "wakeups_idle_worker": worker,
            "wakeups_in_flight": await rounds.during(IDLE_SECONDS),
        }


async def start(arrow: AsyncArrow, generations: int) -> None:
    draw = random.Random(1)

    async def one(prompt: str) -> None:
        request = {"generation_prompt": prompt, "generation_provider_order": "byteplus, fal"}
        await arrow.generate(MODEL, request, account=ACCOUNT)

    for begun in range(0, generations, AT_ONCE):
        some = range(min(AT_ONCE, generations - begun))
        await asyncio.gather(*(one("".join(draw.choices(string.ascii_letters, k=PROMPT))) for _ in some))


def resident() -> int:
    """Bytes of memory that the process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def peak() -> int:
    """Bytes of memory that the process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Rounds:
    """Counts the rounds of an event loop."""

    def __init__(self, loop: Any) -> None:
        selector = loop._selector
        select = selector.select
        self.count = 0

        def counted(timeout: float | None = None) -> Any:
            self.count += 1
            return select(timeout)

        selector.select = counted

    async def during(self, seconds: float) -> int:
        """Rounds in so many seconds, without the two of this very wait."""
        before = self.count
        await asyncio.sleep(seconds)
        return self.count - before - 2


if __name__ == "__main__":
    main()
