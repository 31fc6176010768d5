"""Forward-decayed sums against the definition: 2^(-age/half-life), whatever the order and the epoch."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_island.tally import Tally
from adaptive_island.window import EPOCH, Sums, epoch, live, rescale, total


def weight(half_life: float, at: float) -> float:
    """What one event at that moment adds."""
    tally = Tally((half_life, half_life), "", at)
    tally.waiting.append((at, False, 0.0, None))
    tally.add_up()
    assert tally.fast == tally.slow
    return tally.fast[0]


HALF_LIVES = [60.0, 1_200.0, 86_400.0]
moments = st.floats(min_value=0.0, max_value=4e9)


def remembered(half_life: float, events: list[tuple[float, float]], now: float) -> float:
    """What a reader at `now` sees of events (moment, value) that writers added in the given order."""
    epochs: dict[int, list[float]] = {}
    for at, value in events:
        sums = epochs.setdefault(epoch(half_life, at), [0.0] * len(Sums._fields))
        sums[0] += weight(half_life, at) * value
    return total(half_life, now, epochs.items()).tried


@given(st.sampled_from(HALF_LIVES), st.lists(st.tuples(st.floats(0, 20), st.floats(0, 5))), moments)
def test_sums_fade_by_half_lives(half_life: float, ages: list[tuple[float, float]], now: float) -> None:
    """Reading equals the definition up to what was forgotten on purpose (less than 1/4096 of each event)."""
    events = [(now - age * half_life, value) for age, value in ages if now - age * half_life >= 0]
    exact = sum(value * 2.0 ** (-(now - at) / half_life) for at, value in events)
    forgotten = sum(value for _at, value in events) / 2**EPOCH
    seen = remembered(half_life, events, now)
    assert exact - forgotten - 1e-6 <= seen <= exact * (1 + 1e-6) + 1e-9


@given(st.sampled_from(HALF_LIVES), moments)
def test_a_fresh_event_counts_fully(half_life: float, now: float) -> None:
    assert remembered(half_life, [(now, 1.0)], now) == pytest.approx(1.0, rel=1e-5)


@given(st.sampled_from(HALF_LIVES), moments)
def test_no_weight_ever_overflows(half_life: float, at: float) -> None:
    """Weights stay between 1 and 4,096 for ever; a single landmark would overflow after 1,024 half-lives."""
    assert 1.0 <= weight(half_life, at) <= 2**EPOCH


def test_the_order_of_writers_does_not_matter() -> None:
    now, rng = 1_750_000_000.0, random.Random(3)
    events = [(now - rng.uniform(0, 20_000), rng.random()) for _ in range(300)]
    shuffled = rng.sample(events, len(events))
    assert remembered(1_200.0, events, now) == pytest.approx(remembered(1_200.0, shuffled, now), rel=1e-12)


@given(st.sampled_from(HALF_LIVES), moments, st.floats(-1e9, 1e9))
def test_a_clock_that_jumps_breaks_nothing(half_life: float, at: float, jump: float) -> None:
    """Whatever the clock says, a sum is read with a factor from 0 to 1 and never overflows."""
    factor = rescale(half_life, epoch(half_life, at), at + jump)
    assert 0.0 <= factor <= 1.0


def test_a_reader_needs_two_epochs() -> None:
    now = 1_750_000_000.0
    assert live(1_200.0, now) == (epoch(1_200.0, now), epoch(1_200.0, now) - 1)
    assert rescale(1_200.0, epoch(1_200.0, now) - 2, now) == 0.0


def test_ninety_days_of_counters() -> None:
    """One event a minute for 90 virtual days: the sum converges to rate x mean life and stays there."""
    half_life, epochs, now = 1_200.0, {}, 1_750_000_000.0
    expected = (half_life / math.log(2)) / 60.0
    for minute in range(90 * 24 * 60):
        now += 60.0
        number = epoch(half_life, now)
        sums = epochs.setdefault(number, [0.0] * len(Sums._fields))
        sums[0] += weight(half_life, now)
        for old in [key for key in epochs if key < number - 1]:
            del epochs[old]
        if minute % 977 == 976 and minute > 1_000:
            assert total(half_life, now, epochs.items()).tried == pytest.approx(expected, rel=0.03)
    assert len(epochs) <= 2
