"""Holding credits, giving them back, letting a hold stand for longer.

Settling an open hold for no more than the hold is never refused, whatever state the account is in: the work
is done and somebody has to pay for it. That is why these rules look at the account's status only where a new
hold begins.
"""

from __future__ import annotations

import json

from ledger_fortress.answers import Reason
from ledger_fortress.commands import Extend, Release, Reserve
from ledger_fortress.state import CHARGED, OPEN, RELEASED, Hold, Member
from ledger_fortress.tuples import new

from .buckets import MAX_SLICES, Leg, burn, legs_json, repay, settle
from .cases import GONE, NO_HOLDS, Case, Denial, Ruling
from .members import counted, member_of, rolled
from .posting import post


def reserve(case: Case, command: Reserve) -> Ruling | Denial:
    account, now = case.account, case.now
    amount, key = command.amount, command.key
    if case.hold is not None:  # the late charge of an unknown hold came before its reserve: paid is paid
        return Denial(GONE[case.hold.state], amount)
    if account.status != OPEN:
        return Denial(NO_HOLDS[account.status], amount)
    if account.available < amount:
        return Denial(Reason.INSUFFICIENT, amount)
    member: Member | None = None
    if command.member is not None:
        member = _limited(case, command.member, amount)
        if member is not None and member.cap is not None and member.spent + member.held > member.cap:
            return Denial(Reason.MEMBER_LIMIT, amount)
    buckets = list(account.buckets)
    legs: list[Leg] = []
    slices = tuple(burn(buckets, amount, legs, into_hold=True))
    if len(slices) > MAX_SLICES:
        return Denial(Reason.TOO_MANY_BUCKETS, amount)
    deadline = now + command.timeout
    window = 0 if member is None else member.number
    body = _reserve_body(command, deadline, legs, window)
    due = min(account.due, deadline) if command.on_timeout == "release" else account.due
    after, entry = post(
        account, case.origin, "reserve", key, now, amount, (-amount, amount, 0), body, tuple(buckets), due
    )
    hold = new(Hold, (
        account.account, key, OPEN, deadline, command.on_timeout, after.version, now, amount, 0, 0,
        command.member, window, slices,
    ))  # fmt: skip
    return new(Ruling, (after, entry, hold, member, None))


def release(case: Case, command: Release) -> Ruling | Denial:
    hold = case.hold
    if hold is None:
        return Denial(Reason.UNKNOWN_HOLD)
    if hold.state != OPEN:
        return Denial(GONE[hold.state], hold.amount)
    return settled(case, "release", hold, 0)


def extend(case: Case, command: Extend) -> Ruling | Denial:
    hold = case.hold
    if hold is None:
        return Denial(Reason.UNKNOWN_HOLD)
    if hold.state != OPEN:
        return Denial(GONE[hold.state], hold.amount)
    deadline = max(hold.deadline, case.now + command.timeout)
    body = f'{{"deadline":{deadline},"legs":[]}}'
    after, entry = post(case.account, case.origin, "extend", hold.key, case.now, 0, (0, 0, 0), body)
    return Ruling(after, entry, hold._replace(deadline=deadline))


def settled(case: Case, kind: str, hold: Hold, charged: int) -> Ruling:
    """End an open hold: `charged` of it is spent, the rest goes back."""
    account, now = case.account, case.now
    buckets = list(account.buckets)
    legs: list[Leg] = []
    back = settle(buckets, hold.slices, charged, now, legs)
    paid = repay(buckets, account.debt, legs)
    amount = charged if kind == "charge" else hold.amount
    body = f'{{"legs":{legs_json(legs)}}}'
    deltas = (back - paid, -hold.amount, -paid)
    after, entry = post(account, case.origin, kind, hold.key, now, amount, deltas, body, tuple(buckets))
    state = CHARGED if kind == "charge" else RELEASED
    closed = new(Hold, (*hold[:2], state, *hold[3:8], charged, 0, *hold[10:]))
    return new(Ruling, (after, entry, closed, counted(case, hold, -hold.amount, charged), None))


def _limited(case: Case, name: str, amount: int) -> Member | None:
    """The member's row as it would be with `amount` more held; None: nobody watches this member."""
    row = member_of(case, name)
    if row is None:
        return None
    row = rolled(row, case.now, case.account.version + 1)
    return row._replace(held=row.held + amount)


def _reserve_body(command: Reserve, deadline: int, legs: list[Leg], window: int) -> str:
    member = "" if command.member is None else f'"member":{json.dumps(command.member, ensure_ascii=False)},'
    number = f',"window":{window}' if window else ""
    return (
        f'{{"deadline":{deadline},"legs":{legs_json(legs)},{member}'
        f'"on_timeout":"{command.on_timeout}"{number}}}'
    )
