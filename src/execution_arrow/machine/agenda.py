"""When a generation needs what.

`agenda` reads the state and lists every effect with the time from which it is due. It is the only place
that knows about waiting, and it remembers nothing: the same row gives the same agenda on every machine,
after every crash. `due` is its part up to now, `next_at` its earliest time.

No deadline is a verdict by itself: whoever can be asked is asked once more after it. Workers that were away
for an hour, or a clock that jumped, must not turn pictures that lie ready into failures that cost money.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from execution_arrow.effects import (
    Cancel,
    Confirm,
    Copy,
    Effect,
    Lookup,
    OpenHold,
    Plan,
    Poll,
    Recover,
    Ring,
    Settle,
    Submit,
)
from execution_arrow.facts import Fault, Timer
from execution_arrow.machine.state import Attempt, Phase, Run, State, Stop

ANNOUNCE_PATIENCE = 30.0  # the terminal event waits this long for the settlement
CANCEL_TRIES = 5
RENEWAL_PATIENCE = 300.0  # seconds for which a job is asked for new addresses, also beyond the results' time
LONGEST_PAUSE = 600.0  # seconds; nobody is left unasked for longer, whatever was agreed
STUCK_PAUSE = 3600.0  # seconds between two questions about a settlement that the ledger refused

Entry = tuple[float, Effect]


def due(run: Run, now: float, epoch: int) -> tuple[Effect, ...]:
    """The effects to perform now. A submit is due only under the epoch that planned it."""
    return tuple(effect for at, effect in agenda(run, epoch) if at <= now)


def awake(run: Run, now: float) -> Run:
    """The run without pauses that are longer than any: they were begun under a clock that was set back."""
    attempts = tuple(a if a.final else _awake(run, a, now) for a in run.attempts)
    retry_at = _cut(run.retry_at, now, STUCK_PAUSE if run.phase is Phase.CLOSED else LONGEST_PAUSE)
    if retry_at == run.retry_at and all(a is b for a, b in zip(attempts, run.attempts, strict=True)):
        return run
    return replace(run, retry_at=retry_at, attempts=attempts)


def _awake(run: Run, attempt: Attempt, now: float) -> Attempt:
    longest = max(LONGEST_PAUSE, run.route(attempt).terms.poll_every)
    if attempt.next_at <= now + longest and (attempt.cancel_at or 0.0) <= now + longest:
        return attempt
    cancel_at = attempt.cancel_at and _cut(attempt.cancel_at, now, longest)
    return replace(attempt, next_at=_cut(attempt.next_at, now, longest), cancel_at=cancel_at)


def _cut(at: float, now: float, longest: float) -> float:
    return now if at > now + longest else at


def next_at(run: Run, epoch: int) -> float | None:
    """When the generation needs somebody again; None when it never does."""
    return min((at for at, _ in agenda(run, epoch)), default=None)


def agenda(run: Run, epoch: int) -> Iterator[Entry]:
    """Every effect with the time (unix seconds) from which it is due."""
    if run.phase is Phase.NEW:
        yield run.retry_at, OpenHold()
        yield run.spec.deadline_at, Ring(Timer.GENERATION)
    elif run.phase is Phase.RUNNING:
        end = run.spec.deadline_at
        if not run.overdue and all(a.seen_at >= end for a in run.attempts if _hoped_for(run, a)):
            yield end, Ring(Timer.GENERATION)
        if (plan := next_plan(run) or hedge_plan(run)) is not None:
            yield plan
    elif run.phase is Phase.SETTLING:
        assert run.settlement is not None
        assert run.decided_at is not None
        yield run.retry_at, Settle(run.settlement.verb, run.settlement.amount)
        if not run.announced:
            yield run.decided_at + ANNOUNCE_PATIENCE, Ring(Timer.ANNOUNCE)
    elif run.settlement is not None and not run.settlement.done:
        yield run.retry_at, Settle(run.settlement.verb, run.settlement.amount)  # stuck: asked now and then
    for attempt in run.attempts:
        if not attempt.final:
            yield from _AGENDAS[attempt.state](run, attempt, epoch)


def _sending(run: Run, attempt: Attempt, epoch: int) -> Iterator[Entry]:
    if attempt.epoch == epoch:
        yield attempt.sent_at, Submit(attempt.id)
    else:
        yield attempt.sent_at, Recover(attempt.id)
    if attempt.hint is not None:
        yield attempt.next_at, Confirm(attempt.id)


def _unknown(run: Run, attempt: Attempt, epoch: int) -> Iterator[Entry]:
    assert attempt.unknown_at is not None
    terms, policy = run.route(attempt).terms, run.spec.policy
    ends = {Timer.WRITE_OFF: attempt.unknown_at + policy.write_off_after}
    if not attempt.lapsed and policy.on_unknown != "wait":
        ends[Timer.PATIENCE] = attempt.unknown_at + terms.patience
    if _can_be_asked(run, attempt):
        asked = Poll if attempt.job is not None else Confirm if attempt.hint is not None else Lookup
        yield from _look(run, attempt, asked(attempt.id), ends)
    else:
        yield from ((at, Ring(timer, attempt.id)) for timer, at in ends.items())


def _live(run: Run, attempt: Attempt, epoch: int) -> Iterator[Entry]:
    assert attempt.accepted_at is not None
    ends = {Timer.DEADLINE: attempt.accepted_at + run.route(attempt).terms.deadline}
    yield from _look(run, attempt, Poll(attempt.id), ends | _empty(run, attempt))


def _closing(run: Run, attempt: Attempt, epoch: int) -> Iterator[Entry]:
    assert attempt.closing_at is not None
    policy = run.spec.policy
    if cancel_wanted(run, attempt):
        yield attempt.cancel_at or attempt.closing_at, Cancel(attempt.id)
    if attempt.stop is Stop.OVERDUE and not attempt.lapsed and policy.on_overdue == "failover":
        yield attempt.closing_at + policy.cancel_patience, Ring(Timer.CANCEL, attempt.id)
    ends = {Timer.WRITE_OFF: attempt.closing_at + policy.write_off_after}
    yield from _look(run, attempt, Poll(attempt.id), ends | _empty(run, attempt))


def _collecting(run: Run, attempt: Attempt, epoch: int) -> Iterator[Entry]:
    assert attempt.collecting_at is not None
    end = attempt.collecting_at + run.spec.policy.collect_deadline
    if attempt.stale_at is not None:  # nothing is copied meanwhile: the other addresses are as old
        end = max(end, attempt.stale_at + RENEWAL_PATIENCE)
        yield from _look(run, attempt, Poll(attempt.id), {Timer.COLLECT: end})
        return
    tried = attempt.seen_at >= end
    have = {file.index for file in attempt.files} | set(attempt.lost)
    for output in attempt.outputs:
        if output.index not in have:
            at = attempt.next_at if tried else min(attempt.next_at, end)
            yield at, Copy(attempt.id, output.index)
    if tried:
        yield end, Ring(Timer.COLLECT, attempt.id)


def _look(
    run: Run, attempt: Attempt, look: Poll | Confirm | Lookup, ends: Mapping[Timer, float]
) -> Iterator[Entry]:
    """The next look at an attempt, and the timers that have been looked past.

    A look is also due at each end since which there was none, however long the provider asked for patience.
    """
    bounds = [*ends.values()]
    if run.phase is Phase.RUNNING and not run.overdue:
        bounds.append(run.spec.deadline_at)
    yield min(attempt.next_at, *(at for at in bounds if attempt.seen_at < at), math.inf), look
    for timer, at in ends.items():
        if attempt.seen_at >= at:
            yield at, Ring(timer, attempt.id)


def _can_be_asked(run: Run, attempt: Attempt) -> bool:
    if attempt.state is State.UNKNOWN:
        return attempt.job is not None or attempt.hint is not None or run.route(attempt).terms.lookup
    return attempt.state in (State.LIVE, State.CLOSING)


def _hoped_for(run: Run, attempt: Attempt) -> bool:
    """Whether one more look may bring this attempt's result to the customer."""
    return _can_be_asked(run, attempt) and attempt.stop in (None, Stop.OVERDUE)


