"""The reference store: dictionaries. For tests, simulations and generations that need not survive."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from execution_arrow.machine.state import Event
from execution_arrow.stores.base import (
    LONGEST_LEASE,
    Append,
    Beat,
    Beaten,
    Claim,
    Claimed,
    Commit,
    Committed,
    Create,
    Created,
    Disown,
    Done,
    Existing,
    Fenced,
    Hear,
    Inboxed,
    JobTaken,
    Op,
    Release,
    Result,
    Row,
)
from execution_arrow.stores.hints import Bell, hints_of
from execution_arrow.stores.memory_outgoing import Outbox, delivery_of
from execution_arrow.stores.operations import Operations
from execution_arrow.stores.outgoing import Delivery, DeliveryState, Endpoint, Outgoing
from execution_arrow.values import replace


@dataclass(slots=True)
class Record:
    """One generation as the store holds it."""

    row: Row
    status: str
    fingerprint: str
    facts: dict[tuple[str, str], Inboxed] = field(default_factory=dict)
    inbox: dict[int, Inboxed] = field(default_factory=dict)  # of the facts, what nobody has folded yet
    events: list[Event] = field(default_factory=list)


class MemoryStore(Operations[Result]):
    """Everything is gone when the process is. The contract suite holds for it as for the others.

    `clock` is the store's clock: unix seconds, the host's by default.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._bell = Bell()
        self._records: dict[str, Record] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._jobs: dict[tuple[str, str, str], str] = {}
        self._of_job: dict[tuple[str, str], dict[str, None]] = {}
        self._leases: dict[str, float] = {}
        self._seq = 0
        self._wanted: dict[str, None] = {}  # the rows that need somebody, or hold what nobody has folded
        self._outbox = Outbox(clock)

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        results = [self.perform(op) for op in ops]
        if self._bell:
            self._bell.ring(hints_of(ops, results))
        return results

    def watch(self, hear: Hear) -> Callable[[], None]:
        return self._bell.add(hear)

    def _create(self, op: Create) -> Result:
        if op.key is not None and (held := self._keys.get((op.account, op.key))) is not None:
            return Existing(held, self._records[held].fingerprint)
        row = Row(
            id=op.id, account=op.account, key=op.key, spec=op.spec, state=op.state, version=1,
            epoch=1 if op.owner else 0, owner=op.owner, owner_until=None, next_at=op.next_at,
            created_at=op.created_at,
        )  # fmt: skip
        record = self._records[op.id] = Record(row, op.status, op.fingerprint)
        self._note(record)
        if op.key is not None:
            self._keys[op.account, op.key] = op.id
        return Created()

    def _commit(self, op: Commit) -> Result:
        record = self._records.get(op.id)
        if record is None:
            return Fenced()
        row = record.row
        if (row.owner, row.epoch, row.version) != (op.owner, op.epoch, op.version):
            return Fenced()
        for provider, credentials, job, attempt in op.jobs:
            if (holder := self._jobs.get((provider, credentials, job), attempt)) != attempt:
                return JobTaken(holder, job)
        for provider, credentials, job, attempt in op.jobs:
            self._jobs[provider, credentials, job] = attempt
            self._of_job.setdefault((provider, job), {})[op.id] = None
        for fact in op.heard:
            self._keep(fact, folded=True)
        for seq in op.folded:
            _fold(record, seq)
        record.events.extend(op.events)
        if op.free_key and row.key is not None:
            del self._keys[row.account, row.key]
            row = replace(row, key=None)
        if op.erased is not None:
            row = replace(row, spec=op.erased)
            record.facts = {name: fact for name, fact in record.facts.items() if fact.seq}
        record.status = op.status
        owner = None if op.next_at is None else row.owner
        record.row = replace(row, state=op.state, version=op.version + 1, next_at=op.next_at, owner=owner)
        self._note(record)
        posts = [self._outbox.post(delivery_of(row.account, op.id, event)) for event in op.events]
        return Committed(op.version + 1, sum(posts))

    def _append(self, op: Append) -> Result:
        return Done(new=self._keep(op.fact))

    def _keep(self, fact: Inboxed, folded: bool = False) -> bool:
        record = self._records.get(fact.generation)
        if record is None:
            return False
        facts = record.facts
        known = facts.get((fact.attempt, fact.dedup))
        if known is not None:
            if folded:
                _fold(record, known.seq)
            return False
        self._seq += 1
        kept = facts[fact.attempt, fact.dedup] = replace(fact, seq=0 if folded else self._seq)
        if kept.seq:
            record.inbox[kept.seq] = kept
            self._note(record)
        return True

    def _note(self, record: Record) -> None:
        """Keep in mind whether anybody has to look at this row again."""
        if record.row.next_at is None and not record.inbox:
            self._wanted.pop(record.row.id, None)
        else:
            self._wanted[record.row.id] = None

    def _claim(self, op: Claim) -> Result:
        now = self._clock()
        self._leases |= {n: now + op.seconds for n, end in self._leases.items() if end > now + LONGEST_LEASE}
        wanted = op.ids or self._wanted
        free = [name for name in wanted if name in self._wanted and self._free(self._records[name], op, now)]
        taken = dict.fromkeys(free[: op.limit])
        if taken:
            self._leases[op.owner] = now + op.seconds
        for name in taken:
            record = self._records[name]
            record.row = replace(record.row, owner=op.owner, epoch=record.row.epoch + 1)
        rows = tuple(self._view(self._records[name]) for name in taken)
        if op.ids:
            return Claimed(rows, now, None)
        return Claimed(rows, now, now if len(free) > len(taken) else self._next_at(op.owner, now))

    def _release(self, op: Release) -> Result:
        for generation_id, next_at in op.rows:
            record = self._records.get(generation_id)
            if record is not None and record.row.owner == op.owner:
                record.row = replace(record.row, owner=None, next_at=next_at)
                self._note(record)
        return Done()

    def _disown(self, op: Disown) -> Result:
        for record in map(self._records.__getitem__, self._wanted):
            if record.row.owner == op.owner and record.row.id not in op.keep:
                due = None if record.row.next_at is None else self._clock()
                record.row = replace(record.row, owner=None, next_at=due)
        return Done()

    def _beat(self, op: Beat) -> Result:
        now = self._clock()
        self._leases[op.owner] = now + op.seconds
        return Beaten(now)

    def _next_at(self, owner: str, now: float) -> float | None:
        rows = [row for name in self._wanted if (row := self._records[name].row).next_at is not None]
        due = [row.next_at for row in rows if row.owner is None]
        ends = [self._leases.get(row.owner, now) for row in rows if row.owner not in (None, owner)]
        return min((at for at in [*due, *ends] if at is not None), default=None)

    def _free(self, record: Record, op: Claim, now: float) -> bool:
        row = record.row
        if row.owner is not None:
            return self._leases.get(row.owner, 0.0) <= now
        return bool(op.ids or record.inbox) or (row.next_at is not None and row.next_at <= now)

    def _view(self, record: Record) -> Row:
        row = record.row
        if row.owner is None and not record.inbox:
            return row
        inbox = tuple(record.inbox.values())
        until = self._leases.get(row.owner) if row.owner else None
        return replace(row, inbox=inbox, owner_until=until)

    def load(self, generation_id: str) -> Row | None:
        record = self._records.get(generation_id)
        return self._view(record) if record else None

    def load_many(self, generation_ids: Sequence[str]) -> list[Row]:
        found = (self._records.get(name) for name in dict.fromkeys(generation_ids))
        return [self._view(record) for record in found if record is not None]

    def by_key(self, account: str, key: str) -> tuple[str, str] | None:
        held = self._keys.get((account, key))
        return (held, self._records[held].fingerprint) if held else None

    def of_job(self, provider: str, job: str) -> list[str]:
        return list(self._of_job.get((provider, job), ()))

    def holders(self, text: str) -> list[str]:
        return [name for name, record in self._records.items() if text in record.row.state]

    def page(self, account: str | None, status: str | None, before: str | None, limit: int) -> list[Row]:
        found: list[Row] = []
        for generation_id in sorted(self._records, reverse=True):
            record = self._records[generation_id]
            if account not in (None, record.row.account) or status not in (None, record.status):
                continue
            if before is None or generation_id < before:
                if len(found) == limit:
                    break
                found.append(self._view(record))
        return found

    def unfinished(self, after: str | None, limit: int) -> list[Row]:
        found = []
        for generation_id in sorted(self._records):
            record = self._records[generation_id]
            if record.row.next_at is not None and (after is None or generation_id > after):
                found.append(self._view(record))
        return found[:limit]

    def events(self, generation_id: str) -> list[Event]:
        record = self._records.get(generation_id)
        return list(record.events) if record else []

    def inbox(self, owner: str) -> list[Inboxed]:
        return [
            fact
            for name in self._wanted
            if (record := self._records[name]).row.owner == owner
            for fact in record.inbox.values()
        ]

    def _outgoing(self, op: Outgoing) -> Result:
        return self._outbox.perform(op)

    def endpoints(self) -> list[Endpoint]:
        return self._outbox.endpoints()

    def deliveries(
        self, endpoint: str | None, state: DeliveryState | None, subject: str | None, limit: int
    ) -> list[Delivery]:
        return self._outbox.deliveries(endpoint, state, subject, limit)

    def close(self) -> None:
        self._leases.clear()


def _fold(record: Record, seq: int) -> None:
    """A fact leaves the inbox; that it was heard stays known."""
    if (fact := record.inbox.pop(seq, None)) is not None:
        record.facts[fact.attempt, fact.dedup] = replace(fact, seq=0)
