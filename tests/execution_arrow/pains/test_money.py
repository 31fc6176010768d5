"""Pains of other people's money: paid twice, paid for nothing, paid and not known.

Each test is one pain that was reported elsewhere; docs/pains.md names the reports.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import AsyncArrow, GenerationFailed, InsufficientCredits, Policy, Status, WaitTimeout
from execution_arrow.machine.state import State
from execution_arrow.sandbox import Fault, Sandbox, Timing
from execution_arrow.sandbox.clock import RealClock
from execution_arrow.tariff import Ask
from execution_arrow.testing import FakeTransport
from tests.execution_arrow.arrow.conftest import Opener, options
from tests.execution_arrow.pains.kit import (
    CLIP,
    SCHNELL,
    SEEDREAM,
    ask,
    billed,
    faked,
    fund,
    of,
    outcomes,
    run,
)


@run
async def test_a_paid_submit_is_sent_again_after_its_answer_was_lost(box: Sandbox, open_arrow: Opener):
    """Pain 1: hundreds of resubmissions, most of them billed, and no picture."""
    box.fault("fal", "lost_reply")
    async with open_arrow(policy=Policy(on_unknown="fail")) as arrow:
        await fund(arrow)
        asked = (arrow.generate_and_wait(SCHNELL, ask("fal"), account="acct") for _ in range(10))
        ends = await asyncio.gather(*asked, return_exceptions=True)
        for end in ends:
            assert isinstance(end, GenerationFailed)
            assert len(of(end.generation, box.calls())) == 1
            assert end.generation.possible_waste > 0  # the operator is told what may have been billed
        assert (await arrow.ledger.balance("acct")).available.micros == 5_000_000  # the customer paid nothing


@run
async def test_a_timeout_is_refunded_while_the_provider_renders_on(box: Sandbox, open_arrow: Opener):
    """Pain 3: "timed out" gave everything back, and the platform paid for the clip."""
    box.fault("replicate", Fault("late", times=1, seconds=1.5))
    policy = Policy(attempt_deadline=0.4, on_overdue="wait", generation_deadline=30)
    async with open_arrow(policy=policy, worker=True) as arrow:
        await fund(arrow)
        started = await arrow.generate(SCHNELL, ask("replicate"), account="acct")
        states = set()
        while not (now := await arrow.get(started.id)).done:
            if now.attempts and now.attempts[0].state is State.CLOSING:
                assert (await arrow.ledger.balance("acct")).held.micros == 3_000
            states |= {attempt.state for attempt in now.attempts}
            await asyncio.sleep(0.02)
        assert State.CLOSING in states  # late, canceled, watched, and the credits stayed held
        assert outcomes(now) == [("replicate", "used")]
        assert sum(billed(box, now).values()) == int(now.cost * 1_000_000)
        assert (await arrow.ledger.balance("acct")).available.micros == 5_000_000 - 3_000


class Leaping(RealClock):
    """The providers' clock, which the test puts forward."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


@run
async def test_used_and_unused_spending_cannot_be_told_apart(tmp_path: Path):
    """Pain 4: the operator compared bills with jobs by hand."""
    clock = Leaping()
    with Sandbox(seed=1, clock=clock, timing=Timing(queue=0.02, image=0.1)) as box:
        await _used_and_unused(box, clock, tmp_path)


async def _used_and_unused(box: Sandbox, clock: Leaping, folder: Path) -> None:
    box.fault("fal", Fault("lost_reply", times=1))
    box.fault("replicate", Fault("late", times=1, seconds=3600.0))
    policy = Policy(attempt_deadline=2.0, cancel_patience=0.2, generation_deadline=60)
    async with AsyncArrow.open(folder / "data", policy=policy, **options(box)) as arrow:
        await fund(arrow)
        wish = ask("fal, replicate, cloudflare")
        done = await arrow.generate_and_wait(SCHNELL, wish, account="acct", timeout=30)
        clock.ahead = 3600.0  # the clip that nobody waits for any more is ready
        while outcomes(done)[1][1] == "pending" or len(billed(box, done)) < 3:
            await asyncio.sleep(0.05)
            done = await arrow.get(done.id)
        sums = {part.provider: part for part in (await arrow.usage()).providers}
    assert outcomes(done) == [("fal", "unknown"), ("replicate", "discarded"), ("cloudflare", "used")]
    bills = billed(box, done)
    unknown, discarded, used = (bills[attempt.id] for attempt in done.attempts)
    assert discarded + used == int(done.cost * 1_000_000)
    assert discarded == int(done.waste * 1_000_000)
    assert unknown == int(done.possible_waste * 1_000_000)
    told = [(sums[name].cost, sums[name].wasted, sums[name].possible_waste) for name in sums]
    assert sum(int(amount * 1_000_000) for row in told for amount in (row[0], row[2])) == sum(bills.values())
    assert sums["replicate"].wasted == sums["replicate"].cost == done.waste
    assert (sums["fal"].unknown, sums["cloudflare"].used) == (1, 1)


