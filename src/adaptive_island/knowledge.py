"""From verdicts to estimates: the tally of what is new, the store it is added to, and what is remembered
of it.

A verdict lands in a tally (one addition per number), the tally is added to the counters before anybody
reads them. A store across a network sees few, large batches that way, and one process pays nothing for
the possibility.

Not safe for threads by itself; the island's lock is around it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from operator import add
from typing import NamedTuple

from cachetools import LRUCache

from .cells import Bucket, Cell, Sum, Table
from .flights import Flights
from .index import Cells, Evidence, Known, estimates, pooled, priors
from .lanes import Flight, Lane
from .policy import Policy
from .tally import WAITING_MOST, Tally, Verdict
from .window import Sums, rescale

MEMORIES = ("fast", "slow")
OVERDUE = 2.33  # standard deviations of the log seconds: later than 99 of 100 successes
_PROVIDERS_MOST = 256
_REGIONS_MOST = 64


def sums_of(
    verdict: Verdict, policy: Policy, region: str, model: str, provider: str, work: str
) -> tuple[Sum, ...]:
    """What one verdict adds where, as others have to be told."""
    tally = Tally((policy.fast, policy.slow), work, verdict[0])
    tally.waiting.append(verdict)
    tally.add_up()
    return tuple(_sums(tally, region, model, provider))


def _sums(tally: Tally, region: str, model: str, provider: str) -> Iterator[Sum]:
    """A tally as sums to add, with nothing waiting."""
    for memory, number, sums in zip(MEMORIES, tally.numbers, (tally.fast, tally.slow), strict=True):
        for bucket, cell in _places(memory, number, region, model, provider, tally.work):
            yield bucket, cell, sums


def _places(
    memory: str, number: int, region: str, model: str, provider: str, work: str
) -> tuple[tuple[Bucket, Cell], ...]:
    """Where a verdict is kept: for the model, and for the provider over all models."""
    return (
        (Bucket(memory, number, region, model), (provider, work)),
        (Bucket(memory, number, region, ""), (provider, "")),
    )


class _Remembered(NamedTuple):
    """Estimates by class of work; None is every class nobody reported on."""

    works: frozenset[str]
    known: dict[str | None, Known]


class Knowledge:
    """What an island knows, from its own attempts and those of everybody who shares its counters."""

    def __init__(self, policy: Policy, cells: Table, flights: Flights) -> None:
        self._policy = policy
        self._cells = cells
        self._flights = flights
        self._tallies: list[tuple[Lane, Tally]] = []
        self.remembered: dict[tuple[str, str], _Remembered] = {}
        self._priors: dict[tuple[str, str], dict[str, float]] = {}
        self._known_at = -math.inf
        # Fewer than there are models, so that a flood of names in one batch cannot push out a busy model.
        self._tallies_most = max(1, min(4_096, policy.models_most // 2))
        self.regions: set[str] = set()
        self._works: LRUCache[tuple[str, str], dict[str, float]] = LRUCache(maxsize=policy.models_most)
        self._last: LRUCache[tuple[str, str], dict[str, float]] = LRUCache(maxsize=policy.models_most)

    def count(self, lane: Lane, verdict: Verdict) -> str:
        """Add one verdict; returns the class of work it counts under."""
        tally = lane.tally
        if tally is None or not tally.begin <= verdict[0] < tally.end:
            tally = self._begun(lane, verdict[0])
        tally.waiting.append(verdict)
        if len(tally.waiting) >= WAITING_MOST:
            tally.add_up()
        return tally.work

    def _begun(self, lane: Lane, at: float) -> Tally:
        """A new tally, in its class of work."""
        if len(self._tallies) >= self._tallies_most:
            self.flush()
        if len(self.regions) < _REGIONS_MOST:
            self.regions.add(lane.region)
        tally = lane.tally = Tally(
            (self._policy.fast, self._policy.slow), self._class(lane.region, lane.model, lane.work, at), at
        )
        self._tallies.append((lane, tally))
        return tally

    def _noted(self, lane: Lane, tally: Tally) -> None:
        """Remember when a provider, and a class of work, was last heard of."""
        provider, works, last = lane.provider, self._works.get(lane.place), self._last.get(lane.place)
        if works is not None and tally.work in works:
            works[tally.work] = max(tally.last, works[tally.work])
        if last is None:
            last = self._last[lane.place] = {}
        if len(last) < _PROVIDERS_MOST or provider in last:
            last[provider] = max(tally.last, last.get(provider, 0.0))

    def _class(self, region: str, model: str, work: str, at: float) -> str:
        """The class of work a verdict counts under: its own, or the nameless one where the model has as
        many classes as it may. Callers invent classes (free sizes); they must not push known ones out."""
        known = self._works.get((region, model))
        if known is None:
            known = self._works[region, model] = {}
        if work not in known and len(known) >= self._policy.works_most:
            for old in [name for name, seen in known.items() if at - seen > self._policy.slow]:
                del known[old]
            if len(known) >= self._policy.works_most:
                return ""
        known[work] = max(at, known.get(work, 0.0))
        return work

    def last(self, region: str, model: str, provider: str) -> float | None:
        """When this island last had a verdict, in unix seconds."""
        self.flush()
        return self._last.get((region, model), {}).get(provider)

    def forget(self, region: str, model: str) -> None:
        """Drop the estimates of a model, to be made anew when somebody asks."""
        self.remembered.pop((region, model), None)
        self.remembered.pop((region, ""), None)

    def heard(self, region: str, model: str) -> None:
        """Others reported on a model."""
        if len(self.regions) < _REGIONS_MOST:
            self.regions.add(region)
        self._priors.pop((region, model), None)
        self.forget(region, model)

    def flush(self) -> None:
        """Add the tally to the counters, for each model and for the provider over all models."""
        if not self._tallies:
            return
        tallies, self._tallies = self._tallies, []
        batch: dict[tuple[Bucket, Cell], Sequence[float]] = {}
        for lane, tally in tallies:
            lane.tally = None
            if tally.waiting:
                tally.add_up()
            self._noted(lane, tally)
            for bucket, cell, sums in _sums(tally, *lane.place, lane.provider):
                known = batch.get((bucket, cell))
                batch[bucket, cell] = sums if known is None else [*map(add, known, sums)]
        self._cells.add(batch)

    def read(self, region: str, model: str, now: float) -> tuple[Cells, Cells]:
        """The fast and the slow cells of a model (or, for "", of the providers), faded to `now`."""
        self.flush()
        found: tuple[dict[Cell, Sums], dict[Cell, Sums]] = ({}, {})
        for (memory, number), cells in self._cells.read(region, model).items():
            which = MEMORIES.index(memory)
            factor = rescale((self._policy.fast, self._policy.slow)[which], number, now)
            if factor:
                _fade(found[which], cells, factor)
        return found

    def estimates(self, region: str, model: str, work: str, now: float) -> Known:
        """Estimates for everybody who is known for this model, and for everybody who is not.

        They are remembered until a verdict on the model comes in, at most `policy.refresh` seconds, and only
        under names that verdicts brought in.
        """
        self.flush()
        if not 0.0 <= now - self._known_at < self._policy.refresh:
            self.remembered.clear()
            self._priors.clear()
            self._known_at = now
        if not self._cells.read(region, model) and not self._flights.any(region, model):
            model = ""  # nobody reported on it: all such models share what is known about their providers
        remembered = self.remembered.get((region, model))
        if remembered is not None:
            known = remembered.known.get(work if work in remembered.works else None)
            if known is not None:
                return known
        evidence = self.evidence(region, model, now)
        judged = frozenset([name for name, _work in evidence.slow]) | evidence.priors.keys()
        seen, unseen = estimates(judged | evidence.flying.keys(), work, evidence, self._policy)
        known = Known(seen, unseen, judged, {}, bool(evidence.slow))
        if evidence.slow or (not model and region in self.regions):
            if remembered is None:
                works = frozenset(kind for _name, kind in evidence.slow) if model else frozenset()
                remembered = self.remembered[region, model] = _Remembered(works, {})
            remembered.known[work if work in remembered.works else None] = known
        return known

    def evidence(self, region: str, model: str, now: float) -> Evidence:
        """All that is known about a model in a region at this moment."""
        fast, slow = self.read(region, model, now) if model else ({}, {})
        flying: dict[str, int] = {}
        overdue: dict[str, int] = {}
        for flight in self._flights.of(region, model, now):
            provider = flight.lane.provider
            flying[provider] = flying.get(provider, 0) + 1
            if flight.unknown or _is_overdue(flight, slow, now):
                overdue[provider] = overdue.get(provider, 0) + 1
        return Evidence(fast, slow, self._priors_of(region, model, fast, slow, now), flying, overdue)

    def _priors_of(self, region: str, model: str, fast: Cells, slow: Cells, now: float) -> dict[str, float]:
        """How providers do with other models; made anew every `policy.refresh` seconds, because verdicts on
        this model change nothing about it."""
        known = self._priors.get((region, model))
        if known is None:
            everywhere = self.read(region, "", now)
            known = priors(
                (pooled(everywhere[0]), pooled(everywhere[1])), (pooled(fast), pooled(slow)), self._policy
            )
            if slow:
                self._priors[region, model] = known
        return known

    def tried(self, region: str, model: str, now: float) -> dict[str, float]:
        """Providers of a model that anybody had a verdict from, with the faded number of verdicts."""
        _fast, slow = self.read(region, model, now)
        return {provider: sums.tried for provider, sums in pooled(slow).items()}


def _fade(found: dict[Cell, Sums], cells: Mapping[Cell, Sequence[float]], factor: float) -> None:
    """Add the cells of one epoch, faded."""
    for cell, sums in cells.items():
        faded = Sums._make([factor * value for value in sums])
        known = found.get(cell)
        found[cell] = faded if known is None else Sums._make(map(add, known, faded))


def _is_overdue(flight: Flight, slow: Cells, now: float) -> bool:
    sums = slow.get((flight.lane.provider, flight.lane.work))
    if sums is None or sums.timed < 1.0:
        return False
    mean = sums.log / sums.timed
    spread = max(0.16, sums.square / sums.timed - mean * mean)
    return now - flight.started > math.exp(min(mean + OVERDUE * math.sqrt(spread), 20.0))
