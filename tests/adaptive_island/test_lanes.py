"""The short ways that most attempts take end where the long ones do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptive_island import Island, Policy
from adaptive_island.breaker import FRESH, Moment, Signal, State, step
from adaptive_island.cells import CellTable
from adaptive_island.circuits import Circuits
from adaptive_island.flights import Flights
from adaptive_island.knowledge import Knowledge
from adaptive_island.lanes import Lanes
from adaptive_island.policy import BreakerRules
from adaptive_island.testing import FakeClock
from adaptive_island.window import Sums
from tests.adaptive_island.kit import MODEL, THREE

T0 = 1_750_000_000.0
SCOPE = ("fal", "", MODEL)
NAMES = (MODEL, "fal", "us", "", "")

signals = st.sampled_from(["success"] * 6 + ["failure"] * 3 + ["slow", "throttled", "neutral"])


@settings(max_examples=150)
@given(st.lists(st.tuples(signals, st.floats(0.0, 100.0), st.floats(0.0, 300.0)), max_size=80))
def test_successes_told_together_are_successes_told_one_by_one(
    script: list[tuple[str, float, float]],
) -> None:
    """Whatever comes in between, and however long the window."""
    rules = BreakerRules(window=5, minimum=3, jitter=0.0)
    circuits, plain, now = Circuits(rules, 10, lambda: 0.0), FRESH, T0
    for what, gap, age in script:
        now += gap
        signal, moment = Signal(what), Moment(now, retry_after=7.0)
        started = now - age
        before = started < plain.since if plain.state is State.CLOSED else started <= plain.since
        late = before and what in ("success", "slow", "failure")
        plain = step(plain, Signal.LATE if late else signal, moment, rules)
        if signal is not Signal.SUCCESS or not circuits.praise(SCOPE, started, now):
            circuits.settle(SCOPE, signal, started, moment)
        if gap > 50.0:  # otherwise nobody looks for a while
            assert circuits.get(SCOPE) == plain
    assert circuits.get(SCOPE) == plain


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.booleans(), st.floats(0.0, 400_000.0), st.floats(0.0, 900.0), st.none() | st.integers(0, 9)
        ),
        max_size=90,
    )
)
def test_verdicts_added_together_are_verdicts_added_one_by_one(
    script: list[tuple[bool, float, float, int | None]],
) -> None:
    """In any order of their moments, over the edges of epochs, as long as they are in sight."""
    policy, lanes = Policy(), Lanes(10)
    knowledge = Knowledge(policy, CellTable(), Flights(10, 60.0, lanes.places))
    lane = lanes.find(NAMES)
    plain = [0.0] * len(Sums._fields)
    for delivered, age, seconds, cost in sorted(script, key=lambda verdict: -verdict[1]):
        knowledge.count(lane, (T0 - age, delivered, seconds, cost))
        weight = 2.0 ** (-age / policy.slow)
        log = math.log(max(seconds, 0.001))
        timed = [1.0, log, log * log] if seconds else [0.0, 0.0, 0.0]
        paid = [0.0, 0.0] if cost is None else [cost, 1.0]
        verdict = (
            [1.0, 1.0, *timed, 0.0, *paid] if delivered else [1.0, 0.0, 0.0, 0.0, 0.0, seconds, 0.0, 0.0]
        )
        plain = [mine + weight * value for mine, value in zip(plain, verdict, strict=True)]
    _fast, slow = knowledge.read("us", MODEL, T0)
    assert slow.get(("fal", ""), Sums()) == pytest.approx(tuple(plain), rel=1e-9, abs=1e-9)
    assert knowledge.last("us", MODEL, "fal") == (T0 - min(v[1] for v in script) if script else None)


def test_forgotten_lanes_lose_nothing() -> None:
    """With room for two lanes, everything in flight and every verdict is still found by its names."""
    island = Island.open("memory:", policy=Policy(models_most=2), clock=(clock := FakeClock()))
    tickets = [island.attempt(MODEL, "fal", work=f"w{n}", id=f"t{n}") for n in range(9)]
    assert island.health().in_flight == 9
    for ticket in tickets[:3]:
        ticket.unknown()
    clock.advance(1.0)
    for ticket in tickets[3:6]:
        ticket.succeed()
    health = island.health()
    (line,) = health.providers
    assert (line.in_flight, line.unknown, line.successes) == (6, 3, pytest.approx(3.0))
    assert island._engine.flights.any("us", MODEL)
    for ticket in (*tickets[:3], *tickets[6:]):
        ticket.succeed()
    assert not island._engine.flights.any("us", MODEL)
    assert island.rank(MODEL, THREE)


def test_names_that_cannot_be_are_refused_each_time() -> None:
    island = Island.open("memory:", hook=lambda event: None)
    for _ in range(2):
        assert not island.attempt("", "fal").skip
        assert not island.attempt(MODEL, "fal", work=["no", "text"]).skip  # type: ignore[arg-type]
    assert island.health().counts == {"attempt": 4}
    assert island.health().in_flight == 0
