"""Replaying entries: what each must look like, and what they add up to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

from ledger_fortress.entries import Entry
from ledger_fortress.state import Account, Bucket, Member

from . import moves
from .moves import Wrong
from .people import People
from .terms import Promises

MAX_PROBLEMS: Final = 1_000
_read = json.JSONDecoder().raw_decode
_STATUS: Final = {"open": "open", "unfreeze": "open", "freeze": "frozen", "close": "closed"}


class _Books:
    """One account as its entries tell it."""

    __slots__ = (
        "at", "available", "buckets", "debt", "head", "held", "people", "promises", "status", "version",
    )  # fmt: skip

    def __init__(self) -> None:
        self.version, self.head, self.at, self.status = 0, bytes(32), 0, "open"
        self.available = self.held = self.debt = 0
        self.buckets: dict[int, moves.Bucket] = {}
        self.people = People()
        self.promises = Promises()


class Replay:
    """Feeds on entries, account by account in order, and knows what they add up to."""

    def __init__(self) -> None:
        self.entries = 0
        self.problems: list[str] = []
        self.notes: dict[tuple[str, int], bytes] = {}
        self.notices: dict[tuple[str, int, int], tuple[str, int, str]] = {}
        self._transfers: dict[tuple[str, int], tuple[Any, ...]] = {}
        self._books: dict[str, _Books] = {}

    def feed(self, entry: Entry) -> None:
        """Take the next entry. What is wrong with it is added to `problems`, and the replay goes on."""
        self.entries += 1
        books = self._books.get(entry[0])
        if books is None:
            books = self._books[entry[0]] = _Books()
        try:
            _check_chain(books, entry)
            body, moved = _follow(books, entry)
            if "notices" in body:
                self._tell(entry, body["notices"])
            if moved:
                self._transfer(books, entry, body)
        except (Wrong, KeyError, ValueError, TypeError, IndexError) as wrong:
            said = wrong if isinstance(wrong, Wrong) else f"unreadable ({type(wrong).__name__}: {wrong})"
            self.report(f"account {entry.account!r} version {entry.version}: {said}")
        books.version, books.head, books.at = entry.version, entry.hash, entry.at
        books.available, books.held, books.debt = entry.available, entry.held, entry.debt
        if entry.note_hash is not None:
            self.notes[entry.account, entry.version] = entry.note_hash

    def finish(self) -> None:
        """Check what only all entries together can show: both sides of every transfer that is in sight."""
        for (account, version), (kind, other, place, moved) in self._transfers.items():
            if other not in self._books and len(self._books) == 1:
                continue  # one account is looked at alone
            mirrored = "transfer_in" if kind == "transfer_out" else "transfer_out"
            if self._transfers.get((other, place)) != (mirrored, account, version, moved):
                self.report(f"account {account!r} version {version}: account {other!r} has no such transfer")

    def _transfer(self, books: _Books, entry: Entry, body: dict[str, Any]) -> None:
        other = body["to"] if entry.kind == "transfer_out" else body["from"]
        moved = moves.slices(books.buckets, body)
        self._transfers[entry.account, entry.version] = (entry.kind, other, body["version"], moved)

    def _tell(self, entry: Entry, notices: list[Any]) -> None:
        for place, (kind, body) in enumerate(notices):
            text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            self.notices[entry.account, entry.version, place] = kind, entry.at, text

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
            books.available, books.held, books.debt, 0, tuple(buckets), books.promises.terms(),
        )  # fmt: skip

    def hold(self, account: str, key: str) -> tuple[Any, ...] | None:
        """(state, amount, charged, refunded, deadline, member, window, parts) of a hold, or None.

        It counts as read.
        """
        books = self._books.get(account)
        hold = books.people.holds.get(key) if books is not None else None
        if hold is None:
            return None
        hold.read = True
        terms = hold.deadline, hold.member, hold.window, hold.parts
        return hold.state, hold.amount, hold.charged, hold.refunded, *terms

    def members(self) -> dict[tuple[str, str], Member]:
        """The members' rows, by account and name."""
        return {
            (row.account, row.member): row
            for books in self._books.values()
            for row in books.people.members.values()
        }

    def unread_holds(self) -> Iterable[tuple[str, str]]:
        """Account and key of every hold that nobody has asked for."""
        for account, books in self._books.items():
            for key, hold in books.people.holds.items():
                if not hold.read:
                    yield account, key


def _check_chain(books: _Books, e: Entry) -> None:
    if e.version != books.version + 1:
        raise Wrong(f"follows version {books.version}: entries are missing or out of order")
    if e.prev_hash != books.head:
        raise Wrong("does not continue the chain of the entry before it")
    if e.at < books.at:
        raise Wrong("is dated before the entry before it")
    if _digest(e) != e.hash:
        raise Wrong("its fields do not give its hash: it was changed after it was written")
    available, held, debt = books.available + e.d_available, books.held + e.d_held, books.debt + e.d_debt
    sums = available, held, debt
    if sums != (e.available, e.held, e.debt):
        raise Wrong(f"balances do not follow: {sums} expected, {(e.available, e.held, e.debt)} written")
    if available < 0 or held < 0 or debt < 0 or (available and debt):
        raise Wrong(f"impossible balances (available, held, debt) {sums}")


def _digest(e: Entry) -> bytes:
    """The hash that the fields of an entry give. Lengths count bytes: beyond ASCII they are taken anew."""
    (
        account, version, kind, key, hold, at, amount, d_available, d_held, d_debt, available, held, debt,
        body, fingerprint, link, note_hash, prev_hash, _,
    ) = e  # fmt: skip
    prev, key, hold, link = prev_hash.hex(), key or "", hold or "", link or ""
    numbers = f"{version},{at},{amount},{d_available},{d_held},{d_debt},{available},{held},{debt}"
    mark, note = fingerprint.hex() if fingerprint else "", note_hash.hex() if note_hash else ""
    text = (
        f"\x01{len(prev)}:{prev}{len(account)}:{account}{len(kind)}:{kind}{len(key)}:{key}{len(hold)}:{hold}"
        f"{len(numbers)}:{numbers}{len(body)}:{body}{len(mark)}:{mark}{len(link)}:{link}{len(note)}:{note}"
    )
    if text.isascii():
        return sha256(text.encode()).digest()
    fields = [field.encode() for field in (prev, account, kind, key, hold, numbers, body, mark, link, note)]
    return sha256(b"\x01" + b"".join([b"%d:%b" % (len(field), field) for field in fields])).digest()


def _follow(books: _Books, entry: Entry) -> tuple[dict[str, Any], bool]:
    """Apply the legs to the buckets and the kind to everything else."""
    body = _read(entry.body)[0]
    parts = moves.move(books.buckets, entry, body)
    kind = entry.kind
    if kind in _STATUS:
        books.status = "rewound" if body.get("reason") == "rewound" else _STATUS[kind]
    if entry.hold is not None or kind == "member":
        books.people.take(entry, body, parts)
    books.promises.take(entry, body)
    return body, kind in ("transfer_out", "transfer_in")
