"""Several processes on one ledger, and processes that fork."""

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger_fortress import Ledger
from tests.services import PostgresServer

SPAWN = multiprocessing.get_context("spawn")


def test_the_first_to_come_make_the_tables(empty_url: str) -> None:
    """Eight threads migrate the same empty place at once: one ledger comes of it."""

    def enter(worker: int) -> int:
        with Ledger.open(empty_url, migrate=True) as ledger:
            return ledger.grant("a", 1, key=f"k{worker}", create=True).version

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(enter, range(8))) == list(range(2, 10))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_has_connections_of_its_own(server: PostgresServer, url: str) -> None:
    """The child ends without ending its parent's sessions, also when other threads were using some."""
    stop = threading.Event()
    with Ledger.open(url) as ledger:
        ledger.grant("a", 10_000, key="in", create=True)

        def write() -> int:
            number = 0
            while not stop.is_set():
                number += 1
                ledger.reserve("a", "0.01", key=f"n{number}")
            return number

        store = ledger._store
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(write)
            try:
                with store._pool.connection() as connection:  # type: ignore[attr-defined]
                    pid = connection.info.backend_pid
                for number in range(5):
                    child = os.fork()
                    if child == 0:
                        code = 1
                        try:
                            ledger.balance("a")
                            ledger.reserve("a", 1, key=f"child{number}")
                            with store._pool.connection() as own:  # type: ignore[attr-defined]
                                code = 0 if own.info.backend_pid != pid else 2
                            ledger.close()
                        finally:
                            os._exit(code)
                    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            finally:
                stop.set()
            assert job.result(30) > 5
        with server.connect(autocommit=True) as raw:
            assert raw.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
        assert {f"child{number}" for number in range(5)} < {hold.key for hold in ledger.open_holds("a")}
        assert ledger.audit().ok
