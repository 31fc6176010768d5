"""What all commands share: names, the packed form, the fingerprint, the key of a settlement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from json.encoder import encode_basestring as quoted
from typing import ClassVar, Final, TypeVar

from .answers import Receipt
from .checks import SETTLE as SETTLE
from .checks import check_name, check_note
from .entries import note_digest

PACKED_VERSION: Final = 1
LATE: Final = "/late"
EXPIRE: Final = "/expire"
OWN_KEYS: Final = (SETTLE, LATE, EXPIRE)
"""Endings of keys that the ledger makes itself, from the key of the hold or grant that they are about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseCommand:
    verb: ClassVar[str] = ""
    hold: ClassVar[str | None] = None
    to: ClassVar[str | None] = None
    member: ClassVar[str | None] = None

    account: str
    key: str
    note: str | None = None
    salt: bytes | None = None
    seen: Receipt | None = None

    def __post_init__(self) -> None:
        check_name("account", self.account)
        check_name("key", self.key)
        if self.key.endswith(OWN_KEYS):
            raise ValueError(
                f"key {self.key!r}: keys that end with /settle, /late or /expire belong to the settlement "
                "of a hold or the end of a grant"
            )
        self._check()

    def _check(self) -> None:
        if self.note is not None:
            check_note(self.note, self.salt)

    @property
    def about(self) -> str | None:
        """The key of the hold that must be looked at."""
        return self.hold

    @property
    def also(self) -> tuple[str, ...]:
        """Further keys of the account whose entries must be looked at."""
        return ()

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
class OnHold(BaseCommand):
    """A command about a hold. Without a key it settles the hold under the hold's own settlement key."""

    hold: str  # type: ignore[misc]  # a field here, a constant None in commands that touch no hold
    key: str = ""

    def __post_init__(self) -> None:
        check_name("account", self.account)
        check_name("hold", self.hold)
        own = self.hold + SETTLE
        if not self.key:
            object.__setattr__(self, "key", own)
        elif self.key != own or self.verb not in ("charge", "release"):
            BaseCommand.__post_init__(self)
            return
        self._check()


@dataclass(frozen=True, slots=True, kw_only=True)
class OnGrant(BaseCommand):
    """A command about one grant, named by its key."""

    grant: str | None = None

    @property
    def also(self) -> tuple[str, ...]:
        return () if self.grant is None else (self.grant,)

    def _check(self) -> None:
        if self.grant is not None:
            check_name("grant", self.grant)
        BaseCommand._check(self)


_C = TypeVar("_C", bound=BaseCommand)


def salted(command: _C, salt: bytes) -> _C:
    """The command with `salt` for its note, unless it has one or needs none."""
    return command if command.note is None or command.salt is not None else replace(command, salt=salt)
