"""How the providers are, and how the island itself is, in a form to print or to serve."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from .breaker import State
from .engine import Engine
from .events import Herald
from .window import NOTHING

if TYPE_CHECKING:
    from .exchange import Exchange


class ProviderStatus(StrEnum):
    """`unknown`: no recent verdict. `degraded`: a breaker is open or isolated, or half of the recent attempts
    failed. `recovering`: a breaker waits for its probe. Otherwise `healthy`."""

    HEALTHY = "healthy"
    RECOVERING = "recovering"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """One provider in one region over all models. Attempts are effective numbers: each fades with the
    half-life, so `window_seconds` is the mean age of what is counted, not a hard edge."""

    provider: str
    region: str
    status: ProviderStatus
    failure_rate: float | None
    attempts: float
    failures: float
    successes: float
    window_seconds: float
    in_flight: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Health:
    """The island as a whole. `counts` says how often something was dropped, ignored or went wrong, by its
    kind; `store_age` is how many seconds old the shared knowledge is (0 in memory, None where the store never
    answered)."""

    providers: tuple[ProviderHealth, ...]
    store: str
    store_age: float | None
    in_flight: int
    open_breakers: int
    rankings: int
    last_error: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


def report(engine: Engine, exchange: Exchange | None, herald: Herald, now: float) -> Health:
    """Gather it all; runs under the island's lock."""
    flying: dict[tuple[str, str], list[int]] = {}
    for flight in engine.flights.all(now):
        known = flying.setdefault((flight.lane.region, flight.lane.provider), [0, 0])
        known[0] += 1
        known[1] += flight.unknown
    states: dict[str, set[State]] = {}
    for (provider, _account, _model), breaker in engine.circuits.shut.items():
        waiting = breaker.state is State.OPEN and now >= breaker.until
        states.setdefault(provider, set()).add(State.HALF_OPEN if waiting else breaker.state)
    regions = sorted(engine.knowledge.regions | {region for region, _name in flying})
    counts = {**herald.counts, **engine.counts, "attempts_lost": engine.flights.lost}
    counts["reports_dropped"] = engine.outbox.dropped if engine.outbox is not None else 0
    where, age = "memory:", 0.0 if exchange is None else None
    if exchange is not None:
        where = exchange.store.where
        age = max(0.0, now - exchange.heard_at) if exchange.heard_at is not None else None
    return Health(
        providers=tuple(
            line for region in regions for line in _providers(engine, region, flying, states, now)
        ),
        store=where,
        store_age=age,
        in_flight=len(engine.flights),
        open_breakers=len(engine.circuits.shut),
        rankings=len(engine.rankings),
        last_error=herald.last_error,
        counts={name: number for name, number in counts.items() if number},
    )


def _providers(
    engine: Engine,
    region: str,
    flying: Mapping[tuple[str, str], list[int]],
    states: Mapping[str, set[State]],
    now: float,
) -> Iterator[ProviderHealth]:
    """One line for each provider that is known, in flight or shut."""
    fast, slow = engine.knowledge.read(region, "", now)
    names = {name for name, _work in slow} | {name for where, name in flying if where == region}
    for name in sorted(names | states.keys()):
        sums = fast.get((name, ""), NOTHING)
        in_flight, unknown = flying.get((region, name), (0, 0))
        yield ProviderHealth(
            provider=name,
            region=region,
            status=_status(states.get(name, set()), sums.tried, sums.won),
            failure_rate=1.0 - sums.won / sums.tried if sums.tried > 0.0 else None,
            attempts=sums.tried,
            failures=sums.tried - sums.won,
            successes=sums.won,
            window_seconds=engine.policy.fast / math.log(2.0),
            in_flight=in_flight,
            unknown=unknown,
        )


def _status(states: set[State], tried: float, won: float) -> ProviderStatus:
    if State.OPEN in states or State.ISOLATED in states:
        return ProviderStatus.DEGRADED
    if State.HALF_OPEN in states:
        return ProviderStatus.RECOVERING
    if tried < 0.5:
        return ProviderStatus.UNKNOWN
    return ProviderStatus.DEGRADED if won < 0.5 * tried else ProviderStatus.HEALTHY
