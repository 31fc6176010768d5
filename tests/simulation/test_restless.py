"""A world that never comes to rest is given up, says what repeats, and takes no run with it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from tests.simulation.knobs import draw
from tests.simulation.loop import VirtualLoop
from tests.simulation.restless import Exhausted, Stuck, bounded
from tests.simulation.run import simulate

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


def run(work: Coroutine[Any, Any, None], *, most: int = 10_000, at_once: int = 1_000) -> VirtualLoop:
    loop = VirtualLoop(random.Random(0))
    loop.run(work, most=most, at_once=at_once)
    return loop


async def spinning() -> None:
    await asyncio.sleep(5.0)
    while True:
        await asyncio.sleep(0)


async def ticking(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(1.0)


def test_the_same_thing_for_ever_at_one_moment_is_found_and_named() -> None:
    with pytest.raises(Stuck, match=r"does not come to rest: .* at 5\.000 s .* world in spinning > sleep"):
        run(spinning())


def test_much_at_many_moments_is_found_when_it_is_too_much_altogether() -> None:
    assert run(ticking(3_000), at_once=10).time() == 3_000.0
    with pytest.raises(Stuck, match="no end after 10001 steps"):
        run(ticking(30_000), at_once=10)


def test_waiting_for_nothing_is_found() -> None:
    async def waiting() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stuck, match="nothing is left that could happen"):
        run(waiting())


def test_a_step_that_never_ends_is_found_by_its_processor_time() -> None:
    def busy() -> None:
        while True:
            with contextlib.suppress(Exception):  # as a product does
                sum(range(1_000))

    with pytest.raises(Exhausted, match="busy"), bounded(0.02, 10_000):
        busy()


def test_a_step_that_takes_all_memory_is_found() -> None:
    def greedy() -> None:
        kept: list[list[int]] = []
        while True:
            kept.append([0] * 1_000)

    with pytest.raises(Exhausted, match=r"MB of memory, now in .*greedy"), bounded(60.0, 30):
        greedy()


def test_a_world_beyond_its_bounds_is_a_failure_of_its_seed_and_the_same_every_time() -> None:
    narrow = replace(draw(7), most_at_once=100)
    first, second = simulate(narrow), simulate(narrow)
    assert first.error.startswith("Stuck: 16: this world does not come to rest: ")
    assert "times)" in first.error
    assert (first.error, first.steps) == (second.error, second.steps)
    assert "no end after" in simulate(replace(draw(7), most_steps=2_000)).error
