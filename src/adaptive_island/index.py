"""What a provider is worth right now, and why that number.

Trying i before j in a failover chain is better exactly when r_i/p_i > r_j/p_j, where p is the chance of
success and r = p v - (1-p) f the expected net value, v being the value of a success and f the cost of a
failure. (Compare r_i + (1-p_i) r_j with r_j + (1-p_j) r_i; the difference is r_i p_j - r_j p_i.) So
providers are ordered by

    index = v - f (1-p)/p        the expected net value per success,

and not by a blend of rates: where failures are cheap and somebody else can take over, a provider with
0.95 at half the price rightly goes first. v falls with the expected seconds and the cost of *this*
request, f is the time lost and the failure itself.

p and the seconds are estimates from two memories. The fast one says what is, the slow one what usually is
and serves as its prior; the provider over all other models is the prior of both. Sparse pairs therefore start
near what is known about the provider, and everything unknown starts at an optimistic constant. Orders use
the *optimistic* end of both estimates: what has not been tried lately is given the benefit of the doubt
until it is tried, but never more than `policy.doubt_most` of it. What a provider usually does counts as
seen, in part (`policy.experience`), or everybody would be tried again every hour. Serving by the pessimistic
end locks on to whoever has most samples, right or wrong. Attempts in flight narrow the doubt before they end,
or a thousand of them would explore at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import add
from typing import NamedTuple

from .policy import Policy, Weights
from .window import NOTHING, Sums

USUAL_SPREAD = 0.16  # variance of the log seconds of a provider about which nothing is known
FAILURE_SECONDS = 3.0
FORGOTTEN = 0.1  # attempts that are left of one after three half-lives
NOBODY = ""  # no verdict can name it
_QUIET = math.log(1e-3)
_LOUD = math.log(7 * 86_400.0)

Cells = Mapping[tuple[str, str], Sums]


class Estimate(NamedTuple):
    """One provider at one class of work: chance of success and seconds, as expected and as hoped."""

    success: float
    hoped_success: float
    seconds: float
    hoped_seconds: float
    failure_seconds: float
    attempts: float
    cost: float | None


class Evidence(NamedTuple):
    """All that is known at one moment about one model in one region: faded sums per (provider, class of
    work), per provider its prior from the other models, the attempts in flight, and those overdue."""

    fast: Cells
    slow: Cells
    priors: Mapping[str, float]
    flying: Mapping[str, int]
    overdue: Mapping[str, int]


def worth(weights: Weights, success: float, seconds: float, failure_seconds: float) -> float:
    """The index of the paragraph above in parts of a delivered result, before the request's own cost."""
    value = 1.0 - weights.per_minute * seconds / 60.0
    loss = weights.per_failure + weights.per_minute * failure_seconds / 60.0
    return value - loss * (1.0 - success) / success


def expected(weights: Weights, e: Estimate) -> float:
    """The index as expected, before the request's own cost."""
    return worth(weights, e.success, e.seconds, e.failure_seconds)


def hoped(weights: Weights, e: Estimate, policy: Policy) -> float:
    """The index with the benefit of the doubt: the optimistic end, at most so far above what is expected (so
    that no request is spent on curiosity alone), and a little above it for whoever was not asked lately."""
    middle = expected(weights, e)
    doubt = worth(weights, e.hoped_success, e.hoped_seconds, e.failure_seconds) - middle
    least = policy.doubt_least if e.attempts < FORGOTTEN else 0.0
    return middle + min(max(doubt, least), policy.doubt_most)


def pooled(cells: Cells) -> dict[str, Sums]:
    """Sums per provider over all classes of work."""
    result: dict[str, Sums] = {}
    for (provider, _work), sums in cells.items():
        known = result.get(provider)
        result[provider] = sums if known is None else Sums._make(map(add, known, sums))
    return result


def priors(
    everywhere: tuple[Mapping[str, Sums], Mapping[str, Sums]],
    here: tuple[Mapping[str, Sums], Mapping[str, Sums]],
    policy: Policy,
) -> dict[str, float]:
    """Per provider the chance of success by what it does elsewhere: the fast and slow sums over all models,
    less those of this model, because what happened here counts once."""
    result = {}
    weights = (policy.prior_weight, policy.slow_weight)
    for provider in everywhere[1]:
        prior = policy.prior_success
        for which, weight in ((1, weights[0]), (0, weights[1])):
            total = everywhere[which].get(provider, NOTHING)
            own = here[which].get(provider, NOTHING)
            won, tried = max(0.0, total.won - own.won), max(0.0, total.tried - own.tried)
            prior = (weight * prior + min(won, tried)) / (weight + tried)
        result[provider] = prior
    return result


def estimates(
    providers: Iterable[str], work: str, evidence: Evidence, policy: Policy
) -> tuple[dict[str, Estimate], Estimate]:
    """An estimate for each provider named, and the one for all who were never seen."""
    fast, slow = pooled(evidence.fast), pooled(evidence.slow)
    pace = Pace.learned(evidence.slow, work)
    tried = sum([sums.tried for sums in fast.values()]) + sum(evidence.flying.values())
    doubt = policy.optimism**2 * math.log1p(tried)
    known = {}
    for name in (*providers, NOBODY):
        recent, usual = fast.get(name, NOTHING), slow.get(name, NOTHING)
        timed = evidence.fast.get((name, work), NOTHING)
        prior = evidence.priors.get(name, policy.prior_success)
        waiting = evidence.flying.get(name, 0), evidence.overdue.get(name, 0)
        known[name] = _estimate(prior, recent, usual, timed, pace, name, waiting, doubt, policy)
    return known, known.pop(NOBODY)


