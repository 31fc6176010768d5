"""Commands that bring credits in, take them out again, or move them to another account."""

from __future__ import annotations

from dataclasses import dataclass
from json.encoder import encode_basestring as quoted

from ledger_fortress.checks import (
    MAX_PRIORITY,
    NEVER,
    check_amount,
    check_instants,
    check_interval,
    check_name,
    check_room_to_settle,
    or_null,
)
from ledger_fortress.packing import EXPIRE, BaseCommand, OnGrant, OnHold


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(BaseCommand):
    """Put `amount` into a bucket that burns by (`priority`, `expires`, age), smallest first.

    `effective` and `expires` are microseconds since 1970; an `effective` of 0 means at once. `create` opens
    the account where it does not exist. Of what is left when the grant expires, up to `rollover` lives on for
    `rollover_life` microseconds; it rolls over once.
    """

    verb = "grant"

    amount: int
    source: str | None = None
    priority: int = 0
    effective: int = 0
    expires: int = NEVER
    create: bool = False
    rollover: int = 0
    rollover_life: int = 0

    def _check(self) -> None:
        check_amount(self.amount)
        if self.source is not None:
            check_name("source", self.source)
        if type(self.priority) is not int or not -MAX_PRIORITY <= self.priority <= MAX_PRIORITY:
            raise ValueError(
                f"priority is an int from {-MAX_PRIORITY} to {MAX_PRIORITY}, got {self.priority!r}"
            )
        check_instants(self.effective, self.expires)
        check_amount(self.rollover, zero=True)
        check_interval(self.rollover_life, "rollover_life", zero=True)
        if (self.rollover == 0) != (self.rollover_life == 0):
            raise ValueError("a rollover needs both: how much of the rest, and for how long")
        if self.rollover and self.expires == NEVER:
            raise ValueError("a grant that never expires has nothing to roll over")
        if type(self.create) is not bool:
            raise TypeError(f"create is True or False, not {self.create!r}")
        BaseCommand._check(self)

    def _fields(self) -> str:
        return (
            f",{self.amount},{or_null(self.source)},{self.priority},{self.effective},{self.expires}"
            f",{'true' if self.create else 'false'},{self.rollover},{self.rollover_life}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire(OnGrant):
    """End a grant now: what is unspent of it, and not held, is gone. Its key is `<grant>/expire`.

    Where grants alike share a bucket, at most the amount of this grant goes.
    """

    verb = "expire"

    grant: str  # pyright: ignore[reportGeneralTypeIssues]  # required here, optional in the base
    key: str = ""

    def __post_init__(self) -> None:
        check_name("account", self.account)
        check_name("grant", self.grant)
        own = self.grant + EXPIRE
        if self.key not in ("", own):
            raise ValueError(f"a grant ends once, under the key {own!r}; leave the key out")
        object.__setattr__(self, "key", own)
        check_name("key", own)
        self._check()

    def _fields(self) -> str:
        return f",{quoted(self.grant)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(BaseCommand):
    """Move `amount` of what is available to the account `to`; priorities and expiries go with it."""

    verb = "transfer"

    to: str  # type: ignore[misc]  # a field here, a constant None elsewhere
    amount: int

    def _check(self) -> None:
        check_name("to", self.to)
        if self.to == self.account:
            raise ValueError("a transfer goes to another account")
        check_amount(self.amount)
        BaseCommand._check(self)

    def _fields(self) -> str:
        return f",{quoted(self.to)},{self.amount}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clawback(OnGrant):
    """Take `amount` back: what is left of the grant `grant`, then anything available; the rest is owed."""

    verb = "clawback"

    amount: int

    def _check(self) -> None:
        check_amount(self.amount)
        OnGrant._check(self)

    def _fields(self) -> str:
        return f",{self.amount},{or_null(self.grant)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute(Clawback):
    """Take `amount` back, as `Clawback` does, until the dispute is won or lost. The key names the dispute."""

    verb = "dispute"

    @property
    def about(self) -> str | None:
        """A dispute looks at its own key: a hold that was charged late may have that name."""
        return self.key

    def _check(self) -> None:
        check_room_to_settle(self.key)
        Clawback._check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeWon(OnHold):
    """The dispute was decided for us: what it took goes back to where it came from, debt first."""

    verb = "dispute_won"

    def _fields(self) -> str:
        return f",{quoted(self.hold)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeLost(OnHold):
    """The dispute was decided against us: what it took is gone for good."""

    verb = "dispute_lost"

    def _fields(self) -> str:
        return f",{quoted(self.hold)}"
