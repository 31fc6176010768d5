"""Several processes and threads on one ledger."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

from ledger_fortress import Ledger
from tests.ledger_fortress.test_sqlite import hammer

SPAWN = multiprocessing.get_context("spawn")


def test_processes_never_overdraw(url: str) -> None:
    """Two processes, two threads each, more takers than credits: exactly the credits are held."""
    rounds = 40 * int(os.environ.get("N", "1"))
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
