"""Moving credits between buckets.

Every movement is a *leg*: an operation, a bucket and an amount. Legs are what entries carry and what the
auditor replays.

    add    outside → available      hold   available → held       take    available → spent
    plan   outside → waiting        use    held → spent           repay   available → debt
    wake   waiting → available      back   held → available       lapse   available → expired
    owe    outside → debt         late   held → expired           void   available → ended early
                                                                  drop   waiting → ended early

Spending goes through the buckets in burn order. Giving back unwinds the slices that were taken, from the last
to the first, so that reserving and releasing leaves every bucket exactly as it was. What comes back to a
bucket that has expired meanwhile expires with it. Whatever comes in pays debt first.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from typing import Final, TypeAlias

from ledger_fortress.commands import NEVER
from ledger_fortress.state import OWED, Bucket, Slice
from ledger_fortress.tuples import new

MAX_BUCKETS: Final = 1_000
MAX_SLICES: Final = 64
PLACES: Final = 1_024
"""Bucket numbers are the version of the entry that made them times this, plus a place within that entry."""

Leg: TypeAlias = tuple[str, int, int]


def legs_json(legs: Iterable[Leg]) -> str:
    """Legs as canonical JSON."""
    return "[" + ",".join([f'["{op}",{number},{amount}]' for op, number, amount in legs]) + "]"


def burn(buckets: list[Bucket], amount: int, legs: list[Leg], *, into_hold: bool) -> list[Slice]:
    """Take `amount` out of what is available, in burn order; the caller has checked that there is enough.

    `into_hold` keeps it in the bucket as held; otherwise it leaves and an emptied bucket disappears.
    """
    slices: list[Slice] = []
    op = "hold" if into_hold else "take"
    for place, bucket in enumerate(buckets):
        priority, expires, number, source, effective, available, held = bucket
        if available == 0 or effective:
            continue
        part = available if available < amount else amount
        kept = held + part if into_hold else held
        buckets[place] = new(Bucket, (priority, expires, number, source, 0, available - part, kept))
        slices.append(new(Slice, (number, part, priority, expires, source)))
        legs.append((op, number, part))
        amount -= part
        if amount == 0:
            break
    if not into_hold:
        drop_empty(buckets)
    return slices


def burn_from(buckets: list[Bucket], number: int, amount: int, legs: list[Leg]) -> list[Slice]:
    """Take up to `amount` out of one bucket, whether its credits are available or still wait."""
    place = _find(buckets, number)
    if place is None:
        return []
    bucket = buckets[place]
    part = min(bucket.available, amount)
    if part == 0:
        return []
    buckets[place] = bucket._replace(available=bucket.available - part)
    legs.append(("drop" if bucket.effective else "take", number, part))
    drop_empty(buckets)
    return [Slice(number, part, bucket.priority, bucket.expires, bucket.source)]


def collect(
    buckets: list[Bucket], available: int, amount: int, legs: list[Leg], owed_as: Slice
) -> tuple[list[Slice], int]:
    """Take `amount` out of what is available and owe the rest, as `owed_as`. Returns what is owed."""
    taken = min(available, amount)
    slices = burn(buckets, taken, legs, into_hold=False) if taken else []
    owed = amount - taken
    if owed:
        legs.append(("owe", OWED, owed))
        slices.append(owed_as._replace(amount=owed))
    return slices, owed


def settle(buckets: list[Bucket], slices: tuple[Slice, ...], charged: int, now: int, legs: list[Leg]) -> int:
    """End a hold: spend its first `charged` credits, give the rest back. Returns what became available."""
    returned = 0
    left = charged
    for number, amount, _, _, _ in slices:
        used = amount if amount <= left else left
        left -= used
        back = amount - used
        place = _place(buckets, number)
        priority, expires, _, source, effective, available, held = buckets[place]
        alive = expires > now
        if used:
            legs.append(("use", number, used))
        if back:
            legs.append(("back" if alive else "late", number, back))
        if alive:
            available += back
            returned += back
        buckets[place] = new(Bucket, (priority, expires, number, source, effective, available, held - amount))
    drop_empty(buckets)
    return returned


def repay(buckets: list[Bucket], debt: int, legs: list[Leg]) -> int:
    """Pay debt with whatever is available, in burn order. Returns how much was paid."""
    paid = 0
    if debt == 0:
        return 0
    for place, bucket in enumerate(buckets):
        if bucket.available == 0 or bucket.effective:
            continue
        part = min(bucket.available, debt - paid)
        buckets[place] = bucket._replace(available=bucket.available - part)
        legs.append(("repay", bucket.id, part))
        paid += part
        if paid == debt:
            break
    drop_empty(buckets)
    return paid


def refundable(slices: tuple[Slice, ...], spent: int, amount: int) -> list[Slice]:
    """The last `amount` of the first `spent` of a hold's slices, last one first."""
    parts: list[Slice] = []
    start = 0
    low, high = spent - amount, spent
    for piece in slices:
        end = start + piece.amount
        part = min(end, high) - max(start, low)
        if part > 0:
            parts.append(piece._replace(amount=part))
        start = end
    parts.reverse()
    return parts


