"""What happens to one attempt: submit, polls, and the ends we ask for.

Every function takes (run, attempt, fact, now) and returns the changed run. Guards are in `table`, deeds
are here.
"""

from __future__ import annotations

from typing import Any

from execution_arrow import facts as f
from execution_arrow.facts import Fault
from execution_arrow.machine.agenda import LONGEST_PAUSE, cancel_wanted, hopeful
from execution_arrow.machine.common import RETRY_BASE, backoff, billed, cost_of_end, poll_pause, put
from execution_arrow.machine.state import Attempt, Phase, Run, State, Stop
from execution_arrow.machine.verdicts import caller_code, decide_failed, stop_all
from execution_arrow.values import replace

MISSING_WINDOW = 300.0  # seconds in which three answers "no such job" are believed
DEAD_EDITIONS = 3  # of a result's address, in a row: then it is what it seems to be
# Seconds after which a call that was sent cannot arrive any more: longer than any transport keeps at it, and
# than a stopped process should hold it back. Before that, "no such job" says nothing about a lost submit.
ARRIVAL_WINDOW = 120.0


def hedge(run: Run, _: Attempt | None, fact: f.Planned, now: float) -> Run:
    """A second bet beside one that is slow. The first of both to succeed wins, the other is canceled."""
    run = plan(run, _, fact, now)
    return put(run, run.attempts[-1], hedge=True)


def plan(run: Run, _: Attempt | None, fact: f.Planned, now: float) -> Run:
    attempt = Attempt(
        id=fact.id,
        provider=fact.provider,
        token=fact.token,
        credentials=fact.credentials,
        epoch=fact.epoch,
        sent_at=now,
    )
    before = (replace(a, risked=True) if a.state is State.UNKNOWN else a for a in run.attempts)
    return replace(run, attempts=(*before, attempt))


def reject(run: Run, attempt: Attempt, fact: f.Refused | f.NotSent | f.LookupNone, now: float) -> Run:
    """Certainly not accepted: nothing is billed, the next one may be asked."""
    changes: dict[str, Any] = {"fault": Fault.PROVIDER, "code": "not_sent"}
    if isinstance(fact, f.Refused):
        changes = {
            "fault": fact.fault, "code": fact.code, "message": fact.message, "moderation": fact.moderation,
        }  # fmt: skip
        if fact.fault is Fault.HERE:
            changes["retry_at"] = now + (fact.retry_after if fact.retry_after is not None else RETRY_BASE)
    elif isinstance(fact, f.NotSent):
        tries = sum(a.provider == attempt.provider for a in run.attempts)
        changes |= {"message": fact.message, "retry_at": now + backoff(tries)}
        if fact.ours:
            changes["fault"] = None
    else:
        changes["code"] = "not_accepted"
    return put(run, attempt, state=State.REJECTED, ended_at=now, cost=0, cost_source="quoted", **changes)


def reject_caller(run: Run, attempt: Attempt, fact: f.Refused, now: float) -> Run:
    run = reject(run, attempt, fact, now)
    return decide_failed(run, now, caller_code(fact), fact.message or fact.code)


def accept(run: Run, attempt: Attempt, fact: f.Accepted | f.LookupFound | f.CalledBack, now: float) -> Run:
    """Bind the job. Who was told to stop meanwhile, or comes too late, starts closing at once."""
    bound: dict[str, Any] = {
        "job": fact.job, "hint": None, "accepted_at": attempt.accepted_at or now, "errors": 0,
        "announced": getattr(fact, "cost", attempt.announced),
        "urls": {**attempt.urls, **getattr(fact, "urls", {})},
        "next_at": now + run.route(attempt).terms.poll_every,
    }  # fmt: skip
    wanted = run.open and run.winner is None and not run.cancel
    stop = attempt.stop or (None if wanted else Stop.LOST_RACE)
    if stop is not None:
        return put(run, attempt, state=State.CLOSING, stop=stop, closing_at=now, lapsed=True, **bound)
    return put(run, attempt, state=State.LIVE, lapsed=False, **bound)


