"""The state of an island and what may be done to it. Every method runs under the island's lock.

The engine gathers what the pure parts need (`decide`, `breaker`, `index`), and puts their answers away.
It returns events for the island to emit after the lock is free, and counts what it refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from .attempt import Attempt, Fault, Outcome
from .breaker import Breaker, Moment, Scope, Signal, State, restored
from .cells import CellTable, SharedCells, Sum
from .circuits import ANY, Circuits, covers
from .decide import Decision, Question, decide
from .events import BreakerChanged
from .flights import Flight, Flights
from .index import Known, expected
from .knowledge import Knowledge, Verdict, lost, won
from .order import Blocked, panics, soft
from .policy import Policy, Weights
from .rankings import Rankings
from .sharing import Counted, Outbox, believable
from .stores.base import Circuit

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

    def verdict(self) -> Verdict | None:
        """What it teaches about the provider; None: nothing."""
        if self.outcome in DELIVERED:
            return won(self.seconds, self.cost)
        return lost(self.seconds) if self.blamed() else None

    def attempt(self, of: Names) -> Attempt:
        """The report as an attempt."""
        return Attempt(
            id=of.id, model=of.model, provider=of.provider, region=of.region, account=of.account,
            work=of.work, outcome=self.outcome, fault=self.fault, seconds=self.seconds, cost=self.cost,
            retry_after=self.retry_after, at=self.at,
        )  # fmt: skip


class Engine:
    """Breakers, attempts in flight, knowledge and published rankings of one island."""

    def __init__(self, policy: Policy, chance: Callable[[], float], *, shared: bool = False) -> None:
        self.policy = policy
        self.flights = Flights(policy.attempts_most, policy.flight_age)
        self.circuits = Circuits(policy.breaker, policy.breakers_most, chance)
        self.outbox = Outbox(policy.attempts_most) if shared else None
        self._cells = SharedCells(policy.models_most) if shared else CellTable(policy.models_most)
        self.knowledge = Knowledge(policy, self._cells, self.flights)
        self.rankings = Rankings(policy)
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
                self._tell(changes)
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
        if told.outcome in FINAL:
            self._learn(of, told)
        age = now - told.at
        if told.outcome is Outcome.PENDING or age > self.policy.breaker.window_seconds:
            return []  # an old log being fed teaches the index, but says nothing about this minute
        moment = Moment(now, 0.0, of.id, (told.retry_after or 0.0) - age)
        signal = self._signal(told, moment.retry_after)
        if waited and signal is Signal.FAILURE:
            signal = Signal.NEUTRAL  # the breaker heard of it when it became unknown
        return self._tell(self.circuits.settle((of.provider, of.account, of.model), signal, started, moment))

    def _learn(self, of: Names, told: Told) -> None:
        """Count what a final outcome teaches, and have it told to others."""
        verdict, work = told.verdict(), of.work
        if verdict is not None:
            work = self.knowledge.count(verdict, of.region, of.model, of.provider, work, told.at)
        if self.outbox is not None:
            self.outbox.verdict(Counted(told.attempt(of), verdict, work))

    def _tell(self, changes: list[BreakerChanged]) -> list[BreakerChanged]:
        """Have others told how these breakers stand now."""
        if self.outbox is not None:
            for change in changes:
                scope = (change.provider, change.account, change.model)
                self.outbox.circuit(scope, self.circuits.get(scope))
        return changes

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

    def ranking(self, model: str, region: str, weights: Weights, now: float) -> str | None:
        """The `ranking.v1` document of a model; None where nothing is known about it."""
        known = self.knowledge.estimates(region, model, "", now)
        if not known.own:
            return None
        tried = self.knowledge.tried(region, model, now)
        scores = {name: expected(weights, known.of(name)) for name in tried}
        return self.rankings.document(scores, sum(tried.values()), now)

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
                if covers(scope, other):
                    changes += self.circuits.tell(other, signal, Moment(now))
        return self._tell(changes)

    # --- sharing ---

    def hand_over(self) -> tuple[list[Counted], dict[Scope, Breaker]]:
        """What a store has to be told now."""
        cells, outbox = self._shared()
        self.knowledge.flush()
        cells.hand_over()
        return outbox.hand_over()

    def hand_back(self, circuits: dict[Scope, Breaker]) -> None:
        """The store did not take it; what is newer stays."""
        self._shared()[1].back(circuits)

    def forget_outbox(self) -> None:
        """After a fork: what waits there is the parent's to tell."""
        self._shared()[1].empty()

    def hear(self, sums: Sequence[Sum]) -> list[str]:
        """What a store says that cells hold; returns the models it concerns."""
        cells, _outbox = self._shared()
        cells.hear(sums)
        places = {(bucket.region, bucket.model) for bucket, _cell, _sums in sums}
        for region, model in places:
            self.knowledge.heard(region, model)
        return [model for _region, model in places]

    def confirm(self) -> None:
        """A store has taken what was handed over, and its answer was heard."""
        cells, outbox = self._shared()
        cells.confirm()
        outbox.told()

    def renew(self) -> None:
        """A store began a new life."""
        self._shared()[0].renew()

    def tell_again(self) -> None:
        """A store that knew it has forgotten which breakers are not closed, a human's word among them."""
        for scope, breaker in self.circuits.shut.items():
            self._shared()[1].circuit(scope, breaker)

    def believe(self, circuits: Sequence[Circuit], now: float) -> list[BreakerChanged]:
        """What others say of breakers."""
        changes: list[BreakerChanged] = []
        for circuit in circuits:
            found = believable(circuit, now)
            if found is None:
                self.counts["unbelievable"] += 1
                continue
            changes += self._believed(*found, now)
        return changes

    def _believed(self, scope: Scope, theirs: Breaker, now: float) -> list[BreakerChanged]:
        """What another process says of one breaker; where a human's word shows that one side had not heard
        it, the other side is told again."""
        circuits = self.circuits
        before = circuits.get(scope)
        changes = circuits.adopt(scope, theirs, now)
        if theirs.word and ANY in scope and theirs.state is not State.ISOLATED:  # last, a human restored it
            for other in [other for other in circuits.shut if covers(scope, other)]:
                changes += circuits.adopt(other, restored(theirs.word), now)
        mine = circuits.get(scope)
        isolated = mine.state is State.ISOLATED is not theirs.state
        if isolated or (
            mine.state is not State.CLOSED and before.word < theirs.word and theirs.since < mine.since
        ):
            self._shared()[1].circuit(scope, mine)
        return changes

    def _shared(self) -> tuple[SharedCells, Outbox]:
        assert isinstance(self._cells, SharedCells)
        assert self.outbox is not None
        return self._cells, self.outbox
