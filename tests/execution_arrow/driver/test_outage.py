"""A store that is away fills no log: it is said once, every five minutes, and when it is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from execution_arrow import AsyncArrow
from execution_arrow.driver.outage import EVERY, Outage
from execution_arrow.errors import StoreUnavailable
from execution_arrow.stores.base import Op, Result
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing import FakeProvider, FakeTransport, fake_parts
from tests.execution_arrow.pains.kit import QUICK, run, until


class Clock:
    time = 0.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


def test_once_then_every_five_minutes_then_when_it_is_over(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, logger="execution_arrow")
    clock = Clock()
    outage = Outage(clock)
    outage.over()  # nothing was wrong
    for _ in range(int(2 * EVERY) + 1):
        outage.failed("generation=g", RuntimeError("disk full"))
        clock.time += 1.0
    outage.over()
    outage.over()
    said = [record.getMessage() for record in caplog.records]
    assert [line.split()[0] for line in said] == ["store_unavailable"] * 3 + ["store_back"]
    assert "disk full" in said[0]
    assert "301 failures" in said[1]
    assert said[-1] == f"store_back after {2 * EVERY + 1:.0f} s and {int(2 * EVERY) + 1} failures"


class Away(MemoryStore):
    away = False

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        if self.away:
            raise StoreUnavailable("away", maybe_applied=False)
        return super().apply(ops)


@run
async def test_many_generations_meet_one_outage(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, logger="execution_arrow")
    store = Away()
    transport = FakeTransport()
    parts = fake_parts({"fake": FakeProvider(poll_every=0.3)}, tmp_path, store=store, transport=transport)
    async with AsyncArrow(parts, limits=QUICK, worker=True) as arrow:
        waiting = [asyncio.create_task(arrow.generate_and_wait("m", {}, account="acct")) for _ in range(30)]
        await until(lambda: len(transport.submits()) == 30)
        store.away = True
        await asyncio.sleep(0.6)
        store.away = False
        await asyncio.gather(*waiting)
    said = [record.getMessage().split()[0] for record in caplog.records]
    assert said.count("store_unavailable") == said.count("store_back") == 1
