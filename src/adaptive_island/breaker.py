"""One breaker as a table of transitions over an immutable value.

A breaker stands for (provider, account reference, model). Closed, it counts; open, it lets nothing
through until its time has passed; then *one* caller gets a leased probe (half open) while everybody else
still waits. A fresh success closes it, a fresh failure opens it again for twice as long. `isolated` is
for humans: only `restore` leaves it.

Signals are facts about attempts. A fact is *late* when its attempt started before the breaker last closed
or opened: it belongs to a time that is already judged, so it neither closes, trips nor prolongs anything.
Two facts are never late: `throttled` (the provider said for how long to stay away, and the longest wish
wins) and `refused` (the account is at fault, whenever that was asked). `neutral` (the caller's own fault,
a cancel) counts nowhere and hands a probe back.

Nothing here reads a clock or rolls a die: `Moment` carries both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from .policy import BreakerRules

Scope = tuple[str, str, str]  # provider, account, model; `*` for all accounts or all models


class State(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    ISOLATED = "isolated"


class Signal(StrEnum):
    """What a breaker can be told."""

    SUCCESS = "success"
    SLOW = "slow"
    FAILURE = "failure"
    LATE = "late"
    THROTTLED = "throttled"
    REFUSED = "refused"
    NEUTRAL = "neutral"
    PROBE = "probe"
    ISOLATE = "isolate"
    RESTORE = "restore"


class Cause(StrEnum):
    """Why a breaker does not let calls through. All but `failures` and `rate` hold even in a panic.

    `restored` is the cause of a breaker that a human closed."""

    NONE = ""
    FAILURES = "failures"
    RATE = "rate"
    RETRY_AFTER = "retry_after"
    ACCOUNT = "account"
    ISOLATED = "isolated"
    RESTORED = "restored"


class Permit(StrEnum):
    """The answer to a caller who is about to submit."""

    PASS = "pass"
    PROBE = "probe"
    SKIP = "skip"


class Breaker(NamedTuple):
    """The whole state. `since` is when it last opened or closed, `until` when it may be probed; `samples`
    are the last outcomes, each with its moment and whether it was bad; `streak` counts failures in a row,
    `opens` how often it opened without a calm time in between; `probe` is the attempt that holds the
    lease; `word` is when a human last isolated or restored it, as far as is known here."""

    state: State = State.CLOSED
    since: float = 0.0
    until: float = 0.0
    cause: Cause = Cause.NONE
    streak: int = 0
    opens: int = 0
    samples: tuple[tuple[float, bool], ...] = ()
    probe: str = ""
    lease: float = 0.0
    word: float = 0.0


class Moment(NamedTuple):
    """What a signal comes with: the time, a number from 0 up to 1, the attempt, and the wish of a 429."""

    now: float
    chance: float = 0.0
    attempt: str = ""
    retry_after: float = 0.0


FRESH = Breaker()
HARD = frozenset({Cause.RETRY_AFTER, Cause.ACCOUNT, Cause.ISOLATED})

Rule = Callable[[Breaker, Moment, BreakerRules], Breaker]


def permit(breaker: Breaker, now: float) -> Permit:
    """Whether a caller may submit now, must wait, or may submit as the probe (then signal `probe`)."""
    if breaker.state is State.CLOSED:
        return Permit.PASS
    if breaker.state is State.OPEN:
        return Permit.PROBE if now >= breaker.until else Permit.SKIP
    if breaker.state is State.HALF_OPEN:
        return Permit.PROBE if not breaker.probe or now >= breaker.lease else Permit.SKIP
    return Permit.SKIP


def wait(breaker: Breaker, now: float) -> float | None:
    """Seconds until a skipped caller may ask again; None where only a human can tell."""
    if breaker.state is State.ISOLATED:
        return None
    until = breaker.lease if breaker.state is State.HALF_OPEN else breaker.until
    return max(0.0, until - now)


def step(breaker: Breaker, signal: Signal, moment: Moment, rules: BreakerRules) -> Breaker:
    """The breaker after `signal`. Every pair of state and signal is in `TABLE`."""
    return TABLE[breaker.state, signal](breaker, moment, rules)


def merged(mine: Breaker, theirs: Breaker) -> Breaker:
    """What holds where another process tells of the same breaker.

    What a human isolated only a human restores: there the younger word of a human holds, whatever happened
    since, and who tells of a later one has heard it, whatever else the breaker did afterwards. Otherwise the
    younger judgement holds. Of the same opening the longest wish wins, and a probe that somebody holds is
    nobody else's. Nobody hears from others that all is well where nothing was wrong.
    """
    if State.ISOLATED in (mine.state, theirs.state):
        return theirs._replace(samples=(), streak=0) if theirs.word > mine.word else mine
    held = _judged(mine, theirs)
    word = max(mine.word, theirs.word)
    return held if held.word == word else held._replace(word=word)


def _judged(mine: Breaker, theirs: Breaker) -> Breaker:
    if theirs.since > mine.since:
        if theirs.state is mine.state is State.CLOSED:
            return mine
        return theirs._replace(samples=(), streak=0)
    if theirs.since == mine.since and mine.state is State.OPEN:
        if theirs.state is State.HALF_OPEN:
            return mine._replace(state=State.HALF_OPEN, probe=theirs.probe, lease=theirs.lease)
        if theirs.state is State.OPEN and theirs.until > mine.until:
            return mine._replace(until=theirs.until, cause=theirs.cause)
    return mine


def _keep(breaker: Breaker, _moment: Moment, _rules: BreakerRules) -> Breaker:
    return breaker


def praised(breaker: Breaker, times: Sequence[float], rules: BreakerRules) -> Breaker:
    """A closed breaker after successes at these times: none of them can open it."""
    samples = (*breaker.samples, *[(now, False) for now in times])[-rules.window :]
    return breaker._replace(samples=samples, streak=0)


def _good(breaker: Breaker, moment: Moment, rules: BreakerRules) -> Breaker:
    return praised(breaker, (moment.now,), rules)


def _bad(breaker: Breaker, moment: Moment, rules: BreakerRules) -> Breaker:
    counted = _sampled(breaker, moment, rules)._replace(streak=breaker.streak + 1)
    if counted.streak >= rules.consecutive:
        return _open(counted, moment, rules, Cause.FAILURES)
    return _rated(counted, moment, rules)


def _slow(breaker: Breaker, moment: Moment, rules: BreakerRules) -> Breaker:
    return _rated(_sampled(breaker, moment, rules)._replace(streak=0), moment, rules)


def _sampled(breaker: Breaker, moment: Moment, rules: BreakerRules) -> Breaker:
    return breaker._replace(samples=(*breaker.samples, (moment.now, True))[-rules.window :])


def _rated(breaker: Breaker, moment: Moment, rules: BreakerRules) -> Breaker:
    oldest = moment.now - rules.window_seconds
    recent = [bad for at, bad in breaker.samples if at >= oldest]
    if len(recent) >= rules.minimum and sum(recent) >= rules.rate * len(recent):
        return _open(breaker, moment, rules, Cause.RATE)
    return breaker


def _open(b: Breaker, moment: Moment, rules: BreakerRules, cause: Cause, wish: float = 0.0) -> Breaker:
    calm = b.state is State.CLOSED and moment.now - b.since > rules.open_most
    wish = min(max(wish, 0.0), rules.retry_after_most)
    if (
        cause is Cause.RETRY_AFTER
    ):  # the provider knows better than our doubling when it will take calls again
        base, opens = wish, b.opens
    else:
        opens = 1 if calm else b.opens + 1
        base = max(wish, min(rules.open_seconds * 2.0 ** min(opens - 1, 40), rules.open_most))
    # Jitter only ever adds: a wish is never shortened.
    until = max(b.until, moment.now + base * (1.0 + rules.jitter * moment.chance))
    return Breaker(State.OPEN, moment.now, until, cause, 0, opens, word=b.word)


def _failed(breaker: Breaker, moment: Moment, rules: BreakerRules) -> Breaker:
    return _open(breaker, moment, rules, Cause.FAILURES)


def _throttled(breaker: Breaker, moment: Moment, rules: BreakerRules) -> Breaker:
    if breaker.state is not State.OPEN:
        return _open(breaker, moment, rules, Cause.RETRY_AFTER, moment.retry_after)
    wish = min(moment.retry_after, rules.retry_after_most)
    until = moment.now + wish * (1.0 + rules.jitter * moment.chance)
    if until <= breaker.until:
        return breaker
    cause = Cause.ACCOUNT if breaker.cause is Cause.ACCOUNT else Cause.RETRY_AFTER
    return breaker._replace(until=until, cause=cause)


def _refused(breaker: Breaker, moment: Moment, rules: BreakerRules) -> Breaker:
    if breaker.state is State.OPEN and breaker.cause is Cause.ACCOUNT and moment.now < breaker.until:
        return breaker  # calls that were already on their way tell the same story once more
    return _open(breaker, moment, rules, Cause.ACCOUNT, moment.retry_after)


def _close(breaker: Breaker, moment: Moment, _rules: BreakerRules) -> Breaker:
    return Breaker(State.CLOSED, moment.now, opens=breaker.opens, word=breaker.word)


def _lease(breaker: Breaker, moment: Moment, rules: BreakerRules) -> Breaker:
    lease = moment.now + rules.probe_lease
    return breaker._replace(state=State.HALF_OPEN, probe=moment.attempt, lease=lease)


def _handed_back(breaker: Breaker, moment: Moment, _rules: BreakerRules) -> Breaker:
    return breaker._replace(probe="", lease=0.0) if breaker.probe == moment.attempt else breaker


def _isolate(breaker: Breaker, moment: Moment, _rules: BreakerRules) -> Breaker:
    word = _later(breaker, moment)
    return Breaker(State.ISOLATED, word, cause=Cause.ISOLATED, word=word)


def _restore(breaker: Breaker, moment: Moment, _rules: BreakerRules) -> Breaker:
    return restored(_later(breaker, moment))


def restored(word: float) -> Breaker:
    """A breaker that a human closed at that moment."""
    return Breaker(State.CLOSED, word, cause=Cause.RESTORED, word=word)


def _later(breaker: Breaker, moment: Moment) -> float:
    """Now, and never before what was known: a human's word is the younger one, whosever clock is behind."""
    return max(moment.now, math.nextafter(max(breaker.since, breaker.word), math.inf))