def reopen(run: Run, attempt: Attempt, fact: f.Accepted | f.LookupFound | f.CalledBack, now: float) -> Run:
    """A job turned up after we were sure that there was none: it may be billed, so it is watched."""
    cleared: dict[str, Any] = {
        "ended_at": None, "fault": None, "code": "", "message": "", "cost": None, "cost_source": "unknown",
        "retry_at": None,
    }  # fmt: skip
    run = put(run, attempt, **cleared)
    changed = run.attempt(attempt.id)
    assert changed is not None
    return accept(run, changed, fact, now)


def learn_urls(run: Run, attempt: Attempt, fact: f.Accepted, now: float) -> Run:
    """The submit's own reply, after a callback was faster: only the addresses in it are news."""
    return put(run, attempt, urls={**attempt.urls, **fact.urls})


def hint(run: Run, attempt: Attempt, fact: f.CalledBack, now: float) -> Run:
    """Somebody who knows the token names a job, unsigned: the provider is asked before it is believed."""
    if attempt.hint is not None:
        return run
    return put(run, attempt, hint=fact.job, next_at=now, errors=0)


def forget_hint(run: Run, attempt: Attempt, fact: f.Unconfirmed, now: float) -> Run:
    return put(run, attempt, hint=None, next_at=now)


def not_ours(run: Run, attempt: Attempt, fact: f.CalledBack, now: float) -> Run:
    """The job that a callback named is another attempt's: nobody need ask about it again."""
    return put(run, attempt, hint=None, next_at=now) if attempt.hint == fact.job else run


def poll_now(run: Run, attempt: Attempt, _: f.CalledBack, now: float) -> Run:
    return put(run, attempt, next_at=min(attempt.next_at, now))


def doubt(run: Run, attempt: Attempt, fact: f.Fact, now: float) -> Run:
    """The POST left, or the job is gone, and nobody can say what is true."""
    lost = "the provider does not know the job any more" if isinstance(fact, f.Missing) else ""
    message = getattr(fact, "message", "") or lost or "the answer to the submit was lost"
    return put(run, attempt, state=State.UNKNOWN, unknown_at=now, next_at=now, errors=0, message=message)


def reappear(run: Run, attempt: Attempt, _: f.Running, now: float) -> Run:
    """The bound job is there after all, with its old deadline."""
    found: dict[str, Any] = {"errors": 0, "missing": (), "seen_at": now}
    found["next_at"] = now + poll_pause(run, attempt, now)
    if attempt.stop is not None:
        return put(run, attempt, state=State.CLOSING, closing_at=now, lapsed=True, **found)
    return put(run, attempt, state=State.LIVE, lapsed=False, **found)


def look_again(run: Run, attempt: Attempt, _: f.Fact, now: float) -> Run:
    pause = backoff(attempt.errors + 2)
    return put(run, attempt, next_at=now + pause, seen_at=now, errors=attempt.errors + 1)


def lapse(run: Run, attempt: Attempt, _: f.Fact, now: float) -> Run:
    """Patience is over: another provider may be asked while this one stays watched."""
    return put(run, attempt, lapsed=True)


def give_up_unknown(run: Run, attempt: Attempt, fact: f.TimeUp, now: float) -> Run:
    run = put(run, attempt, lapsed=True, stop=Stop.OVERDUE)
    return decide_failed(run, now, "BSE3002", f"{attempt.provider} may have accepted the job and cannot say")


def running(run: Run, attempt: Attempt, _: f.Running, now: float) -> Run:
    pause = poll_pause(run, attempt, now)
    return put(run, attempt, next_at=now + pause, seen_at=now, errors=0, missing=())


def poll_later(run: Run, attempt: Attempt, fact: f.PollFailed | f.UnknownStatus, now: float) -> Run:
    asked = min(getattr(fact, "retry_after", None) or 0.0, LONGEST_PAUSE)  # `awake` takes more for a mistake
    pause = max(asked, poll_pause(run, attempt, now), backoff(attempt.errors))
    return put(run, attempt, next_at=now + pause, seen_at=now, errors=attempt.errors + 1)


def missing(run: Run, attempt: Attempt, _: f.Missing, now: float) -> Run:
    seen = (*(at for at in attempt.missing if now - at < MISSING_WINDOW), now)
    return put(run, attempt, missing=seen, seen_at=now, next_at=now + poll_pause(run, attempt, now))


