"""Policies that move money or bytes, through the whole driver."""

from __future__ import annotations

import asyncio
from pathlib import Path

from execution_arrow import Policy, Status
from execution_arrow import facts as f
from execution_arrow.testing import FakeLedger, FakeProvider
from tests.execution_arrow.driver.test_driver import REQUEST, arrow_of, run

SILENT = [f.Running()] * 10_000


@run
async def test_a_second_bet_wins_and_the_first_is_canceled_for_free(tmp_path: Path):
    ledger = FakeLedger()
    slow = FakeProvider("slow", polls=[*[f.Running()] * 30, f.Canceled()], cancel_free=True)
    quick = FakeProvider("quick", cancel_free=True)
    policy = Policy(hedge_after=0.05)
    async with arrow_of(tmp_path, slow, quick, holds=ledger, policy=policy, worker=True) as arrow:
        done = await arrow.generate_and_wait("m", REQUEST, account="acct", timeout=20)
        for _ in range(500):
            if not done.watching:
                break
            await asyncio.sleep(0.01)
            done = await arrow.get(done.id)
    assert [(a.provider, a.outcome.value, a.hedge) for a in done.attempts] == [
        ("slow", "canceled", False), ("quick", "used", True),
    ]  # fmt: skip
    assert done.waste == 0
    assert ledger.settled == {done.id: ("charge", 40_000)}
    assert ledger.holds == {done.id: 40_000}


@run
async def test_a_cancel_that_costs_is_never_bet_on(tmp_path: Path):
    slow = FakeProvider(
        "slow", polls=[*[f.Running()] * 20, f.Succeeded(outputs=(f.Output(index=0, url="u"),))]
    )
    async with arrow_of(tmp_path, slow, FakeProvider("quick"), policy=Policy(hedge_after=0.0)) as arrow:
        done = await arrow.generate_and_wait("m", REQUEST, account="acct", timeout=20)
    assert [a.provider for a in done.attempts] == ["slow"]


@run
async def test_a_result_that_came_too_late_is_kept_where_the_policy_says_so(tmp_path: Path):
    late = f.Succeeded(outputs=(f.Output(index=0, url="https://late.example/0.png"),))
    slow = FakeProvider("slow", polls=[*[f.Running()] * 20, late], cancel=None)
    policy = Policy(keep_discarded=True, attempt_deadline=0.1)
    async with arrow_of(tmp_path, slow, FakeProvider("quick"), policy=policy, worker=True) as arrow:
        done = await arrow.generate_and_wait("m", REQUEST, account="acct", timeout=20)
        for _ in range(500):
            if not done.watching:
                break
            await asyncio.sleep(0.01)
            done = await arrow.get(done.id)
    assert (done.status, done.provider_used) == (Status.SUCCEEDED, "quick")
    first, second = done.attempts
    assert (first.outcome.value, len(first.kept), second.kept) == ("discarded", 1, ())
    assert first.kept[0].sha256 != done.files[0].sha256
    assert done.waste == first.cost
