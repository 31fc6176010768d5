"""Several processes on one ledger, processes that fork, and a server that is killed under load."""

import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger_fortress import Ledger
from ledger_fortress.errors import StoreUnavailable
from tests.ledger_fortress.redis.servers import RedisServer
from tests.ledger_fortress.sizes import size

SPAWN = multiprocessing.get_context("spawn")


def test_the_first_to_come_make_the_ledger(url: str) -> None:
    """Eight threads open the same empty place at once: one ledger comes of it."""

    def enter(worker: int) -> int:
        with Ledger.open(f"{url}?shards=4") as ledger:
            return ledger.grant("a", 1, key=f"k{worker}", create=True).version

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(enter, range(8))) == list(range(2, 10))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_has_connections_of_its_own(url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.grant("a", 100, key="in", create=True)
        for number in range(5):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    for turn in range(10):
                        ledger.reserve("a", 1, key=f"child{number}.{turn}", timeout=60)
                    code = 0
                finally:
                    os._exit(code)
            for turn in range(10):
                ledger.reserve("a", 1, key=f"parent{number}.{turn}", timeout=60)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(ledger.open_holds("a")) == 100
        assert ledger.audit().ok


def test_a_server_killed_under_load_loses_nothing_that_was_acknowledged(own_server: RedisServer) -> None:
    """Kills at any moment; what failed is repeated with its key; each is there once and none is torn."""
    kills = size(5, 1_000)
    acknowledged: dict[str, str] = {}
    stop = False

    def write() -> int:
        failures = number = 0
        with Ledger.open(own_server.url) as ledger:
            while not stop:
                number += 1
                key = f"g{number}"
                while key not in acknowledged:
                    try:
                        acknowledged[key] = ledger.grant("a", 1, key=key, create=True).hash
                    except StoreUnavailable:
                        failures += 1
                        time.sleep(0.01)
        return failures

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(write)
        for _ in range(kills):
            before = len(acknowledged)
            deadline = time.monotonic() + 20
            while len(acknowledged) < before + 30 and time.monotonic() < deadline:
                time.sleep(0.003)
            own_server.stop()
            own_server.start()
        stop = True
        assert job.result(60) >= 1
    with Ledger.open(own_server.url) as ledger:
        assert ledger._store.durability.survives_power_loss  # type: ignore[attr-defined]
        found = {entry.key: entry.hash.hex() for entry in ledger.entries("a") if entry.key}
        assert found == acknowledged
        assert len(found) >= 30 * kills
        assert ledger.audit().ok
