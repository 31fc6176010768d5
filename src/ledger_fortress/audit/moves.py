"""What each leg does, which legs each kind of entry may have, and when."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, Final, NamedTuple, TypeAlias

from ledger_fortress.commands import NEVER
from ledger_fortress.entries import Entry

from .chain import Wrong

# leg → what it does to (waiting, available, held) of its bucket, and to the account
MOVES: Final[dict[str, tuple[int, int, int, int, int, int]]] = {
    "add": (0, 1, 0, 1, 0, 0),
    "plan": (1, 0, 0, 0, 0, 0),
    "wake": (-1, 1, 0, 1, 0, 0),
    "hold": (0, -1, 1, -1, 1, 0),
    "use": (0, 0, -1, 0, -1, 0),
    "back": (0, 1, -1, 1, -1, 0),
    "take": (0, -1, 0, -1, 0, 0),
    "repay": (0, -1, 0, -1, 0, -1),
    "lapse": (0, -1, 0, -1, 0, 0),
    "late": (0, 0, -1, 0, -1, 0),
    "void": (0, -1, 0, -1, 0, 0),
    "drop": (-1, 0, 0, 0, 0, 0),
    "owe": (0, 0, 0, 0, 0, 1),
}
_Rule: TypeAlias = tuple[frozenset[str], frozenset[str]]
_NOTHING: Final[_Rule] = (frozenset(), frozenset())
_GIVEN_BACK: Final[_Rule] = (frozenset({"add", "plan", "repay"}), frozenset({"add", "plan"}))
_FREED: Final[_Rule] = (frozenset({"back", "late", "repay"}), frozenset({"back", "late"}))
_TAKEN: Final[_Rule] = (frozenset({"take", "drop", "owe"}), frozenset({"take", "drop", "owe"}))
# kind → the legs that may appear in it, and which of them add up to its amount
KINDS: Final[dict[str, _Rule]] = {
    "grant": _GIVEN_BACK,
    "reserve": (frozenset({"hold"}), frozenset({"hold"})),
    "charge": (frozenset({"use", "back", "late", "repay", "take", "owe"}), frozenset({"use", "take", "owe"})),
    "release": _FREED,
    "timeout": _FREED,
    "refund": _GIVEN_BACK,
    "expire": (frozenset({"lapse", "add", "void", "drop"}), frozenset({"lapse", "void", "drop"})),
    "activate": (frozenset({"wake", "repay"}), frozenset({"wake"})),
    "transfer_out": (frozenset({"take"}), frozenset({"take"})),
    "transfer_in": (frozenset({"add", "repay"}), frozenset({"add"})),
    "clawback": _TAKEN,
    "dispute": _TAKEN,
    "dispute_won": _GIVEN_BACK,
    **dict.fromkeys(
        ("open", "extend", "freeze", "unfreeze", "close", "refused", "dispute_lost", "member", "alert"),
        _NOTHING,
    ),
}


_TIMED: Final = frozenset({"lapse", "late", "wake"})


class Side(NamedTuple):
    """What one account's entry says of a transfer: the other account, its entry there, and what moved."""

    kind: str
    other: str
    version: int
    moved: list[tuple[int, int, str | None, int]]


class Bucket:
    """A bucket as its entries tell it."""

    __slots__ = ("available", "effective", "expires", "held", "priority", "source", "waiting")

    def __init__(self, priority: int, expires: int, effective: int, source: str | None) -> None:
        self.priority, self.expires, self.effective, self.source = priority, expires, effective, source
        self.waiting = self.available = self.held = 0


Parts: TypeAlias = tuple[tuple[int, int], ...]
_Place: TypeAlias = tuple[str, int]


