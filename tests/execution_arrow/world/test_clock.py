"""Clocks that jump by hours, forward and back: nothing is lost, paid twice, or left standing."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import pytest

from execution_arrow import Advanced, AsyncArrow, Status
from execution_arrow import facts as f
from execution_arrow.machine.state import State
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing import FakeLedger, FakeProvider, FakeTransport, fake_parts
from tests.execution_arrow.pains.kit import QUICK, run, until
from tests.execution_arrow.world.hand import SHORT, HandClock, live

HOUR = 3600.0


class Ticking(HandClock):
    """Goes on by itself from where the test put it."""

    def now(self) -> float:
        return self.time + time.monotonic() - 1_000.0


def made(folder: Path, clock: HandClock, *providers: FakeProvider, **more: object) -> AsyncArrow:
    named = {provider.semantics.name: provider for provider in providers}
    parts = fake_parts(named, folder, clock=clock, store=MemoryStore(clock.now), **more)
    return AsyncArrow(parts, policy=SHORT, limits=QUICK)


@run
async def test_an_hour_is_skipped_and_the_finished_job_is_used(tmp_path: Path):
    """Suspended, deployed, or set: every deadline has passed, and the picture lies ready."""
    clock, transport, ledger = HandClock(), FakeTransport(), FakeLedger()
    one, two = FakeProvider("one"), FakeProvider("two")
    async with made(tmp_path, clock, one, two, transport=transport, holds=ledger) as arrow:
        started = await arrow.generate("m", {}, account="acct")
        await arrow.advance(started.id)
        clock.time += 6 * HOUR
        done = await live(arrow, clock, started.id)
    assert (done.status, done.provider_used) == (Status.SUCCEEDED, "one")
    assert len(transport.submits()) == 1
    assert ledger.settled == {done.id: ("charge", 40_000)}


@run
async def test_an_hour_is_skipped_while_the_job_still_runs(tmp_path: Path):
    """It is late by now: it is told to stop, the credits come back, and its end is watched for."""
    clock, ledger = HandClock(), FakeLedger()
    provider = FakeProvider("one", polls=[*[f.Running()] * 3, f.Canceled()])
    async with made(tmp_path, clock, provider, holds=ledger) as arrow:
        started = await arrow.generate("m", {}, account="acct")
        await arrow.advance(started.id)
        clock.time += 6 * HOUR
        done = await live(arrow, clock, started.id)
    assert (done.status, done.attempts[0].state) == (Status.FAILED, State.CANCELED)
    assert ledger.settled == {done.id: ("release", 0)}


@run
async def test_a_clock_that_is_set_back_keeps_nobody_waiting_for_hours(tmp_path: Path):
    """A visit made under the new time does what is due and agrees on a new time, not on the old one."""
    clock = HandClock()
    async with made(tmp_path, clock, FakeProvider("one", polls=[f.Running()] * 2)) as arrow:
        started = await arrow.generate("m", {}, account="acct")
        await arrow.advance(started.id)
        clock.time -= 6 * HOUR
        came = await arrow.advance(started.id)
        assert isinstance(came, Advanced)
        assert came.next_at is not None
        assert came.next_at - clock.time < 60
        done = await live(arrow, clock, started.id)
    assert done.status is Status.SUCCEEDED


@run
async def test_sessions_in_memory_notice_that_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A worker that waits for "in a second" is not asleep for six hours."""
    monkeypatch.setattr("execution_arrow.driver.alarms._LONGEST", 0.1)
    clock = Ticking()
    slow = FakeProvider("one", polls=[f.Running()] * 6, poll_every=0.3)
    async with made(tmp_path, clock, slow) as arrow:
        waiting = asyncio.create_task(arrow.generate_and_wait("m", {}, account="acct"))
        calls = arrow._parts.transport.calls  # type: ignore[attr-defined]
        await until(lambda: len(calls) >= 1)
        clock.time -= 6 * HOUR  # the worker learns of it with its next heartbeat
        assert (await asyncio.wait_for(waiting, 30)).status is Status.SUCCEEDED


def test_a_restart_after_the_clock_was_set_back_goes_on() -> None:
    """The next process starts with the right time and finds rows from the future."""

    async def use(folder: Path) -> None:
        clock = HandClock()
        store = MemoryStore(clock.now)
        named = {"one": FakeProvider("one", polls=[f.Running()] * 5)}
        ports = {"clock": clock, "store": store, "holds": FakeLedger()}
        first = AsyncArrow(fake_parts(named, folder, **ports), limits=QUICK)
        async with first:
            started = await first.generate("m", {}, account="acct")
            await first.advance(started.id)
        clock.time -= 6 * HOUR
        store.close = lambda: None  # type: ignore[method-assign]
        async with AsyncArrow(fake_parts(named, folder, **ports), limits=QUICK) as second:
            assert (await live(second, clock, started.id)).status is Status.SUCCEEDED
        assert clock.time < 1_800_000_000.0 - 5 * HOUR

    with tempfile.TemporaryDirectory() as name:
        asyncio.run(asyncio.wait_for(use(Path(name)), 30))
