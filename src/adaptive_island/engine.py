"""The state of an island and what may be done to it. Every method runs under the island's lock.

The engine gathers what the pure parts need (`decide`, `breaker`, `index`), and puts their answers away.
It returns events for the island to emit after the lock is free, and counts what it refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from .attempt import Attempt, Fault, Outcome
from .breaker import Moment, Signal
from .circuits import ANY, Circuits, Scope
from .decide import Decision, Question, decide
from .events import BreakerChanged
from .flights import Flight, Flights
from .knowledge import Knowledge, lost, won
from .order import Blocked, panics, soft
from .policy import Policy
from .rankings import Rankings
from .stores.base import Counters, RankingCache

FINAL = frozenset({Outcome.USED, Outcome.FAILED, Outcome.CANCELED, Outcome.DISCARDED})
DELIVERED = frozenset({Outcome.USED, Outcome.DISCARDED})


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

    def decide(self, question: Question, now: float) -> tuple[Decision, dict[str, Blocked]]:
        """The order for a question, and who is blocked now."""
        blocks: dict[str, Blocked] = {}
        if self.circuits.shut:
            for name in question.allowed:
                block = self.circuits.blocked(name, question.account, question.model, now)
                if block is not None:
                    blocks[name] = block
        known = self.knowledge.estimates(question.region, question.model, question.work, now)
        ranked = self.rankings.get(question.region, question.model, now)
        return decide(question, known, blocks, ranked, self.policy), blocks

    def admit(self, name: str, flight: Flight, now: float) -> tuple[Blocked | None, list[BreakerChanged]]:
        """Let an attempt start, as the probe where one is due, or say what blocks it."""
        changes: list[BreakerChanged] = []
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
        names = self.knowledge.providers(flight.region, flight.model, now) | {flight.provider}
        blocked = sum(
            1 for name in names if self.circuits.blocked(name, flight.account, flight.model, now) is not None
        )
        return panics(blocked, len(names), self.policy.panic)

    def take(self, report: Attempt, now: float) -> list[BreakerChanged]:
        """Take a report about an attempt: the first verdict counts, waiting is shown, the rest changes
        nothing."""
        at = min(report.at, now) if report.at else now
        if self.flights.settled(report.id):
            self.counts["duplicates"] += 1
            return []
        flight = self.flights.get(report.id)
        if report.outcome in FINAL:
            self.flights.settle(report.id)
        elif report.outcome is Outcome.PENDING or (flight is not None and flight.unknown):
            if flight is None:
                self.flights.start(report.id, _flight(report, at - report.seconds))
            return []
        else:
            begun = _flight(report, at - report.seconds) if flight is None else flight
            self.flights.start(report.id, begun._replace(unknown=True))
        self.knowledge.forget(report.region, report.model)
        self._count(report, at)
        if now - at > self.policy.breaker.window_seconds:
            return []  # an old log being fed: it teaches the index, but says nothing about this minute
        started = at - report.seconds if flight is None else flight.started
        moment = Moment(now, attempt=report.id, retry_after=(report.retry_after or 0.0) - (now - at))
        signal = self._signal(report, moment)
        return self.circuits.settle(report.provider, report.account, report.model, signal, started, moment)

    def _count(self, report: Attempt, at: float) -> None:
        """Add a verdict about the provider to what is known."""
        if report.outcome in DELIVERED:
            verdict = won(report.seconds, report.cost)
        elif report.outcome is not Outcome.UNKNOWN and _blamed(report):
            verdict = lost(report.seconds)
        else:
            return
        self.knowledge.count(verdict, report.region, report.model, report.provider, report.work, at)

    def _signal(self, report: Attempt, moment: Moment) -> Signal:
        """What the breaker is told."""
        if report.outcome in DELIVERED:
            slow = self.policy.breaker.slow_seconds
            return Signal.SLOW if slow is not None and report.seconds > slow else Signal.SUCCESS
        if report.outcome is Outcome.FAILED and report.fault is Fault.ACCOUNT:
            return Signal.REFUSED
        if not _blamed(report):
            return Signal.NEUTRAL
        return Signal.THROTTLED if moment.retry_after > 0.0 else Signal.FAILURE

    def steer(
        self, signal: Signal, provider: str, account: str | None, model: str | None, now: float
    ) -> list[BreakerChanged]:
        """A human's word: isolate or restore a scope, None standing for all accounts or all models.

        Restoring a wide scope restores every narrower one in it.
        """
        scope = Scope(provider, ANY if account is None else account, ANY if model is None else model)
        changes = self.circuits.tell(scope, signal, Moment(now))
        if signal is Signal.RESTORE:
            for other in list(self.circuits.shut):
                if all(mine in (ANY, theirs) for mine, theirs in zip(scope, other, strict=True)):
                    changes += self.circuits.tell(other, signal, Moment(now))
        return changes


def _flight(report: Attempt, started: float) -> Flight:
    return Flight(report.region, report.model, report.provider, report.account, report.work, started)


def _blamed(report: Attempt) -> bool:
    """Whether the report blames the provider: a failure by default, a cancel only if it says so."""
    if report.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
        return report.fault in (Fault.PROVIDER, Fault.NONE)
    return report.outcome is Outcome.CANCELED and report.fault is Fault.PROVIDER
