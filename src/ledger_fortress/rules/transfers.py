"""Moving credits from one account to another.

What moves are slices of buckets, with their priority, source and expiry, so that a transfer makes nothing
live longer and nothing burn later. Both entries are written in one commit and name each other, each at its
own account's time; where the clock has gone back in between, what is over by the other account's time cannot
arrive there. What arrives pays the other account's debt first.
"""

from __future__ import annotations

from bisect import insort

from ledger_fortress.answers import Reason
from ledger_fortress.commands import Transfer
from ledger_fortress.credits import LIMIT
from ledger_fortress.entries import Entry, canonical
from ledger_fortress.state import CLOSED, OPEN, Account, Bucket, Hold, Member, Slice

from .buckets import MAX_BUCKETS, MAX_SLICES, PLACES, Leg, burn, outstanding, repay
from .cases import NO_HOLDS, Case, Denial, Far, Ruling
from .mature import mature
from .members import freed
from .posting import TIME, post


def transfer(case: Case, command: Transfer) -> Ruling | Denial:
    account, amount = case.account, command.amount
    if account.status != OPEN:
        return Denial(NO_HOLDS[account.status], amount)
    if account.available < amount:
        return Denial(Reason.INSUFFICIENT, amount)
    far = case.view.account(command.to)
    if far is None:
        return Denial(Reason.UNKNOWN_TARGET, amount)
    entries: list[Entry] = []
    holds: list[Hold] = []
    now = max(case.clock, far.at)
    if far.due <= now:
        far, entries, holds = mature(far, case.view.due(command.to), now)
    members = freed(case.view, holds)
    buckets = list(account.buckets)
    legs: list[Leg] = []
    slices = burn(buckets, amount, legs, into_hold=False)
    if len(slices) > MAX_SLICES:
        return Denial(Reason.TOO_MANY_BUCKETS, amount)
    if min(piece.expires for piece in slices) <= now:
        return Denial(Reason.GRANT_EXPIRED, amount)
    arrived = _arrive(case, far, slices, amount, now)
    if isinstance(arrived, Denial):
        return arrived
    body = canonical({"legs": legs, "to": command.to, "version": arrived[0].version})
    after, entry = post(
        account, case.origin, "transfer_out", None, case.now, amount, (-amount, 0, 0), body, tuple(buckets)
    )
    other = Far(arrived[0], [*entries, arrived[1]], holds, list[Member](members.values()))
    return Ruling(after, entry, far=other)


def _arrive(
    case: Case, far: Account, slices: list[Slice], amount: int, now: int
) -> tuple[Account, Entry] | Denial:
    if far.status == CLOSED:
        return Denial(Reason.TARGET_CLOSED, amount)
    buckets = list(far.buckets)
    if outstanding(buckets) + amount > LIMIT:
        return Denial(Reason.BALANCE_LIMIT, amount)
    rolling = {roll.bucket for roll in far.terms.rolls}
    legs: list[Leg] = []
    fresh: list[list[object]] = []
    due = far.due
    for piece in slices:
        place = _alike(buckets, piece, rolling)
        if place is None:
            number = (far.version + 1) * PLACES + len(fresh)
            fresh.append([number, piece.priority, piece.expires, piece.source])
            insort(buckets, Bucket(piece.priority, piece.expires, number, piece.source, 0, piece.amount, 0))
            due = min(due, piece.expires)
        else:
            bucket = buckets[place]
            number = bucket.id
            buckets[place] = bucket._replace(available=bucket.available + piece.amount)
        legs.append(("add", number, piece.amount))
    if len(buckets) > MAX_BUCKETS:
        return Denial(Reason.TOO_MANY_BUCKETS, amount)
    paid = repay(buckets, far.debt, legs)
    body = canonical(
        {"buckets": fresh, "from": case.account.account, "legs": legs, "version": case.account.version + 1}
    )
    origin = TIME._replace(link=case.origin.link)
    deltas = (amount - paid, 0, -paid)
    return post(far, origin, "transfer_in", None, now, amount, deltas, body, tuple(buckets), due)


def _alike(buckets: list[Bucket], piece: Slice, rolling: set[int]) -> int | None:
    wanted = piece.priority, piece.expires, piece.source, 0
    for place, bucket in enumerate(buckets):
        same = (bucket.priority, bucket.expires, bucket.source, bucket.effective) == wanted
        if same and bucket.id not in rolling:
            return place
    return None