@run
async def test_the_error_text_invites_to_pay_again(box: Sandbox, open_arrow: Opener):
    """Pain 6: "try again", said of a job that was accepted and billed."""
    box.fault("fal", Fault("lost_reply", times=1))
    box.fault("replicate", Fault("slow", times=1, seconds=1))
    async with open_arrow(policy=Policy(on_unknown="fail")) as arrow:
        await fund(arrow)
        with pytest.raises(GenerationFailed) as failed:
            await arrow.generate_and_wait(SCHNELL, ask("fal"), account="acct")
        with pytest.raises(WaitTimeout) as late:
            await arrow.generate_and_wait(SCHNELL, ask("replicate"), account="acct", timeout=0.1)
        for error in (failed.value, late.value):
            assert not error.retryable
            assert "try again" not in str(error).lower()
        assert "may have accepted the job" in str(failed.value)
        assert late.value.generation_id in str(late.value)  # what to wait for, instead of asking anew
        assert (await arrow.wait(late.value.generation_id)).status is Status.SUCCEEDED


@pytest.mark.parametrize("how", ["untyped exception", "undeclared 500"])
@run
async def test_an_untyped_error_launches_a_second_provider(
    box: Sandbox, open_arrow: Opener, tmp_path: Path, how: str
):
    """Pain 7: any exception counted as "not accepted", and the fallback's job was billed as well."""
    policy = Policy(on_unknown="wait", generation_deadline=1.0)
    if how == "undeclared 500":
        box.fault("fal", Fault("server_error", times=1))
        async with open_arrow(policy=policy) as arrow:
            await fund(arrow)
            with pytest.raises(GenerationFailed) as caught:
                await arrow.generate_and_wait(SCHNELL, ask("fal, replicate"), account="acct")
    else:
        transport = FakeTransport(fail=lambda call: RuntimeError("?") if call.method == "POST" else None)
        async with faked(tmp_path, policy=policy, transport=transport) as arrow:
            with pytest.raises(GenerationFailed) as caught:
                await arrow.generate_and_wait("m", {}, account="acct")
            assert len(transport.submits()) == 1
    assert [str(attempt.outcome) for attempt in caught.value.generation.attempts] == ["unknown"]


class Own:
    """A price per provider."""

    def prices(self, ask: Ask) -> dict[str, int]:
        return {name: {"byteplus": 90_000, "replicate": 50_000}.get(name, 70_000) for name in ask.costs}


@run
async def test_failover_is_settled_at_the_price_of_the_first_choice(box: Sandbox, open_arrow: Opener):
    """Pain 8: the primary's price was charged for the secondary's picture."""
    box.fault("byteplus", "down")
    async with open_arrow(tariff=Own()) as arrow:
        await fund(arrow)
        done = await arrow.generate_and_wait(SEEDREAM, ask("byteplus, replicate"), account="acct")
        assert (done.provider_used, done.hold, done.charged) == (
            "replicate", Decimal("0.090000"), Decimal("0.050000"),
        )  # fmt: skip
        assert done.cost == Decimal(sum(billed(box, done).values())) / 1_000_000
        assert (await arrow.ledger.balance("acct")).available.micros == 4_950_000


@run
async def test_the_budget_does_not_hold_for_clips(box: Sandbox, open_arrow: Opener):
    """Pain 9: budgets counted text and nothing else; many asking at once passed the check together."""
    before = len(box.calls())
    async with open_arrow(worker=True) as arrow:
        wish: dict[str, Any] = {"generation_duration": 5, "generation_resolution": "480p"}
        price = (await arrow.estimate(CLIP, ask("byteplus", **wish))).price
        await fund(arrow, str(price * 5 / 2))
        asked = (
            arrow.generate_and_wait(CLIP, ask("byteplus", **wish), account="acct", timeout=40)
            for _ in range(6)
        )
        ends = await asyncio.gather(*asked, return_exceptions=True)
        refused = [end for end in ends if isinstance(end, InsufficientCredits)]
        assert len(refused) == 4
        submits = [call for call in box.calls()[before:] if call.on == "submit"]
        assert len(submits) == 2  # what cannot be paid is never sent
        assert (await arrow.ledger.balance("acct")).available.micros == int(price * 1_000_000) // 2
