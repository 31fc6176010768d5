"""What a rule gets and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from ledger_fortress.answers import Reason
from ledger_fortress.entries import Entry
from ledger_fortress.state import (
    CHARGED,
    CLOSED,
    DISPUTED,
    FROZEN,
    LOST,
    OPEN,
    RELEASED,
    REWOUND,
    TIMED_OUT,
    WON,
    Account,
    Due,
    Hold,
    Member,
)

from .posting import Origin

DAY: Final = 86_400 * 1_000_000
REFUND_LIFE: Final = 30 * DAY

OverCharge: TypeAlias = Literal["refuse", "cap", "available", "debt"]
LateCharge: TypeAlias = Literal["refuse", "debt"]

NO_HOLDS: Final = {FROZEN: Reason.FROZEN, CLOSED: Reason.CLOSED, REWOUND: Reason.REWOUND}
"""Why an account in this status takes no new holds and sends nothing away."""
GONE: Final = {
    OPEN: Reason.HOLD_OPEN,
    CHARGED: Reason.HOLD_CHARGED,
    RELEASED: Reason.HOLD_RELEASED,
    TIMED_OUT: Reason.HOLD_TIMED_OUT,
    DISPUTED: Reason.DISPUTE_OPEN,
    WON: Reason.DISPUTE_WON,
    LOST: Reason.DISPUTE_LOST,
}
"""What became of a hold that cannot be settled any more."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a team may choose for its ledger.

    `refund_life`: for how many microseconds refunded credits live whose own grant has expired.
    `over_charge`: what a charge of more than its hold does. "refuse" leaves the hold open; "cap" charges the
    hold alone; "available" takes the rest from what is available, as far as that goes; "debt" owes what is
    missing then. What stays unpaid is reported as a notice.
    `late_charge`: what a charge does whose hold was released or has timed out, unless it says so itself:
    "refuse", or "debt" (what is available pays, the rest is owed). Either way it is reported as a notice.
    `key_horizon`: refuse unknown keys that begin with a UUIDv7 older than this many microseconds, because the
    ledger may have forgotten that it has answered them. None: no horizon.
    """

    refund_life: int = REFUND_LIFE
    over_charge: OverCharge = "refuse"
    late_charge: LateCharge = "refuse"
    key_horizon: int | None = None

    def __post_init__(self) -> None:
        for name, choices in (
            ("over_charge", ("refuse", "cap", "available", "debt")),
            ("late_charge", ("refuse", "debt")),
        ):
            chosen = getattr(self, name)
            if chosen not in choices:
                raise ValueError(f"policy {name} is one of {', '.join(choices)}, got {chosen!r}")
        for name, value in (("refund_life", self.refund_life), ("key_horizon", self.key_horizon)):
            if value is None and name == "key_horizon":
                continue
            if type(value) is not int or value <= 0:
                raise ValueError(f"policy {name} is a positive number of microseconds, got {value!r}")


class View(Protocol):
    """What a decision may look at. Everything that a command touches has been loaded."""

    def account(self, account: str) -> Account | None: ...
    def entry(self, account: str, key: str) -> Entry | None: ...
    def hold(self, account: str, key: str) -> Hold | None: ...
    def member(self, account: str, member: str) -> Member | None: ...
    def due(self, account: str) -> Due: ...
    def hash_at(self, account: str, version: int) -> bytes | None: ...


class Case(NamedTuple):
    """What a rule looks at.

    `members` are those that time alone has changed just now, by name. `now` is the account's time, which is
    later than the `clock` where the clock has gone back; another account has its own.
    """

    account: Account
    hold: Hold | None
    now: int
    origin: Origin
    policy: Policy
    view: View
    members: dict[str, Member]
    clock: int


class Far(NamedTuple):
    """The other account of a transfer: what it is afterwards, and what was written there."""

    account: Account
    entries: list[Entry]
    holds: list[Hold]
    members: list[Member]


class Ruling(NamedTuple):
    """The account, the hold and the member afterwards, and the entry in between."""

    account: Account
    entry: Entry
    hold: Hold | None = None
    member: Member | None = None
    far: Far | None = None


NoticeBody: TypeAlias = tuple[str, dict[str, Any]]


class Denial(NamedTuple):
    """Why not, how much was asked for, and who should hear of it."""

    reason: Reason
    needed: int = 0
    notices: tuple[NoticeBody, ...] = ()