def believed_missing(attempt: Attempt, now: float) -> bool:
    """Whether this answer is the third "no such job" within five minutes."""
    return sum(now - at < MISSING_WINDOW for at in attempt.missing) >= 2


def fail(run: Run, attempt: Attempt, fact: f.Failed, now: float) -> Run:
    billed = "moderation" if fact.moderation else "failed"
    return put(
        run,
        attempt,
        state=State.FAILED,
        ended_at=now,
        fault=fact.fault,
        code=fact.code,
        message=fact.message,
        moderation=fact.moderation,
        **cost_of_end(run, attempt, billed, fact.cost),
    )


def fail_caller(run: Run, attempt: Attempt, fact: f.Failed, now: float) -> Run:
    """The request itself: nobody else is asked, those who work on it are stopped."""
    run = fail(run, attempt, fact, now)
    run = stop_all(run, Stop.LOST_RACE, now)
    charged = attempt if run.spec.policy.charge_on_moderation and billed(run, attempt, "moderation") else None
    return decide_failed(run, now, caller_code(fact), fact.message or fact.code, charged)


def expire(run: Run, attempt: Attempt, _: f.Expired, now: float) -> Run:
    return put(
        run,
        attempt,
        state=State.EXPIRED,
        ended_at=now,
        fault=Fault.PROVIDER,
        **cost_of_end(run, attempt, "expired"),
    )


def canceled(run: Run, attempt: Attempt, fact: f.Canceled, now: float) -> Run:
    """Canceled by us, or by somebody at the provider's console: then nobody else is asked.

    Unless another attempt may still bring the result: it is waited for, as if this one had failed.
    """
    by_us = attempt.stop is not None
    cost = cost_of_end(run, attempt, "canceled", fact.cost)
    run = put(run, attempt, state=State.CANCELED, ended_at=now, **cost)
    if by_us or run.phase is not Phase.RUNNING or any(hopeful(run, other) for other in run.attempts):
        return run
    return decide_failed(run, now, "BSE3001", f"the job was canceled at {attempt.provider}, not by us")


def erased(run: Run, attempt: Attempt, _: f.Missing, now: float) -> Run:
    """A canceled job stays readable where DELETE erases; a missing one probably finished: maybe billed."""
    cost = run.route(attempt).cost
    return put(run, attempt, state=State.CANCELED, ended_at=now, cost=cost, cost_source="unknown")


def write_off(run: Run, attempt: Attempt, _: f.TimeUp, now: float) -> Run:
    cost = run.route(attempt).cost
    return put(run, attempt, state=State.WRITTEN_OFF, ended_at=now, cost=cost, cost_source="unknown")


def overdue(run: Run, attempt: Attempt, _: f.TimeUp, now: float) -> Run:
    """The attempt took too long. It is watched on; where it cannot be canceled the next one goes at once."""
    run = put(run, attempt, state=State.CLOSING, stop=Stop.OVERDUE, closing_at=now)
    changed = run.attempt(attempt.id)
    assert changed is not None
    if cancel_wanted(run, changed) or run.spec.policy.on_overdue == "wait":
        return run
    return put(run, changed, lapsed=True)


def cancel_answered(run: Run, attempt: Attempt, fact: f.CancelAcknowledged, now: float) -> Run:
    """An acknowledgement is not a verdict: poll on until a status says so."""
    return put(
        run,
        attempt,
        cancel_answered=True,
        erased=attempt.erased or fact.erases,
        next_at=min(attempt.next_at, now + run.route(attempt).terms.poll_every),
        lapsed=attempt.lapsed or run.spec.policy.on_overdue == "failover",
    )


def cancel_refused(run: Run, attempt: Attempt, fact: f.CancelRefused, now: float) -> Run:
    tries = attempt.cancel_tries + 1
    return put(
        run,
        attempt,
        cancel_tries=tries,
        cancel_at=now + backoff(tries),
        cancel_final=fact.final,
        next_at=min(attempt.next_at, now + run.route(attempt).terms.poll_every),
        lapsed=attempt.lapsed or run.spec.policy.on_overdue == "failover",
    )
