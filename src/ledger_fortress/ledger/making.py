"""From what a caller types to commands: credits become micro-credits, seconds microseconds, times instants.

Both faces, `Ledger` and `AsyncLedger`, make their commands here.
"""

from __future__ import annotations

from datetime import datetime
from math import isfinite
from secrets import token_bytes

from ledger_fortress.answers import Answer, Applied, Receipt, Refusal
from ledger_fortress.commands import (
    NEVER,
    Charge,
    Extend,
    Grant,
    Item,
    Linked,
    OnMissing,
    OnTimeout,
    Refund,
    Release,
    Reserve,
    SetAlert,
    SetMember,
)
from ledger_fortress.credits import CreditsLike, micros_of
from ledger_fortress.entries import micros_since_epoch
from ledger_fortress.errors import Refused
from ledger_fortress.packing import salted
from ledger_fortress.protocol import Failure


def grant(
    account: str,
    amount: CreditsLike,
    key: str,
    source: str | None,
    priority: int,
    effective: datetime | None,
    expires: datetime | None,
    note: str | None,
    create: bool,
    rollover: CreditsLike | None,
    rollover_life: float,
) -> Grant:
    return Grant(
        account=account,
        key=key,
        amount=micros_of(amount),
        source=source,
        priority=priority,
        effective=0 if effective is None else micros_since_epoch(effective),
        expires=NEVER if expires is None else micros_since_epoch(expires),
        note=note,
        create=create,
        rollover=0 if rollover is None else micros_of(rollover, what="rollover"),
        rollover_life=_micros(rollover_life, "rollover_life"),
    )


def reserve(
    account: str,
    amount: CreditsLike,
    key: str,
    timeout: float,
    on_timeout: OnTimeout,
    member: str | None,
    note: str | None,
    seen: Receipt | None,
) -> Reserve:
    return Reserve(
        account=account,
        key=key,
        amount=micros_of(amount),
        timeout=_micros(timeout),
        on_timeout=on_timeout,
        member=member,
        note=note,
        seen=seen,
    )


def charge(
    account: str,
    hold_key: str,
    amount: CreditsLike | None,
    on_missing: OnMissing | None,
    key: str | None,
    note: str | None,
) -> Charge:
    micros = None if amount is None else micros_of(amount, zero=True)
    return Charge(
        account=account, hold=hold_key, key=key or "", amount=micros, on_missing=on_missing, note=note
    )


def release(account: str, hold_key: str, key: str | None, note: str | None) -> Release:
    return Release(account=account, hold=hold_key, key=key or "", note=note)


def refund(account: str, hold_key: str, amount: CreditsLike | None, key: str, note: str | None) -> Refund:
    micros = None if amount is None else micros_of(amount)
    return Refund(account=account, hold=hold_key, key=key, amount=micros, note=note)


def extend(account: str, hold_key: str, timeout: float, key: str) -> Extend:
    return Extend(account=account, hold=hold_key, timeout=_micros(timeout), key=key)


def set_member(
    account: str, member: str, limit: CreditsLike | None, key: str, window: float, note: str | None
) -> SetMember:
    cap = None if limit is None else micros_of(limit, what="limit", zero=True)
    return SetMember(
        account=account, member=member, cap=cap, key=key, window=_micros(window, "window"), note=note
    )


def set_alert(
    account: str,
    name: str,
    below: CreditsLike | None,
    key: str,
    rearm: CreditsLike | None,
    note: str | None,
) -> SetAlert:
    least = None if below is None else micros_of(below, what="below")
    again = None if rearm is None else micros_of(rearm, what="rearm")
    return SetAlert(account=account, name=name, below=least, key=key, rearm=again, note=note)


def with_salt(item: Item) -> Item:
    """The item with a fresh salt for each of its notes."""
    if not isinstance(item, Linked):
        return salted(item, token_bytes(16)) if item.note is not None else item
    return Linked(item.id, tuple(salted(command, token_bytes(16)) for command in item.commands))


def receipt_of(answer: Answer | Failure) -> Receipt:
    """What a verb returns for its answer. Raises `Refused`, or the error of a command that failed."""
    if isinstance(answer, Applied):
        return answer.receipt
    if isinstance(answer, Failure):
        raise answer.error
    if isinstance(answer, Refusal):
        raise Refused(answer)
    if isinstance(answer.first, Refusal):
        raise Refused(answer.first, replayed=True)
    return answer.receipt


def answers_of(answers: list[Answer | Failure]) -> list[Answer]:
    """What `apply` returns. A command that failed by a programming error raises."""
    for answer in answers:
        if isinstance(answer, Failure):
            answer.error.add_note("the other commands were applied; applying all again repeats none of them")
            raise answer.error
    return [answer for answer in answers if not isinstance(answer, Failure)]


def _micros(seconds: float, what: str = "timeout") -> int:
    if type(seconds) is int:
        return seconds * 1_000_000
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{what} is a number of seconds, not {type(seconds).__name__}")
    if not isfinite(seconds):
        raise ValueError(f"{what} must be a finite number of seconds, got {seconds}")
    return round(seconds * 1_000_000)
