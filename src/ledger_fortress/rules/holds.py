"""Holding credits and settling holds.

Settling an open hold for no more than the hold is never refused, whatever state the account is in: the work
is done and somebody has to pay for it. That is why these rules look at the account's status only where a new
hold begins.
"""

from __future__ import annotations

import json
from typing import Any

from ledger_fortress.answers import Reason
from ledger_fortress.commands import NEVER, Charge, Extend, Refund, Release, Reserve
from ledger_fortress.credits import LIMIT
from ledger_fortress.state import (
    CHARGED,
    CLOSED,
    FROZEN,
    OPEN,
    OWED,
    RELEASED,
    REWOUND,
    TIMED_OUT,
    Hold,
    Slice,
)

from .buckets import (
    MAX_BUCKETS,
    MAX_SLICES,
    Leg,
    burn,
    legs_json,
    outstanding,
    put_back,
    refundable,
    repay,
    settle,
)
from .cases import Case, Denial, Ruling, canonical
from .posting import post

_NO_HOLDS = {FROZEN: Reason.FROZEN, CLOSED: Reason.CLOSED, REWOUND: Reason.REWOUND}
_GONE = {
    CHARGED: Reason.HOLD_CHARGED,
    RELEASED: Reason.HOLD_RELEASED,
    TIMED_OUT: Reason.HOLD_TIMED_OUT,
    OPEN: Reason.HOLD_OPEN,
}


def reserve(case: Case, command: Reserve) -> Ruling | Denial:
    account, now = case.account, case.now
    amount, key = command.amount, command.key
    if case.hold is not None:  # the late charge of an unknown hold came before its reserve: paid is paid
        return Denial(_GONE[case.hold.state], amount)
    if account.status != OPEN:
        return Denial(_NO_HOLDS[account.status], amount)
    if account.available < amount:
        return Denial(Reason.INSUFFICIENT, amount)
    buckets = list(account.buckets)
    legs: list[Leg] = []
    slices = tuple(burn(buckets, amount, legs, into_hold=True))
    if len(slices) > MAX_SLICES:
        return Denial(Reason.TOO_MANY_BUCKETS, amount)
    deadline = now + command.timeout
    member = "" if command.member is None else f'"member":{json.dumps(command.member, ensure_ascii=False)},'
    body = f'{{"deadline":{deadline},"legs":{legs_json(legs)},{member}"on_timeout":"{command.on_timeout}"}}'
    due = min(account.due, deadline) if command.on_timeout == "release" else account.due
    after, entry = post(
        account, case.origin, "reserve", key, now, amount, (-amount, amount, 0), body, tuple(buckets), due
    )
    hold = Hold(
        account.account, key, OPEN, deadline, command.on_timeout, after.version, now, amount, 0, 0,
        command.member, slices,
    )  # fmt: skip
    return Ruling(after, entry, hold)


def charge(case: Case, command: Charge) -> Ruling | Denial:
    hold = case.hold
    asked = command.amount
    if hold is not None and hold.state == OPEN:
        amount = hold.amount if asked is None else asked
        if amount > hold.amount:
            return Denial(Reason.EXCEEDS_HOLD, amount)
        return _settle(case, "charge", hold, amount)
    if hold is not None and hold.state == CHARGED:
        return Denial(Reason.HOLD_CHARGED, asked or 0)
    owed = asked if asked is not None else hold.amount if hold is not None else None
    if command.on_missing == "debt" and owed is not None:
        return _charge_late(case, command.hold, owed)
    return Denial(Reason.UNKNOWN_HOLD if hold is None else _GONE[hold.state], owed or 0)


def release(case: Case, command: Release) -> Ruling | Denial:
    hold = case.hold
    if hold is None:
        return Denial(Reason.UNKNOWN_HOLD)
    if hold.state != OPEN:
        return Denial(_GONE[hold.state], hold.amount)
    return _settle(case, "release", hold, 0)


