"""What is stored beside the entries against what they add up to."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from ledger_fortress.entries import Note, Notice
from ledger_fortress.protocol import Rows
from ledger_fortress.state import Account, Hold, Member

from .books import Replay


def compare(books: Replay, rows: Rows) -> int:
    """Report every row that the entries do not tell, and what they tell and no row says.

    Returns how many accounts are stored.
    """
    stored = 0
    missing = set(books.names())
    for state in rows.accounts():
        stored += 1
        if state.account not in missing:
            books.report(f"account {state.account!r}: stored without any entry")
            continue
        missing.discard(state.account)
        _account(books, state)
    for name in sorted(missing):
        books.report(f"account {name!r}: has entries but is not stored")
    _holds(books, rows.holds())
    _members(books, rows.members())
    _notices(books, rows.notices())
    _notes(books, rows.notes())
    return stored


def _account(books: Replay, stored: Account) -> None:
    """The stored row against the replay; `due` is a hint for the store and no part of the truth."""
    told = books.account(stored.account)._replace(due=stored.due)
    if told == stored:
        return
    for field, expected, found in zip(Account._fields, told, stored, strict=True):
        if expected != found:
            plain = field not in ("head", "buckets", "terms")
            shown = f"is {found!r}, its entries say {expected!r}" if plain else "differs"
            books.report(f"account {stored.account!r} version {stored.version}: stored {field} {shown}")


def _holds(books: Replay, holds: Iterable[Hold]) -> None:
    for hold in holds:
        told = books.hold(hold.account, hold.key)
        parts = tuple([(piece.bucket, piece.amount) for piece in hold.slices])
        terms = hold.deadline, hold.member, hold.window, parts
        found = hold.state, hold.amount, hold.charged, hold.refunded, *terms
        if told != found:
            books.report(f"account {hold.account!r} version {hold.version}: stored hold {hold.key!r} differs")
    for account, key in books.unread_holds():
        books.report(f"account {account!r}: hold {key!r} of the entries is not stored")


def _members(books: Replay, members: Iterable[Member]) -> None:
    told = books.members()
    for row in members:
        if told.pop((row.account, row.member), None) != row:
            books.report(f"account {row.account!r}: stored member {row.member!r} differs")
    for account, member in told:
        books.report(f"account {account!r}: member {member!r} of the entries is not stored")


def _notices(books: Replay, notices: Iterable[Notice]) -> None:
    told = dict(books.notices)
    for notice in notices:
        if told.pop(notice[:3], None) != notice[3:]:
            books.report(f"account {notice.account!r} version {notice.version}: a stored notice differs")
    for account, version, _ in told:
        books.report(f"account {account!r} version {version}: its notice is not stored")


def _notes(books: Replay, notes: Iterable[Note]) -> None:
    for note in notes:
        if books.notes.get((note.account, note.version)) != sha256(note.salt + note.text.encode()).digest():
            books.report(
                f"account {note.account!r} version {note.version}: the note is not the one that was written"
            )
