"""Reading an export into a ledger: audited as it streams by, visible only when all of it is right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, TypeVar

from . import audit
from .entries import Entry, Note, Notice
from .exporting import FORMAT, BadExport, Digest, Row, read_line
from .progress import STEP, Progress
from .protocol import Changes, LedgerStore, Touch
from .state import Account, Checkpoint, Hold, Member

_T = TypeVar("_T")
_NOTHING: Final = "nothing of it can be seen in the ledger"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import brought: `fresh` of the file's `entries` were not here yet. `digest` is the file's."""

    entries: int
    fresh: int
    accounts: int
    digest: str


def import_lines(store: LedgerStore, lines: Iterable[str], progress: Progress | None = None) -> Imported:
    """Import an export. Raises `BadExport`, and then nothing of it can be seen in the ledger.

    Accounts that are here already must have every entry that the file has; what they have beyond it stays.
    """
    incoming = _Incoming(store, lines, progress)
    proof = audit.audit_rows(incoming)
    if not proof.ok:
        raise BadExport(f"the file does not verify; {_NOTHING}; first problem: {proof.problems[0]}")
    incoming.finish()
    accounts = len(incoming.account_rows)
    return Imported(incoming.read, incoming.fresh, accounts, incoming.digest.hexdigest())


class _Incoming:
    """A file as the picture of a ledger: what the auditor reads from it is written as it goes by.

    Entries and holds are written in steps. What may stay in memory (the audit keeps as much) waits for the
    end and is written with the row of its account.
    """

    def __init__(self, store: LedgerStore, lines: Iterable[str], progress: Progress | None) -> None:
        self._store = store
        self._here: dict[str, bool] = {}
        self._new: set[str] = set()
        self._late: dict[str, list[Any]] = {"member": [], "notice": [], "note": []}
        self._count = 0
        self.read = self.fresh = 0
        self.account_rows: list[Account] = []
        self.digest = Digest()
        self._rows = self._read(lines, progress)
        self._next: tuple[str, Any] | None = next(self._rows, None)

    def entries(self) -> Iterator[Entry]:
        batch: list[Entry] = []
        for entry in self._table("entry"):
            yield entry
            batch.append(entry)
            if len(batch) == STEP:
                self._save_entries(batch)
                batch = []
        self._save_entries(batch)

    def accounts(self) -> Iterator[Account]:
        self.account_rows = list(self._table("account"))
        return iter(self.account_rows)

    def holds(self) -> Iterator[Hold]:
        batch: list[Hold] = []
        for hold in self._table("hold"):
            yield hold
            if not self._known(hold.account):
                batch.append(hold)
            if len(batch) == STEP:
                self._save(batch, lambda rows: Changes(holds=tuple(rows)))
                batch = []
        self._save(batch, lambda rows: Changes(holds=tuple(rows)))

    def members(self) -> Iterator[Member]:
        return self._keep("member")

    def notices(self) -> Iterator[Notice]:
        return self._keep("notice")

    def notes(self) -> Iterator[Note]:
        return self._keep("note")

    def finish(self) -> None:
        """Read the rest, compare counts and digest, and let the accounts appear."""
        pending = {tuple(told["notice"]) for told in self._table("pending")}
        seals: list[Checkpoint] = list(self._table("checkpoint"))
        end = next(self._table("end"), None)
        if end is None or self._next is not None:
            raise BadExport(f"the file is not whole or not in order; {_NOTHING}")
        if (end.get("rows"), end.get("digest")) != (self._count, self.digest.hexdigest()):
            raise BadExport(f"the file's digest is not that of its rows: it was changed; {_NOTHING}")
        known = {seal.number: seal for seal in self._store.checkpoints(0, len(seals))}
        for seal in seals:
            if known.get(seal.number, seal) != seal:
                raise BadExport(f"checkpoint {seal.number} is another one here; {_NOTHING}")
        fresh = [account for account in self.account_rows if not self._known(account.account)]
        for begin in range(0, len(fresh), STEP):
            self._save(fresh[begin : begin + STEP], self._appear)
        told = [(n.account, n.version, n.place) for n in self._late["notice"] if not self._known(n.account)]
        self._store.acknowledge([mark for mark in told if mark not in pending])
        for seal in seals:
            self._store.add_checkpoint(seal)

    def _appear(self, accounts: Sequence[Account]) -> Changes:
        names = {account.account for account in accounts}
        late = {
            table: tuple(row for row in rows if row.account in names) for table, rows in self._late.items()
        }
        return Changes(
            accounts=tuple((account, 0) for account in accounts),
            notes=late["note"],
            members=late["member"],
            notices=late["notice"],
        )

    def _save_entries(self, batch: list[Entry]) -> None:
        """Write what is not here yet; what is here must be the same."""
        fresh: list[Entry] = []
        batch.sort(key=lambda entry: entry[:2])
        for name, group in groupby(batch, key=lambda entry: entry.account):
            rows = list(group)
            if rows[0].version == 1 and not self._known(name) and not self._store.entries(name, 0, 1):
                self._new.add(name)
            if name in self._new:
                fresh += rows
                continue
            here = self._store.entries(name, rows[0].version - 1, len(rows))
            if here != rows[: len(here)] or (self._known(name) and len(here) < len(rows)):
                raise BadExport(f"account {name!r} has another history here; {_NOTHING}")
            fresh += rows[len(here) :]
        self.fresh += len(fresh)
        self._save(fresh, lambda rows: Changes(entries=tuple(rows)))

    def _save(self, rows: Sequence[_T], changes_of: Callable[[Sequence[_T]], Changes]) -> None:
        """Write rows in one commit, or in halves where the store takes no batch of this size."""
        if not rows:
            return
        changes = changes_of(rows)
        touch = Touch(tuple(account.account for account, _ in changes.accounts))
        try:
            self._store.transact(touch, lambda _: changes)
        except ValueError:
            if len(rows) == 1:
                raise
            half = len(rows) // 2
            self._save(rows[:half], changes_of)
            self._save(rows[half:], changes_of)

    def _known(self, account: str) -> bool:
        """Whether the account was here before this import."""
        if account not in self._here:
            self._here[account] = account in self._store.read(Touch((account,))).accounts
        return self._here[account]

    def _keep(self, table: str) -> Iterator[Any]:
        self._late[table] = list(self._table(table))
        return iter(self._late[table])

    def _table(self, name: str) -> Iterator[Any]:
        while self._next is not None and self._next[0] == name:
            row = self._next[1]
            self._next = next(self._rows, None)
            yield row

    def _read(self, lines: Iterable[str], progress: Progress | None) -> Iterator[tuple[str, Any]]:
        numbered = enumerate(lines, 1)
        table, head = read_line(next(numbered, (1, ""))[1], 1)
        if table != "head" or head.get("format") != FORMAT:
            raise BadExport(f"this file does not begin as a {FORMAT}; {_NOTHING}")
        for number, line in numbered:
            table, row = read_line(line, number)
            if table not in ("pending", "end"):
                self._count += 1
                self.digest.add(Row(table, row))
                self.read += table == "entry"
                if progress is not None and self._count % STEP == 0:
                    progress(self._count)
            yield table, row
        if progress is not None:
            progress(self._count)
