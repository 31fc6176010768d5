"""The attempt machine: facts in, state out, effects derived.

`step` folds one fact into a run and says which row of the table it took. `due` and `next_at` derive what
has to be done from the durable state alone. No clock, no randomness, no I/O: whoever drives the machine
brings the time, the ids and the answers, and a simulator can do all of it with virtual ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from execution_arrow.facts import CalledBack, Fact
from execution_arrow.machine.agenda import due, next_at
from execution_arrow.machine.state import Event, Phase, Run, Status
from execution_arrow.machine.table import INDEX
from execution_arrow.machine.verdicts import conclude, forget
from execution_arrow.values import quick, replace

__all__ = ["Step", "due", "next_at", "step", "told"]

IMPOSSIBLE = "impossible"

_EVENTS = {
    Status.SUCCEEDED: "generation.completed",
    Status.FAILED: "generation.failed",
    Status.CANCELED: "generation.canceled",
}


@quick
@dataclass(frozen=True, slots=True)
class Step:
    """What one fact did. `durable` says whether the new state has to be written before anything follows."""

    run: Run
    row: str
    durable: bool
    alert: str = ""
    events: tuple[Event, ...] = ()


def step(run: Run, fact: Fact, now: float, attempt_id: str | None = None) -> Step:
    """Fold one fact, about the generation or about one of its attempts. Never raises for any fact."""
    attempt = run.attempt(attempt_id) if attempt_id is not None else None
    if attempt_id is not None and attempt is None:
        return Step(run, IMPOSSIBLE, durable=False, alert="unknown_attempt")
    source = attempt.state if attempt is not None else run.phase
    for row in INDEX.get((source, type(fact)), ()):
        if row.guard is None or row.guard(run, attempt, fact, now):
            changed = row.deed(run, attempt, fact, now)
            if not row.durable:
                return Step(changed, row.number, durable=False, alert=row.alert)
            changed, events = _announce(run, conclude(changed, now), now)
            changed = forget(changed)
            durable = changed.phase is not run.phase or changed != run
            return Step(changed, row.number, durable=durable, alert=row.alert, events=events)
    return Step(run, IMPOSSIBLE, durable=False, alert="impossible_fact")


def told(run: Run, fact: Fact, attempt_id: str | None) -> Fact | None:
    """What has to be folded right after a callback: its content, once its job is this attempt's.

    A callback that names somebody else's job, or one that nobody has confirmed, tells nothing.
    """
    if not isinstance(fact, CalledBack) or not fact.sure or fact.taken or attempt_id is None:
        return None
    attempt = run.attempt(attempt_id)
    return fact.told if attempt is not None and attempt.job == fact.job else None


def _announce(before: Run, after: Run, now: float) -> tuple[Run, tuple[Event, ...]]:
    """The events that this change makes, numbered without gaps."""
    if before.phase is after.phase and before.announced == after.announced:
        return after, ()
    types = []
    if before.phase is Phase.NEW and after.phase is Phase.RUNNING:
        types.append("generation.started")
    ended = after.phase is Phase.CLOSED and not before.announced
    if (ended or (after.announced and not before.announced)) and after.verdict is not None:
        types.append(_EVENTS[after.verdict])
        after = replace(after, announced=True)
    settled = after.settlement is None or after.settlement.done  # not when the ledger is late, or stuck
    events = tuple(
        Event(no=after.event_no + i, type=kind, at=now, settled=settled) for i, kind in enumerate(types, 1)
    )
    return replace(after, event_no=after.event_no + len(events)), events
