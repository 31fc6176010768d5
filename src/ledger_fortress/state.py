"""The state of an account, as values.

Everything here is a tuple: rules make new ones instead of changing old ones, so that a rule that fails
leaves nothing behind, and a store can keep the old and the new side by side. Tuples rather than dataclasses
because a busy ledger makes a few hundred thousand of them per second.

A bucket is what is left of one grant. The fields of `Bucket` are in burn order, so that the natural order of
the tuples *is* the order in which credits are spent: priority, then expiry, then age.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring as quoted
from typing import Final, NamedTuple

from .commands import NEVER

OPEN: Final = "open"
FROZEN: Final = "frozen"
CLOSED: Final = "closed"
REWOUND: Final = "rewound"

CHARGED: Final = "charged"
RELEASED: Final = "released"
TIMED_OUT: Final = "timed_out"

OWED: Final = 0
"""The bucket number of a slice that was charged while no bucket could pay for it."""


class Bucket(NamedTuple):
    """What is left of a grant. `effective` is 0 once it may be spent; until then `available` only waits."""

    priority: int
    expires: int
    id: int
    source: str | None
    effective: int
    available: int
    held: int


class Slice(NamedTuple):
    """The part of a hold that one bucket pays, with what is needed to make that bucket again."""

    bucket: int
    amount: int
    priority: int
    expires: int
    source: str | None


class Account(NamedTuple):
    """One account after its entry number `version`.

    `due` is a lower bound of the next instant at which time alone changes the account: a bucket that expires
    or becomes effective, a hold that is released.
    """

    account: str
    version: int
    head: bytes
    at: int
    status: str
    available: int
    held: int
    debt: int
    due: int
    buckets: tuple[Bucket, ...]


class Hold(NamedTuple):
    """Reserved credits and what became of them. `version` is the entry that made it."""

    account: str
    key: str
    state: str
    deadline: int
    on_timeout: str
    version: int
    at: int
    amount: int
    charged: int
    refunded: int
    member: str | None
    slices: tuple[Slice, ...]

    def is_open(self, now: int) -> bool:
        """Whether it can be settled at `now`, with its own timeout taken into account."""
        return self.state == OPEN and (self.on_timeout == "report" or self.deadline > now)


class Due(NamedTuple):
    """The open holds of an account that are to be released by `now`, and the deadline of the next one."""

    holds: tuple[Hold, ...]
    next_deadline: int


NOTHING_DUE: Final = Due((), NEVER)


def _text_or_null(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def pack_buckets(buckets: tuple[Bucket, ...]) -> str:
    """Buckets as canonical JSON: an array of arrays in the order of the fields."""
    rows = ",".join(f"[{b[0]},{b[1]},{b[2]},{_text_or_null(b[3])},{b[4]},{b[5]},{b[6]}]" for b in buckets)
    return f"[{rows}]"


def unpack_buckets(packed: str) -> tuple[Bucket, ...]:
    """The inverse of `pack_buckets`."""
    return tuple(map(Bucket._make, json.loads(packed)))


def pack_slices(slices: tuple[Slice, ...]) -> str:
    """Slices as canonical JSON: an array of arrays in the order of the fields."""
    rows = ",".join(f"[{s[0]},{s[1]},{s[2]},{s[3]},{_text_or_null(s[4])}]" for s in slices)
    return f"[{rows}]"


def unpack_slices(packed: str) -> tuple[Slice, ...]:
    """The inverse of `pack_slices`."""
    return tuple(map(Slice._make, json.loads(packed)))
