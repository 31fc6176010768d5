"""What a ledger can be told to do.

A command names its account and its key, carries whole micro-credits, and speaks of *intervals* (a timeout of
so many microseconds), never of instants, because an honest retry a minute later must be the same command. A
grant's effective and expiry times are the exception: they are part of what was sold.

A key belongs to one account and to all verbs together. The fingerprint kept beside it is BLAKE2b over the
command's packed form, a canonical JSON array that starts with its version; the note, its salt and the
receipt that may be presented are not part of it. The same key with another fingerprint is a conflict.

Settling a hold has a key of its own, `<hold>/settle`, so that charging twice with different amounts, or
releasing what was charged, meets the first settlement instead of a second one. Only a charge that comes after
a release is no second settlement but a late one, and is kept under `<hold>/late`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from ledger_fortress.checks import MAX_PRIORITY, NEVER, check_name

from .accounts import Close, Freeze, OpenAccount, SetAlert, SetMember, Unfreeze
from .granting import Clawback, Dispute, DisputeLost, DisputeWon, Expire, Grant, Transfer
from .holding import Charge, Extend, OnMissing, OnTimeout, Refund, Release, Reserve

__all__ = [
    "MAX_LINKED", "MAX_PRIORITY", "NEVER",
    "Charge", "Clawback", "Close", "Command", "Dispute", "DisputeLost", "DisputeWon", "Expire", "Extend",
    "Freeze", "Grant", "Item", "Linked", "OnMissing", "OnTimeout", "OpenAccount", "Refund", "Release",
    "Reserve", "SetAlert", "SetMember", "Transfer", "Unfreeze",
]  # fmt: skip

MAX_LINKED: Final = 256

Command: TypeAlias = (
    OpenAccount
    | Grant
    | Reserve
    | Charge
    | Release
    | Refund
    | Extend
    | Expire
    | Transfer
    | Clawback
    | Dispute
    | DisputeWon
    | DisputeLost
    | SetMember
    | SetAlert
    | Freeze
    | Unfreeze
    | Close
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
