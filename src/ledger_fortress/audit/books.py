"""Replaying entries: what the legs in their bodies must look like, and what they add up to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from ledger_fortress.entries import Entry
from ledger_fortress.state import Account, Bucket, Member

from . import moves
from .chain import Chains, Problems, Wrong, place, unreadable
from .moves import Side, Transfers
from .people import People
from .terms import Promises

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
    """Feeds on entries, each account's in order, and knows what they add up to."""

    def __init__(self, problems: Problems | None = None, transfers: Transfers | None = None) -> None:
        self._problems = Problems() if problems is None else problems
        self._transfers = Transfers() if transfers is None else transfers
        self.chains = Chains(self._problems)
        self.notes: dict[tuple[str, int], bytes] = {}
        self.notices: dict[tuple[str, int, int], tuple[str, int, str]] = {}
        self._books: dict[str, _Books] = {}

    @property
    def problems(self) -> list[str]:
        """What was found so far."""
        return self._problems.found

    def feed(self, entry: Entry) -> None:
        """Take the next entry, chain, sums and all. What is wrong with it is reported, and it goes on."""
        self.chains.follow((entry,))
        self.take(entry)

    def take(self, entry: Entry) -> None:
        """Take the next entry, whose chain and sums have been followed before."""
        books = self._books.get(entry[0])
        if books is None:
            books = self._books[entry[0]] = _Books()
        try:
            body, moved = _follow(books, entry)
            if "notices" in body:
                self._tell(entry, body["notices"])
            if moved:
                self._transfer(books, entry, body)
        except (Wrong, KeyError, ValueError, TypeError, IndexError) as wrong:
            said = str(wrong) if isinstance(wrong, Wrong) else unreadable(wrong)
            self.report(place(entry.account, entry.version) + said)
        books.version, books.head, books.at = entry.version, entry.hash, entry.at
        books.available, books.held, books.debt = entry.available, entry.held, entry.debt
        if entry.note_hash is not None:
            self.notes[entry.account, entry.version] = entry.note_hash

    def finish(self) -> None:
        """Check what only all entries together can show: both sides of every transfer that is in sight."""
        self._transfers.finish(self.report, self._books, alone=len(self._books) == 1)

    def _transfer(self, books: _Books, entry: Entry, body: dict[str, Any]) -> None:
        other = body["to"] if entry.kind == "transfer_out" else body["from"]
        moved = moves.slices(books.buckets, body)
        side = Side(entry.kind, other, body["version"], moved)
        self._transfers.add((entry.account, entry.version), side)

    def _tell(self, entry: Entry, notices: list[Any]) -> None:
        for number, (kind, body) in enumerate(notices):
            text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            self.notices[entry.account, entry.version, number] = kind, entry.at, text

    def report(self, problem: str) -> None:
        """Add to the problems."""
        self._problems.report(problem)

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
