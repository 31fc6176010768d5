"""The guards of the transition table: questions about the state before the deed.

Each takes (run, attempt, fact, now). A question that the agenda asks too is asked there, so that what is due
and what is allowed cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from execution_arrow import facts as f
from execution_arrow.facts import Fault, Timer
from execution_arrow.machine import attempts as do
from execution_arrow.machine.agenda import hedge_plan, next_plan
from execution_arrow.machine.state import Attempt, Phase, Run, State

Guard = Callable[[Run, Any, Any, float], bool]


def both(*guards: Guard) -> Guard:
    return lambda run, a, fact, now: all(guard(run, a, fact, now) for guard in guards)


def fault(*faults: Fault) -> Guard:
    return lambda run, a, fact, now: fact.fault in faults


def timer(which: Timer) -> Guard:
    return lambda run, a, fact, now: fact.timer is which


# --- the generation -------------------------------------------------------------------------------------


def plannable(run: Run, _: Attempt | None, fact: f.Planned, now: float) -> bool:
    plan = next_plan(run)
    return plan is not None and plan[0] <= now and fact.provider in plan[1].candidates


def hedgeable(run: Run, _: Attempt | None, fact: f.Planned, now: float) -> bool:
    plan = hedge_plan(run)
    return plan is not None and plan[0] <= now and fact.provider in plan[1].candidates


def has(state: State) -> Guard:
    """Whether any attempt is in this state; for rows that differ in what happens to such an attempt."""
    return lambda run, a, fact, now: any(other.state is state for other in run.attempts)


def owed(run: Run, _: Attempt | None, fact: f.Fact, now: float) -> bool:
    """Closed, and the ledger has not moved: the settlement is stuck."""
    return run.settlement is not None and not run.settlement.done


def refused_again(run: Run, _: Attempt | None, fact: f.SettleRefused, now: float) -> bool:
    return run.settlement is not None and run.settlement.stuck == fact.reason


def paid(run: Run, _: Attempt | None, fact: f.HoldOpened, now: float) -> bool:
    return run.settlement is not None and run.settlement.done


def done(run: Run, _: Attempt | None, fact: f.Erase, now: float) -> bool:
    return run.done


# --- jobs and callbacks ---------------------------------------------------------------------------------


def taken(run: Run, a: Attempt, fact: Any, now: float) -> bool:
    """The job is another attempt's, or this attempt already has another one."""
    if a.job is not None and a.job != fact.job:
        return True
    return fact.taken or any(
        b.job == fact.job and b.provider == a.provider for b in run.attempts if b.id != a.id
    )


def sure(run: Run, a: Attempt, fact: f.CalledBack, now: float) -> bool:
    return fact.sure


def unsure(run: Run, a: Attempt, fact: f.CalledBack, now: float) -> bool:
    return not fact.sure


def unbound(run: Run, a: Attempt, fact: f.Fact, now: float) -> bool:
    return a.job is None


def bound(run: Run, a: Attempt, fact: f.Fact, now: float) -> bool:
    return a.job is not None and a.accepted_at is not None


def gone(run: Run, a: Attempt, fact: f.Unconfirmed, now: float) -> bool:
    return fact.gone


def conclusive(run: Run, a: Attempt, fact: f.LookupNone, now: float) -> bool:
    return fact.conclusive and now - a.sent_at >= do.ARRIVAL_WINDOW


# --- polls ----------------------------------------------------------------------------------------------


def has_outputs(run: Run, a: Attempt, fact: Any, now: float) -> bool:
    return bool(fact.outputs)


def winnable(run: Run, a: Attempt, fact: Any, now: float) -> bool:
    return bool(fact.outputs) and run.winner is None and run.open and not run.cancel


def empty_too_long(run: Run, a: Attempt, fact: Any, now: float) -> bool:
    return a.empty_at is not None and now - a.empty_at >= run.spec.policy.empty_patience


def empty_before(run: Run, a: Attempt, fact: Any, now: float) -> bool:
    return a.empty_at is not None


def missed(run: Run, a: Attempt, fact: f.Running, now: float) -> bool:
    """Some answers said that the job is gone: this one makes them void, and that has to be remembered."""
    return bool(a.missing)


def believed(run: Run, a: Attempt, fact: f.Missing, now: float) -> bool:
    return do.believed_missing(a, now)


def not_believed(run: Run, a: Attempt, fact: f.Missing, now: float) -> bool:
    return not do.believed_missing(a, now)


def erasing(run: Run, a: Attempt, fact: f.Missing, now: float) -> bool:
    return a.erased


def unsettled_caller(run: Run, a: Attempt, fact: f.Failed, now: float) -> bool:
    return fact.fault is Fault.CALLER and run.winner is None and run.phase is Phase.RUNNING


def undecided_caller(run: Run, a: Attempt, fact: f.Refused, now: float) -> bool:
    return fact.fault is Fault.CALLER and run.phase is Phase.RUNNING and run.winner is None


def other_end(run: Run, a: Attempt, fact: f.Fact, now: float) -> bool:
    """The provider has told another end before. The first one stays."""
    return a.state is not _ENDS[type(fact)] and a.state in _ENDS.values()


_ENDS = {f.Failed: State.FAILED, f.Canceled: State.CANCELED, f.Expired: State.EXPIRED}


# --- our own decisions ----------------------------------------------------------------------------------


def policy_fails(run: Run, a: Attempt, fact: f.TimeUp, now: float) -> bool:
    return (
        fact.timer is Timer.PATIENCE and run.spec.policy.on_unknown == "fail" and run.phase is Phase.RUNNING
    )


def cancelable(run: Run, a: Attempt, fact: f.Fact, now: float) -> bool:
    return run.route(a).terms.cancel


# --- results --------------------------------------------------------------------------------------------


def some_lost(run: Run, a: Attempt, fact: Any, now: float) -> bool:
    """At least one output is ours and at least one cannot be had."""
    files, lost = _after(a, fact)
    return bool(files and lost)


def all_lost(run: Run, a: Attempt, fact: Any, now: float) -> bool:
    files, lost = _after(a, fact)
    return not files and len(lost) >= len(a.outputs)


def renewable(run: Run, a: Attempt, fact: f.ArtifactLost | f.ArtifactFailed, now: float) -> bool:
    """An address has died, and the job can be asked for another one; or somebody has asked it since."""
    if fact.edition is None:
        return False
    if a.stale_at is not None or fact.edition < a.edition:
        return True
    kept = a.collecting_at is not None and now - a.collecting_at < run.route(a).terms.renewed_for
    return kept and a.job is not None and a.dead < do.DEAD_EDITIONS


def renewing(run: Run, a: Attempt, fact: f.Fact, now: float) -> bool:
    """The job is being asked for new addresses."""
    return a.stale_at is not None


def fresh(run: Run, a: Attempt, fact: f.Succeeded, now: float) -> bool:
    """The answer has an address for something that is not ours yet."""
    missing = {output.index for output in a.outputs} - {file.index for file in a.files} - set(a.lost)
    return any(output.index in missing for output in fact.outputs)


def some_ours(run: Run, a: Attempt, fact: f.Fact, now: float) -> bool:
    return bool(a.files)


def _after(a: Attempt, fact: f.ArtifactStored | f.ArtifactLost | f.TimeUp) -> tuple[set[int], set[int]]:
    files, lost = {file.index for file in a.files}, set(a.lost)
    match fact:
        case f.ArtifactStored():
            files.add(fact.file.index)
        case f.ArtifactLost():
            lost.add(fact.index)
        case f.TimeUp():
            lost = {output.index for output in a.outputs} - files
    return files, lost