def _estimate(
    prior: float,
    recent: Sums,
    usual: Sums,
    timed: Sums,
    pace: Pace,
    name: str,
    waiting: tuple[int, int],
    doubt: float,
    policy: Policy,
) -> Estimate:
    """One estimate; `recent` and `usual` are the two memories of everything, `timed` the recent memory of
    this class of work, `waiting` the attempts in flight and overdue, `doubt` the squared width per
    attempt."""
    (flying, overdue), weight = waiting, policy.slow_weight
    trusted = policy.experience * min(weight, usual.tried)
    settled = (policy.prior_weight * prior + usual.won) / (policy.prior_weight + usual.tried)
    success = (weight * settled + recent.won) / (weight + recent.tried + overdue)
    width = math.sqrt(max(success * (1.0 - success), 0.01) * doubt / (recent.tried + flying + trusted + 0.5))
    log = (weight * pace.expected(name) + timed.log) / (weight + timed.timed) + pace.spread / 2.0
    hope = math.sqrt(pace.spread * doubt / (timed.timed + flying + trusted + 0.5))
    failures = usual.tried - usual.won + recent.tried - recent.won
    return Estimate(
        success,
        min(1.0, success + width),
        _seconds(log),
        _seconds(log - hope),
        (FAILURE_SECONDS + usual.wasted + recent.wasted) / (1.0 + failures),
        recent.tried,
        usual.cost / usual.priced if usual.priced else None,
    )


def _seconds(log: float) -> float:
    return math.exp(min(max(log, _QUIET), _LOUD))


class Pace(NamedTuple):
    """Seconds, learned relative to the class of work: a picture and a 4K clip share no latency, but a
    provider that is slow with one is probably slow with the other. `base` is the usual log seconds of
    this class over all providers, `factors` how far each provider is off in the *other* classes, `own`
    what it shows in this one."""

    base: float
    spread: float
    factors: Mapping[str, float]
    own: Mapping[str, Sums]

    @classmethod
    def learned(cls, cells: Cells, work: str) -> Pace:
        """The pace of one class of work from the slow memory of all of them."""
        totals: dict[str, list[float]] = {}
        for (_provider, kind), sums in cells.items():
            known = totals.setdefault(kind, [0.0, 0.0])
            known[0] += sums.timed
            known[1] += sums.log
        bases = {kind: log / timed for kind, (timed, log) in totals.items() if timed > 0.0}
        overall = sum(bases.values()) / len(bases) if bases else 0.0
        off: dict[str, list[float]] = {}
        spread, freedom = 2.0 * USUAL_SPREAD, 2.0
        for (provider, kind), sums in cells.items():
            if sums.timed <= 0.0:
                continue
            if kind != work:
                known = off.setdefault(provider, [0.0, 1.0])
                known[0] += sums.log - sums.timed * bases[kind]
                known[1] += sums.timed
            else:
                spread += max(0.0, sums.square - sums.log * sums.log / sums.timed)
                freedom += sums.timed
        factors = {provider: log / timed for provider, (log, timed) in off.items()}
        own = {provider: sums for (provider, kind), sums in cells.items() if kind == work}
        return cls(bases.get(work, overall), spread / freedom, factors, own)

    def expected(self, provider: str) -> float:
        """Log seconds of this provider at this class of work by the slow memory."""
        sums = self.own.get(provider, NOTHING)
        return (self.base + self.factors.get(provider, 0.0) + sums.log) / (1.0 + sums.timed)


def dollars(allowed: Sequence[str], known: Known, costs: Mapping[str, int]) -> list[float]:
    """What this request costs at each provider: as told, else as learned, else as the others on average."""
    try:
        return [costs[name] / 1e6 for name in allowed]
    except KeyError:
        amounts = [costs.get(name, known.of(name).cost) for name in allowed]
        given = [amount for amount in amounts if amount is not None]
        usual = sum(given) / len(given) if given else 0.0
        return [(usual if amount is None else amount) / 1e6 for amount in amounts]


class Known(NamedTuple):
    """Estimates of one model at one class of work; `unseen` stands for every provider not in `seen`,
    `judged` are the providers that anybody had a verdict from. `own` is false where nobody ever reported
    on the model. `parts` keeps the hoped index by weights, which only the request's cost is missing
    from."""

    seen: Mapping[str, Estimate]
    unseen: Estimate
    judged: frozenset[str]
    parts: dict[Weights, dict[str, float]]
    own: bool = True

    def of(self, provider: str) -> Estimate:
        """The estimate of a provider, seen or not."""
        return self.seen.get(provider, self.unseen)

    def scores(
        self, weights: Weights, allowed: Sequence[str], money: Sequence[float], policy: Policy
    ) -> list[float]:
        """The hoped index of each allowed provider at its dollars."""
        parts = self.parts.get(weights)
        if parts is None:
            parts = {name: hoped(weights, e, policy) for name, e in self.seen.items()}
            parts[NOBODY] = hoped(weights, self.unseen, policy)
            self.parts[weights] = parts
        other, rate = parts[NOBODY], weights.per_dollar
        return [parts.get(name, other) - rate * cost for name, cost in zip(allowed, money, strict=True)]
