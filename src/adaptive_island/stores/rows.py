"""What the SQL stores have in common: an attempt as a row, and for how long sums are worth keeping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adaptive_island.attempt import Attempt, Fault, Outcome
from adaptive_island.policy import Policy
from adaptive_island.window import EPOCH

COLUMNS = "id, model, provider, region, account, work, outcome, fault, seconds, cost, retry_after, at"
SUMS = "tried, won, timed, log, square, wasted, cost, priced"
CIRCUIT = "provider, account, model, state, since, until, cause, opens, lease, word"


def attempt_row(a: Attempt) -> tuple[object, ...]:
    """An attempt in the order of `COLUMNS`."""
    retry_after = None if a.retry_after is None else float(a.retry_after)
    texts = (a.id, a.model, a.provider, a.region, a.account, a.work, a.outcome.value, a.fault.value)
    return (*texts, float(a.seconds), a.cost, retry_after, float(a.at))


def row_attempt(row: Sequence[Any]) -> Attempt:
    """The attempt of such a row."""
    id, model, provider, region, account, work, outcome, fault, seconds, cost, retry_after, at = row
    return Attempt(
        id=id, model=model, provider=provider, region=region, account=account, work=work,
        outcome=Outcome(outcome), fault=Fault(fault), seconds=seconds, cost=cost, retry_after=retry_after,
        at=at,
    )  # fmt: skip


def lifetimes(policy: Policy) -> dict[str, float]:
    """Seconds after its last change from which nobody reads a sum, by the shared name of its memory."""
    return {f"{half_life:g}": 2.0 * EPOCH * half_life for half_life in (policy.fast, policy.slow)}
