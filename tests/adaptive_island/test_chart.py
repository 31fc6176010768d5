"""The chart of the breaker in the docs shows every way from state to state, and no other."""

from __future__ import annotations

import re

from adaptive_island.breaker import FRESH, Breaker, Moment, Signal, State, step
from adaptive_island.policy import BreakerRules
from tools.packages import ROOT

PAGE = ROOT / "docs" / "island" / "how-it-decides.md"


def drawn() -> set[tuple[str, str, str]]:
    arrows = re.findall(r"^ +(\w+) --> (\w+): (.+)$", PAGE.read_text("utf-8"), re.M)
    return {(before, after, signal) for before, after, signals in arrows for signal in signals.split(", ")}


def taken() -> set[tuple[str, str, str]]:
    """Every change of state that a walk over all signals meets, from every state it can reach."""
    rules = BreakerRules(consecutive=2, minimum=2, window=4, slow_seconds=1.0)
    found, seen, queue = set(), set(), [(FRESH, 0.0)]
    while queue:
        breaker, now = queue.pop()
        for signal in Signal:
            after = step(breaker, signal, Moment(now, 0.0, "a", 5.0), rules)
            if after.state is not breaker.state:
                found.add((breaker.state.value, after.state.value, signal.value))
            if (key := shape(after)) not in seen and len(seen) < 2_000:
                seen.add(key)
                queue.append((after, now + 1.0))
    return found


def shape(breaker: Breaker) -> tuple[object, ...]:
    bad = tuple(bad for _at, bad in breaker.samples)
    return breaker.state, breaker.streak, bad, min(breaker.opens, 3), bool(breaker.probe)


def test_the_chart_is_the_breaker() -> None:
    assert drawn() == taken()
    assert {state for arrow in drawn() for state in arrow[:2]} == {state.value for state in State}
