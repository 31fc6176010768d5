"""SIGKILL in the middle of writing, with every acknowledgement kept by another process.

A child writes batches from three threads and reports each answered batch through a pipe; the parent keeps the
reports and kills. Where a kill lands is measured in the child: its connection writes the phase it is in into
memory that both processes share. Most kills are steered: at a drawn statement after the first write the child
reports that it is there and waits for its end. The rest come at a drawn time.
"""

import json
import mmap
import os
import random
import select
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ledger_fortress import Ledger
from ledger_fortress.answers import Applied, Refusal, Replayed
from ledger_fortress.commands import Charge, Command, Grant, Reserve
from ledger_fortress.stores.sqlite import SQLiteStore
from tests.ledger_fortress.places import quick_folder
from tests.ledger_fortress.sizes import size

C = 1_000_000
THREADS = 3
IDLE, BEGUN, WRITTEN, COMMITTING = b"IBWC"
WRITES = ("INSERT", "UPDATE")


class Watched(sqlite3.Connection):
    """Keeps the phase of the running transaction in shared memory, and stops where it was told to."""

    phase: ClassVar[mmap.mmap]
    writes: ClassVar[int] = 0
    stop_after: ClassVar[int] = 0  # so many writes of the steered transaction; 0: not steered
    transactions: ClassVar[int] = 0  # that still go by before the steered one
    here: ClassVar[int] = -1

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        return self._around(sql, lambda: super(Watched, self).execute(sql, *args))

    def executemany(self, sql: str, *args: Any) -> sqlite3.Cursor:
        return self._around(sql, lambda: super(Watched, self).executemany(sql, *args))

    def _around(self, sql: str, statement: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        cls, word = Watched, sql.split(None, 1)[0]
        if word == "COMMIT":
            self._stop()  # whatever number of writes was drawn, this transaction has no more of them
            cls.phase[0] = COMMITTING
        cursor = statement()
        if sql == "BEGIN IMMEDIATE":
            cls.phase[0], cls.writes = BEGUN, 0
            cls.transactions -= 1
        elif word in WRITES:
            cls.phase[0] = WRITTEN
            cls.writes += 1
            if cls.writes >= cls.stop_after:
                self._stop()
        elif word == "COMMIT":
            cls.phase[0] = IDLE
        return cursor

    @classmethod
    def _stop(cls) -> None:
        if cls.stop_after and cls.transactions <= 0 and cls.writes:
            os.write(cls.here, b".")
            signal.pause()


def batch_of(life: int, thread: int, number: int) -> list[Command]:
    """What commits together: grants and holds on two accounts, and a charge of one of the holds."""
    name = f"{life}.{thread}.{number}"
    pool, own = "pool", f"account {thread}"
    return [
        Grant(account=own, key=f"{name}/grant", amount=5 * C, create=True),
        Reserve(account=own, key=f"{name}/a", amount=2 * C, timeout=900 * C),
        Charge(account=own, hold=f"{name}/a", amount=C),
        Grant(account=pool, key=f"{name}/grant", amount=3 * C, create=True),
        Reserve(account=pool, key=f"{name}/b", amount=3 * C, timeout=900 * C),
    ]


def write_until_killed(path: Path, life: int, acknowledge: int) -> None:
    """The child: three threads that write, and say so after each answer."""
    with Ledger(SQLiteStore(path, factory=Watched)) as ledger:

        def work(thread: int) -> None:
            for number in range(100_000):
                answers = ledger.apply(batch_of(life, thread, number))
                receipts = [a.receipt for a in answers if isinstance(a, Applied)]
                assert len(receipts) == len(answers)
                told = [thread, number, [[r.account, r.version, r.hash] for r in receipts]]
                os.write(acknowledge, json.dumps(told).encode() + b"\n")  # shorter than a pipe's atomic write

        threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def kill_one(path: Path, life: int, dice: random.Random) -> tuple[int, list[Any]]:
    """Start a writer, kill it; the phase in which that happened, and what it had acknowledged."""
    phase = mmap.mmap(-1, 1)
    phase[0] = IDLE
    told, acknowledge = os.pipe()
    stopped, here = os.pipe()
    steered = life % 8 != 0
    Watched.phase, Watched.here = phase, here
    Watched.stop_after = dice.randint(1, 5) if steered else 0
    Watched.transactions = dice.randint(2, 12)
    delay = 0.02 + dice.random() * 0.1
    child = os.fork()
    if child == 0:
        try:
            os.close(told)
            os.close(stopped)
            write_until_killed(path, life, acknowledge)
        finally:
            os._exit(1)
    os.close(acknowledge)
    os.close(here)
    kept = b""
    ends, deadline = time.monotonic() + delay, time.monotonic() + 30
    while time.monotonic() < deadline and (steered or time.monotonic() < ends):
        ready, _, _ = select.select([told, stopped], [], [], 0.005)
        if told in ready:
            kept += os.read(told, 65_536)
        elif stopped in ready:
            break
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    at = phase[0]
    while more := os.read(told, 65_536):  # an answer that was on its way counts too
        kept += more
    os.close(told)
    os.close(stopped)
    return at, [json.loads(line) for line in kept.splitlines()]


def check_life(path: Path, life: int, acknowledged: list[Any]) -> int:
    """Nothing acknowledged is missing, no batch is there in part; returns how many nobody was told of."""
    with Ledger(SQLiteStore(path)) as ledger:
        proof = ledger.audit()
        assert proof.ok, proof.problems
        hashes: dict[tuple[str, int], str] = {}
        keys: set[tuple[str, str]] = set()
        for account in ledger.accounts():
            for entry in ledger.entries(account):
                hashes[account, entry.version] = entry.hash.hex()
                if entry.key is not None:
                    keys.add((account, entry.key))
        unanswered = dict.fromkeys(range(THREADS), 0)
        for thread, number, receipts in acknowledged:
            unanswered[thread] = max(unanswered[thread], number + 1)
            for account, version, digest in receipts:
                assert hashes.get((account, version)) == digest, "an acknowledged entry is lost"
        silent = 0
        for thread, number in unanswered.items():
            found = [(c.account, c.key) in keys for c in batch_of(life, thread, number)]
            assert len(set(found)) == 1, "a batch is torn"
            silent += found[0]
            later = batch_of(life, thread, number + 1)
            assert not any((c.account, c.key) in keys for c in later), "written before the answer before it"
            # What every caller is told to do after no answer: the same again, and it has happened once.
            answers = ledger.apply(batch_of(life, thread, number))
            assert not any(isinstance(answer, Refusal) for answer in answers)
            assert {isinstance(answer, Replayed) for answer in answers} == {found[0]}
        return silent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to share memory with the killed process")
def test_killed_writers(figure: Callable[[str], None]) -> None:
    """None lost, none torn; at least four of five kills between the first write and the commit's answer."""
    dice = random.Random(os.environ.get("N", "kills"))
    kills = size(100, 1_000)
    phases: Counter[int] = Counter()
    acknowledged = silent = 0
    with quick_folder() as folder:
        for life in range(kills):
            path = folder / f"{life // 5}.db"  # five lives in one file, each after the last one's crash
            at, told = kill_one(path, life, dice)
            phases[at] += 1
            acknowledged += len(told)
            silent += check_life(path, life, told)
    inside = phases[WRITTEN] + phases[COMMITTING]
    names = {chr(phase): count for phase, count in phases.items()}
    figure(
        f"ledger kills: {kills}, {phases[WRITTEN]} between first write and commit {names}; "
        f"{acknowledged} batches acknowledged, none lost, none torn, {silent} committed but unanswered"
    )
    assert phases[WRITTEN] >= 0.8 * kills, (names, inside)
    assert acknowledged > kills
