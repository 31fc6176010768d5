"""A ledger store that a team wrote for itself, on LMDB: embedded, several processes on one folder.

`KeyValueStore` does what is the same everywhere. Left is what a snapshot and a transaction are in LMDB, and
how it fails. `tests/examples/test_own_store.py` runs the shipped contract over it. Needs `pip install lmdb`.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import takewhile
from pathlib import Path

import lmdb

from ledger_fortress import Ledger, StoreUnavailable
from ledger_fortress.stores import Clock
from ledger_fortress.stores.keyvalue import KeyValueStore

ROOM = 1 << 36  # address space, not disk: LMDB maps the whole file


class Rows:
    """What `KeyValueStore` asks of a snapshot and of a transaction, said to LMDB."""

    def __init__(self, transaction: lmdb.Transaction) -> None:
        self.get, self.put, self.delete = transaction.get, transaction.put, transaction.delete
        self._cursor = transaction.cursor

    def range(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        cursor = self._cursor()
        return takewhile(lambda row: row[0] < end, cursor if cursor.set_range(first) else ())


class LmdbStore(KeyValueStore):
    """A ledger in a folder. Readers never wait; writers wait for each other, also between processes.

    A commit is on disk when it returns: LMDB syncs by default. A process opens a folder once and shares the
    store between its threads; after a fork the child opens one of its own.
    """

    def __init__(self, folder: Path | str, *, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._folder, self._pid = str(folder), os.getpid()
        self._environment = lmdb.open(self._folder, map_size=ROOM)

    def reading(self) -> AbstractContextManager[Rows]:
        return self._begun(write=False)

    def writing(self) -> AbstractContextManager[Rows]:
        return self._begun(write=True)

    @contextmanager
    def _begun(self, *, write: bool) -> Iterator[Rows]:
        if self._pid != os.getpid():
            raise StoreUnavailable(f"the ledger in {self._folder} is not open in this process: open it here")
        committing = False
        try:
            with self._environment.begin(write=write) as transaction:  # commits unless the block raises
                yield Rows(transaction)
                committing = write
        except lmdb.Error as error:
            maybe = committing and not isinstance(error, lmdb.MapFullError)  # which comes before any write
            raise StoreUnavailable(f"LMDB in {self._folder} failed ({error})", maybe_applied=maybe) from error

    def close(self) -> None:
        if self._pid == os.getpid():
            self._environment.close()
        self._pid = 0


if __name__ == "__main__":
    with Ledger(LmdbStore("credits.lmdb")) as ledger:
        ledger.grant("acct_1", "25.00", key="in_77", create=True)
        ledger.reserve("acct_1", "0.052", key="gen_9", timeout=900)
        ledger.charge("acct_1", "gen_9", "0.040")
        assert ledger.charge("acct_1", "gen_9", "0.040").replayed
        print(ledger.balance("acct_1"), ledger.audit())