def refund(case: Case, command: Refund) -> Ruling | Denial:
    account, hold, now = case.account, case.hold, case.now
    if hold is None:
        return Denial(Reason.UNKNOWN_HOLD, command.amount or 0)
    if hold.state != CHARGED:
        return Denial(_GONE[hold.state], command.amount or hold.amount)
    spent = hold.charged - hold.refunded
    amount = spent if command.amount is None else command.amount
    if amount == 0 or amount > spent:
        return Denial(Reason.EXCEEDS_CHARGE, amount)
    buckets = list(account.buckets)
    if outstanding(buckets) + amount > LIMIT:
        return Denial(Reason.BALANCE_LIMIT, amount)
    legs: list[Leg] = []
    parts = refundable(hold.slices, spent, amount)
    fresh = put_back(buckets, parts, account.version + 1, now, case.policy.refund_life, legs)
    if len(buckets) > MAX_BUCKETS:
        return Denial(Reason.TOO_MANY_BUCKETS, amount)
    paid = repay(buckets, account.debt, legs)
    body: dict[str, Any] = {"legs": legs}
    if fresh:
        body["buckets"] = [[b.id, b.priority, b.expires, b.source] for b in fresh]
    due = min(
        [account.due, *(part.expires for part in parts if part.expires > now), *(b.expires for b in fresh)]
    )
    deltas = (amount - paid, 0, -paid)
    after, entry = post(
        account, case.origin, "refund", hold.key, now, amount, deltas, canonical(body), tuple(buckets), due
    )
    return Ruling(after, entry, hold._replace(refunded=hold.refunded + amount))


def extend(case: Case, command: Extend) -> Ruling | Denial:
    hold = case.hold
    if hold is None:
        return Denial(Reason.UNKNOWN_HOLD)
    if hold.state != OPEN:
        return Denial(_GONE[hold.state], hold.amount)
    deadline = max(hold.deadline, case.now + command.timeout)
    body = f'{{"deadline":{deadline},"legs":[]}}'
    after, entry = post(case.account, case.origin, "extend", hold.key, case.now, 0, (0, 0, 0), body)
    return Ruling(after, entry, hold._replace(deadline=deadline))


def _settle(case: Case, kind: str, hold: Hold, charged: int) -> Ruling:
    account, now = case.account, case.now
    buckets = list(account.buckets)
    legs: list[Leg] = []
    back = settle(buckets, hold.slices, charged, now, legs)
    paid = repay(buckets, account.debt, legs)
    amount = charged if kind == "charge" else hold.amount
    body = f'{{"legs":{legs_json(legs)}}}'
    deltas = (back - paid, -hold.amount, -paid)
    after, entry = post(account, case.origin, kind, hold.key, now, amount, deltas, body, tuple(buckets))
    closed = Hold(
        hold.account, hold.key, CHARGED if kind == "charge" else RELEASED, hold.deadline, hold.on_timeout,
        hold.version, hold.at, hold.amount, charged, 0, hold.member, hold.slices,
    )  # fmt: skip
    return Ruling(after, entry, closed)


def _charge_late(case: Case, key: str, amount: int) -> Ruling | Denial:
    """Charge without a hold: what is available pays first, the rest becomes debt."""
    account, now = case.account, case.now
    taken = min(account.available, amount)
    owed = amount - taken
    if account.debt + owed > LIMIT:
        return Denial(Reason.BALANCE_LIMIT, amount)
    buckets = list(account.buckets)
    legs: list[Leg] = []
    slices = burn(buckets, taken, legs, into_hold=False) if taken else []
    if owed:
        legs.append(("owe", OWED, owed))
        slices.append(Slice(OWED, owed, 0, NEVER, "refund"))
    body = f'{{"late":true,"legs":{legs_json(legs)}}}'
    after, entry = post(
        account, case.origin, "charge", key, now, amount, (-taken, 0, owed), body, tuple(buckets)
    )
    old = case.hold
    hold = Hold(
        account.account, key, CHARGED, old.deadline if old else now, old.on_timeout if old else "report",
        old.version if old else after.version, old.at if old else now, old.amount if old else amount,
        amount, 0, old.member if old else None, tuple(slices),
    )  # fmt: skip
    return Ruling(after, entry, hold)
