"""The usual credit ledger, written with care and frozen: a peer for benchmarks, not part of the product.

One row per account with a balance, one row per hold, one row per movement with a unique key; one transaction
per operation, as a web request would do it. Durable like ours (WAL, synchronous=FULL), checked (CHECK
constraints, unique keys), idempotent for plain repeats. It has no grants, no expiry, no chain and no replay.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA = """
CREATE TABLE account (
    account TEXT PRIMARY KEY,
    balance INTEGER NOT NULL CHECK (balance >= 0),
    held INTEGER NOT NULL CHECK (held >= 0)
) STRICT;
CREATE TABLE hold (
    key TEXT NOT NULL, account TEXT NOT NULL, amount INTEGER NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (account, key)
) STRICT;
CREATE TABLE movement (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL,
    amount INTEGER NOT NULL, balance INTEGER NOT NULL, at REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX movement_key ON movement (account, key);
"""


class UsualLedger:
    """Balances in rows, one transaction per operation."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.executescript(SCHEMA)
        self._grouped = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """One transaction around several operations."""
        self.db.execute("BEGIN IMMEDIATE")
        self._grouped = True
        try:
            yield
            self.db.execute("COMMIT")
        finally:
            self._grouped = False

    def _begin(self) -> None:
        self.db.execute("SAVEPOINT operation" if self._grouped else "BEGIN IMMEDIATE")

    def _commit(self) -> None:
        self.db.execute("RELEASE operation" if self._grouped else "COMMIT")

    def _undo(self) -> None:
        self.db.execute("ROLLBACK TO operation" if self._grouped else "ROLLBACK")

    def open(self, account: str, balance: int) -> None:
        self.db.execute("INSERT INTO account VALUES (?, ?, 0)", (account, balance))

    def reserve(self, account: str, key: str, amount: int) -> bool:
        """Move `amount` from balance to held; False if there is too little."""
        run = self.db.execute
        self._begin()
        if run("SELECT 1 FROM movement WHERE account = ? AND key = ?", (account, key)).fetchone():
            self._undo()
            return True
        row = run(
            "UPDATE account SET balance = balance - ?1, held = held + ?1 WHERE account = ?2 AND balance >= ?1"
            " RETURNING balance",
            (amount, account),
        ).fetchone()
        if row is None:
            self._undo()
            return False
        run("INSERT INTO hold VALUES (?, ?, ?, 'open')", (key, account, amount))
        self._move(account, key, "reserve", -amount, row[0])
        self._commit()
        return True

    def charge(self, account: str, key: str, amount: int) -> bool:
        """Spend `amount` of the hold and give the rest back; False if it is not open."""
        run = self.db.execute
        self._begin()
        hold = run(
            "UPDATE hold SET state = 'charged' WHERE account = ? AND key = ? AND state = 'open'"
            " RETURNING amount",
            (account, key),
        ).fetchone()
        if hold is None or hold[0] < amount:
            self._undo()
            return False
        row = run(
            "UPDATE account SET balance = balance + ?1, held = held - ?2 WHERE account = ?3"
            " RETURNING balance",
            (hold[0] - amount, hold[0], account),
        ).fetchone()
        self._move(account, f"{key}/charge", "charge", hold[0] - amount, row[0])
        self._commit()
        return True

    def _move(self, account: str, key: str, kind: str, amount: int, balance: int) -> None:
        self.db.execute(
            "INSERT INTO movement (account, key, kind, amount, balance, at) VALUES (?, ?, ?, ?, ?, ?)",
            (account, key, kind, amount, balance, time.time()),
        )

    def close(self) -> None:
        self.db.close()
