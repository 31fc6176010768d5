"""Commands about an account as a whole: its status, its members, its alerts."""

from __future__ import annotations

from dataclasses import dataclass
from json.encoder import encode_basestring as quoted

from ledger_fortress.checks import check_amount, check_interval, check_name
from ledger_fortress.packing import BaseCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount(BaseCommand):
    """Open an account with nothing in it."""

    verb = "open_account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze(BaseCommand):
    """Allow no new holds; settling, refunds, grants and expiry go on."""

    verb = "freeze"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfreeze(BaseCommand):
    """Allow new holds again, also after a rewound account was repaired."""

    verb = "unfreeze"


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(BaseCommand):
    """End the account: no holds, no grants. Needs everything held to be settled."""

    verb = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMember(BaseCommand):
    """Let `member` spend and hold at most `cap` (None: anything) of the pool per `window` microseconds.

    Windows follow each other from the moment of the first such command; a window of 0 never ends. Another
    `cap` keeps what was counted in the current window; another `window` starts counting anew.
    """

    verb = "set_member"

    member: str  # type: ignore[misc]  # a field here, a constant None elsewhere
    cap: int | None = None
    window: int = 0

    def _check(self) -> None:
        check_name("member", self.member)
        if self.cap is not None:
            check_amount(self.cap, zero=True)
        check_interval(self.window, "window", zero=True)
        BaseCommand._check(self)

    def _fields(self) -> str:
        return f",{quoted(self.member)},{'null' if self.cap is None else self.cap},{self.window}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAlert(BaseCommand):
    """Tell once when `available` falls below `below`, and again only after it was back at `rearm`.

    `rearm` None means `below` itself; `below` None takes the alert away.
    """

    verb = "set_alert"

    name: str
    below: int | None
    rearm: int | None = None

    def _check(self) -> None:
        check_name("alert", self.name)
        if self.below is None and self.rearm is not None:
            raise ValueError("an alert that is taken away has no rearm")
        if self.below is not None:
            check_amount(self.below)
        if self.rearm is not None:
            check_amount(self.rearm)
            if self.below is not None and self.rearm < self.below:
                raise ValueError("an alert is re-armed at its threshold or above it")
        BaseCommand._check(self)

    def _fields(self) -> str:
        below, rearm = ("null" if amount is None else amount for amount in (self.below, self.rearm))
        return f",{quoted(self.name)},{below},{rearm}"
