"""Who has nothing to do does nothing: no timer runs while nothing is owned."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from execution_arrow.driver.worker import Limits
from execution_arrow.stores.access import Inline
from tests.execution_arrow.driver.test_driver import arrow_of, generate, run

OFTEN = Limits(lease=0.03, inbox_every=0.01)  # were it awake, it would wake ten times in what follows


def timers() -> int:
    """What the running loop waits for, without what has been called off."""
    loop: Any = asyncio.get_running_loop()
    return sum(not handle.cancelled() for handle in loop._scheduled)


@run
async def test_an_idle_arrow_waits_for_nothing_before_and_after_its_work(tmp_path: Path):
    others = timers()  # the test's own
    async with arrow_of(tmp_path, access=Inline, limits=OFTEN, worker=False) as arrow:
        await asyncio.sleep(0.1)
        assert timers() == others
        done = await generate(arrow)
        assert done.done
        await asyncio.sleep(0.1)
        assert timers() == others
        assert (await generate(arrow)).done  # and wakes when there is something to do again
