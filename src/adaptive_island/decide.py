"""One question, one order: everything a ranking depends on goes in, and the order with its reasons comes out.

Pure, and therefore what `rank` remembers, what `explain` prints and what a test replays are the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .attempt import is_money
from .index import Estimate, dollars, scored
from .knowledge import Known
from .order import Blocked, Order, Source, arranged, based, explicit, follow, panics, soft
from .policy import Policy


class Question(NamedTuple):
    """What somebody asked `rank`; `allowed` has no duplicates."""

    model: str
    allowed: tuple[str, ...]
    order: object
    region: str
    costs: Mapping[str, int]
    work: str
    sticky: str | None
    account: str


class Decision(NamedTuple):
    """The order, and per provider in base order what it was made of (empty where nothing was compared)."""

    order: Order
    names: tuple[str, ...]
    hoped: Sequence[float]
    expected: Sequence[float]
    estimates: Sequence[Estimate]
    dollars: Sequence[float]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a provider stands where it stands.

    `score` is the optimistic index the order is made of, in parts of a success: `mean` is the expected
    index and `width` the benefit of the doubt. `success` and `seconds` are the expected chance and time,
    `attempts` the effective number of recent verdicts, `last_seen` the unix time of the last one this
    process saw, `cost` what the request costs there in micro-credits. `breaker` is its state, `reason`
    one sentence. Numbers are None where the order did not compare (an explicit order, a cold start).
    """

    provider: str
    position: int
    score: float | None
    mean: float | None
    width: float | None
    success: float | None
    seconds: float | None
    attempts: float
    last_seen: float | None
    cost: int | None
    breaker: str
    reason: str


_BASES = {
    Source.CACHED: "nothing is known here yet: a published ranking",
    Source.CALLER: "nothing is known yet: the caller's order",
}


def decide(
    question: Question, known: Known, blocks: Mapping[str, Blocked], ranked: Sequence[str], policy: Policy
) -> Decision:
    """The order for a question, given estimates, blocked providers and a published ranking (or none)."""
    model, allowed = question.model, question.allowed
    named = explicit(question.order, allowed)
    if named is not None:
        return _plain(follow(model, named, allowed))
    weights = policy.orders.get(question.order) if isinstance(question.order, str) else None
    if weights is None:
        return _plain(Order(allowed, model, Source.CALLER, f"there is no order named {question.order!r:.80}"))
    names = based(ranked, allowed)
    shut, note = _shut(names, blocks, policy)
    if known.judged.isdisjoint(names):
        source = Source.CACHED if not set(ranked).isdisjoint(allowed) else Source.CALLER
        what = _BASES[source]
        tail = [name for name in names if name in shut]
        cold = [name for name in names if name not in shut] + tail
        return _plain(Order(cold, model, source, what + note))
    estimates = [known.of(name) for name in names]
    money = dollars(names, estimates, question.costs)
    hoped, expected = scored(estimates, money, weights)
    ordered = arranged(names, hoped, band=policy.band, sticky=question.sticky, shut=shut)
    order = Order(ordered, model, Source.LEARNED, f"{question.order} by recent attempts{note}")
    return Decision(order, names, hoped, expected, estimates, money)


def _plain(order: Order) -> Decision:
    return Decision(order, (), (), (), (), ())


def _shut(names: Sequence[str], blocks: Mapping[str, Blocked], policy: Policy) -> tuple[tuple[str, ...], str]:
    """Who goes to the tail, and what the reason says about it."""
    if not blocks:
        return (), ""
    shut = tuple(name for name in names if name in blocks)
    if panics(len(shut), len(names), policy.panic):
        hard = tuple(name for name in shut if not soft((blocks[name],)))
        return hard, f"; {len(shut)} of {len(names)} breakers open, so they are ignored"
    return shut, f"; breaker open: {', '.join(shut)}"


def sane_costs(costs: object) -> dict[str, int]:
    """The usable part of a cost table: names with integer micro-credits. Anything else is left out."""
    if not isinstance(costs, Mapping):
        return {}
    return {name: cost for name, cost in costs.items() if isinstance(name, str) and is_money(cost)}


def explained(
    decision: Decision,
    name: str,
    *,
    last_seen: float | None,
    blocked: Blocked | None,
    state: str,
) -> Explanation:
    """One provider's line."""
    position = decision.order.index(name) + 1 if name in decision.order else 0
    words = [decision.order.reason if position else "left out by the explicit order"]
    if blocked is not None:
        when = "until restored" if blocked.retry_after is None else f"for {blocked.retry_after:.0f} s"
        words.append(f"breaker {blocked.state} ({blocked.cause.value}) {when}")
    reason = "; ".join(words)
    if name not in decision.names:
        return Explanation(name, position, None, None, None, None, None, 0.0, last_seen, None, state, reason)
    i = decision.names.index(name)
    e, hoped, mean = decision.estimates[i], decision.hoped[i], decision.expected[i]
    cost = round(decision.dollars[i] * 1e6)
    return Explanation(
        name,
        position,
        hoped,
        mean,
        hoped - mean,
        e.success,
        e.seconds,
        e.attempts,
        last_seen,
        cost,
        state,
        reason,
    )
