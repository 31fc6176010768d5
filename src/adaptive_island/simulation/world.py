"""A world of providers to choose from: what they do when, and what a choice is worth.

Requests arrive as a Poisson process over 72 hours. Each is tried with at most three providers in the
order that a chooser gives; a failure moves on at once; a chooser hears of an attempt when it ends. A
request is worth 1 if it succeeds, less 0.3 for each minute until its end, 0.2 for each $0.05 paid and
0.10 for each failed attempt. Failures cost nothing but time (lognormal around 1.5 s).

Regret is the expected worth of the best order at that moment (every permutation tried, true parameters)
minus that of the order chosen: no luck of the draw is in it. Nine regimes, S1 to S9, change the providers
on the way. S10 has two classes of work instead: three requests in ten take six times as long, and only those
may go to the last provider, which is the best at them and looks slow to whoever does not tell them apart.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol

from .regimes import FAILURE_SPREAD, Provider, Regime, Work

HOUR, HORIZON, TRIES = 3_600.0, 72 * 3_600.0, 3

State = tuple[Provider, ...]


@lru_cache(maxsize=100_000)
def worth(state: State, order: tuple[str, ...]) -> float:
    """Expected worth of trying these providers in this order."""
    by_name = {p.name: p for p in state}
    total, reached, elapsed = 0.0, 1.0, 0.0
    for name in order[:TRIES]:
        p = by_name[name]
        seconds = p.median * math.exp(p.spread**2 / 2)
        gain = 1.0 - 0.3 * (elapsed + seconds) / 60.0 - 0.2 * p.dollars / 0.05
        total += reached * (p.success * gain - (1.0 - p.success) * 0.10)
        reached *= 1.0 - p.success
        elapsed += p.failure
    return total - reached * 0.3 * elapsed / 60.0


@lru_cache(maxsize=10_000)
def best(state: State) -> float:
    """The worth of the best order."""
    names = [p.name for p in state]
    return max(worth(state, order) for order in itertools.permutations(names, min(TRIES, len(names))))


class Chooser(Protocol):
    """A way to choose. `costs` are the dollars each provider asks at the moment; use them or not."""

    def asked(self, work: str, eligible: tuple[str, ...]) -> None:
        """The class of the next request and who may be asked for it; whoever else is ordered is skipped."""
        ...

    def order(self, now: float, costs: dict[str, float]) -> tuple[str, ...]:
        """Providers, best first; may leave some out."""
        ...

    def start(self, name: str, now: float) -> object | None:
        """An attempt starts; returns something to end it with, None to skip this provider."""
        ...

    def end(self, started: object, name: str, success: bool, seconds: float, now: float) -> None:
        """An attempt ended."""
        ...


@dataclass
class Score:
    """What came of it."""

    requests: int = 0
    regret: float = 0.0
    succeeded: int = 0
    attempts: int = 0
    trace: list[tuple[float, float, str]] = field(default_factory=list)
    """For each request its moment in seconds, its regret, and who was asked first."""

    def add(self, other: Score) -> None:
        """Sum up."""
        self.requests += other.requests
        self.regret += other.regret
        self.succeeded += other.succeeded
        self.attempts += other.attempts

    @property
    def per_thousand(self) -> float:
        """Regret per 1,000 requests."""
        return 1_000.0 * self.regret / max(1, self.requests)

    @property
    def final(self) -> float:
        """The share of requests that succeeded in the end."""
        return self.succeeded / max(1, self.requests)


class Play:
    """72 hours of one chooser in one regime."""

    def __init__(self, chooser: Chooser, regime: Regime, providers: Sequence[Provider], seed: int) -> None:
        self.chooser, self.regime = chooser, regime
        self.base = list(providers)
        self.kinds = random.Random(4_000 + seed)
        self.luck = random.Random(2_000 + seed)
        self.score = Score()
        self.ticks = itertools.count()
        self.events: list[tuple[float, int, Ending | None]] = []  # None: a request arrives

    def state(self, now: float, work: Work) -> State:
        """The providers that may be asked for this work, as they are now at it."""
        last = self.base[-1].name
        now_at = (self.regime.change(p, now / HOUR) for p in self.base if work.for_all or p.name != last)
        return tuple(replace(p, median=p.median * work.factor) for p in now_at)

    def arrive(self, now: float) -> None:
        """A request: choose, note the regret, submit."""
        works = self.regime.works
        work = works[0] if len(works) == 1 else self.kinds.choices(works, [w.share for w in works])[0]
        state = self.state(now, work)
        eligible = tuple(p.name for p in state)
        self.chooser.asked(work.name, eligible)
        costs = {p.name: self.regime.change(p, now / HOUR).dollars for p in self.base}
        order = tuple(name for name in self.chooser.order(now, costs) if name in eligible)
        self.score.requests += 1
        regret = best(state) - worth(state, order[:TRIES])
        self.score.regret += regret
        self.score.trace.append((now, regret, order[0] if order else ""))
        self.submit(order, 0, now, work)

    def submit(self, order: tuple[str, ...], tried: int, now: float, work: Work) -> None:
        """The next attempt, with the first provider that is not skipped."""
        self.chooser.asked(work.name, tuple(p.name for p in self.state(now, work)))
        for place, name in enumerate(order if tried < TRIES else ()):
            started = self.chooser.start(name, now)
            if started is None:
                continue
            p = {p.name: p for p in self.state(now, work)}[name]
            success = self.luck.random() < p.success
            median = p.median if success else p.failure * math.exp(-(FAILURE_SPREAD**2) / 2)
            seconds = self.luck.lognormvariate(math.log(median), p.spread if success else FAILURE_SPREAD)
            self.score.attempts += 1
            ending = Ending(order[place + 1 :], tried + 1, name, success, seconds, started, work)
            heapq.heappush(self.events, (now + seconds, next(self.ticks), ending))
            return

    def end(self, ending: Ending, now: float) -> None:
        """An attempt ends; a failure moves on at once."""
        self.chooser.end(ending.started, ending.name, ending.success, ending.seconds, now)
        if ending.success:
            self.score.succeeded += 1
        else:
            self.submit(ending.rest, ending.tried, now, ending.work)


@dataclass(frozen=True)
class Ending:
    """How an attempt ends, known to the world from its start."""

    rest: tuple[str, ...]
    tried: int
    name: str
    success: bool
    seconds: float
    started: object
    work: Work


def run(chooser: Chooser, regime: Regime, providers: Sequence[Provider], rate: float, seed: int) -> Score:
    """Play 72 hours with `rate` requests a second. The same arguments give the same score."""
    play, arrivals = Play(chooser, regime, providers, seed), random.Random(1_000 + seed)
    now = arrivals.expovariate(rate)
    while now < HORIZON:
        heapq.heappush(play.events, (now, next(play.ticks), None))
        now += arrivals.expovariate(rate)
    while play.events:
        now, _tick, ending = heapq.heappop(play.events)
        if ending is None:
            play.arrive(now)
        else:
            play.end(ending, now)
    return play.score
