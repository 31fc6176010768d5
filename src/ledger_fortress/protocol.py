"""What a store must do.

A store loads, compares and saves; it holds no money rule. Its one way of writing is `transact`: enter a
critical section, load what the caller names, call a pure function (possibly more than once), save what it
returned atomically, on condition that every account still has the version it was loaded with.

To write a store of one's own: implement `LedgerStore`, then run `ledger_fortress.testing.LedgerStoreContract`
over it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, TypeAlias

from .answers import Answer
from .commands import NEVER
from .entries import Entry, Note, Notice
from .state import Account, Checkpoint, Due, Hold, Member


class Touch(NamedTuple):
    """What a transaction is about. Pairs are (account, key); `marks` (account, version); members by name."""

    accounts: tuple[str, ...]
    keys: tuple[tuple[str, str], ...] = ()
    holds: tuple[tuple[str, str], ...] = ()
    marks: tuple[tuple[str, int], ...] = ()
    members: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Loaded:
    """What was found. What does not exist is absent.

    `entries` are the rows of the named keys. For each of them that belongs to a hold, that hold is in `holds`
    too. `due` has an item for every account whose `due` is not later than `now` or than its last entry: its
    open holds with `on_timeout="release"` up to then, and the deadline of the next such hold. `members` has
    those that were named, and the member of every hold in `holds` and `due`.
    """

    now: int
    accounts: dict[str, Account] = field(default_factory=dict)
    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    holds: dict[tuple[str, str], Hold] = field(default_factory=dict)
    due: dict[str, Due] = field(default_factory=dict)
    hashes: dict[tuple[str, int], bytes] = field(default_factory=dict)
    members: dict[tuple[str, str], Member] = field(default_factory=dict)


class Failure(NamedTuple):
    """A command that could not be judged because of a programming error; it alone has failed."""

    error: Exception


class Changes(NamedTuple):
    """What to save: accounts with the version each must still have (0: must not exist), and the answers."""

    accounts: tuple[tuple[Account, int], ...] = ()
    holds: tuple[Hold, ...] = ()
    entries: tuple[Entry, ...] = ()
    notes: tuple[Note, ...] = ()
    answers: tuple[Answer | Failure, ...] = ()
    members: tuple[Member, ...] = ()
    notices: tuple[Notice, ...] = ()


Decide: TypeAlias = Callable[[Loaded], Changes]


class Rows(Protocol):
    """Stored rows, all of them. Entries of an account come in order, and those of two may be mixed."""

    def entries(self) -> Iterable[Entry]: ...
    def accounts(self) -> Iterable[Account]: ...
    def holds(self) -> Iterable[Hold]: ...
    def notes(self) -> Iterable[Note]: ...
    def members(self) -> Iterable[Member]: ...
    def notices(self) -> Iterable[Notice]: ...


class Scan(Rows, Protocol):
    """One consistent picture of the stored rows, for auditors."""

    def parts(self) -> Iterable[tuple[str, Rows]]:
        """The picture account by account: every account that any row belongs to, and its rows.

        A part's rows are read before the next part is asked for. `partition` makes it of sorted tables.
        """
        ...


class LedgerStore(Protocol):
    """The store protocol. All methods may be called from any thread."""

    def transact(self, touch: Touch, decide: Decide) -> Changes:
        """Load, decide and save in one atomic step; returns what was decided last.

        Raises `StoreBusy` or `StoreUnavailable`; after either, what was computed is worth nothing.
        """
        ...

    def read(self, touch: Touch) -> Loaded:
        """Load without writing, in one consistent picture."""
        ...

    def entries(self, account: str, after: int, limit: int) -> list[Entry]:
        """Up to `limit` entries of the account with a version above `after`, in order."""
        ...

    def open_holds(self, account: str | None) -> list[Hold]:
        """Holds whose stored state is open, of one account or of all, by deadline."""
        ...

    def accounts(self, after: str, limit: int) -> list[str]:
        """Up to `limit` account names above `after`, in order."""
        ...

    def due(self, limit: int) -> list[str]:
        """Accounts that time alone changes by now, the longest due first."""
        ...

    def notices(self, account: str | None, kinds: tuple[str, ...], pending: bool, limit: int) -> list[Notice]:
        """Up to `limit` notices, oldest first by (at, account, version, place).

        Of one account or of all, of the named kinds (none named: of all), and with `pending` only those that
        nobody has acknowledged.
        """
        ...

    def acknowledge(self, marks: Sequence[tuple[str, int, int]]) -> int:
        """Mark notices by (account, version, place) as delivered; returns how many were not yet."""
        ...

    def checkpoints(self, after: int, limit: int) -> list[Checkpoint]:
        """Up to `limit` checkpoints with a number above `after`, in order."""
        ...

    def last_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint."""
        ...

    def add_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Keep a checkpoint durably; False, and nothing kept, if its number is taken."""
        ...

    def trust_clock(self) -> bool:
        """Believe a clock again that jumped forward; returns whether it was not believed."""
        ...

    def scan(self, account: str | None = None) -> AbstractContextManager[Scan]:
        """A consistent picture of one account or of everything, for `verify`."""
        ...

    def close(self) -> None:
        """Release what the store holds; closing twice is harmless."""
        ...


class Part(NamedTuple):
    """The rows of one account, or of one picture, table by table."""

    table: tuple[Iterable[Any], ...]

    def entries(self) -> Iterable[Entry]:
        return self.table[0]

    def accounts(self) -> Iterable[Account]:
        return self.table[1]

    def holds(self) -> Iterable[Hold]:
        return self.table[2]

    def notes(self) -> Iterable[Note]:
        return self.table[3]

    def members(self) -> Iterable[Member]:
        return self.table[4]

    def notices(self) -> Iterable[Notice]:
        return self.table[5]


def partition(*tables: Iterable[Any], order: Callable[[str], Any] = str) -> Iterator[tuple[str, Rows]]:
    """`Scan.parts` of six tables in the order of `Rows`, whose rows come sorted by `order` of the account."""
    groups = [groupby(rows, itemgetter(0)) for rows in tables]  # an account is the first field of every row
    heads = [next(group, None) for group in groups]
    while names := [head[0] for head in heads if head is not None]:
        name = min(names, key=order)
        mine = [head is not None and head[0] == name for head in heads]
        yield (
            name,
            Part(tuple([head[1] if here and head else () for head, here in zip(heads, mine, strict=True)])),
        )
        heads = [
            next(group, None) if here else head for group, head, here in zip(groups, heads, mine, strict=True)
        ]


def is_due(account: Account, now: int) -> bool:
    """Whether `Loaded.due` must have an item for this account."""
    return account.due <= now or account.due <= account.at


def members_of(loaded: Loaded, touch: Touch) -> Iterable[tuple[str, str]]:
    """The (account, member) pairs that belong into `Loaded.members`, once holds and due are loaded."""
    wanted = dict.fromkeys(touch.members)
    found: Iterable[Hold] = loaded.holds.values()
    if loaded.due:
        found = chain(found, *(due.holds for due in loaded.due.values()))
    for hold in found:
        if hold.member is not None:
            wanted[hold.account, hold.member] = None
    return wanted


def due_of(holds: Iterable[Hold], until: int) -> Due:
    """`Due` from the open holds of one account that are released by their timeout."""
    expiring = sorted(
        (hold for hold in holds if hold.state == "open" and hold.on_timeout == "release"),
        key=lambda hold: (hold.deadline, hold.version),
    )
    late = tuple(hold for hold in expiring if hold.deadline <= until)
    return Due(late, expiring[len(late)].deadline if len(late) < len(expiring) else NEVER)


def chunks(store: LedgerStore, account: str, size: int = 1_000, *, after: int = 0) -> Iterator[Entry]:
    """The entries of an account above version `after`, read page by page."""
    while True:
        page = store.entries(account, after, size)
        yield from page
        if len(page) < size:
            return
        after = page[-1].version
