"""The rule of each verb: what it checks, in which order, and what it moves.

A rule gets a `Case` and answers with a `Ruling` or a `Denial`. It sees an account that time has already been
settled for, and knows nothing of stores, keys or replays.

Two things hold throughout. Settling an open hold for no more than the hold is never refused, whatever state
the account is in. And whatever comes in pays debt first, so that nobody owes and owns at once.
"""

from __future__ import annotations

import json
from bisect import insort
from collections.abc import Callable
from typing import Any, NamedTuple

from ledger_fortress.answers import Reason
from ledger_fortress.commands import (
    NEVER,
    Charge,
    Close,
    Command,
    Extend,
    Freeze,
    Grant,
    OpenAccount,
    Refund,
    Release,
    Reserve,
    Unfreeze,
)
from ledger_fortress.credits import LIMIT
from ledger_fortress.entries import Entry
from ledger_fortress.state import (
    CHARGED,
    CLOSED,
    FROZEN,
    OPEN,
    OWED,
    RELEASED,
    REWOUND,
    TIMED_OUT,
    Account,
    Bucket,
    Hold,
    Slice,
)

from .buckets import (
    MAX_BUCKETS,
    MAX_SLICES,
    PLACES,
    Leg,
    burn,
    legs_json,
    outstanding,
    put_back,
    refundable,
    repay,
    settle,
)
from .posting import Origin, post

REFUND_LIFE = 30 * 86_400 * 1_000_000


class Policy(NamedTuple):
    """What a team may choose.

    `refund_life`: for how many microseconds refunded credits live whose own grant has expired.
    """

    refund_life: int = REFUND_LIFE


class Case(NamedTuple):
    """What a rule looks at."""

    account: Account
    hold: Hold | None
    now: int
    origin: Origin
    policy: Policy


class Ruling(NamedTuple):
    """The account and the hold afterwards, and the entry in between."""

    account: Account
    entry: Entry
    hold: Hold | None = None


class Denial(NamedTuple):
    """Why not, and how much was asked for."""

    reason: Reason
    needed: int = 0


_NO_HOLDS = {FROZEN: Reason.FROZEN, CLOSED: Reason.CLOSED, REWOUND: Reason.REWOUND}
_GONE = {
    CHARGED: Reason.HOLD_CHARGED,
    RELEASED: Reason.HOLD_RELEASED,
    TIMED_OUT: Reason.HOLD_TIMED_OUT,
    OPEN: Reason.HOLD_OPEN,
}


def open_account(case: Case, command: OpenAccount) -> Ruling | Denial:
    if case.account.version:
        return Denial(Reason.ACCOUNT_EXISTS)
    return _mark(case, "open", OPEN)


def grant(case: Case, command: Grant) -> Ruling | Denial:
    account, now = case.account, case.now
    amount = command.amount
    if account.status == CLOSED:
        return Denial(Reason.CLOSED, amount)
    if command.expires <= now:
        return Denial(Reason.GRANT_EXPIRED, amount)
    buckets = list(account.buckets)
    if outstanding(buckets) + amount > LIMIT:
        return Denial(Reason.BALANCE_LIMIT, amount)
    effective = command.effective if command.effective > now else 0
    number = _grow(buckets, command, effective, account.version + 1)
    if number is None:
        return Denial(Reason.TOO_MANY_BUCKETS, amount)
    legs: list[Leg] = [("plan" if effective else "add", number, amount)]
    paid = 0 if effective else repay(buckets, account.debt, legs)
    deltas = (0, 0, 0) if effective else (amount - paid, 0, -paid)
    body = _canonical(
        {
            "effective": command.effective or None,
            "expires": None if command.expires == NEVER else command.expires,
            "legs": legs,
            "priority": command.priority,
            "source": command.source,
        }
    )
    due = min(account.due, command.expires, effective or NEVER)
    return Ruling(*post(account, case.origin, "grant", None, now, amount, deltas, body, tuple(buckets), due))


def reserve(case: Case, command: Reserve) -> Ruling | Denial:
    account, now = case.account, case.now
    amount, key = command.amount, command.key
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
        account, case.origin, "refund", hold.key, now, amount, deltas, _canonical(body), tuple(buckets), due
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


def freeze(case: Case, command: Freeze) -> Ruling | Denial:
    return Denial(Reason.CLOSED) if case.account.status == CLOSED else _mark(case, "freeze", FROZEN)


def unfreeze(case: Case, command: Unfreeze) -> Ruling | Denial:
    return Denial(Reason.CLOSED) if case.account.status == CLOSED else _mark(case, "unfreeze", OPEN)


def close(case: Case, command: Close) -> Ruling | Denial:
    if case.account.held:
        return Denial(Reason.STILL_HELD, case.account.held)
    return _mark(case, "close", CLOSED)


RULES: dict[type[Command], Callable[[Case, Any], Ruling | Denial]] = {
    OpenAccount: open_account,
    Grant: grant,
    Reserve: reserve,
    Charge: charge,
    Release: release,
    Refund: refund,
    Extend: extend,
    Freeze: freeze,
    Unfreeze: unfreeze,
    Close: close,
}


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


def _mark(case: Case, kind: str, status: str) -> Ruling:
    return Ruling(
        *post(case.account, case.origin, kind, None, case.now, 0, (0, 0, 0), '{"legs":[]}', status=status)
    )


def _grow(buckets: list[Bucket], command: Grant, effective: int, version: int) -> int | None:
    """Add a grant to the bucket that is just like it, or make one. Returns its number; None: too many."""
    for place, bucket in enumerate(buckets):
        same = bucket.priority == command.priority and bucket.expires == command.expires
        if same and bucket.source == command.source and bucket.effective == effective:
            buckets[place] = bucket._replace(available=bucket.available + command.amount)
            return bucket.id
    if len(buckets) >= MAX_BUCKETS:
        return None
    number = version * PLACES
    insort(
        buckets,
        Bucket(command.priority, command.expires, number, command.source, effective, command.amount, 0),
    )
    return number


def _canonical(body: dict[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
