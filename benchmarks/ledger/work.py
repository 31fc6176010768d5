"""The contenders: the same reserve + charge pairs, done by ours and by the usual designs.

Accounts and keys are made beforehand, from one seed; keys grow with time. A pair's charge is never in the
commit of its reserve: in batches, a commit full of reserves is followed by one of their charges.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path

from benchmarks.peers.ledger_usual import UsualLedger
from ledger_fortress import AsyncLedger, Credits, Ledger
from ledger_fortress.answers import Applied
from ledger_fortress.commands import Charge, Grant, Item, Reserve
from ledger_fortress.protocol import LedgerStore

HELD, CHARGED = 52_000, 40_000
PLENTY = 10**12
Pair = tuple[str, str]


def names(accounts: int) -> list[str]:
    return [f"acct_{number:06d}" for number in range(accounts)]


def pairs_on(accounts: int, seed: int = 1) -> Iterator[Pair]:
    """Account and key, for ever: a random account, and a key that grows with time, like UUIDv7."""
    dice, places = random.Random(seed), names(accounts)
    number = 0
    while True:
        number += 1
        key = f"{0x19A9_0000_0000 + number // 8:012x}-{number & 0xFFF:03x}-{dice.getrandbits(64):016x}"
        yield dice.choice(places), key


class Ours:
    """Every feature on: three grants per account, fingerprints, a chained hash per entry, full durability."""

    def __init__(self, store: LedgerStore, accounts: int, *, batch: int = 256, fresh: bool = True) -> None:
        self.store = store
        self.ledger = Ledger(store)
        self.batch = batch
        self._pairs = pairs_on(accounts)
        self._waiting: list[Pair] = []
        if fresh:
            self._open(accounts)

    def _open(self, accounts: int) -> None:
        grants: list[Item] = [
            Grant(account=name, key=f"g{n}", amount=PLENTY, source=f"s{n}", priority=n, create=True)
            for name in names(accounts)
            for n in range(3)
        ]
        for start in range(0, len(grants), 1_000):
            self._apply(grants[start : start + 1_000])

    def prepare(self, number: int, pairs: Iterator[Pair] | None = None) -> None:
        """Make so many pairs ready."""
        self._waiting = list(islice(pairs or self._pairs, number))[::-1]

    def pairs(self, number: int) -> None:
        """So many pairs, a batch of commands to a commit; making the commands is part of it."""
        for _ in range(number // self.batch):
            pairs = self._take(self.batch)
            self._apply([reserve(pair) for pair in pairs])
            self._apply([charge(pair) for pair in pairs])

    def alone(self, number: int) -> None:
        """So many pairs, each of the two commands in a commit of its own."""
        for pair in self._take(number):
            self._apply([reserve(pair)])
            self._apply([charge(pair)])

    def tasks(self, number: int, callers: int) -> None:
        """So many pairs by so many asyncio tasks, each with one operation at a time, through the verbs."""
        shares = [self._take(number // callers) for _ in range(callers)]
        asyncio.run(self._share(shares))

    async def _share(self, shares: list[list[Pair]]) -> None:
        ledger = AsyncLedger(self.store)
        held, charged = Credits.micro(HELD), Credits.micro(CHARGED)

        async def caller(pairs: list[Pair]) -> None:
            for account, key in pairs:
                await ledger.reserve(account, held, key=key, timeout=900, on_timeout="report")
                await ledger.charge(account, key, charged)

        await asyncio.gather(*map(caller, shares))

    def _take(self, number: int) -> list[Pair]:
        if len(self._waiting) < number:
            self.prepare(max(number, 4_096))
        taken = self._waiting[-number:]
        del self._waiting[-number:]
        return taken[::-1]

    def _apply(self, commands: Sequence[Item]) -> None:
        if not all(type(answer) is Applied for answer in self.ledger.apply(commands)):
            raise RuntimeError("a benchmark command was not applied")

    def close(self) -> None:
        self.ledger.close()


def reserve(pair: Pair) -> Reserve:
    return Reserve(account=pair[0], key=pair[1], amount=HELD, timeout=900_000_000, on_timeout="report")


def charge(pair: Pair) -> Charge:
    return Charge(account=pair[0], hold=pair[1], amount=CHARGED)


class Usual:
    """The frozen peer on SQLite."""

    def __init__(self, folder: Path, accounts: int) -> None:
        self.ledger = UsualLedger(folder / "usual.db")
        self._pairs = pairs_on(accounts)
        with self.ledger.together():
            for name in names(accounts):
                self.ledger.open(name, 3 * PLENTY)

    def pairs(self, number: int, batch: int) -> None:
        """So many pairs; with a batch of 1, each operation is its own transaction."""
        for _ in range(number // batch):
            with self.ledger.together() if batch > 1 else nullcontext():
                for name, key in islice(self._pairs, batch):
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


def inserts(db: sqlite3.Connection, number: int, batch: int = 1) -> None:
    """Insert so many rows of 300 bytes, so many to a transaction."""
    for _ in range(number // batch):
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO row (body) VALUES (?)", [("x" * 300,)] * batch)
        db.execute("COMMIT")
