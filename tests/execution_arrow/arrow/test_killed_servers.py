"""Four workers on one PostgreSQL or Redis: killed at random and in mid-transaction, while all else fails.

Work goes on arriving. Some workers end by SIGKILL from outside, some between a transaction's first write
and its commit, some between the commit and its answer; where the kills landed is counted. The server crashes
once. Then the faults stop, and everything must end: each attempt sent at most once, one settlement for each
generation, and the providers' bill book agrees with ours. `N` is the number of generations.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import AsyncArrow, Generation, Policy
from execution_arrow.errors import StoreUnavailable
from execution_arrow.sandbox import Sandbox
from execution_arrow.testing.hurry import hurried
from execution_arrow.wiring import migrate
from tests.execution_arrow.arrow.conftest import PROVIDERS, options
from tests.execution_arrow.arrow.test_killed import GENERATIONS, ROOT, check_generation, trouble
from tests.ledger_fortress.redis.servers import RedisServer
from tests.services import postgres_server

SIZE = int(os.environ.get("N") or 24)
WORKERS = 4
QUICK = Policy(unknown_patience=0.3, write_off_after=2.0, attempt_deadline=10.0, cancel_patience=1.0)


class Herd:
    """The preforking server, and what became of its workers."""

    def __init__(self, process: subprocess.Popen[str], draw: random.Random) -> None:
        self._process, self._draw = process, draw
        self.alive: dict[int, str] = {}  # pid -> where it is to end itself
        self.landed: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()

    def ask(self, order: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        for pid, code in answer["ended"]:
            where = self.alive.pop(pid, "outside")
            self.codes[code] += 1
            if code == -signal.SIGKILL:
                self.landed[where] += 1
        return int(answer["pid"])

    def start(self, doomed: bool) -> None:
        """One more worker; a doomed one ends itself if nobody is quicker."""
        where = self._draw.choice(["commit", "answer", "outside"]) if doomed else "outside"
        order = {} if where == "outside" else {"at": where, "number": self._draw.randint(1, 25)}
        self.alive[self.ask({"fork": order})] = where

    def kill_one(self) -> None:
        pid = self._draw.choice(sorted(self.alive))
        self.alive[pid] = "outside"
        os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        """SIGTERM: everybody finishes and goes."""
        for pid in self.alive:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 60
        while self.alive and time.monotonic() < deadline:
            self.ask({})
            time.sleep(0.05)
        assert not self.alive, "a worker does not end after SIGTERM"


@contextmanager
def herd(plan: dict[str, Any], draw: random.Random) -> Iterator[Herd]:
    # Not measured: a killed process leaves half a coverage file behind.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.execution_arrow.arrow.herd"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(json.dumps(plan) + "\n")
    workers = Herd(process, draw)
    try:
        yield workers
    finally:
        for pid in workers.alive:
            os.kill(pid, signal.SIGKILL)
        process.stdin.close()
        process.wait(30)


@contextmanager
def a_postgres() -> Iterator[tuple[str, Callable[[], None]]]:
    """An empty place, and what crashes its server and brings it back."""
    server = postgres_server()
    with server.schema() as url:
        yield url, server.restart


@contextmanager
def a_redis() -> Iterator[tuple[str, Callable[[], None]]]:
    server = RedisServer("--appendfsync", "always")

    def crash() -> None:
        server.stop()
        server.start()

    try:
        yield server.url, crash
    finally:
        server.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
@pytest.mark.parametrize(
    ("name", "size", "place"), [("PostgreSQL", SIZE, a_postgres), ("Redis", SIZE, a_redis)]
)
def test_workers_that_are_killed_and_a_server_that_crashes_lose_and_repeat_nothing(
    box: Sandbox, tmp_path: Path, figure: Callable[[str], None], name: str, size: int, place: Any
):
    draw = random.Random(size)
    trouble(box)
    calls, bills = len(box.calls()), len(box.bills())
    with place() as (url, crash):
        migrate(url)
        plan = {
            "where": url,
            "artifacts": str(tmp_path / "files"),
            "base_urls": {name: box.base_url(name) for name in PROVIDERS},
            "environment": box.environment(),
        }
        with herd(plan, draw) as workers:
            found = asyncio.run(live(url, tmp_path, box, workers, draw, crash, size))
            workers.end()
        landed = workers.landed
        asyncio.run(check(url, tmp_path, box, calls, bills, found))
    assert set(workers.codes) <= {0, -signal.SIGKILL, os.EX_TEMPFAIL}, workers.codes
    assert landed["commit"], f"no kill landed between first write and commit: {landed}"
    assert landed["answer"], f"no kill landed between commit and answer: {landed}"
    assert landed["outside"], landed
    figure(
        f"{name}, {WORKERS} workers: {len(found)} generations, one crash of the server, "
        f"{sum(landed.values())} kills: {landed['commit']} before a commit, {landed['answer']} between "
        f"commit and answer, {landed['outside']} elsewhere"
    )


async def live(
    url: str,
    tmp_path: Path,
    box: Sandbox,
    workers: Herd,
    draw: random.Random,
    crash: Callable[[], None],
    size: int,
) -> list[Generation]:
    """Order everything while workers come and go; then let the rest work in peace until all has ended."""
    more = {**options(box), "artifacts": tmp_path / "files", "policy": QUICK, "providers": hurried()}
    async with AsyncArrow.open(url, **more) as maker:
        await maker.ledger.grant("acct", "50", key="start", create=True)
        for _ in range(WORKERS):
            workers.start(doomed=True)
        number = 0
        while number < size or (number < 5 * size and len(workers.landed) < 3):
            await order(maker, number)
            number += 1
            if number == size // 2:
                await asyncio.to_thread(crash)
            if draw.random() < 0.25:
                await asyncio.to_thread(workers.kill_one)
            await asyncio.sleep(0.05)
            await asyncio.to_thread(refill, workers, True)
        box.heal()
        for pid in list(workers.alive):
            os.kill(pid, signal.SIGKILL)
            workers.alive[pid] = "outside"
        while True:
            await asyncio.to_thread(refill, workers, False)
            found = await maker.list(limit=5 * size)
            if all(g.done and not g.watching for g in found):
                return found
            await asyncio.sleep(0.1)


async def order(maker: AsyncArrow, number: int) -> None:
    """A customer who asks again with the same key until there is an answer."""
    model, request = GENERATIONS[number % len(GENERATIONS)]
    while True:
        try:
            await maker.generate(model, request, account="acct", idempotency_key=f"order-{number}")
        except StoreUnavailable:
            await asyncio.sleep(0.05)
        else:
            return


def refill(workers: Herd, doomed: bool) -> None:
    workers.ask({})
    while len(workers.alive) < WORKERS:
        workers.start(doomed)


async def check(
    url: str, tmp_path: Path, box: Sandbox, calls: int, bills: int, found: list[Generation]
) -> None:
    async with AsyncArrow.open(url, **options(box), artifacts=tmp_path / "files") as arrow:
        entries = (await arrow.ledger.statement("acct", limit=10_000)).entries
        assert (await arrow.ledger.verify()).ok
        assert (await arrow.ledger.balance("acct")).held.micros == 0
        quotes = {model: (await arrow.estimate(model, request)).quotes for model, request in GENERATIONS}
    assert len(found) == len({generation.idempotency_key for generation in found})
    kinds: dict[str, Counter[str]] = {}
    for entry in entries:
        kinds.setdefault(getattr(entry, "hold", None) or entry.key, Counter())[entry.kind] += 1
    for generation in found:
        check_generation(generation, kinds[generation.id])
    attempts = {attempt.id: attempt for generation in found for attempt in generation.attempts}
    submits = Counter(call.reference for call in box.calls()[calls:] if call.on == "submit")
    assert set(submits) <= set(attempts), "a paid call left without a durable row"
    assert max(submits.values()) == 1, "a paid call left twice"
    # Where the catalogue knows no price there is nothing to compare.
    priced = {
        attempt.id
        for generation in found
        for attempt in generation.attempts
        if (quote := quotes[generation.model].get(attempt.provider)) is None or quote.cost is not None
    }
    billed = sum(bill.amount for bill in box.bills()[bills:] if bill.reference in priced)
    known = sum(micros(a.cost) for a in attempts.values() if a.cost_source != "unknown")
    doubtful = sum(micros(generation.possible_waste) for generation in found)
    assert known <= billed <= known + doubtful, "the bill book disagrees with ours"


def micros(amount: Any) -> int:
    return int((amount or 0) * 1_000_000)
