"""What a database does to its clients: restarts, dead connections, deadlocks, waits without end."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from ledger_fortress import Ledger, StoreBusy, StoreUnavailable
from ledger_fortress.answers import Applied
from ledger_fortress.commands import Reserve
from ledger_fortress.engine import run
from ledger_fortress.protocol import Changes, Loaded, Touch
from ledger_fortress.rules import Policy
from ledger_fortress.state import Account
from ledger_fortress.stores import base, postgres, postgres_pool
from ledger_fortress.stores.postgres import PostgresStore
from tests.ledger_fortress.postgres.test_sessions import wait_until_waiting
from tests.services import PostgresServer


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain for half a minute")


def test_a_crash_of_the_server_loses_nothing_acknowledged(server: PostgresServer, url: str) -> None:
    """`pg_ctl stop -m immediate` in full traffic: every answer that was given still stands afterwards."""
    stop = threading.Event()
    told: list[StoreUnavailable] = []
    acknowledged: list[str] = []

    def write(worker: int) -> None:
        with Ledger.open(url) as ledger:
            number = 0
            while not stop.is_set():
                number += 1
                key = f"w{worker}n{number}"
                try:
                    ledger.reserve("a", "0.01", key=key)
                    acknowledged.append(key)
                except StoreUnavailable as error:
                    told.append(error)

    with Ledger.open(url) as ledger, ThreadPoolExecutor(3) as pool:
        ledger.grant("a", 10_000, key="in", create=True)
        jobs = [pool.submit(write, worker) for worker in range(3)]
        try:
            wait_for(lambda: len(acknowledged) > 60)
            server.stop("immediate")
            wait_for(lambda: bool(told))
            with pytest.raises(StoreUnavailable, match="cannot be reached") as down:
                ledger.reserve("a", 1, key="while it is down")
            assert not down.value.maybe_applied
            server.start()
            assert not ledger.reserve("a", 1, key="at once").replayed
            enough = len(acknowledged) + 20
            wait_for(lambda: len(acknowledged) > enough)
        finally:
            stop.set()
        for job in jobs:
            job.result(30)
        held = {hold.key for hold in ledger.open_holds("a")}
        assert held >= {*acknowledged, "at once"}
        assert "while it is down" not in held
        assert ledger.audit().ok


def test_idle_connections_that_died_are_not_used(server: PostgresServer, url: str) -> None:
    """After a restart nobody is told anything: not the first caller and not the last."""
    with Ledger.open(url) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        pool = ledger._store._pool  # type: ignore[attr-defined]
        with pool.connection(), pool.connection(), pool.connection():
            pass
        assert len(pool._idle) == 3
        server.restart("fast")
        for number in range(3):
            assert not ledger.reserve("a", 1, key=f"h{number}").replayed
        assert len(pool._idle) == 1


def raise_on_insert(raw: "psycopg.Connection[Any]", times: int, deferred: bool) -> None:
    """Make the first inserts of entries fail with a serialization failure, at once or at the commit."""
    when = "CONSTRAINT TRIGGER trouble AFTER INSERT ON ledger_entry DEFERRABLE INITIALLY DEFERRED"
    for statement in (
        "CREATE SEQUENCE trouble_count",
        f"""CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('trouble_count') <= {times} THEN
                RAISE EXCEPTION 'somebody else first' USING ERRCODE = 'serialization_failure';
            END IF;
            RETURN NEW;
        END $$""",
        f"CREATE {when if deferred else 'TRIGGER trouble BEFORE INSERT ON ledger_entry'} "
        "FOR EACH ROW EXECUTE FUNCTION trouble()",
    ):
        raw.execute(statement.encode())


@pytest.mark.parametrize("deferred", [False, True], ids=["while saving", "at the commit"])
def test_serialization_failures(server: PostgresServer, url: str, deferred: bool) -> None:
    """Tried again while there is hope, and named when there is none; applied once or not at all."""
    with Ledger.open(url) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        with server.connect(url, autocommit=True) as raw:
            raise_on_insert(raw, postgres.ATTEMPTS - 1, deferred)
            assert not ledger.reserve("a", 1, key="h").replayed
            raw.execute("ALTER SEQUENCE trouble_count MINVALUE -1000 RESTART WITH -1000")
            with pytest.raises(StoreUnavailable, match="somebody else first") as told:
                ledger.reserve("a", 1, key="h2")
            assert not told.value.maybe_applied
            raw.execute("DROP TRIGGER trouble ON ledger_entry")
        assert ledger.hold("a", "h2") is None
        assert not ledger.reserve("a", 1, key="h2").replayed
        assert ledger.audit().ok


def test_a_deadlock_with_somebody_elses_locks(server: PostgresServer, url: str) -> None:
    """A stranger who locks the ledger's rows in an order of his own: the ledger gives way and comes back."""
    with Ledger.open(url) as ledger, server.connect(url) as stranger, ThreadPoolExecutor(1) as pool:
        for name in ("a", "b"):
            ledger.grant(name, 10, key="in", create=True)
        lock = "SELECT 1 FROM ledger_account WHERE account = %s FOR UPDATE"
        stranger.execute("SET deadlock_timeout = '1s'")
        stranger.commit()
        for _ in range(20):
            stranger.execute(lock, ["b"])
            job = pool.submit(ledger._store.transact, Touch(("a", "b")), lambda loaded: Changes(answers=()))
            wait_until_waiting(server)
            try:
                stranger.execute(lock, ["a"])
            except psycopg.errors.DeadlockDetected:
                # A session looks for a deadlock once, 0.2 s after it began to wait: the ledger's had looked
                # before the stranger came, so it was the stranger who gave way. Once more.
                stranger.rollback()
                assert job.result(30) == Changes()
                continue
            stranger.commit()
            assert job.result(30) == Changes()
            break
        else:
            pytest.fail("the ledger never gave way")
        assert ledger.audit().ok


