"""Commands about holds: reserve, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from json.encoder import encode_basestring as quoted
from typing import Literal, TypeAlias

from ledger_fortress.checks import (
    SETTLE,
    check_amount,
    check_interval,
    check_key_given,
    check_name,
    check_note,
    check_room_to_settle,
    or_null,
)
from ledger_fortress.packing import LATE, BaseCommand, OnHold

OnTimeout: TypeAlias = Literal["release", "report"]
OnMissing: TypeAlias = Literal["refuse", "debt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve(BaseCommand):
    """Hold `amount` for `timeout` microseconds; the key is the hold's name.

    When the time is over, `release` gives it back by itself and `report` only lists it as overdue.
    """

    verb = "reserve"

    amount: int
    timeout: int
    on_timeout: OnTimeout = "release"
    member: str | None = None  # type: ignore[misc]  # a field here, a constant None elsewhere

    @property
    def about(self) -> str | None:
        """A reserve looks at its own key: it may have been charged before it arrived."""
        return self.key

    def _check(self) -> None:
        check_amount(self.amount)
        check_interval(self.timeout)
        if self.on_timeout not in ("release", "report"):
            raise ValueError(f"on_timeout is 'release' or 'report', got {self.on_timeout!r}")
        if self.member is not None:
            check_name("member", self.member)
        check_room_to_settle(self.key)
        if self.note is not None:
            check_note(self.note, self.salt)

    def _fields(self) -> str:
        return f',{self.amount},{self.timeout},"{self.on_timeout}",{or_null(self.member)}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge(OnHold):
    """Take `amount` (None: all) of the hold for good and give the rest back; 0 takes nothing.

    More than the hold is charged as the ledger's policy says. Where the hold is gone, `on_missing="debt"`
    takes the amount from what is available and books the rest as debt; "refuse" only names what happened to
    the hold; None leaves it to the policy. Under its default key, a charge that comes after the release is
    kept under `<hold>/late`.
    """

    verb = "charge"

    amount: int | None = None
    on_missing: OnMissing | None = None

    @property
    def late_key(self) -> str | None:
        """The key of this charge if the hold's own settlement key turns out to be that of a release."""
        return self.hold + LATE if self.key == self.hold + SETTLE else None

    @property
    def also(self) -> tuple[str, ...]:
        late = self.late_key
        return () if late is None else (late,)

    def _check(self) -> None:
        if self.amount is not None:
            check_amount(self.amount, zero=True)
        if self.on_missing not in (None, "refuse", "debt"):
            raise ValueError(f"on_missing is 'refuse', 'debt' or None, got {self.on_missing!r}")
        if self.note is not None:
            check_note(self.note, self.salt)

    def _fields(self) -> str:
        amount = "null" if self.amount is None else self.amount
        return f",{quoted(self.hold)},{amount},{or_null(self.on_missing)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(OnHold):
    """Give all of the hold back."""

    verb = "release"

    def _fields(self) -> str:
        return f",{quoted(self.hold)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund(OnHold):
    """Give back `amount` (None: what is left) of what was charged, to the buckets it came from."""

    verb = "refund"

    amount: int | None = None

    def __post_init__(self) -> None:
        check_key_given(self.verb, self.key)
        OnHold.__post_init__(self)

    def _check(self) -> None:
        if self.amount is not None:
            check_amount(self.amount)
        BaseCommand._check(self)

    def _fields(self) -> str:
        return f",{quoted(self.hold)},{'null' if self.amount is None else self.amount}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend(OnHold):
    """Let the hold stand for `timeout` microseconds from now, or until its old deadline if that is later."""

    verb = "extend"

    timeout: int

    def __post_init__(self) -> None:
        check_key_given(self.verb, self.key)
        OnHold.__post_init__(self)

    def _check(self) -> None:
        check_interval(self.timeout)
        BaseCommand._check(self)

    def _fields(self) -> str:
        return f",{quoted(self.hold)},{self.timeout}"
