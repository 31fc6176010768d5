"""What a command can be answered with.

A core answer is `Applied`, `Replayed` or `Refusal`. None of them has a truth value: ``if ledger.apply(...)``
would read "refused" as "yes", so `bool()` raises. Each is a function of the entry that the command left
behind, which is why the answer to a repeated command is the same to the byte: it is read from the same row.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn, TypeAlias

from .entries import Entry


class Reason(StrEnum):
    """Why a command was refused. The value is the wire name and never changes."""

    INSUFFICIENT = "insufficient"
    FROZEN = "frozen"
    CLOSED = "closed"
    REWOUND = "rewound"
    UNKNOWN_ACCOUNT = "unknown_account"
    ACCOUNT_EXISTS = "account_exists"
    KEY_CONFLICT = "key_conflict"
    KEY_TOO_OLD = "key_too_old"
    UNKNOWN_HOLD = "unknown_hold"
    HOLD_OPEN = "hold_open"
    HOLD_CHARGED = "hold_charged"
    HOLD_RELEASED = "hold_released"
    HOLD_TIMED_OUT = "hold_timed_out"
    EXCEEDS_HOLD = "exceeds_hold"
    EXCEEDS_CHARGE = "exceeds_charge"
    DISPUTE_OPEN = "dispute_open"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    UNKNOWN_DISPUTE = "unknown_dispute"
    UNKNOWN_GRANT = "unknown_grant"
    UNKNOWN_TARGET = "unknown_target"
    TARGET_CLOSED = "target_closed"
    MEMBER_LIMIT = "member_limit"
    EXCEEDS_GRANT = "exceeds_grant"
    GRANT_EXPIRED = "grant_expired"
    TOO_MANY_ALERTS = "too_many_alerts"
    TOO_MANY_BUCKETS = "too_many_buckets"
    BALANCE_LIMIT = "balance_limit"
    STILL_HELD = "still_held"
    LINK_REFUSED = "link_refused"


# Verdicts about balance, freeze or state are written down and final for their key. These are not: they say
# that the command could not be judged at all, and the same command may be sent again with the same key.
# EXCEEDS_HOLD, EXCEEDS_GRANT and DISPUTE_OPEN belong here because they name a mistake of the caller, and
# writing it down under a default key would stand in the way of the right command.
UNRECORDED = frozenset(
    {
        Reason.UNKNOWN_ACCOUNT,
        Reason.UNKNOWN_HOLD,
        Reason.UNKNOWN_DISPUTE,
        Reason.UNKNOWN_GRANT,
        Reason.UNKNOWN_TARGET,
        Reason.KEY_CONFLICT,
        Reason.KEY_TOO_OLD,
        Reason.EXCEEDS_HOLD,
        Reason.EXCEEDS_GRANT,
        Reason.DISPUTE_OPEN,
        Reason.REWOUND,
        Reason.LINK_REFUSED,
    }
)


class _NoTruth:
    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} has no truth value: use isinstance(), or a verb of Ledger, which raises"
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of one entry: present it later and the ledger notices if it has lost that entry since.

    `hash` is the entry's chain hash in hex. `replayed` is true when the key had been answered before. `open`
    is true while the hold that the command made or touched can still be settled.
    """

    account: str
    version: int
    hash: str
    replayed: bool = False
    open: bool = False


@dataclass(frozen=True, slots=True)
class Applied(_NoTruth):
    """The command moved what it says; `entry` is the row that it left."""

    entry: Entry
    open: bool = False

    @property
    def receipt(self) -> Receipt:
        entry = self.entry
        return Receipt(entry.account, entry.version, entry.hash.hex(), False, self.open)


@dataclass(frozen=True, slots=True)
class Refusal(_NoTruth):
    """The command moved nothing.

    `entry` is the row that makes the verdict final, or None where it was not recorded. `available`, `held`
    and `debt` are the account's micro-credits when it was refused (zero for an unknown account); `needed` is
    what the command asked for.
    """

    reason: Reason
    account: str
    key: str
    needed: int = 0
    available: int = 0
    held: int = 0
    debt: int = 0
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Replayed(_NoTruth):
    """The key was answered before; `first` is that answer, `open` says whether its hold is open *now*."""

    first: Applied | Refusal
    open: bool = False

    @property
    def receipt(self) -> Receipt:
        entry = self.first.entry
        assert entry is not None  # only recorded answers can be replayed
        return Receipt(entry.account, entry.version, entry.hash.hex(), True, self.open)


Answer: TypeAlias = Applied | Replayed | Refusal


def first_answer(entry: Entry) -> Applied | Refusal:
    """Read the answer that was given when `entry` was written."""
    if entry.kind != "refused":
        return Applied(entry, entry.kind in ("reserve", "extend"))
    return Refusal(
        Reason(json.loads(entry.body)["reason"]),
        entry.account,
        entry.key or "",
        entry.amount,
        entry.available,
        entry.held,
        entry.debt,
        entry,
    )
