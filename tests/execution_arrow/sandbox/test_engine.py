from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_arrow.sandbox.engine import Canceling, Engine
from execution_arrow.sandbox.faults import Fault
from execution_arrow.sandbox.prices import RULES, PriceList, Rate
from execution_arrow.sandbox.work import Job, Order, Output, State, Timing
from tests.execution_arrow.sandbox.history import run

PICTURE = Output(kind="image", width=1024, height=1024, format="jpeg")
PRICE = 1_000_000
EXACT = Timing(queue=10, image=100, video=1000, jitter=0)


def order(provider: str = "replicate", **changes: object) -> Order:
    return replace(Order(provider=provider, model="m", kind="image", outputs=(PICTURE,)), **changes)


def engine(seed: int = 0, timing: Timing = EXACT) -> Engine:
    prices = {provider: {"m": PRICE} for provider in RULES}
    return Engine(seed=seed, timing=timing, prices=PriceList(prices))


def accept(made: Engine, ordered: Order, fault: Fault | None = None, now: float = 0.0) -> Job:
    call = made.receive(ordered.provider, "POST", "/", reference=f"r{now:g}", now=now)
    return made.accept(ordered, fault, call=call, now=now)


def test_a_job_lives_by_its_times():
    job = accept(engine(), order())
    assert [job.state(now) for now in (0, 9.9, 10, 109.9, 110, 1e9)] == [
        State.QUEUED, State.QUEUED, State.RUNNING, State.RUNNING, State.SUCCEEDED, State.SUCCEEDED
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "at", "state"),
    [
        (Fault("job_fails"), 110, State.FAILED),
        (Fault("moderation"), 110, State.MODERATED),
        (Fault("slow", seconds=50), 159, State.RUNNING),
        (Fault("slow", seconds=50), 160, State.SUCCEEDED),
        (Fault("queued", seconds=50), 59, State.QUEUED),
        (Fault("late", seconds=500), 609, State.RUNNING),
        (Fault("late", seconds=500), 610, State.SUCCEEDED),
        (Fault("never_finishes"), 1e12, State.RUNNING),
        (Fault("no_output"), 110, State.SUCCEEDED),
    ],
)
def test_what_faults_do_to_a_job(fault, at, state):
    assert accept(engine(), order(), fault).state(at) is state


# --- cancel ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "queued_only", "answer", "state"),
    [
        (5, False, Canceling.DONE, State.CANCELED),
        (5, True, Canceling.DONE, State.CANCELED),
        (50, False, Canceling.DONE, State.CANCELED),
        (50, True, Canceling.RUNNING, State.SUCCEEDED),
        (200, False, Canceling.TOO_LATE, State.SUCCEEDED),
    ],
)
def test_cancel(at, queued_only, answer, state):
    made = engine()
    job = accept(made, order())
    assert made.cancel("replicate", job.id, now=at, queued_only=queued_only) is answer
    assert made.latest(job).state(1000) is state


def test_a_late_job_acknowledges_a_cancel_and_goes_on():
    made = engine()
    job = accept(made, order(done_within=30), Fault("late", seconds=500))
    assert made.cancel("replicate", job.id, now=50) is Canceling.IGNORED
    assert made.latest(job).state(610) is State.SUCCEEDED
    assert [bill.amount for bill in made.bills(610)] == [PRICE]


def test_unknown_and_erased_jobs():
    made = engine()
    job = accept(made, order("byteplus"))
    assert made.cancel("byteplus", "nobody", now=0) is Canceling.UNKNOWN
    made.erase("byteplus", job.id)
    assert made.job("byteplus", job.id) is None
    assert [bill.amount for bill in made.bills(1000)] == [PRICE]


# --- deadlines ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "at", "state"),
    [
        ({"done_within": 5}, 5, State.ABORTED),
        ({"done_within": 50}, 50, State.CANCELED),
        ({"done_within": 50, "overdue": State.ABORTED}, 50, State.ABORTED),
        ({"done_within": 500}, 110, State.SUCCEEDED),
        ({"start_within": 5}, 5, State.ABORTED),
        ({"start_within": 50}, 110, State.SUCCEEDED),
    ],
)
def test_the_callers_own_deadlines(limits, at, state):
    job = accept(engine(), order(**limits))
    assert job.ended == at
    assert job.state(at) is state


# --- bills ----------------------------------------------------------------------------------------------

