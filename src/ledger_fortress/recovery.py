"""What a person should look at: `reconcile` lists it and moves nothing.

The rules keep the books right by themselves; what they cannot know is why a hold was never settled, or that
work was delivered after its hold had run out. Each finding names account, key, amount and since when,
and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from .credits import Credits
from .entries import Notice, moment
from .protocol import Scan, due_of
from .rules import matured
from .state import CHARGED, OPEN, REWOUND, Account, Hold

STUCK_AFTER: Final = 86_400 * 1_000_000


class Trouble(StrEnum):
    """What is wrong. The value is the wire name and never changes."""

    OVERDUE = "overdue"
    STUCK = "stuck"
    LATE_CHARGE = "late_charge"
    SHORT_CHARGE = "short_charge"
    UNPAID = "unpaid"
    DEBT = "debt"
    REWOUND = "rewound"


_ADVICE: Final = {
    Trouble.OVERDUE: "ask the work's owner what became of it, then charge or release the hold",
    Trouble.STUCK: "held for long without an end: charge or release it, or find out why it is extended",
    Trouble.LATE_CHARGE: "its hold was gone when it was charged: give holds of this kind more time",
    Trouble.SHORT_CHARGE: "the work cost more than its hold, and the policy left the rest unpaid: hold more",
    Trouble.UNPAID: "delivered after its hold had ended, and nobody paid: charge it with on_missing='debt'",
    Trouble.DEBT: "the next inflow pays it; collect it, or grant credits to forgive it",
    Trouble.REWOUND: "acknowledged entries are lost: restore the store, then unfreeze the account",
}
_TOLD: Final = {
    "late_charge": Trouble.LATE_CHARGE,
    "short_charge": Trouble.SHORT_CHARGE,
    "late_refused": Trouble.UNPAID,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. `key` is the hold's key, or None where the account as a whole is meant."""

    trouble: Trouble
    account: str
    key: str | None
    amount: Credits
    since: datetime

    @property
    def advice(self) -> str:
        """What to do about it."""
        return _ADVICE[self.trouble]


def reconcile(scan: Scan, now: int, *, since: int = 0, stuck_after: int = STUCK_AFTER) -> list[Finding]:
    """Everything that a person should look at, grouped by trouble, the oldest first.

    Late and short charges are history and are listed from the instant `since` on; everything else is listed
    while it lasts. A hold is stuck when it has been open for `stuck_after` microseconds, though not overdue.
    """
    told = [notice for notice in scan.notices() if notice.kind in _TOLD]
    unpaid = {_about(notice) for notice in told if notice.kind == "late_refused"}
    accounts = {account.account: account for account in scan.accounts()}
    open_holds: dict[str, list[Hold]] = {}
    for hold in scan.holds():
        if hold.state == OPEN:
            open_holds.setdefault(hold.account, []).append(hold)
        elif hold.state == CHARGED:
            unpaid.discard((hold.account, hold.key))
    found = list(_of_notices(told, unpaid, since))
    for name, account in accounts.items():
        holds = open_holds.get(name, [])
        at = max(now, account.at)
        state, ended = matured(account, due_of(holds, at), at)
        found += _of_account(state)
        found += _of_holds((hold for hold in holds if hold.key not in ended), at, stuck_after)
    order = list(Trouble)
    return sorted(found, key=lambda one: (order.index(one.trouble), one.since, one.account, one.key or ""))


def _of_account(account: Account) -> Iterator[Finding]:
    name, at = account.account, moment(account.at)
    if account.debt:
        yield Finding(Trouble.DEBT, name, None, Credits.micro(account.debt), at)
    if account.status == REWOUND:
        yield Finding(Trouble.REWOUND, name, None, Credits.micro(account.held), at)


def _of_holds(holds: Iterable[Hold], now: int, stuck_after: int) -> Iterator[Finding]:
    for hold in holds:
        amount = Credits.micro(hold.amount)
        if hold.deadline <= now:
            yield Finding(Trouble.OVERDUE, hold.account, hold.key, amount, moment(hold.deadline))
        elif hold.at + stuck_after <= now:
            yield Finding(Trouble.STUCK, hold.account, hold.key, amount, moment(hold.at))


def _of_notices(told: list[Notice], unpaid: set[tuple[str, str]], since: int) -> Iterator[Finding]:
    """Charges that met no open hold, or too little of one; a refused one once, and until it was booked."""
    for notice in told:
        trouble, pair, body = _TOLD[notice.kind], _about(notice), json.loads(notice.body)
        if trouble is Trouble.UNPAID:
            if pair not in unpaid:
                continue
            unpaid.discard(pair)
        elif notice.at < since:
            continue
        short = body["asked"] - body["charged"] if trouble is Trouble.SHORT_CHARGE else body["amount"]
        yield Finding(trouble, *pair, Credits.micro(short), moment(notice.at))


def _about(notice: Notice) -> tuple[str, str]:
    """The account and the hold that a notice is about."""
    return notice.account, json.loads(notice.body)["hold"]
