"""Every number that steers an island, in one place.

`Weights` turn seconds, money and failures into one currency in which a delivered result is worth 1. The four
named orders are four such vectors and differ in nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Weights:
    """What a minute of waiting, a dollar of cost and a failed attempt take away from a success that is
    worth 1."""

    per_minute: float
    per_dollar: float
    per_failure: float


ORDERS: Mapping[str, Weights] = MappingProxyType(
    {
        "fastest": Weights(per_minute=1.5, per_dollar=0.8, per_failure=0.1),
        "cheapest": Weights(per_minute=0.06, per_dollar=40.0, per_failure=0.05),
        "reliable": Weights(per_minute=0.06, per_dollar=0.8, per_failure=2.0),
        "balanced": Weights(per_minute=0.3, per_dollar=4.0, per_failure=0.1),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """When a breaker opens, and for how long. Times are seconds.

    It opens after `consecutive` failures in a row, or when at least `rate` of the last `window` outcomes
    not older than `window_seconds` were bad, given at least `minimum` of them. A success slower than
    `slow_seconds` counts as bad for the rate. The first opening lasts `open_seconds`, each further one
    twice as long up to `open_most`, plus up to `jitter` of it. `probe_lease` is how long a half-open
    probe may take before another is let through. `retry_after_most` bounds what a provider may ask for.
    """

    consecutive: int = 4
    rate: float = 0.5
    window: int = 20
    window_seconds: float = 600.0
    minimum: int = 8
    slow_seconds: float | None = None
    open_seconds: float = 30.0
    open_most: float = 600.0
    jitter: float = 0.1
    probe_lease: float = 180.0
    retry_after_most: float = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How an island learns and orders; the defaults are meant to be left alone.

    `orders` are the named weight vectors, `accounts` replaces some of them for single accounts
    (`{"acct_9": {"fastest": Weights(…)}}`; a question that names one account for each provider is asked for
    none). `band` is the difference, in parts of a success, below which two providers count as equal and keep
    the caller's order. `fast` and `slow` are the half-lives of the two memories in seconds; the slow one is
    worth up to `slow_weight` attempts as the prior of the fast one, and the provider over all models up to
    `prior_weight` attempts as the prior of both, where a provider nobody has seen is taken to succeed with
    `prior_success`. `optimism` widens what is uncertain, less where the slow memory knows (`experience`, from
    0 to 1). The benefit of the doubt is at most `doubt_most` parts of a success, and at least `doubt_least`
    for whoever was not asked for three half-lives. `panic` is the share of open breakers from which they are
    ignored (see `order.panics`). `refresh` is the longest time an order is remembered, `ranking_age` the
    oldest ranking from the cache that is used, `flight_age` how long an attempt without a verdict is kept in
    sight. `share_every` and `rankings_every` are the pauses between rounds with a store and between its
    rankings. The rest bounds memory; beyond `works_most` classes of work in a day, a model's further classes
    count as one.
    """

    orders: Mapping[str, Weights] = field(default_factory=lambda: ORDERS)
    accounts: Mapping[str, Mapping[str, Weights]] = field(default_factory=dict)
    breaker: BreakerRules = field(default_factory=BreakerRules)
    band: float = 0.01
    fast: float = 1_200.0
    slow: float = 86_400.0
    prior_success: float = 0.95
    prior_weight: float = 3.0
    slow_weight: float = 4.0
    optimism: float = 0.25
    experience: float = 0.5
    doubt_least: float = 0.005
    doubt_most: float = 0.15
    panic: float = 0.5
    refresh: float = 1.0
    ranking_age: float = 2 * 86_400.0
    flight_age: float = 3_600.0
    share_every: float = 1.0
    rankings_every: float = 10.0
    models_most: int = 10_000
    works_most: int = 64
    orders_most: int = 16_384
    attempts_most: int = 65_536
    breakers_most: int = 65_536

    def __post_init__(self) -> None:
        """Refuse numbers that would steer nowhere, naming the field."""
        _check(self.breaker)
        _check(self)
        if f"{self.fast:g}" == f"{self.slow:g}":  # by these names their sums are kept apart in a store
            raise ValueError(f"Policy.fast and slow are two memories: both have {self.fast:g} seconds")
        for orders in (self.orders, *self.accounts.values()):
            for name, weights in orders.items():
                if not isinstance(name, str) or "," in name or not name.strip():
                    raise ValueError(f"orders: {name!r} is no name for an order; use a word without a comma")
                _check(weights)

    def weights(self, order: str, account: object = "") -> Weights | None:
        """The weights of a named order for an account; None where there is no such order."""
        if self.accounts and isinstance(account, str) and (own := self.accounts.get(account)):
            return own.get(order) or self.orders.get(order)
        return self.orders.get(order)


def _steers(value: object, name: str) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        return False
    return value > 0 or (value == 0 and name in _MAY_BE_ZERO)


def _check(values: object) -> None:
    for item in fields(values):  # type: ignore[arg-type]
        value: object = getattr(values, item.name)
        if isinstance(value, (Mapping, BreakerRules)) or (value is None and item.name == "slow_seconds"):
            continue
        if not _steers(value, item.name):
            raise ValueError(f"{type(values).__name__}.{item.name} must be a positive number, not {value!r}")


_MAY_BE_ZERO = frozenset(
    {
        "per_minute",
        "per_dollar",
        "per_failure",
        "band",
        "jitter",
        "optimism",
        "refresh",
        "experience",
        "doubt_least",
    }
)
