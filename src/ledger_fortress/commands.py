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

from dataclasses import dataclass, replace
from hashlib import blake2b
from json.encoder import encode_basestring as quoted
from typing import ClassVar, Final, Literal, TypeAlias, TypeVar

from .answers import Receipt
from .credits import LIMIT
from .entries import note_digest

PACKED_VERSION: Final = 1
MAX_NAME: Final = 200
MAX_NOTE: Final = 2_000
MAX_INTERVAL: Final = 10 * 366 * 86_400 * 1_000_000
MAX_LINKED: Final = 256
MAX_PRIORITY: Final = 1_000_000
SETTLE: Final = "/settle"
NEVER: Final = LIMIT
"""The instant that no clock reaches (in the year 2255): an expiry of `NEVER` means that there is none."""

OnTimeout: TypeAlias = Literal["release", "report"]
OnMissing: TypeAlias = Literal["refuse", "debt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    verb: ClassVar[str] = ""
    hold: ClassVar[str | None] = None

    account: str
    key: str
    note: str | None = None
    salt: bytes | None = None
    seen: Receipt | None = None

    def __post_init__(self) -> None:
        _name("account", self.account)
        _name("key", self.key)
        if self.key.endswith(SETTLE):
            raise ValueError(
                f"key {self.key!r}: keys that end with {SETTLE!r} belong to the settlement of a hold"
            )
        self._check()

    def _check(self) -> None:
        if self.note is not None:
            _check_note(self.note, self.salt)

    def packed(self) -> str:
        """The canonical JSON array that is fingerprinted."""
        names = f"{quoted(self.account)},{quoted(self.key)}"
        return f'[{PACKED_VERSION},"{self.verb}",{names}{self._fields()}]'

    def _fields(self) -> str:
        return ""

    def fingerprint(self, link: str | None = None) -> bytes:
        """16 bytes that differ whenever the content differs; being linked is part of the content."""
        text = self.packed() if link is None else f"{self.packed()}{link}"
        return blake2b(text.encode(), digest_size=16).digest()

    def note_hash(self) -> bytes | None:
        """What the chain keeps of the note: a salted hash, or nothing."""
        if self.note is None:
            return None
        if self.salt is None:
            raise ValueError("a note needs a 16-byte salt before it is applied; Ledger adds one")
        return note_digest(self.salt, self.note)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount(_Command):
    """Open an account with nothing in it."""

    verb = "open_account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(_Command):
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
        _amount(self.amount)
        if self.source is not None:
            _name("source", self.source)
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
        _Command._check(self)

    def _fields(self) -> str:
        return (
            f",{self.amount},{_or_null(self.source)},{self.priority},{self.effective},{self.expires}"
            f",{'true' if self.create else 'false'}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve(_Command):
    """Hold `amount` for `timeout` microseconds; the key is the hold's name.

    When the time is over, `release` gives it back by itself and `report` only lists it as overdue.
    """

    verb = "reserve"

    amount: int
    timeout: int
    on_timeout: OnTimeout = "release"
    member: str | None = None

    def _check(self) -> None:
        _amount(self.amount)
        _interval(self.timeout)
        if self.on_timeout not in ("release", "report"):
            raise ValueError(f"on_timeout is 'release' or 'report', got {self.on_timeout!r}")
        if self.member is not None:
            _name("member", self.member)
        if len(self.key) + len(SETTLE) > MAX_NAME:
            raise ValueError(f"a hold's key has at most {MAX_NAME - len(SETTLE)} characters")
        if self.note is not None:
            _check_note(self.note, self.salt)

    def _fields(self) -> str:
        return f',{self.amount},{self.timeout},"{self.on_timeout}",{_or_null(self.member)}'


@dataclass(frozen=True, slots=True, kw_only=True)
class _OnHold(_Command):
    """A command about a hold. Without a key it settles the hold under the hold's own settlement key."""

    hold: str  # type: ignore[misc]  # a field here, a constant None in commands that touch no hold
    key: str = ""

    def __post_init__(self) -> None:
        _name("account", self.account)
        _name("hold", self.hold)
        own = self.hold + SETTLE
        if not self.key:
            object.__setattr__(self, "key", own)
        elif self.key != own or self.verb not in ("charge", "release"):
            _Command.__post_init__(self)
            return
        self._check()


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge(_OnHold):
    """Take `amount` (None: all) of the hold for good and give the rest back; 0 takes nothing.

    Where the hold is gone, `on_missing="debt"` takes the amount from what is available and books the rest as
    debt; "refuse" only names what happened to the hold.
    """

    verb = "charge"

    amount: int | None = None
    on_missing: OnMissing = "refuse"

    def _check(self) -> None:
        if self.amount is not None:
            _amount(self.amount, zero=True)
        if self.on_missing not in ("refuse", "debt"):
            raise ValueError(f"on_missing is 'refuse' or 'debt', got {self.on_missing!r}")
        if self.note is not None:
            _check_note(self.note, self.salt)

    def _fields(self) -> str:
        amount = "null" if self.amount is None else self.amount
        return f',{quoted(self.hold)},{amount},"{self.on_missing}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(_OnHold):
    """Give all of the hold back."""

    verb = "release"

    def _fields(self) -> str:
        return f",{quoted(self.hold)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund(_OnHold):
    """Give back `amount` (None: what is left) of what was charged, to the buckets it came from."""

    verb = "refund"

    amount: int | None = None

    def __post_init__(self) -> None:
        _required_key(self.verb, self.key)
        _OnHold.__post_init__(self)

    def _check(self) -> None:
        if self.amount is not None:
            _amount(self.amount)
        _Command._check(self)

    def _fields(self) -> str:
        return f",{quoted(self.hold)},{'null' if self.amount is None else self.amount}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend(_OnHold):
    """Let the hold stand for `timeout` microseconds from now, or until its old deadline if that is later."""

    verb = "extend"

    timeout: int

    def __post_init__(self) -> None:
        _required_key(self.verb, self.key)
        _OnHold.__post_init__(self)

    def _check(self) -> None:
        _interval(self.timeout)
        _Command._check(self)

    def _fields(self) -> str:
        return f",{quoted(self.hold)},{self.timeout}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze(_Command):
    """Allow no new holds; settling, refunds, grants and expiry go on."""

    verb = "freeze"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfreeze(_Command):
    """Allow new holds again, also after a rewound account was repaired."""

    verb = "unfreeze"


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(_Command):
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
        _name("link id", self.id)
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
_C = TypeVar("_C", bound=_Command)


def salted(command: _C, salt: bytes) -> _C:
    """The command with `salt` for its note, unless it has one or needs none."""
    return command if command.note is None or command.salt is not None else replace(command, salt=salt)


def _or_null(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def _name(what: str, value: str) -> None:
    if type(value) is not str:
        raise TypeError(f"{what} is a str, not {type(value).__name__}")
    if not 0 < len(value) <= MAX_NAME or not value.isprintable():
        raise ValueError(f"{what} must be 1 to {MAX_NAME} printable characters, got {value[:60]!r}")


def _required_key(verb: str, key: str) -> None:
    if not key:
        raise ValueError(f"{verb} needs a key of its own: there may be several for one hold")


def _amount(amount: int, *, zero: bool = False) -> None:
    if type(amount) is not int:
        raise TypeError(f"a command's amount is an int of micro-credits, not {type(amount).__name__}")
    if amount < 0 or amount > LIMIT or (amount == 0 and not zero):
        least = 0 if zero else 1
        raise ValueError(f"amount must be from {least} to {LIMIT} micro-credits (2^53 - 1), got {amount}")


def _interval(timeout: int) -> None:
    if type(timeout) is not int:
        raise TypeError(f"a command's timeout is an int of microseconds, not {type(timeout).__name__}")
    if not 0 < timeout <= MAX_INTERVAL:
        raise ValueError(f"timeout must be more than 0 and at most ten years, got {timeout} microseconds")


def _check_note(note: str, salt: bytes | None) -> None:
    if type(note) is not str or len(note) > MAX_NOTE:
        raise ValueError(f"a note is a text of at most {MAX_NOTE} characters")
    note.encode()  # a lone surrogate cannot be stored; UnicodeEncodeError is a ValueError and names it
    if salt is not None and len(salt) != 16:
        raise ValueError(f"a note's salt has 16 bytes, got {len(salt)}")