ENDS = {
    "succeeded": (None, None),
    "failed": (Fault("job_fails"), None),
    "moderated": (Fault("moderation"), None),
    "canceled_queued": (None, 5.0),
    "canceled_running": (None, 35.0),
    "empty": (Fault("no_output"), None),
}
#: what each provider charges of a price of 1,000,000, by end: its published rules (see prices.py)
CHARGED = {
    "replicate": {"succeeded": PRICE, "canceled_running": PRICE // 4, "empty": PRICE},
    "fal": {"succeeded": PRICE, "moderated": PRICE, "canceled_running": PRICE, "empty": PRICE},
    "byteplus": {"succeeded": PRICE, "canceled_running": PRICE, "empty": PRICE},  # a running task goes on
    "cloudflare": {"succeeded": PRICE, "empty": PRICE},
    "bfl": {"succeeded": PRICE, "empty": PRICE},
    "runway": {"succeeded": PRICE, "moderated": PRICE, "canceled_running": PRICE, "empty": PRICE},
}


@pytest.mark.parametrize("provider", CHARGED)
@pytest.mark.parametrize("end", ENDS)
def test_bill_rules(provider, end):
    made = engine()
    fault, cancel_at = ENDS[end]
    job = accept(made, order(provider), fault)
    if cancel_at is not None:
        made.cancel(provider, job.id, now=cancel_at, queued_only=provider == "byteplus")
    (bill,) = made.bills(1000)
    assert bill.amount == CHARGED[provider].get(end, 0)
    assert (bill.amount > 0) == ("not billed" not in bill.reason)
    assert bill.reference == "r0"


def test_aborted_is_free_and_invalid_is_free():
    made = engine()
    accept(made, order("replicate", done_within=5))
    accept(made, order("fal", problem=[{"type": "missing"}]))
    assert {(bill.state, bill.amount) for bill in made.bills(1000)} == {
        (State.ABORTED, 0),
        (State.INVALID, 0),
    }


def test_no_bill_before_the_end():
    made = engine()
    accept(made, order())
    assert made.bills(109.9) == ()
    assert len(made.bills(110)) == 1


def test_run_time_never_costs_more_than_the_price():
    made = engine()
    job = accept(made, order(), Fault("never_finishes"))
    made.cancel("replicate", job.id, now=1e6)
    assert [bill.amount for bill in made.bills(1e6)] == [PRICE]


@given(st.floats(0, 200, allow_nan=False))
def test_a_cancel_never_costs_more_than_a_success(at):
    made = engine()
    job = accept(made, order())
    made.cancel("replicate", job.id, now=at)
    (bill,) = made.bills(1000)
    assert 0 <= bill.amount <= PRICE


def clip(width: int, height: int, seconds: float) -> tuple[Output, ...]:
    return (Output(kind="video", width=width, height=height, format="mp4", seconds=seconds),)


TWO_MEGAPIXELS = (replace(PICTURE, width=1920, height=1080),)


@pytest.mark.parametrize(
    ("rate", "outputs", "amount"),
    [
        (Rate(per_output=40_000), (PICTURE,) * 3, 120_000),
        (Rate(first_megapixel=30_000, per_megapixel=15_000), (PICTURE,), 30_000),
        (Rate(per_run=15_000, per_megapixel=15_000), TWO_MEGAPIXELS, 45_000),
        (Rate(first_megapixel=30_000, per_megapixel=15_000), TWO_MEGAPIXELS * 2, 90_000),
        (Rate(per_million_tokens=2_500_000), clip(1920, 1088, 5), 612_000),
        (Rate(per_second={480: 30_000, 720: 60_000}), clip(864, 480, 4), 120_000),
        (Rate(per_second={480: 30_000, 720: 60_000}), clip(1920, 1080, 1.5), 90_000),
    ],
)
def test_rates(rate, outputs, amount):
    assert rate.amount(order(outputs=outputs)) == amount


def test_a_price_is_not_a_float():
    with pytest.raises(TypeError, match="micro-credits"):
        PriceList({"fal": {"m": 0.04}})


# --- determinism ----------------------------------------------------------------------------------------


def test_same_seed_same_trace():
    assert run(7) == run(7)
    assert run(7) != run(8)


def test_the_trace_does_not_depend_on_the_hash_seed():
    code = "from tests.execution_arrow.sandbox.history import run; print(run(7))"
    root = Path(__file__).parents[3]
    path = f"{root / 'src'}{os.pathsep}{root}"
    traces = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": path,
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert traces == {run(7) + "\n"}


def test_ids_are_unique_and_differ_between_runs_with_one_seed():
    """A user's store would take the same id at another time for the same job."""
    made = engine()
    ids = {accept(made, order(provider), now=1.0).id for provider in RULES for _ in range(200)}
    assert len(ids) == 200 * len(RULES)
    assert accept(engine(), order(), now=1.0).id != accept(engine(), order(), now=2.0).id


def test_never_is_infinity():
    assert math.isinf(accept(engine(), order(), Fault("never_finishes")).ended)
