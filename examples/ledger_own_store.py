"""A ledger store that a team wrote for itself, on LMDB: embedded, several processes on one folder.

`KeyValueStore` does what is the same everywhere. Left is what a snapshot and a transaction are in LMDB, and
how it fails. `tests/examples/test_own_store.py` runs the shipped contract over it. Needs `pip install lmdb`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb

from ledger_fortress import Ledger, StoreUnavailable
from ledger_fortress.stores import Clock
from ledger_fortress.stores.keyvalue import KeyValueStore

ROOM = 1 << 36  # address space, not disk: LMDB maps the whole file


class Rows:
    """What `KeyValueStore` asks of a snapshot and of a transaction, said to LMDB."""

    def __init__(self, transaction: lmdb.Transaction) -> None:
        self.get = transaction.get
        self.put = transaction.put
        self.delete = transaction.delete
        self._cursor = transaction.cursor

    def range(self, first: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        cursor = self._cursor()
        if cursor.set_range(first):
            for key, value in cursor:
                if key >= end:
                    return
                yield key, value


class LmdbStore(KeyValueStore):
    """A ledger in a folder. Readers never wait; writers wait for each other, also between processes.

    A commit is on disk when it returns: LMDB syncs by default. A process opens a folder once and shares the
    store between its threads; after a fork the child opens one of its own.
    """

    def __init__(self, folder: Path | str, *, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._folder, self._pid = str(folder), os.getpid()
        self._environment: lmdb.Environment | None = lmdb.open(self._folder, map_size=ROOM)

    @contextmanager
    def reading(self) -> Iterator[Rows]:
        try:
            with self._open_here().begin() as transaction:
                yield Rows(transaction)
        except lmdb.Error as error:
            raise StoreUnavailable(f"reading {self._folder} failed ({error})") from error

    @contextmanager
    def writing(self) -> Iterator[Rows]:
        committing = False
        try:
            transaction = self._open_here().begin(write=True)  # waits for other writers
            try:
                yield Rows(transaction)
                committing = True
                transaction.commit()
            except BaseException:
                transaction.abort()  # after a commit, this does nothing
                raise
        except lmdb.Error as error:
            maybe = committing and not isinstance(error, lmdb.MapFullError)  # which comes before any write
            raise StoreUnavailable(f"writing {self._folder} failed ({error})", maybe_applied=maybe) from error

    def close(self) -> None:
        opened, self._environment = self._environment, None
        if opened is not None and self._pid == os.getpid():
            opened.close()

    def _open_here(self) -> lmdb.Environment:
        if self._environment is None or self._pid != os.getpid():
            raise StoreUnavailable(f"the ledger in {self._folder} is not open in this process: open it here")
        return self._environment


if __name__ == "__main__":
    with Ledger(LmdbStore("credits.lmdb")) as ledger:
        ledger.grant("acct_1", "25.00", key="in_77", create=True)
        ledger.reserve("acct_1", "0.052", key="gen_9", timeout=900)
        ledger.charge("acct_1", "gen_9", "0.040")
        assert ledger.charge("acct_1", "gen_9", "0.040").replayed
        print(ledger.balance("acct_1"), ledger.audit())
