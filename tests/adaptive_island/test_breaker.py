"""The breaker: its table against a model written from the rules alone, and each rule by name."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptive_island.breaker import (
    FRESH,
    TABLE,
    Breaker,
    Cause,
    Moment,
    Permit,
    Signal,
    State,
    permit,
    step,
    wait,
)
from adaptive_island.policy import BreakerRules

RULES = BreakerRules()
T0 = 1_000_000.0


def told(*signals: Signal, breaker: Breaker = FRESH, at: float = T0, rules: BreakerRules = RULES) -> Breaker:
    for signal in signals:
        breaker = step(breaker, signal, Moment(at), rules)
    return breaker


def opened(at: float = T0) -> Breaker:
    return told(*[Signal.FAILURE] * RULES.consecutive, at=at)


def test_the_table_is_complete() -> None:
    """Every pair of state and signal says what happens; none is left to chance."""
    assert set(TABLE) == set(itertools.product(State, Signal))


def test_consecutive_failures_open() -> None:
    assert told(*[Signal.FAILURE] * 3).state is State.CLOSED
    assert opened().state is State.OPEN


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = told(*[Signal.FAILURE] * 3, Signal.SUCCESS, *[Signal.FAILURE] * 3)
    assert breaker.state is State.CLOSED
    assert breaker.streak == 3


def test_the_rate_opens_without_a_streak() -> None:
    """F F F S again and again never makes four in a row, but is 75 % of the last eight."""
    pattern = [Signal.FAILURE, Signal.FAILURE, Signal.FAILURE, Signal.SUCCESS]
    breaker = told(*pattern, *pattern[:3])
    assert breaker.state is State.CLOSED, "seven outcomes are fewer than the minimum"
    breaker = told(Signal.SUCCESS, Signal.FAILURE, breaker=breaker)
    assert breaker.state is State.OPEN
    assert breaker.cause is Cause.RATE


def test_old_outcomes_do_not_count_for_the_rate() -> None:
    breaker = told(*[Signal.FAILURE] * 3, Signal.SUCCESS, *[Signal.FAILURE] * 3, at=T0)
    later = T0 + RULES.window_seconds + 1
    assert told(Signal.SUCCESS, Signal.FAILURE, breaker=breaker, at=later).state is State.CLOSED


def test_slow_successes_count_for_the_rate_only() -> None:
    assert told(*[Signal.SLOW] * 7).state is State.CLOSED
    assert told(*[Signal.SLOW] * 8).cause is Cause.RATE


def test_open_time_doubles_up_to_its_most() -> None:
    breaker, at, spans = opened(), T0, []
    for _ in range(7):
        spans.append(breaker.until - at)
        at = breaker.until
        breaker = told(Signal.PROBE, Signal.FAILURE, breaker=breaker, at=at)
    assert spans == [30, 60, 120, 240, 480, 600, 600]


def test_a_calm_time_forgets_the_doubling() -> None:
    breaker = told(Signal.PROBE, Signal.SUCCESS, breaker=opened(), at=T0 + 30)
    soon = told(*[Signal.FAILURE] * 4, breaker=breaker, at=T0 + 60)
    assert soon.until - (T0 + 60) == 60
    calm = told(*[Signal.FAILURE] * 4, breaker=breaker, at=T0 + 31 + RULES.open_most)
    assert calm.until - (T0 + 31 + RULES.open_most) == 30


def test_one_probe_at_a_time() -> None:
    breaker = opened()
    assert permit(breaker, T0 + 29) is Permit.SKIP
    assert permit(breaker, T0 + 30) is Permit.PROBE
    probing = step(breaker, Signal.PROBE, Moment(T0 + 30, attempt="p"), RULES)
    assert probing.state is State.HALF_OPEN
    assert permit(probing, T0 + 31) is Permit.SKIP
    assert wait(probing, T0 + 31) == RULES.probe_lease - 1


def test_a_lost_probe_gives_its_place_away_in_time() -> None:
    """Nobody is stuck in half-open: the lease ends, and the next caller probes."""
    probing = step(opened(), Signal.PROBE, Moment(T0 + 30, attempt="p"), RULES)
    assert permit(probing, T0 + 30 + RULES.probe_lease) is Permit.PROBE


def test_a_probe_that_says_nothing_hands_back() -> None:
    probing = step(opened(), Signal.PROBE, Moment(T0 + 30, attempt="p"), RULES)
    other = step(probing, Signal.NEUTRAL, Moment(T0 + 31, attempt="q"), RULES)
    assert permit(other, T0 + 31) is Permit.SKIP, "only the holder can hand back"
    mine = step(probing, Signal.NEUTRAL, Moment(T0 + 31, attempt="p"), RULES)
    assert permit(mine, T0 + 31) is Permit.PROBE


def test_late_results_change_nothing() -> None:
    for breaker in (opened(), told(Signal.PROBE, breaker=opened(), at=T0 + 30), FRESH):
        assert told(Signal.LATE, breaker=breaker, at=T0 + 31) == breaker


@given(st.lists(st.tuples(st.floats(1, 900), st.floats(0.001, 5_000)), min_size=1, max_size=20))
def test_retry_after_is_never_shortened(wishes: list[tuple[float, float]]) -> None:
    """Whatever else a 429 says later, nobody calls before the latest moment the provider ever named."""
    breaker, at, latest = FRESH, T0, 0.0
    for gap, wish in wishes:
        at += gap
        if permit(breaker, at) is Permit.PROBE:
            breaker = step(breaker, Signal.PROBE, Moment(at, attempt="p"), RULES)
        breaker = step(breaker, Signal.THROTTLED, Moment(at, 0.5, retry_after=wish), RULES)
        latest = max(latest, at + wish)
        assert permit(breaker, latest - 1e-6) is Permit.SKIP
        assert breaker.until >= latest


def test_a_retry_after_without_measure_is_bounded() -> None:
    breaker = step(FRESH, Signal.THROTTLED, Moment(T0, retry_after=1e12), RULES)
    assert breaker.until == T0 + RULES.retry_after_most


def test_jitter_only_adds() -> None:
    for chance in (0.0, 0.5, 0.999):
        breaker = told(*[Signal.FAILURE] * 3)
        breaker = step(breaker, Signal.FAILURE, Moment(T0, chance), RULES)
        assert breaker.until - T0 == pytest.approx(30 * (1 + 0.1 * chance))


def test_isolated_is_for_humans() -> None:
    """Nothing but restore leaves isolation, and restore forgets the past."""
    isolated = told(Signal.ISOLATE, breaker=opened())
    for signal in set(Signal) - {Signal.RESTORE}:
        assert told(signal, breaker=isolated) == isolated
    assert permit(isolated, T0 + 1e9) is Permit.SKIP
    assert wait(isolated, T0) is None
    assert told(Signal.RESTORE, breaker=isolated).state is State.CLOSED


class Model:
    """The same rules, written as plainly as possible with lists and flags (no jitter, no rate, no slow)."""

    def __init__(self) -> None:
        self.state, self.until, self.failures, self.holder, self.lease = "closed", 0.0, 0, None, 0.0
        self.opens, self.closed_at = 0, 0.0

    def may(self, now: float) -> str:
        if self.state == "closed":
            return "pass"
        if self.state == "open":
            return "probe" if now >= self.until else "skip"
        return "probe" if self.holder is None or now >= self.lease else "skip"

    def open(self, now: float) -> None:
        calm = self.state == "closed" and now - self.closed_at > 600
        self.opens = 1 if calm else self.opens + 1
        self.until = max(self.until, now + min(30 * 2 ** (self.opens - 1), 600))
        self.state, self.failures, self.holder = "open", 0, None

    def tell(self, what: str, now: float, who: str) -> None:
        if what == "probe" and self.state in ("open", "half"):
            self.state, self.holder, self.lease = "half", who, now + 180
        elif what == "neutral" and self.state == "half" and self.holder == who:
            self.holder = None
        elif what == "success":
            if self.state == "closed":
                self.failures = 0
            else:
                self.state, self.closed_at, self.until, self.failures = "closed", now, 0.0, 0
        elif what == "failure":
            if self.state == "closed":
                self.failures += 1
                if self.failures >= 4:
                    self.open(now)
            elif self.state == "half":
                self.open(now)


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ask", "ask", "success", "failure", "failure", "failure", "neutral"]),
            st.floats(0.0, 200.0),
            st.sampled_from("pq"),
        ),
        max_size=60,
    )
)
def test_the_table_agrees_with_the_model(script: list[tuple[str, float, str]]) -> None:
    """Any sequence of questions and outcomes gives the same permits and states as the plain model."""
    rules = BreakerRules(minimum=1_000, window=1)
    breaker, model, now = FRESH, Model(), T0
    for what, gap, who in script:
        now += gap
        assert permit(breaker, now).value == model.may(now)
        if what == "ask":
            if model.may(now) == "probe":
                breaker = step(breaker, Signal.PROBE, Moment(now, attempt=who), rules)
                model.tell("probe", now, who)
        else:
            breaker = step(breaker, Signal(what), Moment(now, attempt=who), rules)
            model.tell(what, now, who)
        assert breaker.state.value.startswith(model.state)
        if model.state == "open":
            assert breaker.until == model.until
