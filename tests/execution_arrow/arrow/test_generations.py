"""Generations from request to settled result, over real sockets, with one fault at a time.

The judge is outside: the sandbox's books say what was sent and billed, the ledger what was paid.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import wraps
from typing import Any

import pytest

from execution_arrow import (
    AsyncArrow,
    Generation,
    GenerationFailed,
    InsufficientCredits,
    Policy,
    RequestRejected,
)
from execution_arrow.errors import CancelTooLate, IdempotencyConflict, UnknownGeneration, WaitTimeout
from execution_arrow.machine.state import Outcome, State, Status, Stop
from execution_arrow.sandbox import Fault, Sandbox
from execution_arrow.testing import hurried
from rosetta_bridge import Catalog
from tests.execution_arrow.arrow.conftest import Opener

SEEDREAM = "bytedance/seedream-4.5"
SCHNELL = "bfl/flux-schnell"
PROMPT = {"generation_prompt": "a lighthouse at dusk"}


def run(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))  # type: ignore[arg-type]

    return wrapper


async def fund(arrow: AsyncArrow, credits: str = "5") -> None:
    await arrow.ledger.grant("acct", credits, key="start", create=True)


async def settled(arrow: AsyncArrow, generation: Generation) -> Generation:
    """The generation once its residue has been followed to the end."""
    for _ in range(400):
        generation = await arrow.get(generation.id)
        if generation.done and not generation.watching:
            return generation
        await asyncio.sleep(0.05)
    raise AssertionError(f"still watching {[(a.provider, a.state) for a in generation.attempts]}")


def outcomes(generation: Generation) -> list[tuple[str, str]]:
    return [(attempt.provider, attempt.outcome.value) for attempt in generation.attempts]


async def check_books(arrow: AsyncArrow, box: Sandbox, generation: Generation) -> None:
    """One submit per attempt, costs as billed, one resolution of one hold, files with the announced hash."""
    submits = [call.reference for call in box.calls() if call.on == "submit"]
    for attempt in generation.attempts:
        assert submits.count(attempt.id) <= 1
    entries = (await arrow.ledger.statement("acct", limit=1000)).entries
    kinds = [entry.kind for entry in entries if generation.id in (entry.key, getattr(entry, "hold", None))]
    assert len(kinds) == 2, kinds
    assert (await arrow.ledger.audit()).ok
    balance = await arrow.ledger.balance("acct")
    assert balance.held.micros == 0
    for file in generation.files:
        assert file.path is not None
        assert hashlib.sha256(file.path.read_bytes()).hexdigest() == file.sha256


@pytest.mark.parametrize(
    ("model", "provider", "more"),
    [
        (SEEDREAM, "byteplus", {"generation_ratio": "16:9"}),
        (SEEDREAM, "fal", {"generation_ratio": "16:9"}),
        (SCHNELL, "replicate", {}),
        (SCHNELL, "cloudflare", {}),
        ("bytedance/seedance-1-pro", "byteplus", {"generation_duration": 5, "generation_resolution": "480p"}),
        ("openai/gpt-image-2", "openai", {}),
        ("qwen/image-2", "alibabacloud", {"generation_output_format": "png"}),
        ("bfl/flux-1.1-pro", "bfl", {}),
        ("runway/gen-4-image", "runway", {}),
        ("runway/gen-4.5", "runway", {"generation_duration": 2}),
    ],
)
@run
async def test_every_kind_of_provider_delivers(
    box: Sandbox, open_arrow: Opener, model: str, provider: str, more: dict[str, Any]
):
    catalog = Catalog.shipped(include="secondary")  # Model Studio's priced routes are known at second hand
    async with open_arrow(catalog=catalog, providers=hurried()) as arrow:
        await fund(arrow)
        request = {**PROMPT, **more, "generation_provider_order": provider}
        done = await arrow.generate_and_wait(model, request, account="acct")
        assert (done.status, done.provider_used, outcomes(done)) == (
            Status.SUCCEEDED, provider, [(provider, "used")],
        )  # fmt: skip
        assert done.charged > 0
        assert done.charged == Decimal(5) - Decimal(str((await arrow.ledger.balance("acct")).available))
        if "generation_ratio" in more:
            assert (done.files[0].width, done.files[0].height) == (2848, 1600)
        await check_books(arrow, box, done)


@run
async def test_a_provider_that_is_down_is_failed_over(box: Sandbox, open_arrow: Opener):
    box.fault("byteplus", "down")
    async with open_arrow() as arrow:
        await fund(arrow)
        done = await arrow.generate_and_wait(SEEDREAM, PROMPT, account="acct")
        assert outcomes(done) == [("byteplus", "failed"), ("replicate", "used")]
        assert done.attempts[0].state is State.REJECTED
        assert done.attempts[0].cost == 0
        await check_books(arrow, box, done)


@pytest.mark.parametrize(
    ("kind", "state"),
    [("server_error", State.UNKNOWN), ("no_credit", State.REJECTED), ("job_fails", State.FAILED)],
)
@run
async def test_a_provider_that_fails_is_failed_over(
    box: Sandbox, open_arrow: Opener, kind: str, state: State
):
    box.fault("replicate", Fault(kind, times=1))
    async with open_arrow(policy=Policy(unknown_patience=0.2)) as arrow:
        await fund(arrow)
        request = {**PROMPT, "generation_provider_order": "replicate, fal"}
        done = await arrow.generate_and_wait(SCHNELL, request, account="acct")
        assert done.provider_used == "fal"
        assert done.attempts[0].state is state
        assert len(done.attempts) == 2


@run
async def test_come_back_soon_is_asked_again_after_that_time(box: Sandbox, open_arrow: Opener):
    box.fault("replicate", Fault("rate_limited", times=1, seconds=1))
    async with open_arrow() as arrow:
        await fund(arrow)
        request = {**PROMPT, "generation_provider_order": "replicate, fal"}
        done = await arrow.generate_and_wait(SCHNELL, request, account="acct")
        assert outcomes(done) == [("replicate", "failed"), ("replicate", "used")]
        assert done.attempts[1].started_at - done.attempts[0].started_at >= 1
        await check_books(arrow, box, done)


@run
async def test_a_lost_reply_is_unknown_and_never_sent_again_there(box: Sandbox, open_arrow: Opener):
    """The provider accepted and bills; we cannot know. Another one is asked, the customer pays once."""
    box.fault("fal", Fault("lost_reply", times=1))
    async with open_arrow(policy=Policy(unknown_patience=0.3)) as arrow:
        await fund(arrow)
        request = {**PROMPT, "generation_provider_order": "fal, replicate"}
        done = await arrow.generate_and_wait(SEEDREAM, request, account="acct")
        assert outcomes(done) == [("fal", "unknown"), ("replicate", "used")]
        assert done.attempts[0].possible_waste
        assert done.possible_waste == Decimal("0.040000")
        assert done.charged == Decimal("0.040000")
        await check_books(arrow, box, done)
        assert sum(call.reference == done.attempts[0].id for call in box.calls() if call.on == "submit") == 1


@run
async def test_a_lost_reply_is_found_by_lookup_where_the_provider_can_be_asked(
    box: Sandbox, open_arrow: Opener
):
    box.fault("replicate", Fault("lost_reply", times=1))
    async with open_arrow(policy=Policy(on_unknown="wait")) as arrow:
        await fund(arrow)
        request = {"generation_prompt": "a buoy nobody else draws", "generation_provider_order": "replicate"}
        done = await arrow.generate_and_wait(SCHNELL, request, account="acct")
        assert outcomes(done) == [("replicate", "used")]
        await check_books(arrow, box, done)


@run
async def test_moderation_asks_nobody_else_and_costs_nothing(box: Sandbox, open_arrow: Opener):
    box.fault("byteplus", Fault("moderation", times=1))
    async with open_arrow() as arrow:
        await fund(arrow)
        with pytest.raises(GenerationFailed) as caught:
            await arrow.generate_and_wait(SEEDREAM, PROMPT, account="acct")
        failed = caught.value.generation
        assert (failed.error_code, len(failed.attempts), failed.charged) == ("BSE2006", 1, 0)
        assert str((await arrow.ledger.balance("acct")).available) == "5.000000"
        await check_books(arrow, box, failed)


@run
async def test_a_job_that_never_finishes_is_canceled_and_failed_over(box: Sandbox, open_arrow: Opener):
    box.fault("replicate", Fault("never_finishes", times=1))
    async with open_arrow(policy=Policy(attempt_deadline=1.5)) as arrow:
        await fund(arrow)
        request = {**PROMPT, "generation_provider_order": "replicate, fal"}
        done = await settled(arrow, await arrow.generate_and_wait(SCHNELL, request, account="acct"))
        assert done.provider_used == "fal"
        assert (done.attempts[0].state, done.attempts[0].stop) == (State.CANCELED, Stop.OVERDUE)
        await check_books(arrow, box, done)


@run
async def test_a_late_result_is_discarded_and_accounted(box: Sandbox, open_arrow: Opener):
    """It ignores our cancel and finishes after somebody else has won: our cost, not the customer's."""
    box.fault("replicate", Fault("late", times=1, seconds=4))
    async with open_arrow(policy=Policy(attempt_deadline=1.5, cancel_patience=1)) as arrow:
        await fund(arrow)
        request = {**PROMPT, "generation_provider_order": "replicate, fal"}
        done = await settled(arrow, await arrow.generate_and_wait(SCHNELL, request, account="acct"))
        assert outcomes(done) == [("replicate", "discarded"), ("fal", "used")]
        assert done.waste == done.attempts[0].cost
        assert done.waste > 0
        assert done.charged == Decimal("0.003000")
        billed = {bill.reference: bill.amount for bill in box.bills()}
        assert billed[done.attempts[0].id] > 0
        await check_books(arrow, box, done)