TABLE: Mapping[tuple[State, Signal], Rule] = {
    (State.CLOSED, Signal.SUCCESS): _good,
    (State.CLOSED, Signal.SLOW): _slow,
    (State.CLOSED, Signal.FAILURE): _bad,
    (State.CLOSED, Signal.LATE): _keep,
    (State.CLOSED, Signal.THROTTLED): _throttled,
    (State.CLOSED, Signal.REFUSED): _refused,
    (State.CLOSED, Signal.NEUTRAL): _keep,
    (State.CLOSED, Signal.PROBE): _keep,
    (State.CLOSED, Signal.ISOLATE): _isolate,
    (State.CLOSED, Signal.RESTORE): _restore,
    # A call that started after the breaker opened was let through by a panic, or by a caller who did not ask.
    (State.OPEN, Signal.SUCCESS): _close,
    (State.OPEN, Signal.SLOW): _keep,
    (State.OPEN, Signal.FAILURE): _keep,
    (State.OPEN, Signal.LATE): _keep,
    (State.OPEN, Signal.THROTTLED): _throttled,
    (State.OPEN, Signal.REFUSED): _refused,
    (State.OPEN, Signal.NEUTRAL): _keep,
    (State.OPEN, Signal.PROBE): _lease,
    (State.OPEN, Signal.ISOLATE): _isolate,
    (State.OPEN, Signal.RESTORE): _restore,
    (State.HALF_OPEN, Signal.SUCCESS): _close,
    (State.HALF_OPEN, Signal.SLOW): _close,
    (State.HALF_OPEN, Signal.FAILURE): _failed,
    (State.HALF_OPEN, Signal.LATE): _keep,
    (State.HALF_OPEN, Signal.THROTTLED): _throttled,
    (State.HALF_OPEN, Signal.REFUSED): _refused,
    (State.HALF_OPEN, Signal.NEUTRAL): _handed_back,
    (State.HALF_OPEN, Signal.PROBE): _lease,
    (State.HALF_OPEN, Signal.ISOLATE): _isolate,
    (State.HALF_OPEN, Signal.RESTORE): _restore,
    **{(State.ISOLATED, signal): _keep for signal in Signal},
    (State.ISOLATED, Signal.RESTORE): _restore,
}
