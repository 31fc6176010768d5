"""Reserve + charge pairs per second with full durability, beside the usual design on the same disk.

Ours has every feature on: three grants per account, fingerprints, a chained hash per entry. The peer has rows
for balance, hold and movement and nothing else. Both are measured one operation at a time and 256 pairs at a
time; what the ledger is held to is its own batches against the peer as it is usually run, one transaction per
operation. One against one and batch against batch show what the features cost (below 1 is slower than the
peer); they, the disk itself and `verify` are context.

Run: python -m benchmarks.ledger (`ROUNDS`, and `BENCH_DIR` for another disk, in the environment)
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Report, interleave
from benchmarks.ledger.work import Ours, Usual, inserts, raw_rows, syncs

BATCH = 256
PAIRS, SINGLES = 1_024, 32
ROUNDS = int(os.environ.get("ROUNDS", "9"))
# accounts → at least so many times the peer with one transaction per operation
TARGETS = {1: 3.0, 1_000: 2.0}
PEER = "usual design on SQLite, one FULL transaction per operation (benchmarks/peers/ledger_usual.py)"


def compare(report: Report, folder: Path, accounts: int) -> None:
    """Both designs on so many accounts, batched and one by one."""
    ours, usual = Ours(folder, accounts), Usual(folder, accounts)
    timed = interleave(
        {
            "ours": lambda: ours.pairs(PAIRS, BATCH),
            "ours alone": lambda: ours.alone(SINGLES),
            "usual": lambda: usual.pairs(SINGLES, 1),
            "usual batched": lambda: usual.pairs(PAIRS, BATCH),
        },
        rounds=ROUNDS,
        operations={"ours": PAIRS, "ours alone": SINGLES, "usual": SINGLES, "usual batched": PAIRS},
    )
    on = f"{accounts} account{'s' if accounts > 1 else ''}"
    batched = timed.compare("ours", "usual")
    rate = {name: round(1 / timed.median(name)) for name in timed.seconds}
    report.faster(
        f"pairs/s in batches of {BATCH} on {on}", batched, TARGETS[accounts], design=PEER, per_second=rate
    )
    for mine, theirs in (("ours alone", "usual"), ("ours", "usual batched")):
        level = timed.compare(mine, theirs)
        what = f"pairs/s of {mine!r} beside {theirs!r} on {on}"
        report.context(what, level.speedup, unit="x", peer=theirs, lowest_round=round(level.lowest, 3))
    began = time.perf_counter()
    proof = ours.ledger.verify()
    seconds = time.perf_counter() - began
    if not proof.ok:
        raise RuntimeError(f"the benchmarked ledger does not verify: {proof.problems[0]}")
    report.context(f"verify on {on}", round(proof.entries / seconds), unit="entries/s", entries=proof.entries)
    ours.close()
    usual.close()


def disk(report: Report, folder: Path) -> None:
    """What the same disk does without any ledger."""
    with raw_rows(folder) as db:
        timed = interleave(
            {"sync": lambda: syncs(folder, 50), "insert": lambda: inserts(db, 50)}, rounds=5, operations=50
        )
    report.context("fsync after 4 KiB", round(1 / timed.median("sync")), unit="/s")
    report.context("bare insert, one FULL transaction each", round(1 / timed.median("insert")), unit="/s")


def main() -> None:
    """Run everything; exits with 1 if a target does not hold."""
    report = Report("ledger")
    for accounts in TARGETS:
        with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
            compare(report, Path(folder), accounts)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        disk(report, Path(folder))
    report.finish()


if __name__ == "__main__":
    main()
