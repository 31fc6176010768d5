"""Small pieces shared by the deeds: changing one attempt, pauses, and what an end costs us."""

from __future__ import annotations

from typing import Any

from execution_arrow.machine.state import Attempt, Run
from execution_arrow.values import replace

POLL_CEILING = 15.0  # seconds; polls slow down to a tenth of the age of the job, up to this
RETRY_BASE = 0.5  # seconds; first pause after a failed try, doubled each time
RETRY_CEILING = 60.0


def put(run: Run, attempt: Attempt, **changes: Any) -> Run:
    """The run with one attempt changed."""
    changed = replace(attempt, **changes)
    return replace(run, attempts=tuple(changed if a.id == attempt.id else a for a in run.attempts))


def backoff(errors: int) -> float:
    """Seconds before try `errors + 1`."""
    return float(min(RETRY_CEILING, RETRY_BASE * 2 ** min(errors, 10)))


def poll_pause(run: Run, attempt: Attempt, now: float) -> float:
    """Seconds to the next poll: the provider's minimum, slowing down with the job's age."""
    age = now - (attempt.accepted_at or attempt.sent_at)
    return max(run.route(attempt).terms.poll_every, min(POLL_CEILING, age / 10))


def billed(run: Run, attempt: Attempt, end: str) -> bool:
    return end in run.route(attempt).terms.billed


def cost_of_end(run: Run, attempt: Attempt, end: str, reported: int | None = None) -> dict[str, Any]:
    """Cost of an attempt that ended without a result: what the provider reports, else what it declares."""
    if reported is not None:
        return {"cost": reported, "cost_source": "reported"}
    cost = run.route(attempt).cost if billed(run, attempt, end) else 0
    return {"cost": cost, "cost_source": "quoted"}


def bill(run: Run, attempt: Attempt, reported: int | None, source: str = "quoted") -> dict[str, Any]:
    """Cost of an attempt that has a result: as reported with it, else as announced, else as quoted."""
    reported = attempt.announced if reported is None else reported
    if reported is not None:
        return {"cost": reported, "cost_source": "reported"}
    return {"cost": run.route(attempt).cost, "cost_source": source}
