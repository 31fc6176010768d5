"""The state of an island and what may be done to it. Every method runs under the island's lock.

The engine gathers what the pure parts need (`decide`, `breaker`, `index`), and puts their answers away.
It returns events for the island to emit after the lock is free, and counts what it refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .attempt import Attempt, Fault, Outcome
from .breaker import Breaker, Moment, Scope, Signal, State, restored
from .cells import CellTable, SharedCells, Sum
from .circuits import ANY, Circuits, covers
from .decide import Decision, Question, decide
from .events import BreakerChanged
from .flights import Flights
from .index import Known, expected
from .knowledge import Knowledge
from .lanes import Flight, Lane, Lanes
from .order import Blocked, panics, soft
from .policy import Policy, Weights
from .rankings import Rankings
from .sharing import Counted, Outbox, believable
from .stores.base import Circuit
from .tally import Verdict

FINAL = frozenset({Outcome.USED, Outcome.FAILED, Outcome.CANCELED, Outcome.DISCARDED})
DELIVERED = frozenset({Outcome.USED, Outcome.DISCARDED})
new = tuple.__new__  # makes a named tuple without calling a Python function


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
        delivered = self.outcome in DELIVERED
        return (self.at, delivered, self.seconds, self.cost) if delivered or self.blamed() else None

    def attempt(self, name: str, lane: Lane) -> Attempt:
        """The report as an attempt."""
        return Attempt(
            id=name, model=lane.model, provider=lane.provider, region=lane.region, account=lane.account,
            work=lane.work, outcome=self.outcome, fault=self.fault, seconds=self.seconds, cost=self.cost,
            retry_after=self.retry_after, at=self.at,
        )  # fmt: skip


class Engine:
    """Breakers, attempts in flight, knowledge and published rankings of one island."""

    def __init__(self, policy: Policy, chance: Callable[[], float], *, shared: bool = False) -> None:
        self.policy = policy
        self.lanes = Lanes(policy.models_most)
        self.flights = Flights(policy.attempts_most, policy.flight_age, self.lanes.places)
        self.circuits = Circuits(policy.breaker, policy.breakers_most, chance)
        self.outbox = Outbox(policy.attempts_most) if shared else None
        self._cells = SharedCells(policy.models_most) if shared else CellTable(policy.models_most)
        self.knowledge = Knowledge(policy, self._cells, self.flights)
        self.rankings = Rankings(policy)
        self.counts: Counter[str] = Counter()
        self._swept, self._sweep_every = 0.0, policy.flight_age / 10.0
        self._slow, self._window = policy.breaker.slow_seconds, policy.breaker.window_seconds

    def decide(self, question: Question, now: float) -> tuple[Decision, Known, dict[str, Blocked]]:
        """The order for a question, what it was made from, and who is blocked now."""
        blocks: dict[str, Blocked] = {}
        if self.circuits.shut:
            blocks = self.circuits.blocks(question.allowed, question.account, question.model, now)
        known = self.knowledge.estimates(question.region, question.model, question.work, now)
        ranked = self.rankings.get(question.region, question.model, now)
        return decide(question, known, blocks, ranked, self.policy), known, blocks

    def admit(self, name: str, lane: Lane, now: float) -> tuple[Blocked | None, list[BreakerChanged]]:
        """Let an attempt start, as the probe where one is due, or say what blocks it."""
        changes: list[BreakerChanged] = []
        if name in self.flights.settled:  # its verdict will not count: nothing to wait for, no probe to hold
            self.counts["reused_ids"] += 1
            return self.circuits.blocked(*lane.scope, now), changes
        if self.circuits.shut and self.circuits.concern(lane.scope):
            block = self.circuits.blocked(*lane.scope, now)
            if block is not None and not self._panics(lane, block, now):
                return block, changes
            if block is None:
                changes = self._tell(self.circuits.lease(*lane.scope, name, now))
        if now - self._swept > self._sweep_every:
            self._swept = now
            self.flights.sweep(now)
        self.flights.start(name, new(Flight, (lane, now, False)))
        return None, changes

    def _panics(self, lane: Lane, block: Blocked, now: float) -> bool:
        """Whether the block is to be ignored because half or more of the model's known providers are
        blocked."""
        if not soft((block,)):
            return False
        names = self.knowledge.tried(*lane.place, now).keys() | {lane.provider}
        blocked = len(self.circuits.blocks(tuple(names), lane.account, lane.model, now))
        return panics(blocked, len(names), self.policy.panic)

    def report(self, a: Attempt, now: float) -> list[BreakerChanged]:
        """Take a report about an attempt from anywhere."""
        at = min(a.at, now) if a.at else now
        told = Told(a.outcome, a.fault, a.seconds, a.cost, a.retry_after, at)
        return self.take(a.id, self.lanes.find((a.model, a.provider, a.region, a.account, a.work)), told, now)

    def take(self, name: str, lane: Lane, told: Told, now: float) -> list[BreakerChanged]:
        """Take a report about an attempt: the first verdict counts, waiting is shown, the rest changes
        nothing."""
        if name in self.flights.settled:
            self.counts["duplicates"] += 1
            return []
        if self.knowledge.remembered:
            self.knowledge.forget(*lane.place)
        if told.outcome not in FINAL:
            return self._wait(name, lane, told, now)
        flight = self.flights.settle(name)
        verdict, work = told.verdict(), lane.work
        if verdict is not None:
            work = self.knowledge.count(lane, verdict)
        if self.outbox is not None:
            self.outbox.verdict(Counted(told.attempt(name, lane), verdict, work))
        return self._judge(name, lane, told, flight, now)

    def _wait(self, name: str, lane: Lane, told: Told, now: float) -> list[BreakerChanged]:
        """The attempt has no verdict yet."""
        flight = self.flights.get(name)
        if flight is None:
            flight = Flight(self.lanes.find(lane.names), told.at - told.seconds)
        self.flights.start(name, flight._replace(unknown=flight.unknown or told.outcome is Outcome.UNKNOWN))
        return [] if told.outcome is Outcome.PENDING else self._judge(name, lane, told, flight, now)

    def _judge(
        self, name: str, lane: Lane, told: Told, flight: Flight | None, now: float
    ) -> list[BreakerChanged]:
        """What the breakers make of it, given how it flew until now."""
        age = now - told.at
        if age > self._window:
            return []  # an old log being fed teaches the index, but says nothing about this minute
        started = told.at - told.seconds if flight is None else flight.started
        wish = (told.retry_after or 0.0) - age
        if told.outcome in DELIVERED:
            signal = Signal.SLOW if self._slow is not None and told.seconds > self._slow else Signal.SUCCESS
            if signal is Signal.SUCCESS and self.circuits.praise(lane.scope, started, now):
                return []
        else:
            signal = self._blame(told, wish)
        if signal is Signal.FAILURE and flight is not None and flight.unknown:
            signal = Signal.NEUTRAL  # they heard of it when it became unknown
        return self._tell(self.circuits.settle(lane.scope, signal, started, Moment(now, 0.0, name, wish)))

    def _tell(self, changes: list[BreakerChanged]) -> list[BreakerChanged]:
        """Have others told how these breakers stand now."""
        if self.outbox is not None:
            for change in changes:
                scope = (change.provider, change.account, change.model)
                self.outbox.circuit(scope, self.circuits.get(scope))
        return changes

    def _blame(self, told: Told, retry_after: float) -> Signal:
        """What the breaker is told of an attempt that did not deliver."""
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
