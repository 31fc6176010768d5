"""What providers were asked for and what they cost: sums over attempts, per provider.

Price and cost are two words. What accounts paid is `charged`, once; everything else is what providers bill
us, whoever won. An amount that nobody knows is in no sum but `possible_waste`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from execution_arrow.machine.state import Attempt, Outcome, Run
from execution_arrow.record import credits, possible_waste


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderUsage:
    """One provider's attempts by outcome, and their cost in credits.

    `wasted` is the part of `cost` that no customer's result came of; `possible_waste` is not in `cost`.
    """

    provider: str
    submissions: int
    used: int
    failed: int
    canceled: int
    discarded: int
    unknown: int
    pending: int
    cost: Decimal
    wasted: Decimal
    possible_waste: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Generations that were created in `since <= time < until` (unix seconds), and all of their attempts.

    `unreadable` rows, written by a newer version, are in no sum.
    """

    since: float
    until: float
    generations: int
    unreadable: int
    charged: Decimal
    providers: tuple[ProviderUsage, ...]


@dataclass(slots=True)
class _Sums:
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    cost: int = 0
    wasted: int = 0
    possible: int = 0

    def add(self, run: Run, attempt: Attempt) -> None:
        outcome = attempt.outcome(run.winner)
        self.outcomes[outcome] += 1
        self.possible += possible_waste(run, attempt)
        if attempt.cost is not None and attempt.cost_source != "unknown":
            self.cost += attempt.cost
            # A winner in the middle of its copying is not waste, and nothing else has a known cost by then.
            self.wasted += 0 if attempt.id == run.winner else attempt.cost


class Tally:
    """Adds up runs one by one."""

    def __init__(self) -> None:
        self._providers: dict[str, _Sums] = {}
        self._generations = self._charged = self.unreadable = 0

    def add(self, run: Run) -> None:
        self._generations += 1
        if run.settlement is not None and run.settlement.done:
            self._charged += run.settlement.amount
        for attempt in run.attempts:
            self._providers.setdefault(attempt.provider, _Sums()).add(run, attempt)

    def usage(self, since: float, until: float) -> Usage:
        return Usage(
            since=since,
            until=until,
            generations=self._generations,
            unreadable=self.unreadable,
            charged=credits(self._charged),
            providers=tuple(_shown(name, sums) for name, sums in sorted(self._providers.items())),
        )


def _shown(provider: str, sums: _Sums) -> ProviderUsage:
    counted = sums.outcomes
    return ProviderUsage(
        provider=provider,
        submissions=sum(counted.values()),
        used=counted[Outcome.USED],
        failed=counted[Outcome.FAILED],
        canceled=counted[Outcome.CANCELED],
        discarded=counted[Outcome.DISCARDED],
        unknown=counted[Outcome.UNKNOWN],
        pending=counted[Outcome.PENDING],
        cost=credits(sums.cost),
        wasted=credits(sums.wasted),
        possible_waste=credits(sums.possible),
    )
