"""Several processes and threads on one ledger."""

import asyncio
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger_fortress import AsyncLedger, Ledger
from tests.ledger_fortress.sizes import size
from tests.ledger_fortress.test_sqlite import hammer

SPAWN = multiprocessing.get_context("spawn")


def test_processes_never_overdraw(url: str) -> None:
    """Two processes, two threads each, more takers than credits: exactly the credits are held."""
    rounds = size(40, 1_000)
    with Ledger.open(url) as ledger:
        ledger.grant("hot", 2 * rounds, key="in", create=True)
        with SPAWN.Pool(2) as pool, ThreadPoolExecutor(2) as threads:
            far = [pool.apply_async(hammer, (url, worker, rounds)) for worker in (0, 1)]
            near = [threads.submit(hammer, url, worker, rounds) for worker in (2, 3)]
            held = sum(job.get(60) for job in far) + sum(job.result(60) for job in near)
        assert held == 2 * rounds
        balance = ledger.balance("hot")
        assert (balance.available.micros, balance.held.micros) == (0, 2 * rounds * 1_000_000)
        proof = ledger.audit()
        assert proof.ok, proof.problems
        assert proof.entries == 2 + 4 * rounds


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_preforking_server(url: str) -> None:
    """The parent opens the ledger and uses it; its workers, forked from it, use it with threads of theirs."""
    with Ledger.open(url) as ledger:
        ledger.grant("a", 100, key="in", create=True)
        children = []
        for worker in range(3):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    with ThreadPoolExecutor(2) as pool:
                        jobs = [
                            pool.submit(ledger.reserve, "a", 1, key=f"w{worker}.{turn}") for turn in range(20)
                        ]
                        code = 0 if all(job.result(60).open for job in jobs) else 2
                finally:
                    os._exit(code)
            children.append(child)
        for turn in range(20):
            ledger.reserve("a", 1, key=f"parent.{turn}")
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert codes == [0, 0, 0]
        assert len(ledger.open_holds("a")) == 80
        assert ledger.audit().ok


def test_one_ledger_serves_loops_that_follow_each_other(url: str) -> None:
    """Nothing is bound to the loop of the first caller."""
    ledger = AsyncLedger.open(url)

    async def use(number: int) -> None:
        await asyncio.gather(
            *(ledger.grant("a", 1, key=f"{number}.{task}", create=True) for task in range(5))
        )

    for number in range(3):
        asyncio.run(use(number))
    asyncio.run(ledger.aclose())
    with Ledger.open(url) as again:
        assert str(again.balance("a").available) == "15.000000"
