"""A part of a Redis job store, as a small memory store.

The operations have their rules in `MemoryStore`, which performs them on what was loaded (`redis_load`);
`redis_diff` says what has to be written of what they made of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from execution_arrow.errors import StoreUnavailable
from execution_arrow.stores.base import Beat, Create, Result
from execution_arrow.stores.memory import MemoryStore, Record
from execution_arrow.stores.outgoing import Delivery, Endpoint
from execution_arrow.values import replace

_PRUNED: Final = 3600.0  # a lease that ended an hour ago protects nothing


@dataclass(frozen=True, slots=True)
class Tables:
    """All that is in a picture at one moment. Its values are never changed, only replaced."""

    records: Mapping[str, Record]
    keys: Mapping[tuple[str, str], str]
    jobs: Mapping[tuple[str, str, str], str]
    of_job: Sequence[tuple[str, str, str]]  # provider, job, generation: those that were bound here
    leases: Mapping[str, float]
    endpoints: Mapping[str, Endpoint]
    deliveries: Mapping[tuple[str, str, int], Delivery]
    seq: int


class Picture(MemoryStore):
    """A part of a store, at `now` by the store's clock."""

    def __init__(self, now: float, seq: int) -> None:
        super().__init__(lambda: now)
        self._seq = seq
        self.others: dict[str, None] = {}  # owners of rows that are not in the picture
        self.idle: list[str] = []  # owners of nothing
        self.quiet: list[str] = []  # endpoints for which nothing waits

    def tables(self) -> Tables:
        """To be compared with what the operations make of it."""
        return Tables(
            records={
                name: replace(one, facts=dict(one.facts), inbox=dict(one.inbox), events=list(one.events))
                for name, one in self._records.items()
            },
            keys=dict(self._keys),
            jobs=dict(self._jobs),
            of_job=[(*job, name) for job, names in self._of_job.items() for name in names],
            leases=dict(self._leases),
            endpoints={one.id: one for one in self._outbox.endpoints()},
            deliveries={(one.endpoint, one.subject, one.no): one for one in self._outbox.all()},
            seq=self._seq,
        )

    def _create(self, op: Create) -> Result:
        if op.id in self._records:
            raise StoreUnavailable(f"generation {op.id} is there already", maybe_applied=False)
        return super()._create(op)

    def _beat(self, op: Beat) -> Result:
        beaten = super()._beat(op)
        old = [name for name, until in self._leases.items() if until < self._clock() - _PRUNED]
        for name in old:
            del self._leases[name]
        return beaten

    def _next_at(self, owner: str, now: float) -> float | None:
        seen = super()._next_at(owner, now)
        ends = [self._leases.get(other, now) for other in self.others if other != owner]
        return min([*ends, *([] if seen is None else [seen])], default=None)

    def knows(
        self,
        leases: Mapping[str, float],
        keys: Mapping[tuple[str, str], str],
        jobs: Mapping[tuple[str, str, str], str],
        endpoints: Iterable[Endpoint],
    ) -> None:
        """Put in what needs no looking for."""
        self._leases.update(leases)
        self._keys.update(keys)
        self._jobs.update(jobs)
        for endpoint in endpoints:
            self._outbox.know(endpoint)

    def add(self, record: Record) -> None:
        row = record.row
        self._records[row.id] = record
        if row.key is not None:
            self._keys[row.account, row.key] = row.id
        self._note(record)

    def post(self, delivery: Delivery) -> None:
        self._outbox.know(delivery)

    def dead(self, owner: str) -> bool:
        return self._leases.get(owner, 0.0) <= self._clock()