def _empty(run: Run, attempt: Attempt) -> dict[Timer, float]:
    if attempt.empty_at is None:
        return {}
    return {Timer.EMPTY: attempt.empty_at + run.spec.policy.empty_patience}


_AGENDAS = {
    State.SENDING: _sending,
    State.UNKNOWN: _unknown,
    State.LIVE: _live,
    State.CLOSING: _closing,
    State.COLLECTING: _collecting,
}


def cancel_wanted(run: Run, attempt: Attempt) -> bool:
    """Whether a (further) cancel makes sense: supported, unanswered, and not over."""
    return (
        run.route(attempt).terms.cancel
        and not attempt.cancel_answered
        and not attempt.cancel_final
        and attempt.cancel_tries < CANCEL_TRIES
    )


def blocks(attempt: Attempt) -> bool:
    """Whether this attempt keeps the next provider waiting."""
    if attempt.state in (State.UNKNOWN, State.CLOSING):
        return not attempt.lapsed and attempt.stop is not Stop.LOST_RACE
    return attempt.state in (State.SENDING, State.LIVE)


def hopeful(run: Run, attempt: Attempt) -> bool:
    """Whether this attempt may still bring a result, or certainty that it never will."""
    if attempt.state is State.UNKNOWN:
        terms = run.route(attempt).terms
        return not attempt.lapsed or _can_be_asked(run, attempt) or terms.webhook
    return not attempt.final


