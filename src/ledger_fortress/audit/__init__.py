"""The auditor: replays entries to balances without any of the code that wrote them.

An entry is believed only as far as it can be checked: its hash from its own fields, its place from the entry
before it, its deltas from its legs, its legs from the buckets and holds that the earlier entries made. What
the replay arrives at is then compared with what is stored beside the entries. Nothing here imports `rules`;
the small table below is written out a second time on purpose, because an auditor who borrows the
bookkeeper's pencil finds no mistakes.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from ledger_fortress.entries import Entry, Notice
from ledger_fortress.protocol import Scan
from ledger_fortress.state import Account, Checkpoint, Hold, Member
from ledger_fortress.views import Verification

from .books import Replay
from .seals import Seals

__all__ = ["Replay", "Replayed", "replay", "verify"]


class Replayed(NamedTuple):
    """What entries add up to: accounts by name, and what could not be."""

    accounts: dict[str, Account]
    problems: tuple[str, ...]


def replay(entries: Iterable[Entry]) -> Replayed:
    """Replay entries (each account's in order) to accounts, without the rules that wrote them."""
    books = Replay()
    for entry in entries:
        books.feed(entry)
    books.finish()
    return Replayed({name: books.account(name) for name in books.names()}, tuple(books.problems))


def verify(scan: Scan, checkpoints: Iterable[Checkpoint] = ()) -> Verification:
    """Check every entry and compare what they add up to with everything that is stored beside them.

    Heads that were sealed in `checkpoints` must be found again; those of accounts that are not part of the
    scan are not looked for when the scan is of one account.
    """
    books = Replay()
    seals = Seals(checkpoints, books)
    for entry in scan.entries():
        books.feed(entry)
        if seals.heads:
            seals.see(entry)
    books.finish()
    stored = 0
    missing = set(books.names())
    for state in scan.accounts():
        stored += 1
        if state.account not in missing:
            books.report(f"account {state.account!r}: stored without any entry")
            continue
        missing.discard(state.account)
        _compare(books, state)
    for name in sorted(missing):
        books.report(f"account {name!r}: has entries but is not stored")
    _compare_holds(books, scan.holds())
    _compare_members(books, scan.members())
    _compare_notices(books, scan.notices())
    seals.finish()
    for note in scan.notes():
        if books.notes.get((note.account, note.version)) != sha256(note.salt + note.text.encode()).digest():
            books.report(
                f"account {note.account!r} version {note.version}: the note is not the one that was written"
            )
    return Verification(not books.problems, books.entries, stored, tuple(books.problems))


def _compare(books: Replay, stored: Account) -> None:
    """The stored row against the replay; `due` is a hint for the store and no part of the truth."""
    told = books.account(stored.account)._replace(due=stored.due)
    if told == stored:
        return
    for field, expected, found in zip(Account._fields, told, stored, strict=True):
        if expected != found:
            plain = field not in ("head", "buckets", "terms")
            shown = f"is {found!r}, its entries say {expected!r}" if plain else "differs"
            books.report(f"account {stored.account!r} version {stored.version}: stored {field} {shown}")


def _compare_holds(books: Replay, holds: Iterable[Hold]) -> None:
    for hold in holds:
        told = books.hold(hold.account, hold.key)
        parts = tuple((piece.bucket, piece.amount) for piece in hold.slices)
        terms = hold.deadline, hold.member, hold.window, parts
        found = hold.state, hold.amount, hold.charged, hold.refunded, *terms
        if told != found:
            books.report(f"account {hold.account!r} version {hold.version}: stored hold {hold.key!r} differs")
    for account, key in books.unread_holds():
        books.report(f"account {account!r}: hold {key!r} of the entries is not stored")


def _compare_members(books: Replay, members: Iterable[Member]) -> None:
    told = books.members()
    for row in members:
        if told.pop((row.account, row.member), None) != row:
            books.report(f"account {row.account!r}: stored member {row.member!r} differs")
    for account, member in told:
        books.report(f"account {account!r}: member {member!r} of the entries is not stored")


def _compare_notices(books: Replay, notices: Iterable[Notice]) -> None:
    told = dict(books.notices)
    for notice in notices:
        if told.pop(notice[:3], None) != notice[3:]:
            books.report(f"account {notice.account!r} version {notice.version}: a stored notice differs")
    for account, version, _ in told:
        books.report(f"account {account!r} version {version}: its notice is not stored")
