"""What another policy would have done with a log.

A log holds what happened to the providers that were asked, and nothing about the others. So a policy can be
judged only on the attempts where it would have asked the very provider that was asked; over those, means are
honest if what was asked did not depend on anything that also decides success (Li, Chu, Langford, Wang:
Unbiased offline evaluation of contextual-bandit-based news article recommendation algorithms, WSDM 2011). It
rarely is quite so, and the caveats are printed with the figures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adaptive_island.attempt import Attempt, Outcome
from adaptive_island.engine import DELIVERED
from adaptive_island.policy import Policy

from .logs import Past, attempts
from .showing import print_json, show

CAVEATS = (
    "only attempts where this policy agrees with what was asked are counted; the others say nothing about it",
    "a policy that agrees rarely is judged by few attempts, and by those that the old policy preferred",
    "what was asked after a failure is counted as a first choice, because a log does not tell them apart",
    "costs are what providers billed; a request's own quote is not in the log",
)


@dataclass
class Tally:
    """Means over the attempts that were counted."""

    attempts: int = 0
    delivered: int = 0
    seconds: float = 0.0
    cost: int = 0
    priced: int = 0

    def add(self, attempt: Attempt) -> None:
        """Count one."""
        self.attempts += 1
        if attempt.outcome in DELIVERED:
            self.delivered += 1
            self.seconds += attempt.seconds
        if attempt.cost is not None:
            self.cost += attempt.cost
            self.priced += 1

    def row(self, policy: str, total: int) -> dict[str, Any]:
        """The line of a table."""
        return {
            "policy": policy,
            "attempts": self.attempts,
            "share": self.attempts / max(1, total),
            "success": self.delivered / self.attempts if self.attempts else None,
            "seconds": self.seconds / self.delivered if self.delivered else None,
            "cost": self.cost / self.priced if self.priced else None,
        }


def replayed(history: Sequence[Attempt], policy: Policy, orders: Iterable[str]) -> list[dict[str, Any]]:
    """A row for what was done and one for each order: the attempts on which it agrees, and how they went."""
    past, logged = Past(policy), Tally()
    tallies = {order: Tally() for order in orders}
    known: dict[tuple[str, str], dict[str, None]] = {}
    ends = 0
    for attempt in sorted(history, key=lambda a: a.at - a.seconds):
        started = attempt.at - attempt.seconds
        while ends < len(history) and history[ends].at <= started:  # what was known when this one was asked
            past.live((history[ends],))
            ends += 1
        past.now = max(past.now, started)
        providers = known.setdefault((attempt.region, attempt.model), {})
        providers[attempt.provider] = None
        if attempt.outcome in (Outcome.CANCELED, Outcome.PENDING, Outcome.UNKNOWN) or len(providers) < 2:
            continue
        logged.add(attempt)
        allowed = tuple(providers)
        for order, tally in tallies.items():
            chosen = past.island.rank(
                attempt.model, allowed, order=order, region=attempt.region, work=attempt.work
            )
            if chosen and chosen[0] == attempt.provider:
                tally.add(attempt)
    total = logged.attempts
    return [logged.row("as it was", total), *(tally.row(name, total) for name, tally in tallies.items())]


def replay(args: argparse.Namespace) -> int:
    """Print how each order would have done, as far as the log can tell."""
    policy = replace(Policy(), **dict(number(text) for text in args.set))
    unknown = [order for order in args.order or () if order not in policy.orders]
    if unknown:
        raise ValueError(f"no order {unknown[0]!r}; choose {', '.join(policy.orders)}")
    rows = replayed(attempts(args.source), policy, args.order or policy.orders)
    if args.json:
        print_json({"policies": rows, "caveats": CAVEATS})
    else:
        show(rows, as_json=False)
        for caveat in CAVEATS:
            print(f"note: {caveat}", file=sys.stderr)
    return 0


def number(text: str) -> tuple[str, Any]:
    """`optimism=0.1` as a field of the policy."""
    name, equals, value = text.partition("=")
    if not equals or not isinstance(getattr(Policy(), name, None), (int, float)):
        raise ValueError(f"{text!r} is not NAME=NUMBER with a number of the policy, such as optimism=0.1")
    number = float(value)
    return name, int(number) if isinstance(getattr(Policy(), name), int) else number
