"""The auditor: checks entries without any of the code that wrote them.

An entry is believed only as far as it can be checked. `verify` follows the *chain and the sums*: each entry's
hash from its own fields, its place from the entry before it, its balances from the balances before it; then
the stored balances from the last entry, and the sealed heads among all entries. `audit` also *replays* what
the entries say: their legs from the buckets and holds that earlier entries made, and then everything that is
stored beside them, account by account. Nothing here imports `rules`; the small table in `moves` is written
out a second time on purpose, because an auditor who borrows the bookkeeper's pencil finds no mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from ledger_fortress.entries import Entry
from ledger_fortress.progress import Counter
from ledger_fortress.protocol import Rows, Scan
from ledger_fortress.state import Account, Checkpoint
from ledger_fortress.views import Verification

from .beside import compare
from .books import Replay
from .chain import Chains, Problems, place
from .moves import Transfers
from .seals import Seals

__all__ = [
    "AUDITED",
    "VERIFIED",
    "Replay",
    "Replayed",
    "audit",
    "audit_rows",
    "replay",
    "verify",
    "verify_on",
]

VERIFIED: Final = ("chain", "sums", "seals")
SILENT: Final = Counter(None)
AUDITED: Final = (*VERIFIED, "buckets", "holds", "members", "notices", "notes")


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


def verify(
    scan: Rows,
    checkpoints: Iterable[Checkpoint] = (),
    account: str | None = None,
    counter: Counter = SILENT,
) -> Verification:
    """Check the chain and the sums of every entry in the picture, which is of `account` or of all."""
    problems = Problems()
    seals = Seals(checkpoints, problems)
    chains = Chains(problems, seals.waiting)
    chains.follow(counter.over(scan.entries()))
    stored = set()
    for state in scan.accounts():
        stored.add(state.account)
        _compare(chains, problems, state)
    for name in sorted(set(chains.heads) - stored):
        problems.report(f"account {name!r}: has entries but is not stored")
    seals.finish(chains.heads, account)
    return _verified(problems, chains.entries, len(stored), VERIFIED)


def verify_on(
    accounts: Iterable[Account],
    after: Callable[[str, int], Iterable[Entry]],
    current: Callable[[str], int],
    seals: Seals,
    problems: Problems,
    account: str | None,
    since: str,
    counter: Counter = SILENT,
) -> Verification:
    """Check what came after the heads that `seals` believes; an account without one from its first entry on.

    `after` gives the entries of an account above a version, as they are now, and `current` the version that
    is stored of it now: what was written since the picture is left alone, but an account's row that is behind
    its entries is no picture of them. The believed entry itself is read, and must have
    the believed hash: that makes its balances the ones to go on from. What lies before it is not read.
    """
    chains, stored = Chains(problems, seals.waiting), set()
    for state in accounts:
        name = state.account
        stored.add(name)
        version, digest = seals.believed.get(name, (0, b""))
        there = iter(after(name, max(version - 1, 0)))
        entries = _up_to(there, state.version)
        if version:
            first = next(entries, None)
            if first is None or not chains.begin(first, digest):
                problems.report(place(name, version) + "not the entry that is believed to be there")
                continue
        chains.follow(counter.over(entries))
        _compare(chains, problems, state)
        beyond = next(there, None)
        if beyond is not None and beyond.version > current(name):
            said = f"has an entry {beyond.version}, which its stored row does not know of"
            problems.report(place(name, state.version) + said)
    for name in sorted(set(seals.believed) - stored):
        if account in (None, name):
            problems.report(f"account {name!r}: is believed to be there and is not stored")
    seals.finish(chains.heads, account)
    return _verified(problems, chains.entries, len(stored), VERIFIED, since)


def audit(
    scan: Scan,
    checkpoints: Iterable[Checkpoint] = (),
    account: str | None = None,
    counter: Counter = SILENT,
) -> Verification:
    """`verify`, and replay every entry against everything that is stored beside them.

    Account by account, so that no more than one account's holds are in mind at a time.
    """
    problems, transfers = Problems(), Transfers()
    seals = Seals(checkpoints, problems)
    chains = Chains(problems, seals.waiting)
    chains.follow(counter.over(scan.entries()))
    stored, names = 0, chains.heads
    for _, part in scan.parts():
        books = Replay(problems, transfers)
        for entry in counter.over(part.entries()):
            books.take(entry)
        stored += compare(books, part)
    transfers.finish(problems.report, names, alone=account is not None or len(names) == 1)
    seals.finish(chains.heads, account)
    return _verified(problems, chains.entries, stored, AUDITED)


def audit_rows(rows: Rows) -> Verification:
    """`audit` for rows that can be read only once and in one order: all of them are kept in mind."""
    problems = Problems()
    books = Replay(problems)
    for entry in rows.entries():
        books.feed(entry)
    books.finish()
    stored = compare(books, rows)
    return _verified(problems, books.chains.entries, stored, AUDITED)


def _verified(
    problems: Problems, entries: int, accounts: int, checked: tuple[str, ...], since: str | None = None
) -> Verification:
    found = tuple(problems.found)
    return Verification(not found, entries, accounts, found, checked, since)


def _compare(chains: Chains, problems: Problems, state: Account) -> None:
    if state.account in chains.heads:
        chains.compare(state)
    else:
        problems.report(f"account {state.account!r}: stored without any entry")


def _up_to(entries: Iterable[Entry], version: int) -> Iterator[Entry]:
    """The entries up to this version; the rest is left where it is."""
    for entry in entries:
        yield entry
        if entry.version >= version:
            return