def hedge_plan(run: Run) -> tuple[float, Plan] | None:
    """Who may be asked beside the one attempt that runs, and from when; None unless the policy hedges.

    Once per generation, and only where the loser costs nothing: both providers cancel for free. With
    anything in doubt, or anything else under way, there is no second bet.
    """
    after = run.spec.policy.hedge_after
    if after is None or run.cancel or run.overdue or any(a.hedge for a in run.attempts):
        return None
    running = [attempt for attempt in run.attempts if not attempt.final]
    if len(running) != 1 or running[0].state is not State.LIVE or not run.route(running[0]).terms.cancel_free:
        return None
    asked = {attempt.provider for attempt in run.attempts}
    fresh = tuple(
        name for name in run.spec.chain if name not in asked and run.spec.routes[name].terms.cancel_free
    )
    return (running[0].sent_at + after, Plan(fresh)) if fresh else None


def next_plan(run: Run) -> tuple[float, Plan] | None:
    """Who may be asked next and from when; None while somebody is being waited for, or when nobody is left.

    Fresh providers come first, in the frozen order. A provider that said "come back in a moment" goes
    before them when the moment is short (`retry_here_within`); one that could not be reached comes last. One
    that wants to be left alone beyond the generation's deadline is nobody to wait for.
    """
    policy = run.spec.policy
    if run.cancel or run.overdue or run.winner is not None or any(blocks(a) for a in run.attempts):
        return None
    if any(a.fault is Fault.CALLER for a in run.attempts):  # nobody else is asked for what cannot be done
        return None
    if sum(a.state is State.UNKNOWN for a in run.attempts) > policy.max_unknown_per_generation:
        return None
    tries = {provider: [a for a in run.attempts if a.provider == provider] for provider in run.spec.chain}
    again = {
        provider: last.retry_at
        for provider, made in tries.items()
        if made and (last := made[-1]).state is State.REJECTED and last.retry_at is not None
        if len(made) <= policy.retries_here and last.retry_at < run.spec.deadline_at
    }
    if run.attempts and (last := run.attempts[-1]).provider in again and last.fault is Fault.HERE:
        assert last.retry_at is not None
        assert last.ended_at is not None
        if last.retry_at - last.ended_at <= policy.retry_here_within:
            return last.retry_at, Plan((last.provider,))
    fresh = tuple(provider for provider, made in tries.items() if not made)
    if fresh:
        return 0.0, Plan(fresh)
    if again:
        provider = min(again, key=lambda name: again[name])
        return again[provider], Plan((provider,))
    return None
