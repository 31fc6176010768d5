"""What others learn from a change: the router its verdicts, the log its alerts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from execution_arrow.driver.session import Change
from execution_arrow.facts import Fault
from execution_arrow.machine.state import Attempt, Outcome, Run
from execution_arrow.ports import Clock, Router, Verdict

logger = logging.getLogger("execution_arrow")


class Observer(Protocol):
    """Who is told of changes that are durable, and of what was heard and not understood."""

    def changed(self, before: Run, change: Change) -> None: ...

    def alerted(self, change: Change) -> None: ...


@dataclass(frozen=True, slots=True)
class Reporter:
    """Tells everybody of a change that is durable. `forget` is told of every attempt that has ended."""

    router: Router
    clock: Clock
    forget: Callable[[Run, Attempt], None]
    watch: Observer

    def __call__(self, before: Run, change: Change) -> None:
        self.alerts(change)
        for attempt in moved_attempts(before, change.run):
            tell_router(self.router, change.run, attempt, self.clock.now())
            if attempt.final:
                self.forget(change.run, attempt)
        try:
            self.watch.changed(before, change)
        except Exception:
            logger.exception("watch_failed generation=%s: a watcher must not raise", change.run.spec.id)

    def alerts(self, change: Change) -> None:
        """One warning for every fact that the table calls odd or impossible: ids and kinds, no content."""
        for alert, heard in change.alerts:
            logger.warning(
                "%s generation=%s attempt=%s fact=%s",
                alert, change.run.spec.id, heard.attempt, type(heard.fact).__name__,
            )  # fmt: skip
        if change.alerts:
            self.watch.alerted(change)


def moved_attempts(before: Run, after: Run) -> list[Attempt]:
    """Attempts that are new or in another state."""
    known = {attempt.id: attempt.state for attempt in before.attempts}
    return [attempt for attempt in after.attempts if known.get(attempt.id) is not attempt.state]


def tell_router(router: Router, run: Run, attempt: Attempt, now: float) -> None:
    """How an attempt ended, or that nobody knows. Attempts under way are not told."""
    outcome = attempt.outcome(run.winner)
    if outcome is Outcome.PENDING:
        return
    ended = attempt.ended_at or now
    router.record(
        Verdict(
            id=attempt.id,
            model=run.spec.model,
            provider=attempt.provider,
            region=run.spec.region,
            account=attempt.credentials,
            work=run.spec.work,
            outcome=outcome.value,
            fault=_fault(attempt),
            seconds=max(0.0, (attempt.collecting_at or ended) - attempt.sent_at),
            cost=attempt.cost,
            at=ended,
            retry_after=_asked_to_wait(attempt, now),
        )
    )


def _asked_to_wait(attempt: Attempt, now: float) -> float | None:
    """How long the provider itself asked to be left alone; our own pauses are not its wish."""
    if attempt.fault is not Fault.HERE or attempt.retry_at is None:
        return None
    return max(0.0, attempt.retry_at - now)


def _fault(attempt: Attempt) -> str:
    if attempt.fault is None:
        return "none"
    return "provider" if attempt.fault is Fault.HERE else attempt.fault.value