def test_a_lock_that_is_never_given_back(
    server: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "BUSY_SECONDS", 0.1)
    with Ledger.open(url) as ledger, server.connect(url) as stranger:
        ledger.grant("a", 10, key="in", create=True)
        stranger.execute("SELECT 1 FROM ledger_account FOR UPDATE")
        with pytest.raises(StoreBusy, match="kept locked") as told:
            ledger._store.transact(Touch(("a",)), lambda loaded: Changes())
        assert not told.value.maybe_applied
        assert ledger.balance("a").available.micros == 10_000_000  # readers do not wait
        stranger.rollback()
        assert not ledger.reserve("a", 1, key="h").replayed


def test_a_pool_that_is_used_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_pool, "BUSY_SECONDS", 0.1)
    store = PostgresStore(url, pool_size=1)
    holding, go = threading.Event(), threading.Event()

    def hold(loaded: Loaded) -> Changes:
        holding.set()
        go.wait(30)
        return Changes()

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(store.transact, Touch(("a",)), hold)
        assert holding.wait(30)
        with pytest.raises(StoreBusy, match="all 1 connections"):
            store.read(Touch(("a",)))
        go.set()
        job.result(30)
    assert store.read(Touch(("a",))).accounts == {}
    store.close()
    with pytest.raises(StoreUnavailable, match="is closed"):
        store.read(Touch(()))
    store.close()


def test_errors_leave_no_connection_behind(url: str) -> None:
    """A pool of one that lost connections to errors would be empty after the first."""
    store = PostgresStore(url, pool_size=1)

    def fail(loaded: Loaded) -> Changes:
        raise KeyError("a bug in a rule")

    for _ in range(3):
        with pytest.raises(KeyError):
            store.transact(Touch(("a",)), fail)
        with pytest.raises(StoreUnavailable, match="an account was changed"):
            store.transact(Touch(("a",)), lambda loaded: stale())
        with pytest.raises(KeyError), store.scan():
            raise KeyError
    assert len(store._pool._idle) == 1
    store.close()


def stale() -> Changes:
    account = Account("a", 9, b"h" * 32, 0, "open", 0, 0, 0, 0, ())
    return Changes(accounts=((account, 8),))


