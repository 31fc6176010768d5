"""What a ledger can be told to do.

A command names its account and its key, carries whole micro-credits, and speaks of *intervals* (a timeout of
so many microseconds), never of instants, because an honest retry a minute later must be the same command. A
grant's effective and expiry times are the exception: they are part of what was sold.

A key belongs to one account and to all verbs together. The fingerprint kept beside it is BLAKE2b over the
command's packed form, a canonical JSON array that starts with its version; the note, its salt and the
receipt that may be presented are not part of it. The same key with another fingerprint is a conflict.

Settling a hold has a key of its own, `<hold>/settle`, so that charging twice with different amounts, or
releasing what was charged, meets the first settlement instead of a second one.
"""

from __future__ import annotations

from dataclasses import dataclass
from json.encoder import encode_basestring as quoted
from typing import Final, Literal, TypeAlias

from .checks import (
    MAX_NAME,
    check_amount,
    check_interval,
    check_key_given,
    check_name,
    check_note,
    or_null,
)
from .credits import LIMIT
from .packing import SETTLE, BaseCommand, OnHold

MAX_LINKED: Final = 256
MAX_PRIORITY: Final = 1_000_000
NEVER: Final = LIMIT
"""The instant that no clock reaches (in the year 2255): an expiry of `NEVER` means that there is none."""

OnTimeout: TypeAlias = Literal["release", "report"]
OnMissing: TypeAlias = Literal["refuse", "debt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount(BaseCommand):
    """Open an account with nothing in it."""

    verb = "open_account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(BaseCommand):
    """Put `amount` into a bucket that burns by (`priority`, `expires`, age), smallest first.

    `effective` and `expires` are microseconds since 1970; an `effective` of 0 means at once. `create` opens
    the account where it does not exist.
    """

    verb = "grant"

    amount: int
    source: str | None = None
    priority: int = 0
    effective: int = 0
    expires: int = NEVER
    create: bool = False

    def _check(self) -> None:
        check_amount(self.amount)
        if self.source is not None:
            check_name("source", self.source)
        if type(self.priority) is not int or not -MAX_PRIORITY <= self.priority <= MAX_PRIORITY:
            raise ValueError(
                f"priority is an int from {-MAX_PRIORITY} to {MAX_PRIORITY}, got {self.priority!r}"
            )
        for what, instant in (("effective", self.effective), ("expires", self.expires)):
            if type(instant) is not int or not 0 <= instant <= NEVER:
                raise ValueError(f"{what} must be an instant from 1970 to 2255, got {instant!r}")
        if self.effective >= self.expires:
            raise ValueError("a grant must become effective before it expires")
        if type(self.create) is not bool:
            raise TypeError(f"create is True or False, not {self.create!r}")
        BaseCommand._check(self)

    def _fields(self) -> str:
        return (
            f",{self.amount},{or_null(self.source)},{self.priority},{self.effective},{self.expires}"
            f",{'true' if self.create else 'false'}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve(BaseCommand):
    """Hold `amount` for `timeout` microseconds; the key is the hold's name.

    When the time is over, `release` gives it back by itself and `report` only lists it as overdue.
    """

    verb = "reserve"

    amount: int
    timeout: int
    on_timeout: OnTimeout = "release"
    member: str | None = None

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
        if len(self.key) + len(SETTLE) > MAX_NAME:
            raise ValueError(f"a hold's key has at most {MAX_NAME - len(SETTLE)} characters")
        if self.note is not None:
            check_note(self.note, self.salt)

    def _fields(self) -> str:
        return f',{self.amount},{self.timeout},"{self.on_timeout}",{or_null(self.member)}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge(OnHold):
    """Take `amount` (None: all) of the hold for good and give the rest back; 0 takes nothing.

    Where the hold is gone, `on_missing="debt"` takes the amount from what is available and books the rest as
    debt; "refuse" only names what happened to the hold.
    """

    verb = "charge"

    amount: int | None = None
    on_missing: OnMissing = "refuse"

    def _check(self) -> None:
        if self.amount is not None:
            check_amount(self.amount, zero=True)
        if self.on_missing not in ("refuse", "debt"):
            raise ValueError(f"on_missing is 'refuse' or 'debt', got {self.on_missing!r}")
        if self.note is not None:
            check_note(self.note, self.salt)

    def _fields(self) -> str:
        amount = "null" if self.amount is None else self.amount
        return f',{quoted(self.hold)},{amount},"{self.on_missing}"'


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


Command: TypeAlias = (
    OpenAccount | Grant | Reserve | Charge | Release | Refund | Extend | Freeze | Unfreeze | Close
)


@dataclass(frozen=True, slots=True)
class Linked:
    """Commands of which all are applied or none; each entry names the batch as `id:place:size`."""

    id: str
    commands: tuple[Command, ...]

    def __post_init__(self) -> None:
        check_name("link id", self.id)
        if ":" in self.id:
            raise ValueError(f"a link id has no colon, got {self.id!r}")
        if not 2 <= len(self.commands) <= MAX_LINKED:
            raise ValueError(f"a linked batch has 2 to {MAX_LINKED} commands, got {len(self.commands)}")
        if len({(command.account, command.key) for command in self.commands}) < len(self.commands):
            raise ValueError("a linked batch names one key twice")

    def links(self) -> list[str]:
        """The mark of each command, in order."""
        return [f"{self.id}:{place}:{len(self.commands)}" for place in range(len(self.commands))]


Item: TypeAlias = Command | Linked
