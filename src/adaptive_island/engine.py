"""The state of an island and what may be done to it. Every method runs under the island's lock.

The engine gathers what the pure parts need (`decide`, `breaker`, `index`), and puts their answers away.
It returns events for the island to emit after the lock is free, and counts what it refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, Protocol

from .attempt import Fault, Outcome
from .breaker import Moment, Signal
from .circuits import ANY, Circuits
from .decide import Decision, Question, decide
from .events import BreakerChanged
from .flights import Flight, Flights
from .index import Known, expected
from .knowledge import Knowledge, lost, won
from .order import Blocked, panics, soft
from .policy import Policy, Weights
from .rankings import Rankings
from .stores.base import Counters, RankingCache

FINAL = frozenset({Outcome.USED, Outcome.FAILED, Outcome.CANCELED, Outcome.DISCARDED})
DELIVERED = frozenset({Outcome.USED, Outcome.DISCARDED})


class Names(Protocol):
    """What an attempt and a ticket have in common: which submission it is."""

    @property
    def id(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def work(self) -> str: ...


class Told(NamedTuple):
    """What a report says; `at` is never later than now."""

    outcome: Outcome
    fault: Fault
    seconds: float
    cost: int | None
    retry_after: float | None
    at: float

    def blamed(self) -> bool:
        """Whether it blames the provider: a failure by default, a cancel only if it says so."""
        if self.outcome is Outcome.CANCELED:
            return self.fault is Fault.PROVIDER
        return self.fault is Fault.PROVIDER or self.fault is Fault.NONE


class Engine:
    """Breakers, attempts in flight, knowledge and published rankings of one island."""

    def __init__(
        self, policy: Policy, counters: Counters, cache: RankingCache, chance: Callable[[], float]
    ) -> None:
        self.policy = policy
        self.flights = Flights(policy.attempts_most, policy.flight_age)
        self.circuits = Circuits(policy.breaker, policy.breakers_most, chance)
        self.knowledge = Knowledge(policy, counters, self.flights)
        self.rankings = Rankings(cache, policy)
        self.counts: Counter[str] = Counter()
        self._swept = 0.0

    def decide(self, question: Question, now: float) -> tuple[Decision, Known, dict[str, Blocked]]:
        """The order for a question, what it was made from, and who is blocked now."""
        blocks: dict[str, Blocked] = {}
        if self.circuits.shut:
            blocks = self.circuits.blocks(question.allowed, question.account, question.model, now)
        known = self.knowledge.estimates(question.region, question.model, question.work, now)
        ranked = self.rankings.get(question.region, question.model, now)
        return decide(question, known, blocks, ranked, self.policy), known, blocks

    def admit(self, name: str, flight: Flight, now: float) -> tuple[Blocked | None, list[BreakerChanged]]:
        """Let an attempt start, as the probe where one is due, or say what blocks it."""
        changes: list[BreakerChanged] = []
        if self.flights.settled(name):  # its verdict will not count: nothing to wait for, no probe to hold
            self.counts["reused_ids"] += 1
            return self.circuits.blocked(flight.provider, flight.account, flight.model, now), changes
        if self.circuits.shut:
            block = self.circuits.blocked(flight.provider, flight.account, flight.model, now)
            if block is not None and not self._panics(flight, block, now):
                return block, changes
            if block is None:
                changes = self.circuits.lease(flight.provider, flight.account, flight.model, name, now)
        if now - self._swept > self.policy.flight_age / 10:
            self._swept = now
            self.flights.sweep(now)
        self.flights.start(name, flight)
        return None, changes

    def _panics(self, flight: Flight, block: Blocked, now: float) -> bool:
        """Whether the block is to be ignored because half or more of the model's known providers are
        blocked."""
        if not soft((block,)):
            return False
        names = self.knowledge.tried(flight.region, flight.model, now).keys() | {flight.provider}
        blocked = len(self.circuits.blocks(tuple(names), flight.account, flight.model, now))
        return panics(blocked, len(names), self.policy.panic)

    def take(self, of: Names, told: Told, now: float) -> list[BreakerChanged]:
        """Take a report about an attempt: the first verdict counts, waiting is shown, the rest changes
        nothing."""
        flights = self.flights
        if flights.settled(of.id):
            self.counts["duplicates"] += 1
            return []
        flight = flights.get(of.id)
        waited = flight is not None and flight.unknown
        started = told.at - told.seconds if flight is None else flight.started
        if told.outcome in FINAL:
            flights.settle(of.id)
        else:
            if flight is None:
                flight = Flight(of.region, of.model, of.provider, of.account, of.work, started)
            unknown = waited or told.outcome is Outcome.UNKNOWN
            flights.start(of.id, flight._replace(unknown=unknown))
        self.knowledge.forget(of.region, of.model)
        if told.outcome in DELIVERED:
            verdict = won(told.seconds, told.cost)
            self.knowledge.count(verdict, of.region, of.model, of.provider, of.work, told.at)
        elif told.outcome in FINAL and told.blamed():
            self.knowledge.count(lost(told.seconds), of.region, of.model, of.provider, of.work, told.at)
        age = now - told.at
        if told.outcome is Outcome.PENDING or age > self.policy.breaker.window_seconds:
            return []  # an old log being fed teaches the index, but says nothing about this minute
        moment = Moment(now, 0.0, of.id, (told.retry_after or 0.0) - age)
        signal = self._signal(told, moment.retry_after)
        if waited and signal is Signal.FAILURE:
            signal = Signal.NEUTRAL  # the breaker heard of it when it became unknown
        return self.circuits.settle((of.provider, of.account, of.model), signal, started, moment)

    def _signal(self, told: Told, retry_after: float) -> Signal:
        """What the breaker is told."""
        if told.outcome in DELIVERED:
            slow = self.policy.breaker.slow_seconds
            return Signal.SLOW if slow is not None and told.seconds > slow else Signal.SUCCESS
        if told.outcome is Outcome.FAILED and told.fault is Fault.ACCOUNT:
            return Signal.REFUSED
        if not told.blamed():
            return Signal.NEUTRAL
        return Signal.THROTTLED if retry_after > 0.0 else Signal.FAILURE

    def publish(self, model: str, region: str, weights: Weights, now: float) -> None:
        """Write the ranking of a model to the cache, if anything is known about it."""
        known = self.knowledge.estimates(region, model, "", now)
        if known.own:
            tried = self.knowledge.tried(region, model, now)
            scores = {name: expected(weights, known.of(name)) for name in tried}
            self.rankings.publish(region, model, scores, sum(tried.values()), now)

    def steer(
        self, signal: Signal, provider: str, account: str | None, model: str | None, now: float
    ) -> list[BreakerChanged]:
        """A human's word: isolate or restore a scope, None standing for all accounts or all models.

        Restoring a wide scope restores every narrower one in it.
        """
        scope = (provider, ANY if account is None else account, ANY if model is None else model)
        changes = self.circuits.tell(scope, signal, Moment(now))
        if signal is Signal.RESTORE:
            for other in list(self.circuits.shut):
                if all(mine in (ANY, theirs) for mine, theirs in zip(scope, other, strict=True)):
                    changes += self.circuits.tell(other, signal, Moment(now))
        return changes
