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
from .tuples import maker

_read = json.JSONDecoder().raw_decode  # json.loads without its search for space around a text that has none

OPEN: Final = "open"
FROZEN: Final = "frozen"
CLOSED: Final = "closed"
REWOUND: Final = "rewound"

CHARGED: Final = "charged"
RELEASED: Final = "released"
TIMED_OUT: Final = "timed_out"

# A dispute is kept like a hold: credits set aside in slices until it is decided.
DISPUTED: Final = "disputed"
WON: Final = "won"
LOST: Final = "lost"

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


class Alert(NamedTuple):
    """A threshold: fires when `available` falls below `below`, once, until it is back at `rearm` or more."""

    name: str
    below: int
    rearm: int
    fired: int


class Roll(NamedTuple):
    """Of what bucket `bucket` has left when it expires, up to `cap` lives on for `life` microseconds."""

    bucket: int
    expires: int
    cap: int
    life: int


class Terms(NamedTuple):
    """What an account has agreed to beside its buckets; most have nothing here."""

    alerts: tuple[Alert, ...] = ()
    rolls: tuple[Roll, ...] = ()


NO_TERMS: Final = Terms()


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
    terms: Terms = NO_TERMS


class Hold(NamedTuple):
    """Reserved credits and what became of them. `version` is the entry that made it.

    `window` is the number of the member's window that it counts in, 0 where no limit was watched.
    """

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
    window: int
    slices: tuple[Slice, ...]

    def is_open(self, now: int) -> bool:
        """Whether it can be settled at `now`, with its own timeout taken into account."""
        return self.state == OPEN and (self.on_timeout == "report" or self.deadline > now)


class Member(NamedTuple):
    """What one member of a pool may spend (`cap`, None: anything) in windows of `window` microseconds.

    The current window began at `start` and is numbered by the entry that opened it; `spent` and `held` count
    what was reserved in it. A `window` of 0 never ends.
    """

    account: str
    member: str
    cap: int | None
    window: int
    start: int
    number: int
    spent: int
    held: int


class Checkpoint(NamedTuple):
    """A seal over the heads of all accounts, chained to the seal before it; see `sealing`.

    `heads` is canonical JSON: [account, version, head in hex] of every account that has changed since the
    seal before, in the order of their names. `accounts` counts all of them.
    """

    number: int
    at: int
    accounts: int
    prev_hash: bytes
    hash: bytes
    heads: str


class Due(NamedTuple):
    """The open holds of an account that are to be released by `now`, and the deadline of the next one."""

    holds: tuple[Hold, ...]
    next_deadline: int


NOTHING_DUE: Final = Due((), NEVER)


_bucket: Final = maker(Bucket)
_slice: Final = maker(Slice)


def pack_buckets(buckets: tuple[Bucket, ...]) -> str:
    """Buckets as canonical JSON: an array of arrays in the order of the fields."""
    rows = [
        f"[{priority},{expires},{number},{'null' if source is None else quoted(source)}"
        f",{effective},{available},{held}]"
        for priority, expires, number, source, effective, available, held in buckets
    ]
    return f"[{','.join(rows)}]"


def unpack_buckets(packed: str) -> tuple[Bucket, ...]:
    """The inverse of `pack_buckets`."""
    return tuple(map(_bucket, _read(packed)[0]))


def pack_slices(slices: tuple[Slice, ...]) -> str:
    """Slices as canonical JSON: an array of arrays in the order of the fields."""
    rows = [
        f"[{bucket},{amount},{priority},{expires},{'null' if source is None else quoted(source)}]"
        for bucket, amount, priority, expires, source in slices
    ]
    return f"[{','.join(rows)}]"


def unpack_slices(packed: str) -> tuple[Slice, ...]:
    """The inverse of `pack_slices`."""
    return tuple(map(_slice, _read(packed)[0]))


def pack_terms(terms: Terms) -> str:
    """Terms as canonical JSON, or nothing where there are none."""
    return "" if terms == NO_TERMS else json.dumps(terms, separators=(",", ":"), ensure_ascii=False)


def unpack_terms(packed: str) -> Terms:
    """The inverse of `pack_terms`."""
    if not packed:
        return NO_TERMS
    alerts, rolls = json.loads(packed)
    return Terms(tuple(map(Alert._make, alerts)), tuple(map(Roll._make, rolls)))
