"""What a batch can be about, loaded from Redis into a picture in a few round trips.

That is the rows that it names, and what a claim or a taking may choose from, found through the indexes: never
the whole store.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from execution_arrow.stores.base import Append, Beat, Claim, Commit, Create, Disown, Inboxed, Op, Release
from execution_arrow.stores.memory import Record
from execution_arrow.stores.outgoing import (
    FORGOTTEN,
    Endpoint,
    KeepEndpoint,
    Publish,
    Replay,
    Report,
    TakeDeliveries,
    wants,
)
from execution_arrow.stores.redis_keys import (
    NARROW,
    WIDE,
    Keys,
    delivery_name,
    delivery_of,
    endpoint_of,
    inbox_of,
    leases_of,
    mark,
    named_delivery,
    row_of,
)
from execution_arrow.stores.redis_picture import Picture

LOCK_MS: Final = 2_000
LONG_LOCK_MS: Final = (
    15_000  # for what is about all of an endpoint's deliveries, and for thousands of operations
)
OPERATION_MS: Final = 5  # more for each operation
_LINE: Final = 4  # events of a subject that wait behind each other, more or less

Ask = Callable[[Callable[[Any], object]], list[Any]]
"""Puts commands on a pipeline, and returns their answers."""


def lock_of(ops: Sequence[Op]) -> int:
    """Milliseconds that a batch may need; whoever dies in it keeps the others waiting for as long."""
    long = any(isinstance(op, Replay | KeepEndpoint) for op in ops)
    return LONG_LOCK_MS if long else min(LOCK_MS + OPERATION_MS * len(ops), LONG_LOCK_MS)


def load(ask: Ask, keys: Keys, ops: Sequence[Op], now: float, seq: int) -> Picture:
    """A picture that holds all that these operations can be about."""
    return _Loading(ask, keys, ops, now, seq).load()


class _Loading:
    def __init__(self, ask: Ask, keys: Keys, ops: Sequence[Op], now: float, seq: int) -> None:
        self._ask, self._keys, self._ops = ask, keys, ops
        self._picture = Picture(now, seq)
        self._now = now

    def load(self) -> Picture:
        creates = [op for op in self._ops if isinstance(op, Create) and op.key is not None]
        jobs = [job[:3] for op in self._ops if isinstance(op, Commit) for job in op.jobs]
        addressed = self._addressed()
        leases, held, taken, found = self._ask(
            lambda pipe: (
                pipe.hgetall(self._keys.leases),
                pipe.hmget(self._keys.names, [mark(op.account, op.key) for op in creates] or [""]),
                pipe.hmget(self._keys.jobs, [mark(*job) for job in jobs] or [""]),
                pipe.hvals(self._keys.endpoints)
                if addressed is None
                else pipe.hmget(self._keys.endpoints, addressed or [""]),
            )
        )
        names = {
            (op.account, op.key or ""): one.decode() for op, one in zip(creates, held, strict=False) if one
        }
        known = {job: one.decode() for job, one in zip(jobs, taken, strict=False) if one}
        endpoints = [endpoint_of(one) for one in found if one is not None]
        self._picture.knows(leases_of(leases), names, known, endpoints)
        self._load_rows([*names.values(), *(op.id for op in self._ops if isinstance(op, Create))])
        self._load_deliveries(endpoints)
        return self._picture

    def _addressed(self) -> list[str] | None:
        """The endpoints that are named; None for all, where something is told to whoever wants it."""
        names: dict[str, None] = {}
        for op in self._ops:
            match op:
                case Commit(events=[_, *_]) | Publish(endpoint=None):
                    return None
                case Publish(endpoint=str(name)) | Report(endpoint=name) | Replay(endpoint=name):
                    names[name] = None
                case KeepEndpoint():
                    names[op.endpoint.id] = None
                case _:
                    pass
        return list(names)

    # --- generations ---

    def _load_rows(self, held: Iterable[str]) -> None:
        claims = [op for op in self._ops if isinstance(op, Claim)]
        facts: dict[str, None] = {}  # whose facts are needed, not the row alone
        rows: dict[str, None] = dict.fromkeys(held)
        for op in self._ops:
            match op:
                case Commit():
                    facts[op.id] = None
                    facts |= dict.fromkeys(fact.generation for fact in op.heard)
                case Append():
                    facts[op.fact.generation] = None
                case Claim():
                    facts |= dict.fromkeys(op.ids)
                case Release():
                    rows |= dict.fromkeys(name for name, _ in op.rows)
                case _:
                    pass
        for members in self._members([op.owner for op in self._ops if isinstance(op, Disown)]):
            rows |= dict.fromkeys(members)
        if most := sum(claim.limit for claim in claims if not claim.ids):
            facts |= self._claimable(most + 1)  # one more than can be taken, to know that there is more
        if claims:  # whoever is claimed is shown whole
            facts, rows = facts | rows, {}
        alone = [name for name in rows if name not in facts]
        told = self._ask(lambda pipe: [pipe.sismember(self._keys.told, name) for name in alone])
        facts |= dict.fromkeys(name for name, waits in zip(alone, told, strict=True) if waits)
        self._rows([name for name in alone if name not in facts], None)
        self._rows(list(facts), WIDE if claims else NARROW)

    def _members(self, owners: Sequence[str]) -> list[list[str]]:
        if not owners:
            return []
        found = self._ask(lambda pipe: [pipe.smembers(self._keys.owned(owner)) for owner in owners])
        return [sorted(name.decode() for name in members) for members in found]

    def _claimable(self, most: int) -> dict[str, None]:
        """Orphans, rows with a waiting fact, what is due, and the one that is due next."""
        keys = self._keys
        owners, told, due, later = self._ask(
            lambda pipe: (
                pipe.smembers(keys.owners),
                pipe.srandmember(keys.told_free, most),
                pipe.zrangebyscore(keys.due, "-inf", self._now, 0, most),
                pipe.zrangebyscore(keys.due, f"({self._now!r}", "+inf", 0, 1),
            )
        )
        names = sorted(owner.decode() for owner in owners)

        def questions(pipe: Any) -> None:
            for name in names:
                pipe.scard(keys.owned(name))
                pipe.srandmember(keys.owned(name), most)

        counts = self._ask(questions)
        ended = {op.owner for op in self._ops if isinstance(op, Beat) and not op.seconds}
        orphans: list[str] = []
        for name, count, some in zip(names, counts[::2], counts[1::2], strict=True):
            dead = self._picture.dead(name) or name in ended
            if dead:
                orphans += [member.decode() for member in some]
            if not count:
                self._picture.idle.append(name)
            elif not dead or count > len(some):
                self._picture.others[name] = None
        return dict.fromkeys([*orphans, *(name.decode() for name in (*told, *due, *later))])

    def _rows(self, names: Sequence[str], wide: Sequence[str] | None) -> None:
        """Put rows into the picture; with `wide` fields, and with their facts, or neither."""
        if not names:
            return
        keys = self._keys

        def questions(pipe: Any) -> None:
            for name in names:
                pipe.hmget(keys.row(name), wide or NARROW)
                if wide is not None:
                    pipe.hkeys(keys.facts(name))
                    pipe.hgetall(keys.inbox(name))

        answers, step = self._ask(questions), 1 if wide is None else 3
        for place, name in enumerate(names):
            mine = answers[place * step : (place + 1) * step]
            found = row_of(name, mine[0], {})
            if found is not None:
                record = Record(*found)
                if wide is not None:
                    _fill(record, mine[1], mine[2])
                self._picture.add(record)

    # --- deliveries ---

    def _load_deliveries(self, endpoints: Sequence[Endpoint]) -> None:
        named: dict[tuple[str, str, int], None] = {}
        lines: dict[tuple[str, str], None] = {}  # of (endpoint, subject), all that waits
        whole: dict[str, None] = {}
        new: dict[tuple[str, str, int], None] = {}
        for op in self._ops:
            match op:
                case Commit():
                    row = self._picture.load(op.id)
                    for event in op.events if row is not None else ():
                        told = (e.id for e in endpoints if row and wants(e, row.account, event.type))
                        new |= {(name, op.id, event.no): None for name in told}
                case Publish():
                    told = (e.id for e in endpoints if op.endpoint or wants(e, op.account, op.type))
                    new |= {(name, op.subject, 1): None for name in told}
                case Report():
                    named[op.endpoint, op.subject, op.no] = lines[op.endpoint, op.subject] = None
                case Replay(subject=str(subject), no=int(no)):
                    named[op.endpoint, subject, no] = None
                case Replay():
                    named |= self._dead(op)
                case KeepEndpoint(remove=True):
                    whole[op.endpoint.id] = None
                case KeepEndpoint() if op.endpoint.disabled:
                    named |= self._all_waiting(op.endpoint.id)
                case TakeDeliveries():
                    self._takable(op, named, lines)
                case _:
                    pass
        if any(isinstance(op, TakeDeliveries) for op in self._ops):
            lines |= {(e, subject): None for e, subject, _ in new}  # behind what is under way already
        self._deliveries(named | new, lines, whole)

    def _dead(self, op: Replay) -> dict[tuple[str, str, int], None]:
        """Those that died first; of one subject all, which are few."""
        last = op.most - 1 if op.subject is None else -1
        (found,) = self._ask(lambda pipe: [pipe.zrange(self._keys.dead(op.endpoint), 0, last)])
        return {(op.endpoint, *n): None for n in map(named_delivery, found) if op.subject in (None, n[0])}

    def _all_waiting(self, endpoint: str) -> dict[tuple[str, str, int], None]:
        (found,) = self._ask(lambda pipe: [pipe.zrange(self._keys.waiting(endpoint), 0, -1)])
        return {(endpoint, *named_delivery(member)): None for member in found}

    def _takable(self, op: TakeDeliveries, named: Any, lines: Any) -> None:
        """What is due and heads or follows a line, what is due next, and what is to be forgotten."""
        keys, now = self._keys, self._now
        ended, members = self._ask(
            lambda pipe: (
                pipe.zrangebyscore(keys.ended, "-inf", f"({now - op.keep!r}", 0, FORGOTTEN),
                pipe.smembers(keys.posted),
            )
        )
        for member in ended:
            endpoint, _, name = member.partition(b"\x1f")
            named[endpoint.decode(), *named_delivery(name)] = None
        posted = sorted(member.decode() for member in members)

        def questions(pipe: Any) -> None:
            for name in posted:
                pipe.zrangebyscore(keys.waiting(name), "-inf", now, 0, _LINE * op.each)
                pipe.zrangebyscore(keys.waiting(name), f"({now!r}", "+inf", 0, 1)

        found = self._ask(questions) if posted else []
        for name, due, later in zip(posted, found[::2], found[1::2], strict=True):
            if not due and not later:
                self._picture.quiet.append(name)
            for member in (*due, *later):
                lines[name, named_delivery(member)[0]] = None

    def _deliveries(self, named: Any, lines: Any, whole: Any) -> None:
        keys = self._keys
        if lines:
            waiting = self._ask(lambda pipe: [pipe.smembers(keys.line(*line)) for line in lines])
            for (endpoint, subject), numbers in zip(lines, waiting, strict=True):
                named |= {(endpoint, subject, int(no)): None for no in numbers}
        found: list[bytes] = []
        if whole:
            for values in self._ask(lambda pipe: [pipe.hvals(keys.deliveries(name)) for name in whole]):
                found += values
        fields: dict[str, list[str]] = {}
        for endpoint, subject, no in named:
            fields.setdefault(endpoint, []).append(delivery_name(subject, no))
        if fields:
            for some in self._ask(
                lambda pipe: [pipe.hmget(keys.deliveries(name), those) for name, those in fields.items()]
            ):
                found += some
        for one in found:
            if one is not None:
                self._picture.post(delivery_of(one))


def _fill(record: Record, names: Iterable[bytes], inbox: Any) -> None:
    """The facts of a row: those that wait whole, of the others that they are known."""
    for name in names:
        attempt, dedup = json.loads(name)
        record.facts[attempt, dedup] = Inboxed(
            generation=record.row.id, attempt=attempt, dedup=dedup, body={}, at=0.0
        )
    for fact in inbox_of(record.row.id, inbox):
        record.facts[fact.attempt, fact.dedup] = record.inbox[fact.seq] = fact
