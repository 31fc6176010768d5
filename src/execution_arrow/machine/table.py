"""The transition table: which fact, in which state, under which guard, does what.

Rows carry the numbers used in the documentation and in the simulator's coverage. The first row whose
guard holds is taken. A fact that no row expects is *impossible*: recorded, alerted, and without effect;
that is how a provider that contradicts itself cannot move money.

Guards read the state before the deed. `ANY` in the text of a row means every listed state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from execution_arrow import facts as f
from execution_arrow.facts import Fault, Timer
from execution_arrow.machine import attempts as do
from execution_arrow.machine import results, verdicts
from execution_arrow.machine.agenda import next_plan
from execution_arrow.machine.state import FINAL, Attempt, Phase, Run, State

Guard = Callable[[Run, Any, Any, float], bool]
Deed = Callable[[Run, Any, Any, float], Run]


@dataclass(frozen=True, slots=True)
class Row:
    """One transition. `durable=False`: only waiting times change, so nothing is written."""

    number: str
    sources: tuple[State | Phase, ...]
    fact: type[Any]
    to: str  # for the chart: the state that follows, or "same"
    deed: Deed
    guard: Guard | None = None
    when: str = ""  # the guard in words
    durable: bool = True
    alert: str = ""


def same(run: Run, _: Attempt | None, fact: f.Fact, now: float) -> Run:
    return run


# --- guards ---------------------------------------------------------------------------------------------


def fault(*faults: Fault) -> Guard:
    return lambda run, a, fact, now: fact.fault in faults


def plannable(run: Run, _: Attempt | None, fact: f.Planned, now: float) -> bool:
    plan = next_plan(run)
    return plan is not None and plan[0] <= now and fact.provider in plan[1].candidates


def timer(which: Timer) -> Guard:
    return lambda run, a, fact, now: fact.timer is which


def both(*guards: Guard) -> Guard:
    return lambda run, a, fact, now: all(guard(run, a, fact, now) for guard in guards)


def taken(run: Run, a: Attempt, fact: Any, now: float) -> bool:
    """The job is another attempt's, or this attempt already has another one."""
    if a.job is not None and a.job != fact.job:
        return True
    return fact.taken or any(
        b.job == fact.job and b.provider == a.provider for b in run.attempts if b.id != a.id
    )


def bound(run: Run, a: Attempt, fact: Any, now: float) -> bool:
    return a.job is not None and a.accepted_at is not None


def has_outputs(run: Run, a: Attempt, fact: Any, now: float) -> bool:
    return bool(fact.outputs)


def winnable(run: Run, a: Attempt, fact: Any, now: float) -> bool:
    return bool(fact.outputs) and run.winner is None and run.open and not run.cancel


def empty_too_long(run: Run, a: Attempt, fact: Any, now: float) -> bool:
    return a.empty_at is not None and now - a.empty_at >= run.spec.policy.empty_patience


def conclusive(run: Run, a: Attempt, fact: f.LookupNone, now: float) -> bool:
    return fact.conclusive


def policy_fails(run: Run, a: Attempt, fact: f.TimeUp, now: float) -> bool:
    return (
        fact.timer is Timer.PATIENCE and run.spec.policy.on_unknown == "fail" and run.phase is Phase.RUNNING
    )


def believed(run: Run, a: Attempt, fact: f.Missing, now: float) -> bool:
    return do.believed_missing(a, now)


def erasing(run: Run, a: Attempt, fact: f.Missing, now: float) -> bool:
    return a.erased


def unsettled_caller(run: Run, a: Attempt, fact: f.Failed, now: float) -> bool:
    return fact.fault is Fault.CALLER and run.winner is None and run.phase is Phase.RUNNING


def undecided_caller(run: Run, a: Attempt, fact: f.Refused, now: float) -> bool:
    return fact.fault is Fault.CALLER and run.phase is Phase.RUNNING and run.winner is None


# --- the table ------------------------------------------------------------------------------------------

_WATCHED = (State.LIVE, State.CLOSING, State.UNKNOWN)
_SEND, _UNK, _LIVE, _CLO, _COL = State.SENDING, State.UNKNOWN, State.LIVE, State.CLOSING, State.COLLECTING
_ENDED = tuple(sorted(FINAL - {State.STORED, State.LOST}))
_DONE = (*sorted(FINAL), _COL)
_STATUS_FACTS = (
    f.Failed, f.Canceled, f.Expired, f.Missing, f.PollFailed, f.UnknownStatus, f.NotSent, f.Refused,
    f.Ambiguous, f.OwnerLost, f.LookupNone, f.CancelAcknowledged, f.CancelRefused, f.Succeeded, f.Completed,
    f.TimeUp,
)  # fmt: skip

