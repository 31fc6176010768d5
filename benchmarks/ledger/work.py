"""The contenders: the same reserve + charge pairs, ours in batches and the usual design one by one."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path

from benchmarks.peers.ledger_usual import UsualLedger
from ledger_fortress import Ledger
from ledger_fortress.answers import Applied
from ledger_fortress.commands import Charge, Grant, Item, Reserve

HELD, CHARGED = 52_000, 40_000
PLENTY = 10**12
_serial = count()


def new_key() -> str:
    """A key that grows with time, like UUIDv7, whose last part is random."""
    return f"{time.time_ns() // 1_000_000:012x}-{next(_serial) & 0xFFFFFF:06x}-{os.urandom(8).hex()}"


class Ours:
    """Every feature on: three grants per account, fingerprints, a chained hash per entry, full sync."""

    def __init__(self, folder: Path, accounts: int) -> None:
        self.ledger = Ledger.open(f"sqlite:///{folder}/ours.db")
        self.names = [f"acct_{number:06d}" for number in range(accounts)]
        self.dice = random.Random(1)
        grants: list[Item] = [
            Grant(account=name, key=f"g{n}", amount=PLENTY, source=f"s{n}", priority=n, create=True)
            for name in self.names
            for n in range(3)
        ]
        for start in range(0, len(grants), 1_000):
            self.ledger.apply(grants[start : start + 1_000])

    def pairs(self, number: int, batch: int) -> None:
        """So many pairs, `batch` of them in one commit; making the commands is part of it."""
        for _ in range(number // batch):
            commands: list[Item] = []
            for _ in range(batch):
                commands.extend(self._pair())
            self._apply(commands)

    def alone(self, number: int) -> None:
        """So many pairs, each of the two commands in a commit of its own."""
        for _ in range(number):
            for command in self._pair():
                self._apply([command])

    def _pair(self) -> tuple[Reserve, Charge]:
        name, key = self.dice.choice(self.names), new_key()
        return (
            Reserve(account=name, key=key, amount=HELD, timeout=900_000_000, on_timeout="report"),
            Charge(account=name, hold=key, amount=CHARGED),
        )

    def _apply(self, commands: list[Item]) -> None:
        if not all(type(answer) is Applied for answer in self.ledger.apply(commands)):
            raise RuntimeError("a benchmark command was not applied")

    def close(self) -> None:
        self.ledger.close()


class Usual:
    """The frozen peer."""

    def __init__(self, folder: Path, accounts: int) -> None:
        self.ledger = UsualLedger(folder / "usual.db")
        self.names = [f"acct_{number:06d}" for number in range(accounts)]
        self.dice = random.Random(1)
        with self.ledger.together():
            for name in self.names:
                self.ledger.open(name, 3 * PLENTY)

    def pairs(self, number: int, batch: int) -> None:
        """So many pairs; with a batch of 1, each operation is its own transaction."""
        for _ in range(number // batch):
            with self.ledger.together() if batch > 1 else nullcontext():
                for _ in range(batch):
                    name, key = self.dice.choice(self.names), new_key()
                    if not (self.ledger.reserve(name, key, HELD) and self.ledger.charge(name, key, CHARGED)):
                        raise RuntimeError("a benchmark operation was refused")

    def close(self) -> None:
        self.ledger.close()


def syncs(folder: Path, number: int) -> None:
    """Append 4 KiB and sync, so many times."""
    block = os.urandom(4096)
    with open(folder / "sync", "ab", buffering=0) as file:
        for _ in range(number):
            file.write(block)
            os.fsync(file.fileno())


@contextmanager
def raw_rows(folder: Path) -> Iterator[sqlite3.Connection]:
    """A bare table, written with the same settings."""
    db = sqlite3.connect(folder / "raw.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")
    try:
        yield db
    finally:
        db.close()


def inserts(db: sqlite3.Connection, number: int) -> None:
    """Insert so many rows of 300 bytes, each in a transaction of its own."""
    for _ in range(number):
        db.execute("INSERT INTO row (body) VALUES (?)", ("x" * 300,))
