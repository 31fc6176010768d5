"""What a generation costs: in disk syncs, in time beside others, in delay, in memory.

Syncs are counted, not timed: a sync is the price of a promise, and the promises are few (row, hold and
attempt before the bytes leave; the job id; the verdict and the ledger after it). The job store counts its own
durable commits; the ledger makes one per entry.

Throughput is against the same steps as a DBOS workflow, and against the usual orchestrator that commits every
step by itself: same transport, same artifacts, same disk, WAL and synchronous=FULL on all sides, in the same
run, on one core. The ledger is the same for DBOS and for us. `world` says what is real and what is not.

Run: python -m benchmarks.arrow
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.arrow.world import ACCOUNT, MODEL, POLL_EVERY, REQUEST, Instant, Side, on_one_core, parts_in
from benchmarks.harness import Report, interleave
from benchmarks.peers.arrow_dbos import Workflows
from benchmarks.peers.arrow_step_by_step import Orchestrator
from execution_arrow import AsyncArrow
from execution_arrow.providers.base import Call, Reply
from execution_arrow.testing import FakeArtifacts
from execution_arrow.wiring import Parts

ROUNDS = 5
DBOS, USUAL = "dbos", "step_by_step"  # benchmarks/peers/arrow_*.py, frozen


# --- syncs ----------------------------------------------------------------------------------------------


@dataclass
class Counting(Instant):
    """Looks at the sync counters whenever bytes leave."""

    seen: list[int] = field(default_factory=list)
    parts: Parts | None = None

    async def send(self, call: Call, *, spool: Path | None = None) -> Reply:
        assert self.parts is not None
        self.seen.append(await syncs(self.parts))
        return await super().send(call, spool=spool)


async def syncs(parts: Parts) -> int:
    """Durable commits so far: the job store's own count, and one for each entry of the ledger."""
    store: Any = parts.store
    entries = (await parts.ledger.statement(ACCOUNT, limit=1000)).entries
    return int(store.syncs) + len(entries)


async def count(folder: Path) -> tuple[int, int, int]:
    """Syncs of one lone generation: before its submit, before its first poll, after that."""
    transport = Counting()
    parts = transport.parts = parts_in(folder, transport)
    async with AsyncArrow(parts) as arrow:
        await arrow.ledger.grant(ACCOUNT, "1000", key="start", create=True)
        start = await syncs(parts)
        await arrow.generate_and_wait(MODEL, REQUEST, account=ACCOUNT)
        end = await syncs(parts)
    submit, poll = transport.seen
    return submit - start, poll - submit, end - poll


def counted(report: Report, folder: Path) -> None:
    before, job, after = asyncio.run(count(folder))
    report.at_most("syncs_before_submit", before, 3, peer=None, unit="syncs")
    report.at_most("syncs_for_job_id", job, 1, peer=None, unit="syncs")
    report.at_most("syncs_after_verdict", after, 2, peer=None, unit="syncs")


# --- throughput -----------------------------------------------------------------------------------------


def opened(side: Side, folder: Path) -> AsyncArrow:
    """An arrow on this side's loop, with credits for everybody."""
    arrow = AsyncArrow(parts_in(folder))
    side.await_(arrow.__aenter__())
    side.await_(arrow.ledger.grant(ACCOUNT, "1000000", key="start", create=True))
    return arrow


def beside_peers(report: Report, folder: Path) -> None:
    """64 in flight; each round has as many generations of a peer as it can do in about two seconds."""
    numbers = {"arrow": 512, DBOS: 64, USUAL: 512}
    ours, theirs, usual = Side(64), Side(64), Side(64)
    arrow = opened(ours, folder / "ours")
    (folder / "peers").mkdir()
    books = parts_in(folder / "books")
    theirs.await_(books.ledger.grant(ACCOUNT, "1000000", key="start", create=True))
    workflows = theirs.await_(started(folder / "peers", books))
    orchestrator = Orchestrator(folder / "peers", Instant(), FakeArtifacts())
    candidates: dict[str, Callable[[], object]] = {
        "arrow": ours.times(
            numbers["arrow"], lambda: arrow.generate_and_wait(MODEL, REQUEST, account=ACCOUNT)
        ),
        DBOS: theirs.times(numbers[DBOS], lambda: workflows.run(dict(REQUEST))),
        USUAL: usual.times(numbers[USUAL], lambda: orchestrator.run(dict(REQUEST))),
    }
    rounds = interleave(candidates, rounds=ROUNDS, operations=numbers)
    assert workflows.recorded() == (64 * (ROUNDS + 1), 5 * 64 * (ROUNDS + 1)), workflows.recorded()
    pragmas = workflows.pragmas()
    ours.await_(arrow.aclose())
    workflows.close()
    orchestrator.close()
    report.faster("generations_beside_dbos_64_in_flight", rounds.compare("arrow", DBOS), 10, pragmas=pragmas)
    ratio = rounds.compare("arrow", USUAL)
    # Context: the usual orchestrator has no ledger, no leases, no facts and no failover, and does less.
    report.context(
        "generations_beside_step_by_step_64_in_flight",
        ratio.speedup, unit="x", peer=USUAL, lowest_round=round(ratio.lowest, 2),
    )  # fmt: skip
    for name in candidates:
        peer = None if name == "arrow" else name
        report.context("generations_per_second_64_in_flight", 1 / rounds.median(name), unit="1/s", peer=peer)