@run
async def test_success_without_a_result_is_not_a_success(box: Sandbox, open_arrow: Opener):
    box.fault("replicate", Fault("no_output", times=1))
    async with open_arrow(policy=Policy(empty_patience=1.0)) as arrow:
        await fund(arrow)
        request = {**PROMPT, "generation_provider_order": "replicate, fal"}
        done = await arrow.generate_and_wait(SCHNELL, request, account="acct")
        assert outcomes(done) == [("replicate", "failed"), ("fal", "used")]
        assert done.attempts[0].code == "empty"


@run
async def test_when_everybody_fails_the_credits_come_back(box: Sandbox, open_arrow: Opener):
    for provider in ("replicate", "fal", "cloudflare"):
        box.fault(provider, "down")
    async with open_arrow() as arrow:
        await fund(arrow)
        with pytest.raises(GenerationFailed) as caught:
            await arrow.generate_and_wait(SCHNELL, PROMPT, account="acct")
        failed = caught.value.generation
        assert failed.error_code == "BSE3003"
        assert {attempt.provider for attempt in failed.attempts} == {"replicate", "fal", "cloudflare"}
        assert str((await arrow.ledger.balance("acct")).available) == "5.000000"


@run
async def test_too_little_credit_dispatches_nothing_and_frees_the_key(box: Sandbox, open_arrow: Opener):
    before = len(box.calls())
    async with open_arrow() as arrow:
        await fund(arrow, "0.01")
        with pytest.raises(InsufficientCredits) as caught:
            await arrow.generate(SEEDREAM, PROMPT, account="acct", idempotency_key="order-1")
        assert (caught.value.needed, caught.value.available) == (40_000, 10_000)
        assert len(box.calls()) == before
        (refused,) = await arrow.list(account="acct")
        assert (refused.status, refused.error_code) == (Status.FAILED, "BSE1004")
        await arrow.ledger.grant("acct", "1", key="more")
        done = await arrow.generate_and_wait(SEEDREAM, PROMPT, account="acct", idempotency_key="order-1")
        assert done.status is Status.SUCCEEDED