class Transfers:
    """Sides of transfers whose other side has not been seen yet, by account and version."""

    def __init__(self) -> None:
        self._open: dict[_Place, Side] = {}

    def add(self, here: _Place, side: Side) -> None:
        """Take one side; where it mirrors the other both are done with."""
        kind, other, version, moved = side
        mirrored = Side("transfer_in" if kind == "transfer_out" else "transfer_out", *here, moved)
        if self._open.get((other, version)) == mirrored:
            del self._open[other, version]
        else:
            self._open[here] = side

    def finish(self, report: Callable[[str], None], names: Container[str], alone: bool = False) -> None:
        """Report the sides that stand alone; with `alone` not those whose other account is not in `names`."""
        for (account, version), side in self._open.items():
            if side.other in names or not alone:
                report(f"account {account!r} version {version}: account {side.other!r} has no such transfer")


def move(buckets: dict[int, Bucket], entry: Entry, body: dict[str, Any]) -> Parts:
    """Apply the legs of an entry to the buckets; returns what a hold or a dispute took, bucket by bucket."""
    kind, at = entry.kind, entry.at
    allowed, counted = KINDS[kind]
    available = held = debt = total = 0
    parts: list[tuple[int, int]] = []
    if kind == "grant" or "buckets" in body:
        _make_buckets(buckets, entry, body)
    for op, number, amount in body["legs"]:
        if op not in allowed or amount <= 0:
            raise Wrong(f"a {kind} cannot {op} {amount}")
        w, a, h, da, dh, dd = MOVES[op]
        available += da * amount
        held += dh * amount
        debt += dd * amount
        if op in counted:
            total += amount
        if op in ("hold", "take", "drop", "owe"):
            parts.append((number, amount))
        if op == "owe":
            continue
        bucket = buckets[number]
        if at >= bucket.expires or op in _TIMED:
            _check_time(op, bucket, entry)
        if w:
            bucket.waiting += w * amount
        if a:
            bucket.available += a * amount
        if h:
            bucket.held += h * amount
        if bucket.waiting < 0 or bucket.available < 0 or bucket.held < 0:
            raise Wrong(f"takes {amount} ({op}) out of bucket {number}, which has less")
        if op == "wake":
            bucket.effective = 0
    if (available, held, debt) != (entry.d_available, entry.d_held, entry.d_debt):
        raise Wrong("its legs do not add up to its deltas")
    if total != entry.amount and kind != "refused":
        raise Wrong(f"its legs add up to {total}, not to its amount {entry.amount}")
    return tuple(parts)


def slices(buckets: dict[int, Bucket], body: dict[str, Any]) -> list[tuple[int, int, str | None, int]]:
    """What a transfer's legs move, with the terms of the buckets: (priority, expires, source, amount)."""
    moved = []
    for op, number, amount in body["legs"]:
        if op in ("take", "add"):
            bucket = buckets[number]
            moved.append((bucket.priority, bucket.expires, bucket.source, amount))
    return moved


def _make_buckets(buckets: dict[int, Bucket], entry: Entry, body: dict[str, Any]) -> None:
    if entry.kind == "grant":
        number = body["legs"][0][1]
        if number not in buckets:
            waits = body["legs"][0][0] == "plan"
            expires = body["expires"] if body["expires"] is not None else NEVER
            effective = body["effective"] if waits else 0
            buckets[number] = Bucket(body["priority"], expires, effective, body["source"])
    elif "buckets" in body:
        for number, priority, expires, source in body["buckets"]:
            if number in buckets:
                raise Wrong(f"makes bucket {number} a second time")
            buckets[number] = Bucket(priority, expires, 0, source)


def _check_time(op: str, bucket: Bucket, entry: Entry) -> None:
    at = entry.at
    if at >= bucket.expires:
        rolled = op == "add" and entry.kind == "expire"
        if op in ("hold", "take", "repay", "back", "add", "void") and not rolled:
            raise Wrong(f"moves credits ({op}) of a bucket that has expired")
    elif op in ("lapse", "late"):
        raise Wrong(f"expires credits ({op}) before their time")
    if op == "wake" and at < bucket.effective:
        raise Wrong("makes credits effective before their time")
