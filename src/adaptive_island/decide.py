"""One question, one order: everything a ranking depends on goes in, and the order with its reasons comes out.

Pure, and therefore what `rank` remembers, what `explain` prints and what a test replays are the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .attempt import MOST
from .index import Known, dollars, expected
from .order import Blocked, Order, Source, arranged, based, explicit, follow, panics, soft
from .policy import Policy, Weights


class Question(NamedTuple):
    """What somebody asked `rank`; `allowed` has no duplicates."""

    model: str
    allowed: tuple[str, ...]
    order: object
    region: str
    costs: dict[str, int]
    work: str
    sticky: str | None
    account: str | tuple[str, ...]  # one for all, or one for each of `allowed`


def asked(
    names: tuple[str, ...],
    allowed: object,
    model: str,
    order: object,
    region: str,
    costs: object,
    work: str,
    sticky: str | None,
    account: object,
) -> Question:
    """The question in its one form: tuples for lists, and accounts beside `names`, which are `allowed`
    without duplicates."""
    order = tuple(order) if isinstance(order, list) else order
    account = tuple(account) if isinstance(account, list) else account
    if isinstance(account, tuple) and isinstance(allowed, (tuple, list)) and len(allowed) > len(names):
        beside = dict(zip(reversed(allowed[: len(account)]), reversed(account[: len(allowed)]), strict=True))
        account = tuple([beside.get(name, "") for name in names])
    return Question(model, names, order, region, sane_costs(costs), work, sticky, account)  # type: ignore[arg-type]


class Decision(NamedTuple):
    """The order, and what it was made of where providers were compared: their names in base order, their
    scores and dollars, and the weights."""

    order: Order
    names: tuple[str, ...] = ()
    scores: Sequence[float] = ()
    dollars: Sequence[float] = ()
    weights: Weights | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a provider stands where it stands.

    `score` is the optimistic index the order is made of, in parts of a success: `mean` is the expected
    index and `width` the benefit of the doubt. `success` and `seconds` are the expected chance and time,
    `attempts` the effective number of recent verdicts, `last_seen` the unix time of the last one this
    process saw, `cost` what the request is taken to cost there in micro-credits (as told,
    else as learned, else as the others on average). `breaker` is its state, `reason`
    one sentence. Numbers are None where the order did not compare (an explicit order, a cold start) or
    nobody's cost is known.
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
    kind = question.order
    if isinstance(kind, tuple) and len(kind) == 1 and kind[0] not in allowed and kind[0] in policy.orders:
        kind = kind[0]  # ["fastest"] is how some requests spell it
    weights = policy.weights(kind, question.account) if isinstance(kind, str) else None
    if weights is None or not isinstance(kind, str):
        named = explicit(kind, allowed)
        if named is not None:
            return Decision(follow(model, named, allowed))
        return Decision(Order(allowed, model, Source.CALLER, f"there is no order named {kind!r:.80}"))
    names = based(ranked, allowed)
    shut, note = _shut(names, blocks, policy)
    if known.judged.isdisjoint(names):
        source = Source.CACHED if not set(ranked).isdisjoint(allowed) else Source.CALLER
        what = _BASES[source]
        tail = [name for name in names if name in shut]
        cold = [name for name in names if name not in shut] + tail
        return Decision(Order(cold, model, source, what + note))
    money = dollars(names, known, question.costs)
    scores = known.scores(weights, names, money, policy)
    ordered = arranged(names, scores, band=policy.band, sticky=question.sticky, shut=shut)
    order = Order(ordered, model, Source.LEARNED, f"{kind} by recent attempts{note}")
    return Decision(order, names, scores, money, weights)


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
    """The usable part of a cost table: whole, non-negative micro-credits. Anything else is left out."""
    if type(costs) is not dict and not isinstance(costs, Mapping):
        return {}
    return {name: cost for name, cost in costs.items() if type(cost) is int and 0 <= cost <= MOST}


def explained(
    decision: Decision,
    known: Known,
    costs: Mapping[str, int],
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
        words.append(f"breaker {blocked.state} ({blocked.cause}) {when}")
    e = known.of(name)
    score = mean = cost = None
    if decision.weights is not None:
        i = decision.names.index(name)
        score = decision.scores[i]
        if any(other in costs or known.of(other).cost is not None for other in decision.names):
            cost = round(decision.dollars[i] * 1e6)
        mean = expected(decision.weights, e) - decision.weights.per_dollar * decision.dollars[i]
    seen = name in known.judged
    return Explanation(
        provider=name,
        position=position,
        score=score,
        mean=mean,
        width=None if score is None or mean is None else score - mean,
        success=e.success if seen else None,
        seconds=e.seconds if seen else None,
        attempts=e.attempts,
        last_seen=last_seen,
        cost=cost,
        breaker=state,
        reason="; ".join(words),
    )