@run
async def test_a_bad_request_names_every_issue_and_leaves_no_trace(open_arrow: Opener):
    async with open_arrow() as arrow:
        await fund(arrow)
        bad = {"generation_prompt": "", "generation_ratio": "5:7", "generation_sed": 3}
        with pytest.raises(RequestRejected) as caught:
            await arrow.generate(SEEDREAM, bad, account="acct")
        assert len(caught.value.issues) == 3
        with pytest.raises(RequestRejected, match=r"seedream-4\.5"):
            await arrow.generate("bytedance/seedream-4.6", PROMPT, account="acct")
        assert await arrow.list() == []
        assert (await arrow.ledger.balance("acct")).held.micros == 0


@run
async def test_an_idempotency_key_is_one_generation(box: Sandbox, open_arrow: Opener):
    async with open_arrow() as arrow:
        await fund(arrow)
        first, second = await asyncio.gather(
            *(
                arrow.generate_and_wait(SCHNELL, PROMPT, account="acct", idempotency_key="order-7")
                for _ in range(2)
            )
        )
        assert first.id == second.id
        assert len(await arrow.list()) == 1
        with pytest.raises(IdempotencyConflict, match=first.id):
            await arrow.generate(
                SCHNELL, {"generation_prompt": "else"}, account="acct", idempotency_key="order-7"
            )
        await check_books(arrow, box, first)


