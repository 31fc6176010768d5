"""All breakers of an island: which scopes a call stands under, and who gets the probe.

A call to a provider with an account for a model stands under four breakers: its own, the account's over
all models (credentials and payment fail for all of them), the model's over all accounts, and the
provider's. The last two exist only where a human isolated them. Closed breakers live in a bounded map,
the others in a plain one: the usual question, whether anything is shut at all, is one truth test.

Not safe for threads by itself; the island's lock is around it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cachetools import LRUCache

from .breaker import (
    FRESH,
    Breaker,
    Cause,
    Moment,
    Permit,
    Signal,
    State,
    permit,
    step,
    wait,
)
from .events import BreakerChanged
from .order import Blocked
from .policy import BreakerRules

ANY = "*"


class Scope(NamedTuple):
    """What a breaker stands for; `*` for all accounts or all models."""

    provider: str
    account: str
    model: str


def scopes(provider: str, account: str, model: str) -> tuple[Scope, Scope, Scope, Scope]:
    """The breakers that a call stands under, its own first."""
    return (
        Scope(provider, account, model),
        Scope(provider, account, ANY),
        Scope(provider, ANY, model),
        Scope(provider, ANY, ANY),
    )


class Circuits:
    """The breakers by scope. `chance` gives a number from 0 up to 1 for the jitter."""

    def __init__(self, rules: BreakerRules, most: int, chance: Callable[[], float]) -> None:
        self.rules = rules
        self._most = most
        self._chance = chance
        self._closed: LRUCache[Scope, Breaker] = LRUCache(maxsize=most)
        self.shut: dict[Scope, Breaker] = {}

    def get(self, scope: Scope) -> Breaker:
        """The breaker of a scope, a fresh one where nothing happened yet."""
        return self.shut.get(scope) or self._closed.get(scope, FRESH)

    def blocked(self, provider: str, account: str, model: str, now: float) -> Blocked | None:
        """Why a call would be skipped now, by the breaker that lasts longest; None where it would not."""
        worst: Blocked | None = None
        for scope in scopes(provider, account, model):
            breaker = self.shut.get(scope)
            if breaker is None or permit(breaker, now) is not Permit.SKIP:
                continue
            block = Blocked(breaker.cause, breaker.state.value, wait(breaker, now))
            if worst is None or _longer(block, worst):
                worst = block
        return worst

    def state(self, provider: str, account: str, model: str) -> str:
        """The state to show: that of the first breaker that is not closed."""
        for scope in scopes(provider, account, model):
            if scope in self.shut:
                return self.shut[scope].state.value
        return State.CLOSED.value

    def lease(
        self, provider: str, account: str, model: str, attempt: str, now: float
    ) -> list[BreakerChanged]:
        """Give the attempt the probe of every breaker that waits for one; call it only where nothing
        blocks."""
        moment = Moment(now, attempt=attempt)
        changes = []
        for scope in scopes(provider, account, model):
            breaker = self.shut.get(scope)
            if breaker is not None and permit(breaker, now) is Permit.PROBE:
                changes += self.tell(scope, Signal.PROBE, moment)
        return changes

    def tell(self, scope: Scope, signal: Signal, moment: Moment) -> list[BreakerChanged]:
        """Fold one signal into one breaker."""
        before = self.get(scope)
        if signal in (Signal.FAILURE, Signal.THROTTLED, Signal.REFUSED):
            moment = moment._replace(chance=self._chance())
        after = step(before, signal, moment, self.rules)
        if after is before:
            return []
        if after.state is State.CLOSED:
            self.shut.pop(scope, None)
            self._closed[scope] = after
        else:
            self._closed.pop(scope, None)
            self._make_room()
            self.shut[scope] = after
        if after.state is before.state and after.until <= before.until:
            return []
        return [_change(scope, before, after, moment.now)]

    def settle(
        self, provider: str, account: str, model: str, signal: Signal, started: float, moment: Moment
    ) -> list[BreakerChanged]:
        """Fold a verdict into every breaker it concerns.

        The account's breaker learns only about the account: another failure hands its probe back, unjudged.
        """
        own = Scope(provider, account, model)
        refused = signal is Signal.REFUSED
        changes = self.tell(own, Signal.NEUTRAL if refused else self._timed(own, signal, started), moment)
        if refused:
            changes += self.tell(Scope(provider, account, ANY), signal, moment)
        elif self.shut:
            wider = signal if signal in (Signal.SUCCESS, Signal.SLOW) else Signal.NEUTRAL
            for scope in scopes(provider, account, model)[1:]:
                if scope in self.shut:
                    changes += self.tell(scope, self._timed(scope, wider, started), moment)
        return changes

    def _timed(self, scope: Scope, signal: Signal, started: float) -> Signal:
        """`late` for a verdict on an attempt that started before the breaker last opened or closed."""
        if signal not in (Signal.SUCCESS, Signal.SLOW, Signal.FAILURE):
            return signal
        breaker = self.get(scope)
        before = started < breaker.since if breaker.state is State.CLOSED else started <= breaker.since
        return Signal.LATE if before else signal

    def _make_room(self) -> None:
        """Forget the open breaker that ends first; isolated ones are a human's word and stay."""
        if len(self.shut) >= self._most:
            ends = [(b.until, scope) for scope, b in self.shut.items() if b.state is not State.ISOLATED]
            if ends:
                del self.shut[min(ends)[1]]


def _longer(block: Blocked, other: Blocked) -> bool:
    if block.retry_after is None or other.retry_after is None:
        return block.retry_after is None
    return block.retry_after > other.retry_after


def _change(scope: Scope, before: Breaker, after: Breaker, now: float) -> BreakerChanged:
    cause = after.cause if after.cause is not Cause.NONE else before.cause
    return BreakerChanged(now, *scope, before.state.value, after.state.value, cause.value, after.until)
