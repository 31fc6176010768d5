"""Old entries in a file, for a store whose own room is dear.

The archive is a SQLite file. An entry is written there and synced before its store lets go of it; the store
keeps its number and hash, so that nothing else can be put in its place. Nothing is forgotten: keys, receipts
and balances of then are answered as before, by whoever has the file too.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from ledger_fortress.entries import Entry
from ledger_fortress.errors import LedgerError, MissingEntries, StoreUnavailable

from .json_rows import entry_of, row_of

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS archived (account TEXT NOT NULL, version INTEGER NOT NULL, row TEXT NOT NULL,"
    " PRIMARY KEY (account, version)) STRICT, WITHOUT ROWID"
)
_SECONDS: Final = 5.0


class Archive:
    """The archive at `path`. Each call opens the file for itself: any thread and any process may call."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def add(self, entries: Sequence[Entry]) -> None:
        """Keep entries of one account durably. LedgerError where there are others in their place."""
        with self._connect() as connection:
            connection.execute(_TABLE)
            rows = [(entry.account, entry.version, row_of(entry)) for entry in entries]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO archived VALUES (?, ?, ?)", rows)
            connection.execute("COMMIT")
        found = self.find(entries[0].account, [entry.version for entry in entries])
        for entry in entries:
            if self.check(found.get(entry.version), entry.version, entry.hash.hex()) != entry:
                raise LedgerError(
                    f"account {entry.account!r} version {entry.version}: the archive {self.path} had this "
                    "entry already, and it was changed there; restore the file from a copy"
                )

    def find(self, account: str, versions: Sequence[int]) -> dict[int, Entry]:
        """Those of the account's entries with these versions that are here."""
        sql = "SELECT row FROM archived WHERE account = ? AND version IN (SELECT value FROM json_each(?))"
        if not self.path.is_file():
            return {}
        with self._connect() as connection:
            rows = connection.execute(sql, (account, json.dumps(list(versions)))).fetchall()
        try:
            return {entry.version: entry for entry in (entry_of(row) for (row,) in rows)}
        except (ValueError, TypeError, IndexError) as error:
            raise MissingEntries(f"the archive {self.path} has a row that is no entry ({error})") from None

    def check(self, found: Entry | None, version: int, digest: str) -> Entry:
        """The entry that was found, if it is the one with this hash."""
        if found is None:
            raise MissingEntries(
                f"entry {version} was moved to an archive, and {self.path} does not have it: open the ledger "
                "with the archive that it was moved to"
            )
        if found.hash.hex() != digest:
            raise MissingEntries(
                f"account {found.account!r} version {version}: the archive {self.path} has another entry "
                "than the store: it was changed, or it is of another ledger; restore the file from a copy"
            )
        return found

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=_SECONDS, isolation_level=None)) as connection:
                # FULL would leave a moment after the commit in which a power cut undoes it.
                connection.execute("PRAGMA synchronous = EXTRA")
                connection.execute("PRAGMA fullfsync = ON")  # macOS: a plain fsync does not reach the disk
                yield connection
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the archive {self.path} cannot be used ({error})") from error
