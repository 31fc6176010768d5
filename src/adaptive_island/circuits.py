"""All breakers of an island: which scopes a call stands under, and who gets the probe.

A call to a provider with an account for a model stands under four breakers: its own, the account's over
all models (credentials and payment fail for all of them), the model's over all accounts, and the
provider's. The last two exist only where a human isolated them. Closed breakers live in a bounded map,
the others in a plain one: the usual question, whether anything is shut at all, is one truth test.

Not safe for threads by itself; the island's lock is around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .breaker import (
    FRESH,
    Breaker,
    Cause,
    Moment,
    Permit,
    Scope,
    Signal,
    State,
    merged,
    permit,
    praised,
    step,
    wait,
)
from .events import BreakerChanged as Change
from .flights import oldest
from .order import Blocked
from .policy import BreakerRules

ANY = "*"


def scopes(provider: str, account: str, model: str) -> tuple[Scope, Scope, Scope, Scope]:
    """The breakers that a call stands under, its own first."""
    return (
        (provider, account, model),
        (provider, account, ANY),
        (provider, ANY, model),
        (provider, ANY, ANY),
    )


def covers(wide: Scope, narrow: Scope) -> bool:
    """Whether what is said of `wide` is said of `narrow` too."""
    return all(mine in (ANY, theirs) for mine, theirs in zip(wide, narrow, strict=True))


class Circuits:
    """The breakers by scope. `chance` gives a number from 0 up to 1 for the jitter."""

    def __init__(self, rules: BreakerRules, most: int, chance: Callable[[], float]) -> None:
        self.rules = rules
        self._most = most
        self._chance = chance
        self._closed: dict[Scope, list[Any]] = {}  # a breaker, then the successes it was not told of yet
        self.shut: dict[Scope, Breaker] = {}
        """All breakers that are not closed; empty means that nothing is shut at all."""
        self._wide = 0  # how many of them stand for all accounts or all models

    def get(self, scope: Scope) -> Breaker:
        """The breaker of a scope, a fresh one where nothing happened yet."""
        breaker = self.shut.get(scope)
        if breaker is None:
            box = self._closed.get(scope)
            return FRESH if box is None else self._told(box)
        return breaker

    def _told(self, box: list[Any]) -> Breaker:
        """The closed breaker after all its successes."""
        if len(box) > 1:
            box[:] = [praised(box[0], box[1:], self.rules)]
        breaker: Breaker = box[0]
        return breaker

    def concern(self, own: Scope) -> bool:
        """Whether a call may stand under a breaker that is not closed."""
        return bool(self._wide) or own in self.shut

    def over(self, provider: str, account: str, model: str) -> Iterator[Scope]:
        """The scopes of a call whose breakers are not closed, its own first."""
        if self._wide:
            return (scope for scope in scopes(provider, account, model) if scope in self.shut)
        own = (provider, account, model)
        return iter((own,) if own in self.shut else ())

    def blocks(
        self, providers: Sequence[str], account: str | Sequence[str], model: str, now: float
    ) -> dict[str, Blocked]:
        """Which of these providers would be skipped now, and why. `account`: one for all, or one for each."""
        result: dict[str, Blocked] = {}
        shut, wide = self.shut, self._wide
        accounts = (account,) * len(providers) if isinstance(account, str) else account
        for provider, own in zip(providers, accounts, strict=False):
            if wide or (provider, own, model) in shut:
                block = self.blocked(provider, own, model, now)
                if block is not None:
                    result[provider] = block
        return result

    def blocked(self, provider: str, account: str, model: str, now: float) -> Blocked | None:
        """Why a call would be skipped now, by the breaker that lasts longest; None where it would not."""
        worst: Blocked | None = None
        for scope in self.over(provider, account, model):
            breaker = self.shut[scope]
            if permit(breaker, now) is not Permit.SKIP:
                continue
            block = Blocked(breaker.cause, breaker.state, wait(breaker, now))
            if worst is None or _longer(block, worst):
                worst = block
        return worst

    def state(self, provider: str, account: str, model: str) -> str:
        """The state to show: that of the first breaker that is not closed."""
        for scope in self.over(provider, account, model):
            return self.shut[scope].state.value
        return State.CLOSED.value

    def lease(self, provider: str, account: str, model: str, attempt: str, now: float) -> list[Change]:
        """Give the attempt the probe of every breaker that waits for one; only where nothing blocks."""
        moment = Moment(now, attempt=attempt)
        changes: list[Change] = []
        for scope in self.over(provider, account, model):
            if permit(self.shut[scope], now) is Permit.PROBE:
                changes += self.tell(scope, Signal.PROBE, moment)
        return changes

    def tell(self, scope: Scope, signal: Signal, moment: Moment) -> list[Change]:
        """Fold one signal into one breaker."""
        before = self.get(scope)
        if signal in _JITTERED:
            moment = moment._replace(chance=self._chance())
        return self._move(scope, before, step(before, signal, moment, self.rules), moment.now)

    def adopt(self, scope: Scope, theirs: Breaker, now: float) -> list[Change]:
        """Believe what another process tells of a breaker, as far as it is news, and for no longer than the
        rules here would keep one open."""
        before, rules = self.get(scope), self.rules
        longest = max(rules.open_most, rules.retry_after_most) * (1.0 + rules.jitter)
        theirs = theirs._replace(
            until=min(theirs.until, now + longest), lease=min(theirs.lease, now + rules.probe_lease)
        )
        return self._move(scope, before, merged(before, theirs), now)

    def _move(self, scope: Scope, before: Breaker, after: Breaker, now: float) -> list[Change]:
        if after is before:
            return []
        self._put(scope, after)
        if after.state is before.state and after.until <= before.until:
            return []
        cause = after.cause if after.cause is not Cause.NONE else before.cause
        return [Change(now, *scope, before.state.value, after.state.value, cause.value, after.until)]

    def praise(self, own: Scope, started: float, now: float) -> bool:
        """Fold a success into the breakers it concerns, where this is simple, as it nearly always is."""
        if self._wide or own in self.shut:
            return False
        box = self._closed.get(own)
        if box is None:
            box = self._boxed(own, FRESH)
        if started >= box[0].since:
            box.append(now)
            if len(box) > self.rules.window:
                self._told(box)
        return True

    def settle(self, own: Scope, signal: Signal, started: float, moment: Moment) -> list[Change]:
        """Fold a verdict into every breaker it concerns.

        The account's breaker learns only about the account: another failure hands its probe back, unjudged.
        """
        if signal is Signal.REFUSED:
            changes = self.tell(own, Signal.NEUTRAL, moment)
            return changes + self.tell((own[0], own[1], ANY), signal, moment)
        wider = signal if signal in (Signal.SUCCESS, Signal.SLOW) else Signal.NEUTRAL
        above = [scope for scope in self.over(*own) if scope != own]
        changes = self.tell(own, self._timed(own, signal, started), moment)
        for scope in above:
            changes += self.tell(scope, self._timed(scope, wider, started), moment)
        return changes

    def _timed(self, scope: Scope, signal: Signal, started: float) -> Signal:
        """`late` for a verdict on an attempt that started before the breaker last opened or closed."""
        if signal not in (Signal.SUCCESS, Signal.SLOW, Signal.FAILURE):
            return signal
        breaker = self.get(scope)
        before = started < breaker.since if breaker.state is State.CLOSED else started <= breaker.since
        return Signal.LATE if before else signal

    def _put(self, scope: Scope, breaker: Breaker) -> None:
        wide = ANY in scope
        if breaker.state is State.CLOSED:
            if self.shut.pop(scope, None) is not None:
                self._wide -= wide
            self._boxed(scope, breaker)
            return
        self._closed.pop(scope, None)
        if scope not in self.shut:
            if len(self.shut) >= self._most:
                self._make_room()
            self._wide += wide
        self.shut[scope] = breaker

    def _boxed(self, scope: Scope, breaker: Breaker) -> list[Any]:
        """A box for a closed breaker."""
        closed = self._closed
        if len(closed) >= self._most and scope not in closed:
            for old in oldest(closed, self._most):
                del closed[old]
        box = closed[scope] = [breaker]
        return box

    def _make_room(self) -> None:
        """Forget the open breaker that ends first; isolated ones are a human's word and stay."""
        ends = [(b.until, scope) for scope, b in self.shut.items() if b.state is not State.ISOLATED]
        if ends:
            self._put(min(ends)[1], FRESH)


_JITTERED = frozenset({Signal.FAILURE, Signal.THROTTLED, Signal.REFUSED, Signal.SLOW})


def _longer(block: Blocked, other: Blocked) -> bool:
    if block.retry_after is None or other.retry_after is None:
        return block.retry_after is None
    return block.retry_after > other.retry_after
