"""What a generation costs in disk syncs, and how many run beside each other.

Syncs are counted, not timed: a sync is the price of a promise, and the promises are few (row, hold and
attempt before the bytes leave; the job id; the verdict and the ledger after it). The job store counts its own
durable commits; the ledger makes one per entry. Throughput is against the usual orchestrator, which commits
every step by itself, on the same disk in the same run. Provider, transport and artifact store take no time.

Run: python -m benchmarks.arrow
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.harness import Report, interleave
from benchmarks.peers.arrow_step_by_step import Orchestrator
from execution_arrow import AsyncArrow
from execution_arrow.ports import Transport
from execution_arrow.providers.base import Call, Reply
from execution_arrow.testing import (
    FakeArtifacts,
    FakeCredentials,
    FakeNormalizer,
    FakeProvider,
    FakeTransport,
)
from execution_arrow.wiring import Parts, default_parts

IN_FLIGHT, GENERATIONS, ROUNDS = 64, 192, 7
REQUEST = {"generation_prompt": "x"}
PEER = "step_by_step"  # benchmarks/peers/arrow_step_by_step.py, frozen


def parts_in(folder: Path, transport: Transport) -> Parts:
    parts = default_parts(
        folder,
        transport=transport,
        credentials=FakeCredentials(),
        providers={"fake": FakeProvider()},
    )
    return replace(parts, normalizer=FakeNormalizer(("fake",)), artifacts=FakeArtifacts())


@dataclass
class Counting(FakeTransport):
    """Looks at the sync counters whenever bytes leave."""

    seen: list[tuple[str, int]] = field(default_factory=list)
    parts: Parts | None = None

    async def send(self, call: Call, *, spool: Path | None = None) -> Reply:
        assert self.parts is not None
        self.seen.append((call.method, await syncs(self.parts)))
        return await super().send(call, spool=spool)


async def syncs(parts: Parts) -> int:
    """Durable commits so far: the job store's own count, and one for each entry of the ledger."""
    store: Any = parts.store
    entries = (await parts.ledger.statement("a", limit=1000)).entries
    return int(store.syncs) + len(entries)


async def count(folder: Path) -> dict[str, int]:
    """Syncs of one lone generation: before its submit, before its first poll, after that."""
    transport = Counting()
    parts = transport.parts = parts_in(folder, transport)
    async with AsyncArrow(parts) as arrow:
        await arrow.ledger.grant("a", "1000", key="start", create=True)
        start = await syncs(parts)
        await arrow.generate_and_wait("m", REQUEST, account="a")
        end = await syncs(parts)
    (_, submit), (_, poll) = transport.seen[:2]
    return {"before_submit": submit - start, "job_id": poll - submit, "after_verdict": end - poll}


class Side:
    """One contestant on a loop of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def run(self, one: Any) -> None:
        async def all_of_them() -> None:
            slots = asyncio.Semaphore(IN_FLIGHT)

            async def slot() -> None:
                async with slots:
                    await one()

            await asyncio.gather(*(slot() for _ in range(GENERATIONS)))

        self.loop.run_until_complete(all_of_them())


def throughput(report: Report, folder: Path) -> None:
    ours, theirs = Side(), Side()
    arrow = AsyncArrow(parts_in(folder / "ours", FakeTransport()))
    (folder / "peer").mkdir()
    peer = Orchestrator(folder / "peer", FakeTransport(), FakeArtifacts())
    ours.loop.run_until_complete(arrow.__aenter__())
    ours.loop.run_until_complete(arrow.ledger.grant("a", "1000000", key="start", create=True))
    rounds = interleave(
        {
            "arrow": lambda: ours.run(lambda: arrow.generate_and_wait("m", REQUEST, account="a")),
            PEER: lambda: theirs.run(lambda: peer.run(dict(REQUEST))),
        },
        rounds=ROUNDS,
        operations=GENERATIONS,
    )
    ours.loop.run_until_complete(arrow.aclose())
    peer.close()
    ratio = rounds.compare("arrow", PEER)
    # Context: on a fast disk both are bound by the processor, and the peer does less (no leases, no facts).
    report.context(
        "generations_in_flight_64", ratio.speedup, unit="x", peer=PEER, lowest_round=round(ratio.lowest, 2)
    )
    report.context("generations_per_second", 1 / rounds.median("arrow"), unit="1/s", peer=None)
    report.context("generations_per_second_peer", 1 / rounds.median(PEER), unit="1/s", peer=PEER)


def main() -> None:
    report = Report("arrow")
    with tempfile.TemporaryDirectory() as folder:
        counted = asyncio.run(count(Path(folder) / "count"))
        report.at_most("syncs_before_submit", counted["before_submit"], 3, peer=None, unit="syncs")
        report.at_most("syncs_for_job_id", counted["job_id"], 1, peer=None, unit="syncs")
        report.at_most("syncs_after_verdict", counted["after_verdict"], 2, peer=None, unit="syncs")
        throughput(report, Path(folder))
    report.finish()


if __name__ == "__main__":
    main()
