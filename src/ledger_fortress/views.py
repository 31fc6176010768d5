"""What readers get: frozen values with amounts as `Credits` and times as aware datetimes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from .commands import NEVER
from .credits import Credits
from .entries import Entry, moment
from .state import Account, Hold


@dataclass(frozen=True, slots=True)
class BucketBalance:
    """What is left of one grant. Credits of a grant that is not effective yet are in `waiting`."""

    source: str | None
    priority: int
    effective: datetime | None
    expires: datetime | None
    available: Credits
    held: Credits
    waiting: Credits


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account can spend, what its open holds keep, what it owes; buckets in burn order."""

    available: Credits
    held: Credits
    debt: Credits
    buckets: tuple[BucketBalance, ...]

    def __str__(self) -> str:
        owed = f", {self.debt} owed" if self.debt else ""
        return f"{self.available} available, {self.held} held{owed}"


@dataclass(frozen=True, slots=True)
class HoldView:
    """A hold and what became of it: `state` is open, charged, released or timed_out.

    `overdue` is true for an open hold past its deadline whose owner asked to settle it himself.
    """

    account: str
    key: str
    state: str
    amount: Credits
    charged: Credits
    refunded: Credits
    made: datetime
    deadline: datetime
    on_timeout: str
    overdue: bool
    member: str | None


@dataclass(frozen=True, slots=True)
class Statement:
    """Part of an account's history, oldest first. Pass `next` as `after` to go on; None: that was all."""

    entries: tuple[Entry, ...]
    next: int | None

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` or `audit` read and every problem it found, each naming account and version.

    `checked` says what was held against the entries: "chain", "sums" and "seals" by `verify`, and "buckets",
    "holds", "members", "notices" and "notes" too by `audit`. `since` names what was believed instead of read,
    None where everything was read; `entries` counts what was read after it.
    """

    ok: bool
    entries: int
    accounts: int
    problems: tuple[str, ...]
    checked: tuple[str, ...]
    since: str | None = None

    def __bool__(self) -> NoReturn:
        raise TypeError("a Verification has no truth value; look at .ok and .problems")

    def __str__(self) -> str:
        found = "no problem" if self.ok else f"{len(self.problems)} problem(s), first: {self.problems[0]}"
        since = "" if self.since is None else f" since {self.since}"
        checked = f"{', '.join(self.checked[:-1])} and {self.checked[-1]}"
        return f"{self.entries} entries of {self.accounts} account(s){since}: {checked} checked, {found}"


def balance_of(account: Account) -> Balance:
    """The balance of a matured account."""
    return Balance(
        Credits.micro(account.available),
        Credits.micro(account.held),
        Credits.micro(account.debt),
        tuple(
            BucketBalance(
                bucket.source,
                bucket.priority,
                moment(bucket.effective) if bucket.effective else None,
                moment(bucket.expires) if bucket.expires != NEVER else None,
                Credits.micro(0 if bucket.effective else bucket.available),
                Credits.micro(bucket.held),
                Credits.micro(bucket.available if bucket.effective else 0),
            )
            for bucket in account.buckets
        ),
    )


def view_of(hold: Hold, now: int) -> HoldView:
    """A hold as readers see it at `now`."""
    return HoldView(
        hold.account,
        hold.key,
        hold.state,
        Credits.micro(hold.amount),
        Credits.micro(hold.charged),
        Credits.micro(hold.refunded),
        moment(hold.at),
        moment(hold.deadline),
        hold.on_timeout,
        hold.is_open(now) and hold.deadline <= now,
        hold.member,
    )
