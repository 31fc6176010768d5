"""What time alone does to an account.

The first step of every decision: everything that fell due up to `now` happens at its own instant, in the
order (time, kind, place): a waiting grant becomes effective, a bucket's unspent credits expire, a hold whose
timeout says `release` is given back. Grants that begin at one instant begin together and then pay debt, in
burn order. Expired means gone at the instant itself: a bucket may be spent in [effective, expires). Of a
grant that rolls over, part of the rest moves to a new bucket at that same instant.

Reads do the same in memory and write nothing, so that what a reader sees never depends on whether somebody
happened to write first.
"""

from __future__ import annotations

from bisect import insort
from typing import Any, TypeAlias

from ledger_fortress.commands import NEVER
from ledger_fortress.entries import Entry, canonical
from ledger_fortress.state import TIMED_OUT, Account, Bucket, Due, Hold, Terms

from .buckets import PLACES, Leg, drop_empty, legs_json, next_change, repay, settle
from .posting import TIME, post

Matured: TypeAlias = tuple[Account, list[Entry], list[Hold]]
_Event: TypeAlias = tuple[int, str, int, Hold | None]


def mature(account: Account, due: Due, now: int) -> Matured:
    """The account at `now`, with the entries and the holds that time has changed."""
    entries: list[Entry] = []
    holds: list[Hold] = []
    events = _events(account, due, now)
    for at, kind, _, hold in events:
        at = max(at, account.at)  # a clock that went backwards never writes before the last entry
        if hold is not None:
            account, entry, changed = _time_out(account, hold, at)
            holds.append(changed)
        elif kind == "activate":
            moved = _wake(account, at)
            if moved is None:
                continue
            account, entry = moved
        else:
            expired = _expire(account, at)
            if expired is None:
                continue
            account, entry, fresh = expired
            for bucket in fresh:
                if bucket.expires <= now:  # rolled over, and that time is over too
                    insort(events, (bucket.expires, "expire", bucket.id, None), key=_order)
        entries.append(entry)
    next_due = min(next_change(account.buckets, now), due.next_deadline)
    return account._replace(due=next_due), entries, holds


def _order(event: _Event) -> tuple[int, str, int]:
    return event[:3]


def _events(account: Account, due: Due, now: int) -> list[_Event]:
    events: list[_Event] = []
    for bucket in account.buckets:
        if bucket.effective and bucket.effective <= now:
            events.append((bucket.effective, "activate", bucket.id, None))
        if bucket.expires <= now:
            events.append((bucket.expires, "expire", bucket.id, None))
    for hold in due.holds:
        if hold.deadline <= now and not hold.is_open(now):
            events.append((hold.deadline, "timeout", hold.version, hold))
    events.sort(key=_order)
    return events


def _wake(account: Account, at: int) -> tuple[Account, Entry] | None:
    legs: list[Leg] = []
    woken = 0
    buckets: list[Bucket] = []
    for bucket in account.buckets:
        if bucket.effective and bucket.effective <= at:
            legs.append(("wake", bucket.id, bucket.available))
            woken += bucket.available
            bucket = bucket._replace(effective=0)
        buckets.append(bucket)
    if woken == 0:
        return None
    paid = repay(buckets, account.debt, legs)
    body = f'{{"legs":{legs_json(legs)}}}'
    deltas = (woken - paid, 0, -paid)
    return post(account, TIME, "activate", None, at, woken, deltas, body, tuple(buckets))


def _expire(account: Account, at: int) -> tuple[Account, Entry, list[Bucket]] | None:
    """What is unspent lapses; returns the buckets that what rolls over has moved to."""
    legs: list[Leg] = []
    gone = kept = 0
    buckets: list[Bucket] = []
    fresh: list[Bucket] = []
    rolls = {roll.bucket: roll for roll in account.terms.rolls}
    for bucket in account.buckets:
        if bucket.expires <= at and bucket.available and not bucket.effective:
            legs.append(("lapse", bucket.id, bucket.available))
            gone += bucket.available
            roll = rolls.get(bucket.id)
            if roll is not None:
                part = min(roll.cap, bucket.available)
                number = (account.version + 1) * PLACES + len(fresh)
                ends = bucket.expires + roll.life
                fresh.append(Bucket(bucket.priority, ends, number, bucket.source, 0, part, 0))
                kept += part
            bucket = bucket._replace(available=0)
        buckets.append(bucket)
    if gone == 0:
        return None
    drop_empty(buckets)
    legs.extend(("add", bucket.id, bucket.available) for bucket in fresh)
    for bucket in fresh:
        insort(buckets, bucket)
    body: dict[str, Any] = {"legs": legs}
    if fresh:
        body["buckets"] = [[b.id, b.priority, b.expires, b.source] for b in fresh]
    terms: Terms | None = None
    if rolls:
        terms = account.terms._replace(rolls=tuple(r for r in account.terms.rolls if r.expires > at))
    after, entry = post(
        account, TIME, "expire", None, at, gone, (kept - gone, 0, 0), canonical(body), tuple(buckets),
        None, None, terms,
    )  # fmt: skip
    return after, entry, fresh


def _time_out(account: Account, hold: Hold, at: int) -> tuple[Account, Entry, Hold]:
    legs: list[Leg] = []
    buckets = list(account.buckets)
    back = settle(buckets, hold.slices, 0, at, legs)
    paid = repay(buckets, account.debt, legs)
    deltas = (back - paid, -hold.amount, -paid)
    body = f'{{"legs":{legs_json(legs)}}}'
    after, entry = post(account, TIME, "timeout", hold.key, at, hold.amount, deltas, body, tuple(buckets))
    return after, entry, hold._replace(state=TIMED_OUT)


def matured(account: Account, due: Due, now: int) -> tuple[Account, dict[str, Hold]]:
    """For readers: the account at `now` and the holds that time has closed, by key."""
    now = max(now, account.at)
    if account.due > now or account.due == NEVER:
        return account, {}
    account, _, holds = mature(account, due, now)
    return account, {hold.key: hold for hold in holds}