ROWS: tuple[Row, ...] = (
    # the generation
    Row("H1", (Phase.NEW,), f.HoldOpened, "running", verdicts.hold_opened),
    Row("H2", (Phase.NEW,), f.HoldRefused, "closed", verdicts.hold_refused),
    Row("H3", (Phase.NEW,), f.EffectFailed, "same", verdicts.try_later, durable=False),
    Row("H4", (Phase.NEW,), f.UserCancel, "same", verdicts.cancel_new),
    Row("1", (Phase.RUNNING,), f.Planned, "running", do.plan, plannable,
        "hold open, no winner, nobody waited for"),
    Row("31", (Phase.RUNNING,), f.UserCancel, "settling", verdicts.cancel_running),
    Row("36", (Phase.COLLECTING, Phase.SETTLING, Phase.CLOSED), f.UserCancel, "same", same, when="too late",
        durable=False),
    Row("G1", (Phase.NEW, Phase.RUNNING), f.TimeUp, "settling", verdicts.deadline, timer(Timer.GENERATION)),
    Row("S1", (Phase.SETTLING,), f.Settled, "closed", verdicts.settled),
    Row("S2", (Phase.SETTLING,), f.SettleRefused, "closed", verdicts.stuck, alert="settlement_stuck"),
    Row("S3", (Phase.SETTLING,), f.EffectFailed, "same", verdicts.try_later, durable=False),
    Row("S4", (Phase.SETTLING,), f.TimeUp, "same", verdicts.announce, timer(Timer.ANNOUNCE)),
    Row("S5", (Phase.CLOSED,), f.Settled, "same", same, durable=False),
    # submit
    Row("6", (_SEND,), f.Accepted, "unknown", do.doubt, taken, "the job is another attempt's",
        alert="duplicate_job"),
    Row("6", (_UNK, _LIVE, _CLO), f.Accepted, "same", same, taken, "the job is another attempt's",
        durable=False, alert="duplicate_job"),
    Row("6", (_UNK,), f.LookupFound, "same", do.look_again, taken, "the job is another attempt's",
        durable=False, alert="duplicate_job"),
    Row("2", (_SEND,), f.NotSent, "rejected", do.reject),
    Row("2", (_SEND,), f.Refused, "rejected", do.reject, fault(Fault.HERE), "come back"),
    Row("3", (_SEND,), f.Refused, "rejected", do.reject, fault(Fault.PROVIDER, Fault.ACCOUNT), "another may"),
    Row("4", (_SEND,), f.Refused, "rejected", do.reject_caller, undecided_caller, "the caller's fault"),
    Row("4", (_SEND,), f.Refused, "rejected", do.reject),
    Row("5", (_SEND,), f.Accepted, "live", do.accept),
    Row("7", (_SEND,), f.Completed, "collecting", results.win, winnable, "nobody won yet"),
    Row("7", (_SEND,), f.Completed, "stored", results.discard, has_outputs, "too late"),
    Row("7", (_SEND,), f.Completed, "failed", results.empty_for_good, when="without outputs"),
    Row("8", (_SEND,), f.Ambiguous, "unknown", do.doubt),
    Row("9", (_SEND,), f.OwnerLost, "unknown", do.doubt),
    # unknown
    Row("11", (_UNK,), f.Accepted, "live", do.accept),
    Row("11", (_UNK,), f.LookupFound, "live", do.accept),
    Row("11", (_UNK,), f.Completed, "collecting", results.win, winnable, "nobody won yet"),
    Row("11", (_UNK,), f.Completed, "stored", results.discard, has_outputs, "too late"),
    Row("11", (_UNK,), f.Refused, "rejected", do.reject_caller, undecided_caller, "the caller's fault"),
    Row("11", (_UNK,), f.Refused, "rejected", do.reject),
    Row("11", (_UNK,), f.NotSent, "rejected", do.reject),
    Row("12", (_UNK,), f.LookupNone, "rejected", do.reject, conclusive, "conclusive"),
    Row("12", (_UNK,), f.LookupNone, "same", do.look_again, when="proves nothing", durable=False),
    Row("14", (_UNK,), f.TimeUp, "unknown", do.give_up_unknown, policy_fails, "policy fail"),
    Row("13", (_UNK,), f.TimeUp, "unknown", do.lapse, timer(Timer.PATIENCE), "patience over"),
    Row("15", (_UNK, _CLO), f.TimeUp, "written_off", do.write_off, timer(Timer.WRITE_OFF), "written off"),
    # polls
    Row("11", (_UNK,), f.Running, "live", do.reappear, bound, "the bound job runs"),
    Row("16", _WATCHED, f.Running, "same", do.running, durable=False),
    Row("16", _WATCHED, f.PollFailed, "same", do.poll_later, durable=False),
    Row("39", _WATCHED, f.UnknownStatus, "same", do.poll_later, durable=False, alert="unknown_status"),
    Row("17", _WATCHED, f.Succeeded, "collecting", results.win, winnable, "nobody won yet"),
    Row("18", _WATCHED, f.Succeeded, "stored", results.discard, has_outputs, "too late"),
    Row("19a", _WATCHED, f.Succeeded, "failed", results.empty_for_good, empty_too_long, "60 s empty"),
    Row("19", _WATCHED, f.Succeeded, "same", results.empty, when="without outputs"),
    Row("19a", (_LIVE, _CLO), f.TimeUp, "failed", results.empty_for_good,
        both(timer(Timer.EMPTY), empty_too_long), "60 s empty"),
    Row("21", _WATCHED, f.Failed, "failed", do.fail_caller, unsettled_caller, "the caller's fault"),
    Row("22", _WATCHED, f.Failed, "failed", do.fail, fault(Fault.ACCOUNT), "our account"),
    Row("20", _WATCHED, f.Failed, "failed", do.fail),
    Row("23", _WATCHED, f.Canceled, "canceled", do.canceled),
    Row("24", _WATCHED, f.Expired, "expired", do.expire),
    Row("26a", (_CLO,), f.Missing, "canceled", do.erased, erasing, "our DELETE was acknowledged"),
    Row("26", (_LIVE, _CLO), f.Missing, "unknown", do.doubt, believed, "3 in 5 min"),
    Row("25", (_LIVE, _CLO), f.Missing, "same", do.missing),
    Row("25", (_UNK,), f.Missing, "same", do.look_again, durable=False),
    # ends we ask for
    Row("27", (_LIVE,), f.TimeUp, "closing", do.overdue, timer(Timer.DEADLINE), "deadline"),
    Row("28", (_CLO,), f.TimeUp, "closing", do.lapse, timer(Timer.CANCEL), "cancel unanswered"),
    Row("29", (_CLO,), f.CancelAcknowledged, "closing", do.cancel_answered),
    Row("30", (_CLO,), f.CancelRefused, "closing", do.cancel_refused),
    # results
    Row("33", (_COL,), f.ArtifactStored, "stored", results.store),
    Row("34", (_COL,), f.ArtifactLost, "stored or lost", results.lose),
    Row("34", (_COL,), f.ArtifactFailed, "same", results.copy_later, durable=False),
    Row("35", (_COL,), f.TimeUp, "stored or lost", results.collect_over, timer(Timer.COLLECT),
        "collect deadline"),
    # late and contradictory
    *(Row("38", _ENDED, kind, "collecting", results.win, winnable, "nobody won yet",
          alert="contradiction") for kind in (f.Succeeded, f.Completed)),
    *(Row("38", _ENDED, kind, "stored", results.discard, has_outputs, "too late", alert="contradiction")
      for kind in (f.Succeeded, f.Completed)),
    Row("40", _DONE, f.Running, "same", same, durable=False, alert="status_regress"),
    *(Row("37", _DONE, kind, "same", same, durable=False) for kind in _STATUS_FACTS),
    *(Row("37", _DONE, kind, "same", same, durable=False)
      for kind in (f.Accepted, f.LookupFound, f.ArtifactStored, f.ArtifactLost, f.ArtifactFailed)),
)  # fmt: skip


def _index() -> dict[tuple[State | Phase, type[Any]], tuple[Row, ...]]:
    index: dict[tuple[State | Phase, type[Any]], tuple[Row, ...]] = {}
    for row in ROWS:
        for source in row.sources:
            index[source, row.fact] = (*index.get((source, row.fact), ()), row)
    return index


INDEX = _index()
