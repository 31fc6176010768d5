"""The transition table: which fact, in which state, under which guard, does what.

Rows carry the numbers used in the documentation and in the simulator's coverage. The first row whose
guard holds is taken. A fact that no row expects is *impossible*: recorded, alerted, and without effect;
that is how a provider that contradicts itself cannot move money.

Guards (`machine.guards`) read the state before the deed. The chart and the table in docs/ are made from these
rows by `python -m tools.chart`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from execution_arrow import facts as f
from execution_arrow.facts import Fault, Timer
from execution_arrow.machine import attempts as do
from execution_arrow.machine import guards as if_
from execution_arrow.machine import results, verdicts
from execution_arrow.machine.guards import Guard, both, fault, timer
from execution_arrow.machine.state import FINAL, Attempt, Phase, Run, State

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


# --- the table ------------------------------------------------------------------------------------------

_SEND, _UNK, _LIVE, _CLO, _COL = State.SENDING, State.UNKNOWN, State.LIVE, State.CLOSING, State.COLLECTING
_WATCHED = (_LIVE, _CLO, _UNK)
_ENDED = tuple(sorted(FINAL - {State.STORED, State.LOST}))
_DONE = (*sorted(FINAL), _COL)
_NEVER_BOUND = (State.REJECTED, State.WRITTEN_OFF)  # a job that turns up there has to be watched
_BINDING = (f.Accepted, f.LookupFound, f.CalledBack)  # facts that name a job
_LATE = (
    f.Failed, f.Canceled, f.Expired, f.Missing, f.PollFailed, f.UnknownStatus, f.NotSent, f.Refused,
    f.Ambiguous, f.OwnerLost, f.LookupNone, f.Unconfirmed, f.CancelAcknowledged, f.CancelRefused, f.Succeeded,
    f.Completed, f.TimeUp, f.ArtifactStored, f.ArtifactLost, f.ArtifactFailed, *_BINDING,
)  # fmt: skip
# Answers of a job that had results and is asked for their addresses, and has none: what was odd about it.
_NO_RESULTS = (
    (f.Succeeded, ""), (f.Missing, ""), (f.Failed, "contradiction"), (f.Canceled, "contradiction"),
    (f.Expired, "contradiction"),
)  # fmt: skip
_AFTER_NEW = (Phase.RUNNING, Phase.COLLECTING, Phase.SETTLING, Phase.CLOSED)

GENERATION_ROWS: tuple[Row, ...] = (
    Row("H1", (Phase.NEW,), f.HoldOpened, "running", verdicts.hold_opened),
    Row("H2", (Phase.NEW,), f.HoldRefused, "closed", verdicts.hold_refused),
    Row("H3", (Phase.NEW,), f.EffectFailed, "same", verdicts.try_later, when="the ledger is away",
        durable=False),
    Row("H4", (Phase.NEW,), f.UserCancel, "same", verdicts.cancel_new, when="flag only"),
    Row("H5", (Phase.NEW,), f.HoldClosed, "closed", verdicts.hold_closed, when="settled before",
        alert="hold_closed"),
    Row("H6", (Phase.CLOSED,), f.HoldOpened, "same", verdicts.hold_late, if_.paid,
        "opened after its end", alert="hold_late"),
    *(Row("H7", _AFTER_NEW, kind, "same", same, when="answered before", durable=False)
      for kind in (f.HoldOpened, f.HoldRefused, f.HoldClosed)),
    Row("1", (Phase.RUNNING,), f.Planned, "running", do.plan, if_.plannable,
        "hold open, no winner, nobody waited for"),
    Row("41", (Phase.RUNNING,), f.Planned, "running", do.hedge, if_.hedgeable,
        "the policy hedges, cancels are free, nothing is in doubt"),
    Row("32", (Phase.RUNNING,), f.UserCancel, "settling", verdicts.cancel_running, if_.has(_SEND),
        "a call is under way: flagged"),
    Row("31a", (Phase.RUNNING,), f.UserCancel, "settling", verdicts.cancel_running, if_.has(_UNK),
        "a submit is unknown: flagged"),
    Row("31", (Phase.RUNNING,), f.UserCancel, "settling", verdicts.cancel_running),
    Row("36", (Phase.COLLECTING, Phase.SETTLING, Phase.CLOSED), f.UserCancel, "same", same, when="too late",
        durable=False),
    Row("G1", (Phase.NEW, Phase.RUNNING), f.TimeUp, "settling", verdicts.deadline, timer(Timer.GENERATION),
        "the generation's deadline"),
    Row("S1", (Phase.SETTLING,), f.Settled, "closed", verdicts.settled),
    Row("S2", (Phase.SETTLING,), f.SettleRefused, "closed", verdicts.stuck, when="stuck",
        alert="settlement_stuck"),
    Row("S3", (Phase.SETTLING,), f.EffectFailed, "same", verdicts.try_later, when="the ledger is away",
        durable=False),
    Row("S4", (Phase.SETTLING,), f.TimeUp, "same", verdicts.announce, timer(Timer.ANNOUNCE),
        "30 s without the ledger: announced unsettled"),
    Row("S5", (Phase.CLOSED,), f.Settled, "same", verdicts.settled, if_.owed, "it was stuck"),
    Row("S6", (Phase.CLOSED,), f.SettleRefused, "same", verdicts.ask_ledger_later,
        both(if_.owed, if_.refused_again), "still stuck", durable=False),
    Row("S6", (Phase.CLOSED,), f.SettleRefused, "same", verdicts.stuck, if_.owed, "stuck for another reason",
        alert="settlement_stuck"),
    Row("S7", (Phase.CLOSED,), f.EffectFailed, "same", verdicts.ask_ledger_later, if_.owed,
        "the ledger is away", durable=False),
    *(Row("S8", _AFTER_NEW, kind, "same", same, when="settled before", durable=False)
      for kind in (f.Settled, f.SettleRefused, f.EffectFailed)),
    Row("D1", (Phase.CLOSED,), f.Erase, "same", verdicts.erase, if_.done, "the request is blanked"),
    Row("D2", tuple(Phase), f.Erase, "same", verdicts.erase, when="erased when done"),
)  # fmt: skip

SUBMIT_ROWS: tuple[Row, ...] = (
    Row("6", (_SEND,), f.Accepted, "unknown", do.doubt, if_.taken, "the job is another attempt's",
        alert="duplicate_job"),
    Row("6", (_SEND, *_WATCHED), f.CalledBack, "same", do.not_ours, if_.taken, "the job is another attempt's",
        alert="duplicate_job"),
    Row("6", _WATCHED, f.Accepted, "same", same, if_.taken, "the job is another attempt's", durable=False,
        alert="duplicate_job"),
    Row("6", (_UNK,), f.LookupFound, "same", do.look_again, if_.taken, "the job is another attempt's",
        durable=False, alert="duplicate_job"),
    *(Row("6", _DONE, kind, "same", same, if_.taken, "the job is another attempt's", durable=False,
          alert="duplicate_job") for kind in _BINDING),
    Row("2", (_SEND,), f.NotSent, "rejected", do.reject),
    Row("2", (_SEND,), f.Refused, "rejected", do.reject, fault(Fault.HERE), "come back"),
    Row("3", (_SEND,), f.Refused, "rejected", do.reject, fault(Fault.PROVIDER, Fault.ACCOUNT), "another may"),
    Row("4", (_SEND,), f.Refused, "rejected", do.reject_caller, if_.undecided_caller, "the caller's fault"),
    Row("4", (_SEND,), f.Refused, "rejected", do.reject, when="the caller's fault, decided before"),
    Row("5", (_SEND,), f.Accepted, "live", do.accept),
    Row("7", (_SEND,), f.Completed, "collecting", results.win, if_.winnable, "nobody won yet"),
    Row("7", (_SEND,), f.Completed, "stored", results.discard, if_.has_outputs, "too late"),
    Row("7", (_SEND,), f.Completed, "failed", results.empty_for_good, when="without outputs"),
    Row("8", (_SEND,), f.Ambiguous, "unknown", do.doubt),
    Row("9", (_SEND,), f.OwnerLost, "unknown", do.doubt),
    # a callback before, or instead of, the submit's reply
    Row("10", (_SEND,), f.CalledBack, "live", do.accept, if_.sure, "signed, or confirmed by asking"),
    Row("10", (_SEND, _UNK), f.CalledBack, "same", do.hint, both(if_.unbound, if_.unsure),
        "unsigned: ask"),
    Row("10", (_SEND, _UNK), f.Unconfirmed, "same", do.forget_hint, if_.gone, "no such job"),
    Row("10", (_SEND, _UNK), f.Unconfirmed, "same", do.look_again, when="no answer", durable=False),
    Row("10", (_LIVE, _CLO), f.Accepted, "same", do.learn_urls, when="the callback was faster"),
    *(Row("10", (_LIVE, _CLO), kind, "same", same, when="a job is bound", durable=False)
      for kind in (f.Ambiguous, f.OwnerLost, f.Unconfirmed, f.LookupFound, f.LookupNone)),
    *(Row("10", (_LIVE, _CLO), kind, "same", same, when="a job is bound", durable=False,
          alert="contradiction") for kind in (f.Refused, f.NotSent, f.Completed)),
    Row("10", (_LIVE, _CLO), f.CalledBack, "same", do.poll_now, when="look now", durable=False),
    # unknown
    *(Row("11", (_UNK,), kind, "same", same, if_.unbound, "of which job?", durable=False,
          alert="impossible_fact")
      for kind in (f.Succeeded, f.Failed, f.Canceled, f.Expired, f.Running, f.Missing)),
    Row("11", (_UNK,), f.Accepted, "live", do.accept),
    Row("11", (_UNK,), f.LookupFound, "live", do.accept),
    Row("11", (_UNK,), f.CalledBack, "live", do.accept, if_.sure, "signed, or confirmed by asking"),
    Row("11", (_UNK,), f.CalledBack, "same", do.poll_now, when="look now", durable=False),
    Row("11", (_UNK,), f.Completed, "collecting", results.win, if_.winnable, "nobody won yet"),
    Row("11", (_UNK,), f.Completed, "stored", results.discard, if_.has_outputs, "too late"),
    Row("11", (_UNK,), f.Refused, "rejected", do.reject_caller, both(if_.unbound, if_.undecided_caller),
        "the caller's fault"),
    *(Row("11", (_UNK,), kind, "rejected", do.reject, if_.unbound, "late reply")
      for kind in (f.Refused, f.NotSent)),
    Row("12", (_UNK,), f.LookupNone, "rejected", do.reject, both(if_.unbound, if_.conclusive), "conclusive"),
    Row("12", (_UNK,), f.LookupNone, "same", do.look_again, when="proves nothing", durable=False),
    *(Row("11", (_UNK,), kind, "same", same, when="known already", durable=False)
      for kind in (f.Ambiguous, f.OwnerLost, f.Refused, f.NotSent)),
    Row("14", (_UNK,), f.TimeUp, "unknown", do.give_up_unknown, if_.policy_fails, "policy fail"),
    Row("13", (_UNK,), f.TimeUp, "unknown", do.lapse, timer(Timer.PATIENCE), "patience over"),
    Row("15", (_UNK, _CLO), f.TimeUp, "written_off", do.write_off, timer(Timer.WRITE_OFF), "written off"),
)  # fmt: skip

JOB_ROWS: tuple[Row, ...] = (
    Row("11", (_UNK,), f.Running, "live", do.reappear, if_.bound, "the bound job runs"),
    Row("16", _WATCHED, f.Running, "same", do.running, if_.missed, "it was missing"),
    Row("16", _WATCHED, f.Running, "same", do.running, durable=False),
    Row("16", _WATCHED, f.PollFailed, "same", do.poll_later, durable=False),
    Row("39", _WATCHED, f.UnknownStatus, "same", do.poll_later, durable=False, alert="unknown_status"),
    Row("17", _WATCHED, f.Succeeded, "collecting", results.win, if_.winnable, "nobody won yet"),
    Row("18", _WATCHED, f.Succeeded, "stored", results.discard, if_.has_outputs, "too late"),
    Row("19a", _WATCHED, f.Succeeded, "failed", results.empty_for_good, if_.empty_too_long, "60 s empty"),
    Row("19", _WATCHED, f.Succeeded, "same", results.empty, if_.empty_before, "still empty", durable=False),
    Row("19", _WATCHED, f.Succeeded, "same", results.empty, when="without outputs"),
    Row("19a", (_LIVE, _CLO), f.TimeUp, "failed", results.empty_for_good,
        both(timer(Timer.EMPTY), if_.empty_too_long), "60 s empty"),
    Row("21", _WATCHED, f.Failed, "failed", do.fail_caller, if_.unsettled_caller, "the caller's fault"),
    Row("22", _WATCHED, f.Failed, "failed", do.fail, fault(Fault.ACCOUNT), "our account"),
    Row("20", _WATCHED, f.Failed, "failed", do.fail),
    Row("23", _WATCHED, f.Canceled, "canceled", do.canceled),
    Row("24", _WATCHED, f.Expired, "expired", do.expire),
    Row("26a", (_CLO,), f.Missing, "canceled", do.erased, if_.erasing, "our DELETE was acknowledged"),
    Row("26", (_LIVE, _CLO), f.Missing, "unknown", do.doubt, if_.believed, "3 in 5 min"),
    Row("25", (_LIVE, _CLO), f.Missing, "same", do.missing),
    Row("25", (_UNK,), f.Missing, "same", do.look_again, durable=False),
    # ends we ask for
    Row("27", (_LIVE,), f.TimeUp, "closing", do.overdue, both(timer(Timer.DEADLINE), if_.cancelable),
        "deadline: cancel, then ask the next"),
    Row("28", (_LIVE,), f.TimeUp, "closing", do.overdue, timer(Timer.DEADLINE),
        "deadline, no cancel: ask the next"),
    Row("27a", (_CLO,), f.TimeUp, "closing", do.lapse, timer(Timer.CANCEL), "cancel unanswered for 15 s"),
    Row("29", (_CLO, _UNK), f.CancelAcknowledged, "same", do.cancel_answered, when="not a verdict"),
    Row("30", (_CLO, _UNK), f.CancelRefused, "same", do.cancel_refused, when="polls decide"),
    # results
    *(Row("42", (_COL,), kind, "same", results.ask_anew, if_.renewable, "a dead address: ask the job")
      for kind in (f.ArtifactLost, f.ArtifactFailed)),
    Row("43", (_COL,), f.Succeeded, "same", results.renew, both(if_.renewing, if_.fresh), "new addresses"),
    Row("43", (_COL,), f.Missing, "same", do.missing, both(if_.renewing, if_.not_believed), "may come back"),
    *(Row("43", (_COL,), kind, "same", do.poll_later, if_.renewing, "no answer: ask again", durable=False)
      for kind in (f.PollFailed, f.UnknownStatus)),
    Row("40", (_COL,), f.Running, "same", do.poll_later, if_.renewing, "regress: ask again", durable=False,
        alert="status_regress"),
    *(Row("44", (_COL,), kind, "stored", results.collect_over, both(if_.renewing, if_.some_ours),
          "no more results: some are lost", alert=alert) for kind, alert in _NO_RESULTS),
    *(Row("44", (_COL,), kind, "lost", results.collect_over, if_.renewing, "no more results", alert=alert)
      for kind, alert in _NO_RESULTS),
    Row("34", (_COL,), f.ArtifactStored, "stored", results.store, if_.some_lost, "some are lost for good"),
    Row("33", (_COL,), f.ArtifactStored, "stored", results.store, when="all are ours"),
    Row("34", (_COL,), f.ArtifactFailed, "same", results.copy_later, when="tried again", durable=False),
    Row("35", (_COL,), f.ArtifactLost, "lost", results.lose, if_.all_lost, "none can be had"),
    Row("34", (_COL,), f.ArtifactLost, "stored", results.lose, when="some are lost for good"),
    Row("35", (_COL,), f.TimeUp, "lost", results.collect_over, both(timer(Timer.COLLECT), if_.all_lost),
        "deadline, none is ours"),
    Row("34", (_COL,), f.TimeUp, "stored", results.collect_over, timer(Timer.COLLECT),
        "deadline, some are ours"),
    # late and contradictory
    *(Row("38", _ENDED, kind, "collecting", results.win, if_.winnable, "nobody won yet",
          alert="contradiction") for kind in (f.Succeeded, f.Completed)),
    *(Row("38", _ENDED, kind, "stored", results.discard, if_.has_outputs, "too late", alert="contradiction")
      for kind in (f.Succeeded, f.Completed)),
    *(Row("38", _NEVER_BOUND, kind, "live", do.reopen, if_.unbound, "a job turned up",
          alert="contradiction") for kind in (f.Accepted, f.LookupFound)),
    Row("38", _NEVER_BOUND, f.CalledBack, "live", do.reopen, both(if_.unbound, if_.sure), "a job turned up",
        alert="contradiction"),
    *(Row("38", _DONE, kind, "same", same, if_.other_end, "another end was told before", durable=False,
          alert="contradiction") for kind in (f.Failed, f.Canceled, f.Expired)),
    Row("40", _DONE, f.Running, "same", same, when="regress", durable=False, alert="status_regress"),
    *(Row("37", _DONE, kind, "same", same, when="known", durable=False) for kind in _LATE),
)  # fmt: skip

ROWS = (*GENERATION_ROWS, *SUBMIT_ROWS, *JOB_ROWS)


def _index() -> dict[tuple[State | Phase, type[Any]], tuple[Row, ...]]:
    index: dict[tuple[State | Phase, type[Any]], tuple[Row, ...]] = {}
    for row in ROWS:
        for source in row.sources:
            index[source, row.fact] = (*index.get((source, row.fact), ()), row)
    return index


INDEX = _index()
