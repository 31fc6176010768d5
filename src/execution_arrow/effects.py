"""What a generation needs done in the outside world.

Effects are values derived from the durable state (`machine.agenda`); nothing remembers that one was
"sent". Performing any of them twice is harmless, except `Submit`: that one is guarded by the epoch of the
attempt's row, so only the owner who wrote the row may send it, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Timer(StrEnum):
    """The clocks of a generation. Each is derived from the state, so that none can be lost."""

    PATIENCE = "patience"  # how long an unknown submit may keep the others waiting
    DEADLINE = "deadline"  # how long an accepted job may run
    CANCEL = "cancel"  # how long a cancel's answer may keep the successor waiting
    EMPTY = "empty"  # how long a success may come without outputs
    COLLECT = "collect"  # how long results may take to be copied
    WRITE_OFF = "write_off"  # when an unresolved attempt is given up
    GENERATION = "generation"  # when the customer is told that it failed
    ANNOUNCE = "announce"  # how long the terminal event waits for the settlement


@dataclass(frozen=True, slots=True)
class OpenHold:
    """Reserve the dearest quote, keyed by the generation."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Choose who is asked next, out of these, in this order."""

    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Submit:
    """Send the attempt's one paid call."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Recover:
    """Find out what became of a submit whose owner is gone: its spooled answer, or doubt."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Poll:
    attempt: str


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask for the job that an unsigned callback named, before anything is believed of it."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """Look for the job of a submit whose answer was lost."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Cancel:
    attempt: str


@dataclass(frozen=True, slots=True)
class Copy:
    """Make one announced output ours."""

    attempt: str
    index: int


@dataclass(frozen=True, slots=True)
class Settle:
    verb: str
    amount: int


@dataclass(frozen=True, slots=True)
class Ring:
    """A timer runs out: fold `TimeUp`. Performed by the driver itself, no I/O."""

    timer: Timer
    attempt: str | None = None


Effect = OpenHold | Plan | Submit | Recover | Poll | Confirm | Lookup | Cancel | Copy | Settle | Ring
