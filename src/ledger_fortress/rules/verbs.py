"""The rule of each verb: what it checks, in which order, and what it moves.

A rule gets a `Case` and answers with a `Ruling` or a `Denial`. It sees an account that time has already been
settled for, and knows nothing of stores, keys or replays.

Two things hold throughout. Settling an open hold for no more than the hold is never refused, whatever state
the account is in. And whatever comes in pays debt first, so that nobody owes and owns at once.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from typing import Any, Final

from ledger_fortress.answers import Reason
from ledger_fortress.commands import (
    NEVER,
    Charge,
    Clawback,
    Close,
    Command,
    Dispute,
    DisputeLost,
    DisputeWon,
    Expire,
    Extend,
    Freeze,
    Grant,
    OpenAccount,
    Refund,
    Release,
    Reserve,
    SetAlert,
    SetMember,
    Transfer,
    Unfreeze,
)
from ledger_fortress.credits import LIMIT
from ledger_fortress.entries import canonical
from ledger_fortress.state import CLOSED, FROZEN, OPEN, Alert, Bucket, Roll, Terms

from .buckets import MAX_BUCKETS, PLACES, Leg, outstanding, repay
from .cases import Case, Denial, Ruling
from .charging import charge, refund
from .clawing import clawback, dispute, dispute_lost, dispute_won, expire
from .holds import extend, release, reserve
from .members import set_member
from .posting import post
from .transfers import transfer

MAX_ALERTS: Final = 16


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
    number = _grow(case, buckets, command, effective)
    if number is None:
        return Denial(Reason.TOO_MANY_BUCKETS, amount)
    legs: list[Leg] = [("plan" if effective else "add", number, amount)]
    paid = 0 if effective else repay(buckets, account.debt, legs)
    deltas = (0, 0, 0) if effective else (amount - paid, 0, -paid)
    body: dict[str, Any] = {
        "effective": command.effective or None,
        "expires": None if command.expires == NEVER else command.expires,
        "legs": legs,
        "priority": command.priority,
        "source": command.source,
    }
    terms: Terms | None = None
    if command.rollover:
        body["rollover"] = [command.rollover, command.rollover_life]
        roll = Roll(number, command.expires, command.rollover, command.rollover_life)
        running = [roll for roll in account.terms.rolls if roll.expires > now]
        terms = account.terms._replace(rolls=(*running, roll))
    due = min(account.due, command.expires, effective or NEVER)
    after, entry = post(
        account, case.origin, "grant", None, now, amount, deltas, canonical(body), tuple(buckets), due,
        terms=terms,
    )  # fmt: skip
    return Ruling(after, entry)


def set_alert(case: Case, command: SetAlert) -> Ruling | Denial:
    account = case.account
    if account.status == CLOSED:
        return Denial(Reason.CLOSED)
    alerts = [alert for alert in account.terms.alerts if alert.name != command.name]
    rearm = command.below if command.rearm is None else command.rearm
    if command.below is not None and rearm is not None:
        alerts.append(Alert(command.name, command.below, rearm, 0))
    if len(alerts) > MAX_ALERTS:
        return Denial(Reason.TOO_MANY_ALERTS)
    terms = account.terms._replace(alerts=tuple(alerts))
    body = canonical({"below": command.below, "legs": [], "name": command.name, "rearm": rearm})
    return Ruling(*post(account, case.origin, "alert", None, case.now, 0, (0, 0, 0), body, terms=terms))


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
    Expire: expire,
    Transfer: transfer,
    Clawback: clawback,
    Dispute: dispute,
    DisputeWon: dispute_won,
    DisputeLost: dispute_lost,
    SetMember: set_member,
    SetAlert: set_alert,
    Freeze: freeze,
    Unfreeze: unfreeze,
    Close: close,
}


def _mark(case: Case, kind: str, status: str) -> Ruling:
    return Ruling(
        *post(case.account, case.origin, kind, None, case.now, 0, (0, 0, 0), '{"legs":[]}', status=status)
    )


def _grow(case: Case, buckets: list[Bucket], command: Grant, effective: int) -> int | None:
    """Add a grant to the bucket that is just like it, or make one. Returns its number; None: too many.

    A grant that rolls over has a bucket of its own.
    """
    rolling = {roll.bucket for roll in case.account.terms.rolls}
    for place, bucket in enumerate(buckets):
        same = bucket.priority == command.priority and bucket.expires == command.expires
        if same and bucket.source == command.source and bucket.effective == effective:
            if command.rollover or bucket.id in rolling:
                continue
            buckets[place] = bucket._replace(available=bucket.available + command.amount)
            return bucket.id
    if len(buckets) >= MAX_BUCKETS:
        return None
    number = (case.account.version + 1) * PLACES
    insort(
        buckets,
        Bucket(command.priority, command.expires, number, command.source, effective, command.amount, 0),
    )
    return number