@run
async def test_cancel_gives_the_credits_back_and_tells_the_provider(box: Sandbox, open_arrow: Opener):
    box.fault("replicate", Fault("never_finishes", times=1))
    async with open_arrow(worker=True) as arrow:
        await fund(arrow)
        request = {**PROMPT, "generation_provider_order": "replicate"}
        started = await arrow.generate(SCHNELL, request, account="acct")
        while not (await arrow.get(started.id)).attempts:
            await asyncio.sleep(0.02)
        await arrow.cancel(started.id)
        done = await settled(arrow, await arrow.wait(started.id))
        assert (done.status, done.charged) == (Status.CANCELED, 0)
        assert done.attempts[0].outcome is Outcome.CANCELED
        assert any(call.on == "cancel" and call.job == done.attempts[0].job for call in box.calls())
        assert (await arrow.cancel(started.id)).status is Status.CANCELED  # asking twice is no mistake


@run
async def test_a_cancel_after_the_end_is_too_late(open_arrow: Opener):
    async with open_arrow() as arrow:
        await fund(arrow)
        done = await arrow.generate_and_wait(SCHNELL, PROMPT, account="acct")
        with pytest.raises(CancelTooLate):
            await arrow.cancel(done.id)


@run
async def test_wait_times_out_and_the_generation_goes_on(box: Sandbox, open_arrow: Opener):
    box.fault("replicate", Fault("slow", times=1, seconds=2))
    async with open_arrow() as arrow:
        await fund(arrow)
        request = {**PROMPT, "generation_provider_order": "replicate"}
        with pytest.raises(WaitTimeout) as caught:
            await arrow.generate_and_wait(SCHNELL, request, account="acct", timeout=0.3)
        done = await arrow.wait(caught.value.generation_id, timeout=30)
        assert outcomes(done) == [("replicate", "used")]


@run
async def test_generate_alone_talks_to_no_provider_and_advance_does_the_rest(
    box: Sandbox, open_arrow: Opener
):
    """Any at-least-once runner may own the schedule."""
    async with open_arrow() as arrow:
        await fund(arrow)
        before = len(box.calls())
        started = await arrow.generate(SCHNELL, PROMPT, account="acct")
        await asyncio.sleep(0.3)
        assert (started.status, len(box.calls())) == (Status.PENDING, before)
        for _ in range(100):
            step = await arrow.advance(started.id)
            if step.done:
                break
            assert step.next_at is not None
            await asyncio.sleep(max(0.0, min(1.0, step.next_at - asyncio.get_running_loop().time())))
        again = await arrow.advance(started.id)
        assert again.done
        done = await arrow.get(started.id)
        assert done.status is Status.SUCCEEDED
        await check_books(arrow, box, done)


@run
async def test_two_arrows_on_one_store_do_the_work_once(box: Sandbox, open_arrow: Opener):
    async with open_arrow(worker=True) as one, open_arrow(worker=True) as two:
        await fund(one)
        started = [
            await (one if number % 2 else two).generate(SCHNELL, PROMPT, account="acct")
            for number in range(6)
        ]
        for generation in started:
            done = await two.wait(generation.id)
            assert done.status is Status.SUCCEEDED
            await_books = [call for call in box.calls() if call.reference in {a.id for a in done.attempts}]
            assert sum(call.on == "submit" for call in await_books) == len(done.attempts)
        assert (await one.ledger.audit()).ok


@run
async def test_estimates_hold_nothing(open_arrow: Opener):
    async with open_arrow() as arrow:
        await fund(arrow)
        estimate = await arrow.estimate(SEEDREAM, PROMPT)
        assert estimate.price == Decimal("0.040000")
        assert set(estimate.quotes) == {"byteplus", "replicate", "fal"}
        assert await arrow.list() == []
        assert (await arrow.ledger.balance("acct")).held.micros == 0
        with pytest.raises(UnknownGeneration):
            await arrow.get("gen_nobody")
