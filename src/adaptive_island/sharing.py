"""What an island tells others and believes of them, as values.

Verdicts wait in an outbox until a store has taken them; a store counts each id once, so telling it again
after an answer was lost is harmless. What a store knows comes back as absolute sums. Breakers are told when
they change, and believed as far as they are news (`breaker.merged`). The half-life stands in a memory's
shared name: islands with other half-lives share nothing by mistake.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .attempt import NAME_LENGTH, Attempt
from .breaker import Breaker, Cause, Scope, State
from .cells import Bucket, Sum
from .knowledge import MEMORIES, sums_of
from .policy import Policy
from .stores.base import Circuit, News, Report
from .tally import Verdict
from .window import WIDTH

ELSEWHERE = "elsewhere"  # who holds a probe that another process was given


class Counted(NamedTuple):
    """An attempt with its final outcome, what it teaches (None: nothing), and the class it counts under."""

    attempt: Attempt
    verdict: Verdict | None
    work: str


class Outbox:
    """What a store has not heard yet. Bounded: the oldest verdicts are dropped and counted."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counted: list[Counted] = []
        self._circuits: dict[Scope, Breaker] = {}
        self._told = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._counted) + len(self._circuits)

    def verdict(self, counted: Counted) -> None:
        """A verdict to tell."""
        if len(self._counted) >= self._most:
            half = self._most // 2  # all at once, so that a store that is down for hours costs nothing
            del self._counted[:half]
            self._told = max(0, self._told - half)
            self.dropped += half
        self._counted.append(counted)

    def circuit(self, scope: Scope, breaker: Breaker) -> None:
        """The state of a breaker to tell; only the last one of a scope is."""
        self._circuits[scope] = breaker

    def hand_over(self) -> tuple[list[Counted], dict[Scope, Breaker]]:
        """All that has to be told now; it stays here until `told`."""
        circuits, self._circuits = self._circuits, {}
        self._told = len(self._counted)
        return list(self._counted), circuits

    def told(self) -> None:
        """The store has taken what was handed over."""
        del self._counted[: self._told]
        self._told = 0

    def back(self, circuits: dict[Scope, Breaker]) -> None:
        """The store has not: what is newer stays."""
        self._circuits = {**circuits, **self._circuits}

    def empty(self) -> None:
        """Forget everything (after a fork it is the parent's)."""
        self._counted, self._circuits, self._told = [], {}, 0


def reports(counted: Iterable[Counted], policy: Policy) -> list[Report]:
    """Verdicts in the form that a store takes."""
    return [Report(c.attempt, tuple(_sums(c, policy))) for c in counted]


def _sums(counted: Counted, policy: Policy) -> Iterator[Sum]:
    a = counted.attempt
    if counted.verdict is None:
        return
    names = _shared_names(policy)
    for bucket, cell, sums in sums_of(counted.verdict, policy, a.region, a.model, a.provider, counted.work):
        yield bucket._replace(memory=names[bucket.memory]), cell, sums


def _shared_names(policy: Policy) -> dict[str, str]:
    return dict(zip(MEMORIES, (f"{policy.fast:g}", f"{policy.slow:g}"), strict=True))


def heard(news: News, policy: Policy) -> list[Sum]:
    """The sums of our own memories among the news. What makes no sense is left out, not believed."""
    ours = {shared: own for own, shared in _shared_names(policy).items()}
    return [
        (Bucket(ours[bucket.memory], bucket.epoch, bucket.region, bucket.model), cell, sums)
        for bucket, cell, sums in news.sums
        if bucket.memory in ours and _sane(sums)
    ]


def _sane(sums: object) -> bool:
    return (
        isinstance(sums, (list, tuple))
        and len(sums) == WIDTH
        and all(isinstance(value, (int, float)) and math.isfinite(value) for value in sums)
        and sums[0] >= 0.0
    )


def circuit_of(scope: Scope, breaker: Breaker) -> Circuit:
    """A breaker in the form that a store keeps."""
    b = breaker
    return Circuit(*scope, b.state.value, b.since, b.until, b.cause.value, b.opens, b.lease, b.word)


def believable(circuit: Circuit, now: float) -> tuple[Scope, Breaker] | None:
    """A breaker as another process tells it; None where it makes no sense or speaks of a time to come."""
    try:
        scope = (circuit.provider, circuit.account, circuit.model)
        if not all(isinstance(name, str) and len(name) <= NAME_LENGTH for name in scope) or not scope[0]:
            return None
        state, cause = State(circuit.state), Cause(circuit.cause)
        times = [float(time) for time in (circuit.since, circuit.until, circuit.lease, circuit.word)]
        if not all(map(math.isfinite, times)) or max(times[0], times[3]) > now + 60.0:
            return None
        opens = max(0, int(circuit.opens))
    except (TypeError, ValueError, OverflowError):
        return None
    since, until, lease, word = times
    return scope, Breaker(state, since, until, cause, 0, opens, (), ELSEWHERE if lease else "", lease, word)
