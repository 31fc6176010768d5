"""What has to be written so that Redis shows what a picture shows: hashes, and the indexes beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from execution_arrow.stores.base import Inboxed, Row
from execution_arrow.stores.memory import Record
from execution_arrow.stores.outgoing import Delivery, Endpoint
from execution_arrow.stores.redis_keys import (
    SEPARATOR,
    Keys,
    delivery_name,
    delivery_text,
    endpoint_text,
    event_text,
    fact_text,
    fields_of,
    mark,
)
from execution_arrow.stores.redis_picture import Tables

CHUNK: Final = 1_000  # arguments of one command, an even number; Lua takes some thousands
Write = tuple[Any, ...]  # command, key, arguments


def writes(
    keys: Keys, before: Tables, after: Tables, idle: Sequence[str], quiet: Sequence[str]
) -> list[Write]:
    """Every write. Owners of nothing (`idle`), and endpoints for which nothing waits (`quiet`), come first:
    there may be something by now."""
    found: list[Write] = []
    for key, names in ((keys.owners, idle), (keys.posted, quiet)):
        found += [("SREM", key, *names[start : start + CHUNK]) for start in range(0, len(names), CHUNK)]
    for name, record in after.records.items():
        found += _row(keys, before.records.get(name), record)
    for key, was, now in (
        (keys.names, _marked(before.keys.items()), _marked(after.keys.items())),
        (keys.jobs, _marked(before.jobs.items()), _marked(after.jobs.items())),
        (keys.leases, _times(before.leases), _times(after.leases)),
    ):
        found += _hash(key, was, now)
    found += [("SADD", keys.of_job(provider, job), name) for provider, job, name in after.of_job]
    found += _endpoints(keys, before.endpoints, after.endpoints)
    told: list[Write] = []
    for place in [
        *before.deliveries,
        *(place for place in after.deliveries if place not in before.deliveries),
    ]:
        old, new = before.deliveries.get(place), after.deliveries.get(place)
        if old is not new:
            told += _delivery(keys, old, new)
    return found + list(_together(told))


def _together(found: Iterable[Write]) -> Iterator[Write]:
    """Those of one command and key are one, or a few: thousands are written at once when an endpoint dies."""
    groups: dict[tuple[str, bytes], list[Any]] = {}
    for command, key, *rest in found:
        groups.setdefault((command, key), []).extend(rest)
    for (command, key), rest in groups.items():
        for start in range(0, len(rest), CHUNK):
            yield command, key, *rest[start : start + CHUNK]


def _marked(found: Iterable[tuple[tuple[str, ...], str]]) -> dict[str, str]:
    return {mark(*parts): value for parts, value in found}


def _times(found: Mapping[str, float]) -> dict[str, str]:
    return {name: repr(until) for name, until in found.items()}


def _endpoints(keys: Keys, before: Mapping[str, Endpoint], after: Mapping[str, Endpoint]) -> Iterator[Write]:
    """There may be thousands, of which few have changed."""
    changed = {name: endpoint_text(one) for name, one in after.items() if before.get(name) is not one}
    return _hash(keys.endpoints, {name: "" for name in before if name not in after}, changed)


def _hash(key: bytes, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Write]:
    """Fields that are new or other, and fields that are gone."""
    changed = [part for name, value in after.items() if before.get(name) != value for part in (name, value)]
    for start in range(0, len(changed), CHUNK):
        yield "HSET", key, *changed[start : start + CHUNK]
    gone = [name for name in before if name not in after]
    for start in range(0, len(gone), CHUNK):
        yield "HDEL", key, *gone[start : start + CHUNK]


def _row(keys: Keys, before: Record | None, after: Record) -> Iterator[Write]:
    row, name = after.row, after.row.id
    old = before.row if before is not None else None
    if old is None:
        yield "ZADD", keys.all, 0, name
        yield "ZADD", keys.account(row.account), 0, name
    if row is not old:
        yield from _hash(keys.row(name), _fields(before), _fields(after))
        yield from _indexes(keys, old, row)
    yield from _hash(keys.facts(name), _facts(before), _facts(after))
    yield from _hash(keys.inbox(name), _inbox(before), _inbox(after))
    waits, free = bool(after.inbox), row.owner is None
    waited = before is not None and bool(before.inbox)
    if waits != waited or (waits and old is not None and (old.owner is None) != free):
        yield "SADD" if waits else "SREM", keys.told, name
        yield "SADD" if waits and free else "SREM", keys.told_free, name
    if after.events:
        yield "RPUSH", keys.events(name), *map(event_text, after.events)


def _fields(record: Record | None) -> dict[str, str]:
    if record is None:
        return {}
    found = fields_of(record.row, record.status, record.fingerprint)
    return {name: value for name, value in found.items() if value is not None}


def _facts(record: Record | None) -> dict[str, str]:
    return {mark(*name): _kept(fact) for name, fact in record.facts.items()} if record is not None else {}


def _inbox(record: Record | None) -> dict[str, str]:
    return {str(seq): fact_text(fact) for seq, fact in record.inbox.items()} if record is not None else {}


def _kept(fact: Inboxed) -> str:
    """A fact among all that were heard: what waits is in the inbox, so here is only that it does."""
    return str(fact.seq) if fact.seq else fact_text(fact)


def _indexes(keys: Keys, old: Row | None, row: Row) -> Iterator[Write]:
    if row.owner is None and row.next_at is not None:
        yield "ZADD", keys.due, repr(row.next_at), row.id
    elif old is not None and old.owner is None and old.next_at is not None:
        yield "ZREM", keys.due, row.id
    if row.next_at is not None:
        yield "ZADD", keys.open, 0, row.id
    elif old is not None and old.next_at is not None:
        yield "ZREM", keys.open, row.id
    before = old.owner if old is not None else None
    if before != row.owner:
        if before is not None:
            yield "SREM", keys.owned(before), row.id
        if row.owner is not None:
            yield "SADD", keys.owned(row.owner), row.id
            yield "SADD", keys.owners, row.owner


def _delivery(keys: Keys, old: Delivery | None, new: Delivery | None) -> Iterator[Write]:
    one = new or old
    assert one is not None
    name, line = delivery_name(one.subject, one.no), keys.line(one.endpoint, one.subject)
    member = f"{one.endpoint}{SEPARATOR}{name}"
    if new is None:
        yield "HDEL", keys.deliveries(one.endpoint), name
    else:
        yield "HSET", keys.deliveries(one.endpoint), name, delivery_text(new)
    if new is not None and new.state == "waiting":
        yield "ZADD", keys.waiting(one.endpoint), repr(new.next_at), name
        if old is None or old.state != "waiting":
            yield "SADD", keys.posted, one.endpoint
        yield "SADD", line, one.no
    else:
        yield "ZREM", keys.waiting(one.endpoint), name
        yield "SREM", line, one.no
    if new is not None and new.state == "dead":
        yield "ZADD", keys.dead(one.endpoint), repr(new.ended_at), name
    elif old is not None and old.state == "dead":
        yield "ZREM", keys.dead(one.endpoint), name
    if new is not None and new.ended_at is not None:
        yield "ZADD", keys.ended, repr(new.ended_at), member
    else:
        yield "ZREM", keys.ended, member