def put_back(
    buckets: list[Bucket],
    parts: list[Slice],
    version: int,
    now: int,
    life: int,
    legs: list[Leg],
    waiting: tuple[int, int] = (OWED, 0),
) -> tuple[list[Bucket], int]:
    """Return spent slices to their buckets, making again those that are gone.

    A slice of an expired bucket gets a new one of the same priority and source that lives for `life`, and so
    does one that was owed, unless it says how long it lives; slices alike share one. `waiting` is a bucket
    that had not begun when it was emptied, and when it does. Returns the new buckets and how much of it all
    became available: what goes back to a bucket that still waits does not.
    """
    fresh: dict[tuple[int, int, str | None], Bucket] = {}
    came = 0
    for number, amount, priority, expires, source in parts:
        if number == OWED or expires <= now:
            same = priority, expires if expires > now else now + life, source
            bucket = fresh.get(same) or Bucket(*same[:2], version * PLACES + len(fresh), source, 0, 0, 0)
            fresh[same] = bucket._replace(available=bucket.available + amount)
            legs.append(("add", bucket.id, amount))
            came += amount
            continue
        place = _find(buckets, number)
        begins = waiting[1] if number == waiting[0] and waiting[1] > now else 0
        waits = begins if place is None else buckets[place].effective
        legs.append(("plan" if waits else "add", number, amount))
        came += 0 if waits else amount
        if place is None:
            insort(buckets, Bucket(priority, expires, number, source, begins, amount, 0))
        else:
            bucket = buckets[place]
            buckets[place] = bucket._replace(available=bucket.available + amount)
    for bucket in fresh.values():
        insort(buckets, bucket)
    return list(fresh.values()), came


def outstanding(buckets: Iterable[Bucket]) -> int:
    """Everything that the buckets hold, waiting credits included."""
    return sum(bucket.available + bucket.held for bucket in buckets)


def next_change(buckets: Iterable[Bucket], now: int) -> int:
    """The next instant after `now` at which a bucket becomes effective or expires."""
    due = NEVER
    for bucket in buckets:
        if bucket.effective:
            due = min(due, bucket.effective)
        if bucket.expires > now:
            due = min(due, bucket.expires)
    return due


def drop_empty(buckets: list[Bucket]) -> None:
    """Forget buckets with nothing in them, in place."""
    for bucket in buckets:
        if bucket.available == 0 and bucket.held == 0:
            buckets[:] = [b for b in buckets if b.available or b.held]
            return


def _find(buckets: list[Bucket], number: int) -> int | None:
    for place, bucket in enumerate(buckets):
        if bucket[2] == number:
            return place
    return None


def _place(buckets: list[Bucket], number: int) -> int:
    place = _find(buckets, number)
    assert place is not None, f"bucket {number} of an open hold is missing"  # a bucket stays while it is held
    return place
