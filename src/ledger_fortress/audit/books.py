"""Replaying entries: what each must look like, and what they add up to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

from ledger_fortress.commands import NEVER
from ledger_fortress.entries import Entry
from ledger_fortress.state import Account, Bucket

MAX_PROBLEMS: Final = 1_000

# leg → what it does to (waiting, available, held) of its bucket, and to the account
_MOVES: Final[dict[str, tuple[int, int, int, int, int, int]]] = {
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
    "owe": (0, 0, 0, 0, 0, 1),
}
# kind → the legs that may appear in it, and which of them add up to its amount
_KINDS: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "open": (frozenset(), frozenset()),
    "grant": (frozenset({"add", "plan", "repay"}), frozenset({"add", "plan"})),
    "reserve": (frozenset({"hold"}), frozenset({"hold"})),
    "charge": (frozenset({"use", "back", "late", "repay", "take", "owe"}), frozenset({"use", "take", "owe"})),
    "release": (frozenset({"back", "late", "repay"}), frozenset({"back", "late"})),
    "timeout": (frozenset({"back", "late", "repay"}), frozenset({"back", "late"})),
    "refund": (frozenset({"add", "repay"}), frozenset({"add"})),
    "expire": (frozenset({"lapse"}), frozenset({"lapse"})),
    "activate": (frozenset({"wake", "repay"}), frozenset({"wake"})),
    "extend": (frozenset(), frozenset()),
    "freeze": (frozenset(), frozenset()),
    "unfreeze": (frozenset(), frozenset()),
    "close": (frozenset(), frozenset()),
    "refused": (frozenset(), frozenset()),
}
_ENDS: Final = {"charge": "charged", "release": "released", "timeout": "timed_out"}


class _Bucket:
    __slots__ = ("available", "effective", "expires", "held", "priority", "source", "waiting")

    def __init__(self, priority: int, expires: int, effective: int, source: str | None) -> None:
        self.priority, self.expires, self.effective, self.source = priority, expires, effective, source
        self.waiting = self.available = self.held = 0


class _Hold:
    __slots__ = ("amount", "charged", "deadline", "parts", "read", "refunded", "state")

    def __init__(self, amount: int, deadline: int) -> None:
        self.amount, self.deadline = amount, deadline
        self.state, self.charged, self.refunded = "open", 0, 0
        self.parts: tuple[tuple[int, int], ...] = ()
        self.read = False


class _Books:
    """One account as its entries tell it."""

    __slots__ = ("at", "available", "buckets", "debt", "head", "held", "holds", "status", "version")

    def __init__(self) -> None:
        self.version, self.head, self.at, self.status = 0, bytes(32), 0, "open"
        self.available = self.held = self.debt = 0
        self.buckets: dict[int, _Bucket] = {}
        self.holds: dict[str, _Hold] = {}


class _Wrong(Exception):
    """An entry that cannot be."""


class Replay:
    """Feeds on entries, account by account in order, and knows what they add up to."""

    def __init__(self) -> None:
        self.entries = 0
        self.problems: list[str] = []
        self.notes: dict[tuple[str, int], bytes] = {}
        self._books: dict[str, _Books] = {}

    def feed(self, entry: Entry) -> None:
        """Take the next entry. What is wrong with it is added to `problems`, and the replay goes on."""
        self.entries += 1
        books = self._books.get(entry[0])
        if books is None:
            books = self._books[entry[0]] = _Books()
        try:
            _check_chain(books, entry)
            _move(books, entry)
        except (_Wrong, KeyError, ValueError, TypeError, IndexError) as wrong:
            said = wrong if isinstance(wrong, _Wrong) else f"unreadable ({type(wrong).__name__}: {wrong})"
            self.report(f"account {entry.account!r} version {entry.version}: {said}")
        books.version, books.head, books.at = entry.version, entry.hash, entry.at
        books.available, books.held, books.debt = entry.available, entry.held, entry.debt
        if entry.note_hash is not None:
            self.notes[entry.account, entry.version] = entry.note_hash

    def report(self, problem: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def names(self) -> Iterable[str]:
        """The accounts that had entries."""
        return self._books

    def account(self, account: str) -> Account:
        """The account as its entries tell it. Raises KeyError if it had none."""
        books = self._books[account]
        buckets = sorted(
            Bucket(b.priority, b.expires, number, b.source, b.effective, b.available + b.waiting, b.held)
            for number, b in books.buckets.items()
            if b.available or b.held or b.waiting
        )
        return Account(
            account, books.version, books.head, books.at, books.status,
            books.available, books.held, books.debt, 0, tuple(buckets),
        )  # fmt: skip

    def hold(self, account: str, key: str) -> tuple[Any, ...] | None:
        """(state, amount, charged, refunded, deadline, parts) of a hold, or None; it counts as read."""
        books = self._books.get(account)
        hold = books.holds.get(key) if books is not None else None
        if hold is None:
            return None
        hold.read = True
        return hold.state, hold.amount, hold.charged, hold.refunded, hold.deadline, hold.parts

    def unread_holds(self) -> Iterable[tuple[str, str]]:
        """Account and key of every hold that nobody has asked for."""
        for account, books in self._books.items():
            for key, hold in books.holds.items():
                if not hold.read:
                    yield account, key


def _check_chain(books: _Books, e: Entry) -> None:
    if e.version != books.version + 1:
        raise _Wrong(f"follows version {books.version}: entries are missing or out of order")
    if e.prev_hash != books.head:
        raise _Wrong("does not continue the chain of the entry before it")
    if e.at < books.at:
        raise _Wrong("is dated before the entry before it")
    prev, key, hold, link = e.prev_hash.hex(), e.key or "", e.hold or "", e.link or ""
    numbers = ",".join(map(str, (e[1], *e[5:13])))
    mark, note = e.fingerprint.hex() if e.fingerprint else "", e.note_hash.hex() if e.note_hash else ""
    texts = (prev, e.account, e.kind, key, hold, numbers, e.body, mark, link, note)
    raw = [text.encode() for text in texts]
    digest = sha256(b"\x01")
    digest.update(b"".join([b"%d:%b" % (len(text), text) for text in raw]))
    if digest.digest() != e.hash:
        raise _Wrong("its fields do not give its hash: it was changed after it was written")
    sums = books.available + e.d_available, books.held + e.d_held, books.debt + e.d_debt
    if sums != (e.available, e.held, e.debt):
        raise _Wrong(f"balances do not follow: {sums} expected, {(e.available, e.held, e.debt)} written")
    if min(sums) < 0 or (sums[0] and sums[2]):
        raise _Wrong(f"impossible balances (available, held, debt) {sums}")


def _move(books: _Books, entry: Entry) -> None:
    """Apply the legs to the buckets and the kind to the hold."""
    body = json.loads(entry.body)
    allowed, counted = _KINDS[entry.kind]
    available = held = debt = total = 0
    parts: list[tuple[int, int]] = []
    _make_buckets(books, entry, body)
    for op, number, amount in body["legs"]:
        if op not in allowed or amount <= 0:
            raise _Wrong(f"a {entry.kind} cannot {op} {amount}")
        w, a, h, da, dh, dd = _MOVES[op]
        available += da * amount
        held += dh * amount
        debt += dd * amount
        if op in counted:
            total += amount
        if op in ("hold", "take", "owe"):
            parts.append((number, amount))
        if op == "owe":
            continue
        bucket = books.buckets[number]
        _check_time(op, bucket, entry.at)
        bucket.waiting += w * amount
        bucket.available += a * amount
        bucket.held += h * amount
        if bucket.waiting < 0 or bucket.available < 0 or bucket.held < 0:
            raise _Wrong(f"takes {amount} ({op}) out of bucket {number}, which has less")
        if op == "wake":
            bucket.effective = 0
    if (available, held, debt) != (entry.d_available, entry.d_held, entry.d_debt):
        raise _Wrong("its legs do not add up to its deltas")
    if total != entry.amount and entry.kind != "refused":
        raise _Wrong(f"its legs add up to {total}, not to its amount {entry.amount}")
    _move_hold(books, entry, body, tuple(parts))


def _make_buckets(books: _Books, entry: Entry, body: dict[str, Any]) -> None:
    if entry.kind == "grant":
        number = body["legs"][0][1]
        if number not in books.buckets:
            waits = body["legs"][0][0] == "plan"
            expires = body["expires"] if body["expires"] is not None else NEVER
            effective = body["effective"] if waits else 0
            books.buckets[number] = _Bucket(body["priority"], expires, effective, body["source"])
    elif entry.kind == "refund":
        for number, priority, expires, source in body.get("buckets", ()):
            books.buckets[number] = _Bucket(priority, expires, 0, source)


def _check_time(op: str, bucket: _Bucket, at: int) -> None:
    if op in ("hold", "take", "repay", "back", "add") and at >= bucket.expires:
        raise _Wrong(f"moves credits ({op}) of a bucket that has expired")
    if op in ("lapse", "late") and at < bucket.expires:
        raise _Wrong(f"expires credits ({op}) before their time")
    if op == "wake" and at < bucket.effective:
        raise _Wrong("makes credits effective before their time")


def _move_hold(books: _Books, e: Entry, body: dict[str, Any], parts: tuple[tuple[int, int], ...]) -> None:
    kind, key = e.kind, e.hold
    if kind in ("open", "unfreeze"):
        books.status = "open"
    elif kind == "freeze":
        books.status = "rewound" if body.get("reason") == "rewound" else "frozen"
    elif kind == "close":
        books.status = "closed"
    elif kind == "reserve":
        if key is None or key in books.holds:
            raise _Wrong(f"reserves hold {key!r} a second time")
        books.holds[key] = hold = _Hold(e.amount, body["deadline"])
        hold.parts = parts
    elif kind in _ENDS:
        _end_hold(books, e, body, parts)
    elif kind in ("refund", "extend"):
        hold = books.holds[key or ""]
        if kind == "extend":
            hold.deadline = body["deadline"]
        hold.refunded += e.amount
        if hold.refunded > hold.charged:
            raise _Wrong(f"refunds hold {key!r} beyond what was charged")


def _end_hold(books: _Books, e: Entry, body: dict[str, Any], parts: tuple[tuple[int, int], ...]) -> None:
    key = e.hold or ""
    late = body.get("late", False)
    hold = books.holds.get(key)
    if hold is None and late:
        hold = books.holds[key] = _Hold(e.amount, e.at)
    elif hold is None or hold.state == "charged" or (hold.state == "open") == late:
        raise _Wrong(f"settles hold {key!r}, which is {'unknown' if hold is None else hold.state}")
    if late:
        hold.parts = parts
    elif -e.d_held != hold.amount:
        raise _Wrong(f"frees {-e.d_held} of hold {key!r}, which held {hold.amount}")
    hold.state = _ENDS[e.kind]
    hold.charged = e.amount if e.kind == "charge" else 0