async def started(folder: Path, books: Parts) -> Workflows:
    return Workflows(folder, Instant(), FakeArtifacts(), books.holds, ACCOUNT)


def alone(report: Report, folder: Path) -> None:
    """256 in flight, ours only: generations per second, and processor time of each."""
    side, number = Side(256), 1024
    arrow = opened(side, folder)
    candidate = side.times(number, lambda: arrow.generate_and_wait(MODEL, REQUEST, account=ACCOUNT))
    begun = time.process_time()
    rounds = interleave({"arrow": candidate}, rounds=ROUNDS, operations=number)
    used = (time.process_time() - begun) / number / (ROUNDS + 1)
    side.await_(arrow.aclose())
    report.context(
        "generations_per_second_256_in_flight", 1 / rounds.median("arrow"), unit="1/s",
        asked=500, aim=1000, lowest_round=round(1 / max(rounds.seconds["arrow"])),
    )  # fmt: skip
    report.context("processor_time_of_a_generation", used * 1e6, unit="us")


# --- delay ----------------------------------------------------------------------------------------------


def delay(report: Report, folder: Path) -> None:
    """What a lone generation waits longer than one who calls the provider himself, beside the disk's sync."""
    side = Side(1)
    arrow = opened(side, folder / "ours")
    transport, artifacts = Instant(), FakeArtifacts()

    async def directly() -> None:
        await transport.send(Call(method="POST", url="https://fake.example", json={"attempt": "x"}))
        await asyncio.sleep(POLL_EVERY)
        await transport.send(Call(method="GET", url="https://fake.example"))
        await artifacts.copy("https://fake.example/0.png", index=0, kind="image")

    disk = sqlite3.connect(folder / "disk.db", isolation_level=None)
    disk.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (x TEXT)")
    rounds = interleave(
        {
            "direct": lambda: side.await_(directly()),
            "arrow": lambda: side.await_(arrow.generate_and_wait(MODEL, REQUEST, account=ACCOUNT)),
            "sync": lambda: disk.execute("INSERT INTO t VALUES (?)", ("x" * 500,)),
        },
        rounds=60,
    )
    side.await_(arrow.aclose())
    added = rounds.median("arrow") - rounds.median("direct")
    report.context(
        "p50_added_milliseconds", added * 1e3, unit="ms",
        p50_of_one_sync=round(rounds.median("sync") * 1e3, 3), syncs=6,
        p90_arrow=round(statistics.quantiles(rounds.seconds["arrow"], n=10)[-1] * 1e3, 2),
    )  # fmt: skip


# --- memory ---------------------------------------------------------------------------------------------


def in_flight(report: Report, generations: int = 10_000) -> None:
    child = [sys.executable, "-m", "benchmarks.arrow.waiting", str(generations)]
    found = json.loads(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
    report.at_most(
        "megabytes_above_idle_10000_in_flight", found["megabytes"], 150, peer=None, unit="MB",
        at_rest=round(found["megabytes_at_rest"], 1),
    )  # fmt: skip
    report.at_most("wakeups_in_3_s_when_idle", found["wakeups_idle"], 0, peer=None, unit="wake-ups")
    for name in ("idle_worker", "in_flight"):
        report.context(f"wakeups_in_3_s_{name}", found[f"wakeups_{name}"], unit="wake-ups")


def main() -> None:
    report = Report("arrow")
    in_flight(report)
    on_one_core()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counted(report, folder / "count")
        beside_peers(report, folder)
        alone(report, folder / "alone")
        (folder / "delay").mkdir()
        delay(report, folder / "delay")
    report.finish()


if __name__ == "__main__":
    main()
