"""Charging holds, also for more than they have and after they are gone, and refunding charges.

A charge within its hold is never refused. Beyond that the ledger's policy decides who pays, and whatever
stays unpaid, or was charged without an open hold, is reported as a notice that `reconcile()` lists.
"""

from __future__ import annotations

from typing import Any

from ledger_fortress.answers import Reason
from ledger_fortress.commands import Charge, Refund
from ledger_fortress.credits import LIMIT
from ledger_fortress.entries import canonical
from ledger_fortress.state import CHARGED, OPEN, OWED, RELEASED, TIMED_OUT, Hold, Slice

from .buckets import MAX_BUCKETS, Leg, collect, outstanding, put_back, refundable, repay, settle
from .cases import GONE, Case, Denial, Ruling
from .holds import settled
from .members import counted
from .posting import post

_OWED_CHARGE = Slice(OWED, 0, 0, 0, "refund")


def charge(case: Case, command: Charge) -> Ruling | Denial:
    hold = case.hold
    asked = command.amount
    if hold is not None and hold.state == OPEN:
        amount = hold.amount if asked is None else asked
        return settled(case, "charge", hold, amount) if amount <= hold.amount else _over(case, hold, amount)
    if hold is not None and hold.state not in (RELEASED, TIMED_OUT):
        return Denial(GONE[hold.state], asked or 0)
    amount = asked if asked is not None else hold.amount if hold is not None else 0
    if hold is None and asked is None:
        return Denial(Reason.UNKNOWN_HOLD)  # nobody has said how much
    choice = command.on_missing or ("refuse" if hold is None else case.policy.late_charge)
    if choice == "debt":
        return _late(case, command.hold, amount)
    if hold is None:
        return Denial(Reason.UNKNOWN_HOLD, amount)
    reason = GONE[hold.state]
    told = {"amount": amount, "hold": hold.key, "reason": reason.value}
    return Denial(reason, amount, (("late_refused", told),) if amount else ())


def refund(case: Case, command: Refund) -> Ruling | Denial:
    hold = case.hold
    if hold is None:
        return Denial(Reason.UNKNOWN_HOLD, command.amount or 0)
    if hold.state != CHARGED:
        return Denial(GONE[hold.state], command.amount or hold.amount)
    spent = hold.charged - hold.refunded
    amount = spent if command.amount is None else command.amount
    if amount == 0 or amount > spent:
        return Denial(Reason.EXCEEDS_CHARGE, amount)
    ruling = returned(case, "refund", hold, refundable(hold.slices, spent, amount), amount)
    if isinstance(ruling, Denial):
        return ruling
    refunded = hold._replace(refunded=hold.refunded + amount)
    return ruling._replace(hold=refunded, member=counted(case, hold, 0, -amount))


def returned(
    case: Case,
    kind: str,
    hold: Hold,
    parts: list[Slice],
    amount: int,
    waiting: tuple[int, int] = (OWED, 0),
) -> Ruling | Denial:
    """Put slices that were taken back where they came from, debt first."""
    account, now = case.account, case.now
    buckets = list(account.buckets)
    if outstanding(buckets) + amount > LIMIT:
        return Denial(Reason.BALANCE_LIMIT, amount)
    legs: list[Leg] = []
    fresh, came = put_back(buckets, parts, account.version + 1, now, case.policy.refund_life, legs, waiting)
    if len(buckets) > MAX_BUCKETS:
        return Denial(Reason.TOO_MANY_BUCKETS, amount)
    paid = repay(buckets, account.debt, legs)
    body: dict[str, Any] = {"legs": legs}
    if fresh:
        body["buckets"] = [[b.id, b.priority, b.expires, b.source] for b in fresh]
    due = min(
        [account.due, *(part.expires for part in parts if part.expires > now), *(b.expires for b in fresh)]
    )
    if waiting[1] > now:
        due = min(due, waiting[1])
    deltas = (came - paid, 0, -paid)
    after, entry = post(
        account, case.origin, kind, hold.key, now, amount, deltas, canonical(body), tuple(buckets), due
    )
    return Ruling(after, entry)


def _over(case: Case, hold: Hold, asked: int) -> Ruling | Denial:
    """Charge more than the hold has: all of it, and of the rest what the policy allows."""
    account, policy = case.account, case.policy.over_charge
    extra = asked - hold.amount
    if policy == "refuse" or (policy == "debt" and account.debt + extra > LIMIT):
        return Denial(Reason.EXCEEDS_HOLD, asked)
    if policy == "cap":
        extra = 0
    elif policy == "available":
        extra = min(extra, account.available)
    buckets = list(account.buckets)
    legs: list[Leg] = []
    settle(buckets, hold.slices, hold.amount, case.now, legs)
    more, owed = collect(buckets, account.available, extra, legs, _OWED_CHARGE)
    charged = hold.amount + extra
    body: dict[str, Any] = {"asked": asked, "legs": legs}
    if charged < asked:
        body["notices"] = [["short_charge", {"asked": asked, "charged": charged, "hold": hold.key}]]
    deltas = (owed - extra, -hold.amount, owed)
    after, entry = post(
        account, case.origin, "charge", hold.key, case.now, charged, deltas, canonical(body), tuple(buckets)
    )
    closed = hold._replace(state=CHARGED, charged=charged, slices=(*hold.slices, *more))
    return Ruling(after, entry, closed, counted(case, hold, -hold.amount, charged))


def _late(case: Case, key: str, amount: int) -> Ruling | Denial:
    """Charge without a hold: what is available pays first, the rest becomes debt."""
    account, now, old = case.account, case.now, case.hold
    buckets = list(account.buckets)
    legs: list[Leg] = []
    slices, owed = collect(buckets, account.available, amount, legs, _OWED_CHARGE)
    if account.debt + owed > LIMIT:
        return Denial(Reason.BALANCE_LIMIT, amount)
    body: dict[str, Any] = {"late": True, "legs": legs}
    if amount:
        body["notices"] = [["late_charge", {"amount": amount, "hold": key, "owed": owed}]]
    after, entry = post(
        account, case.origin, "charge", key, now, amount, (owed - amount, 0, owed), canonical(body),
        tuple(buckets),
    )  # fmt: skip
    hold = Hold(
        account.account, key, CHARGED, old.deadline if old else now, old.on_timeout if old else "report",
        old.version if old else after.version, old.at if old else now, old.amount if old else amount,
        amount, 0, old.member if old else None, old.window if old else 0, tuple(slices),
    )  # fmt: skip
    return Ruling(after, entry, hold, counted(case, hold, 0, amount))