def test_an_error_of_the_database_is_named(server: PostgresServer, url: str) -> None:
    with Ledger.open(url) as ledger, server.connect(url, autocommit=True) as raw:
        ledger.grant("a", 1, key="in", create=True)
        raw.execute("ALTER TABLE ledger_hold RENAME TO hidden")
        for action in (lambda: ledger.hold("a", "h"), lambda: ledger.reserve("a", 1, key="h")):
            with pytest.raises(StoreUnavailable, match='"ledger_hold" does not exist') as told:
                action()
            assert not told.value.maybe_applied
        raw.execute("ALTER TABLE hidden RENAME TO ledger_hold")
        assert ledger.reserve("a", 1, key="h").open


def test_the_clock_is_the_servers(server: PostgresServer, url: str) -> None:
    """And an entry is never dated before the one ahead of it, whatever the clock says."""
    with server.connect(url, autocommit=True) as raw, Ledger.open(url) as ledger:

        def now() -> int:
            row = raw.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
            return int(row.fetchall()[0][0])

        before = now()
        ledger.grant("a", 1, key="in", create=True)
        assert before <= ledger.statement("a").entries[-1].at <= now()
        with Ledger.open(url, clock=lambda: time.time() + 3_600) as fast:
            fast.reserve("a", "0.1", key="h")
        ledger.reserve("a", "0.1", key="h2", timeout=0.001)
        entries = ledger.statement("a").entries
        assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
        assert entries[-1].at > now() + 3_000_000_000
        assert ledger.audit().ok


def test_a_picture_that_is_left_half_read(url: str) -> None:
    """Two readings at once, neither finished: the connection is clean for the next who gets it."""
    store = PostgresStore(url, pool_size=1)
    ledger = Ledger(store)
    ledger.grant("a", 1, key="in", create=True)
    with store.scan() as scan:
        one, two = iter(scan.entries()), iter(scan.entries())
        assert next(one) == next(two)
        assert [account.account for account in scan.accounts()] == ["a"]
    assert ledger.audit().ok
    assert not ledger.reserve("a", 1, key="h").replayed
    del one, two
    assert ledger.balance("a").held.micros == 1_000_000
    ledger.close()


def test_a_clock_that_jumps_forward(
    server: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two hours in no time: holds do not run out by that until somebody has looked and says so."""
    count = 10_000.0
    monkeypatch.setattr(base.SteadyClock.__init__, "__defaults__", (time.time, lambda: count))
    with Ledger.open(url) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        ledger.reserve("a", 3, key="h", timeout=900)
        before = ledger._store.read(Touch(())).now
        count -= 7_200  # seen from here, the server is now two hours ahead
        assert ledger._store.read(Touch(())).now < before - 7_100_000_000
        assert "jumped forward by 7200 seconds" in caplog.text
        ledger.reserve("a", 3, key="h2", timeout=900)
        assert ledger.sweep() == 0
        assert ledger.balance("a").held.micros == 6_000_000
        assert ledger.trust_clock()
        assert not ledger.trust_clock()
        assert ledger._store.read(Touch(())).now > before
        assert ledger.audit().ok


HOUR = 3_600_000_000  # microseconds; the server's clock is real, so a short hold would time out by itself


def test_more_callers_than_connections(url: str) -> None:
    """Thirty-two threads and two connections: they wait for each other, and each is served."""
    store = PostgresStore(url, pool_size=2)
    ledger = Ledger(store)
    ledger.grant("a", 100, key="in", create=True)

    def work(worker: int) -> int:
        for turn in range(3):
            command = Reserve(account="a", key=f"w{worker}t{turn}", amount=1_000_000, timeout=HOUR)
            assert isinstance(run(store, [command], Policy())[0], Applied)
        return store.read(Touch(("a",))).accounts["a"].version

    with ThreadPoolExecutor(32) as pool:
        assert max(pool.map(work, range(32))) == 2 + 96
    assert len(store._pool._idle) <= 2
    assert ledger.audit().ok
    ledger.close()


def test_a_note_that_cannot_be_kept(url: str) -> None:
    """It fails alone and for good: repeating it would help nobody."""
    with Ledger.open(url) as ledger:
        with pytest.raises(ValueError, match=r"no NUL character \(U\+0000\)"):
            ledger.grant("a", 1, key="in", note="a\0b", create=True)
        assert ledger.accounts() == []
        ledger.grant("a", 1, key="in", note="a b", create=True)
