"""The operations of the PostgreSQL store.

Each puts its statements on their way and returns what reads the answer once it is there, so that a batch
is one round trip. Whether an operation may be done is decided by its own statement, under the row's lock
(`lock`, the first statement of a batch, takes those in order); what comes back says what happened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

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
    Inboxed,
    JobTaken,
    Op,
    Release,
    Result,
    Row,
    plain,
)
from execution_arrow.stores.operations import Operations
from execution_arrow.stores.outgoing import Outgoing
from execution_arrow.stores.postgres_batch import Answer, Asking, first
from execution_arrow.stores.postgres_outgoing import Outbox

CHUNK = 1_000  # rows named in one statement


class Undone(Exception):
    """The batch met something that is different by now: undo it and do it again."""


class Batch(Asking, Operations[Answer]):
    """A transaction under way."""

    def _create(self, op: Create) -> Answer:
        made = self.ask(
            "create", id=op.id, account=op.account, model=op.model, status=op.status, key=op.key,
            fingerprint=op.fingerprint, spec=op.spec, state=op.state, owner=op.owner, next_at=op.next_at,
            created_at=op.created_at,
        )  # fmt: skip
        held = self.ask("by_key", account=op.account, key=op.key) if op.key is not None else None

        def answer() -> Result:
            if made.fetchone() is not None:
                return Created()
            found = held.fetchone() if held is not None else None
            if found is None:
                raise Undone("whoever had the idempotency key has given it back meanwhile")
            return Existing(found[0], found[1])

        return answer

    def _commit(self, op: Commit) -> Answer:
        mark = {"id": op.id, "owner": op.owner, "epoch": op.epoch, "version": op.version}
        jobs = list(zip(*([plain(part) for part in job] for job in op.jobs), strict=True)) or [()] * 4
        columns = ("providers", "credentials", "jobs", "attempts")
        bound = {name: list(column) for name, column in zip(columns, jobs, strict=True)}
        if op.jobs:
            self.ask("bind", **mark, **bound)
        heard = [
            {"attempt": fact.attempt, "dedup": fact.dedup, "body": json.dumps(fact.body), "at": fact.at}
            for fact in op.heard
        ]
        events = [
            {"no": event.no, "type": event.type, "at": event.at, "settled": event.settled}
            for event in op.events
        ]
        changed = self.ask(
            "commit_row", **mark, **bound, state=op.state, status=op.status, next_at=op.next_at, at=op.at,
            erased=op.erased, free_key=op.free_key, events=json.dumps(events), heard=json.dumps(heard),
            folded=list(op.folded), names=[f"{fact.attempt}\x1f{fact.dedup}" for fact in op.heard],
        )  # fmt: skip
        if op.erased is not None:
            self.ask("forget_facts", id=op.id, epoch=op.epoch, version=op.version)

        def answer() -> Result:
            written, holder, job, posts = first(changed)
            if written:
                return Committed(op.version + 1, posts)
            return Fenced() if holder is None else JobTaken(holder, job)

        return answer

    def _append(self, op: Append) -> Answer:
        fact = op.fact
        added = self.ask(
            "append", generation=fact.generation, attempt=fact.attempt, dedup=fact.dedup,
            body=json.dumps(fact.body), at=fact.at,
        )  # fmt: skip
        return lambda: Done(new=added.fetchone() is not None)

    def _claim(self, op: Claim) -> Answer:
        self.ask("cut", now=self.given, seconds=op.seconds, longest=LONGEST_LEASE)
        values = {"now": self.given, "owner": op.owner, "seconds": op.seconds, "limit": op.limit}
        if op.ids:
            named_ones = self.ask("claim_named", ids=list(op.ids), **values)
            return lambda: Claimed(tuple(map(row_of, named_ones.fetchall())), self.now())
        found = self.ask("claim", **values)
        later = self.ask("later", now=self.given, owner=op.owner)

        def answer() -> Result:
            rows = tuple(map(row_of, found.fetchall()))
            at = first(later)[0] if len(rows) < op.limit else self.now()
            return Claimed(rows, self.now(), at)

        return answer

    def _release(self, op: Release) -> Answer:
        rows = dict(op.rows)
        names = list(rows)
        for start in range(0, len(names), CHUNK):
            some = names[start : start + CHUNK]
            self.ask(
                "release", owner=op.owner, ids=some, times=json.dumps({name: rows[name] for name in some})
            )
        return Done

    def _disown(self, op: Disown) -> Answer:
        self.ask("disown", owner=op.owner, keep=list(op.keep), now=self.given)
        return Done

    def _beat(self, op: Beat) -> Answer:
        self.ask("extend", owner=op.owner, seconds=op.seconds, now=self.given)
        self.ask("prune", now=self.given)
        return lambda: Beaten(self.now())

    def _outgoing(self, op: Outgoing) -> Answer:
        return Outbox(self).perform(op)


def named(ops: Iterable[Op]) -> list[str]:
    """The generations whose rows the batch changes, for `lock`."""
    found: set[str] = set()
    for op in ops:
        if isinstance(op, Commit):
            found.add(op.id)
        elif isinstance(op, Release):
            found.update(name for name, _ in op.rows)
    return sorted(found)


def row_of(found: Sequence[Any]) -> Row:
    identity, account, key, spec, state, version, epoch, owner, until, next_at, created_at, facts = found
    return Row(
        id=identity, account=account, key=key, spec=spec, state=state, version=version, epoch=epoch,
        owner=owner, owner_until=until, next_at=next_at, created_at=created_at,
        inbox=tuple(map(fact_of, facts or ())),
    )  # fmt: skip


def fact_of(found: Sequence[Any]) -> Inboxed:
    seq, generation, attempt, dedup, body, at = found
    return Inboxed(
        generation=generation, attempt=attempt, dedup=dedup, body=json.loads(body), at=float(at), seq=seq
    )
