"""Every statement of every operation, as the last thing that a process or a session did."""

import os
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from ledger_fortress import Ledger, StoreUnavailable
from ledger_fortress.protocol import LedgerStore, Touch
from ledger_fortress.stores.postgres import PostgresStore
from ledger_fortress.stores.postgres_rows import Session
from ledger_fortress.testing import FakeClock
from tests.ledger_fortress.postgres.breaking import watching
from tests.ledger_fortress.test_crash import OPERATIONS, fill
from tests.services import PostgresServer


def prepare(url: str, clock: FakeClock) -> None:
    with Ledger.open(url, clock=clock) as ledger:
        fill(ledger)
    clock.tick(20)


def picture(store: LedgerStore) -> Any:
    """Everything that is stored, after a full proof."""
    proof = Ledger(store).audit()
    assert proof.ok, proof.problems
    with store.scan() as scan:
        # Salts of notes are drawn anew each time, and the chain with them.
        rows = [entry[:13] for entry in scan.entries()]
        accounts = [account._replace(head=b"") for account in scan.accounts()]
        return sorted(rows), sorted(accounts), sorted(scan.holds())


def statements(name: str, url: str, clock: FakeClock) -> list[str]:
    """The statements of an operation, found by running it once; then the ledger must be made anew."""
    with Ledger.open(url, clock=clock) as ledger, watching() as watch:
        OPERATIONS[name](ledger)
    assert watch.seen.count("commit") >= 1
    return watch.seen


def last_commit(seen: list[str]) -> int:
    return len(seen) - seen[::-1].index("commit")


def trial(server: PostgresServer, name: str) -> tuple[list[str], Any]:
    """An operation's statements, and what is stored after it."""
    with server.schema() as url:
        Ledger.open(url, migrate=True).close()
        clock = FakeClock()
        prepare(url, clock)
        seen = statements(name, url, clock)
        store = PostgresStore(url, clock=clock)
        try:
            return seen, picture(store)
        finally:
            store.close()


def in_a_child(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to end a process at a statement")
@pytest.mark.parametrize("name", OPERATIONS)
def test_process_ends_at_every_statement(server: PostgresServer, url: str, name: str) -> None:
    """Nothing before the commit, everything after it; a repeat with the same key comes to the same end."""
    seen, after = trial(server, name)
    clock = FakeClock()
    prepare(url, clock)
    store = PostgresStore(url, clock=clock)
    before = picture(store)
    assert before != after
    commit = last_commit(seen)
    for stop_at in range(1, commit + 2):
        late = stop_at > commit

        def crash(stop_at: int = min(stop_at, commit), late: bool = late) -> None:
            with (
                Ledger.open(url, clock=clock) as ledger,
                watching(stop_at, late, lambda session: os._exit(7)),
            ):
                OPERATIONS[name](ledger)

        assert in_a_child(crash) == 7
        assert picture(store) == (after if late else before), (stop_at, seen)
    OPERATIONS[name](Ledger(store))
    assert picture(store) == after
    store.close()


def terminate(server: PostgresServer) -> Callable[[Session], None]:
    """Ends the session from the server's side, and waits until it has ended."""

    def act(session: Session) -> None:
        pid = session.connection.info.backend_pid
        with server.connect(autocommit=True) as raw:
            raw.execute("SELECT pg_terminate_backend(%s)", [pid])
            while raw.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone():
                time.sleep(0.001)

    return act


@pytest.mark.parametrize("name", OPERATIONS if "N" in os.environ else ["grant", "charge", "sweep", "batch"])
def test_session_ends_at_every_statement(server: PostgresServer, name: str) -> None:
    """Before anything is saved the operation is done on another connection; after that the caller is told."""
    seen, after = trial(server, name)
    commit = last_commit(seen)
    step = 1 if "N" in os.environ else 3
    for stop_at in [*range(1, commit, step), commit]:
        with server.schema() as url:
            clock = FakeClock()
            Ledger.open(url, migrate=True).close()
            prepare(url, clock)
            store = PostgresStore(url, clock=clock)
            ledger = Ledger(store)
            store.read(Touch(()))
            with watching(stop_at, False, terminate(server)):
                if stop_at < seen.index("save_accounts" if "save_accounts" in seen else "insert_entries") + 1:
                    OPERATIONS[name](ledger)
                else:
                    with pytest.raises(StoreUnavailable) as told:
                        OPERATIONS[name](ledger)
                    assert told.value.maybe_applied
            OPERATIONS[name](ledger)
            assert picture(store) == after
            store.close()


@pytest.mark.parametrize("committed", [False, True])
def test_an_unanswered_commit(server: PostgresServer, url: str, committed: bool) -> None:
    """The caller learns that nobody knows, whichever it was; a repeat with the same key finds out."""
    with Ledger.open(url) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        with watching() as watch:
            ledger.reserve("a", 1, key="h0")
        commit = last_commit(watch.seen)

        def lose_the_answer(session: Session) -> None:
            terminate(server)(session)
            raise psycopg.OperationalError("the connection was lost")

        with (
            watching(commit, committed, lose_the_answer),
            pytest.raises(StoreUnavailable, match="may or may not have been applied") as told,
        ):
            ledger.reserve("a", 1, key="h")
        assert told.value.maybe_applied
        assert ledger.reserve("a", 1, key="h").replayed == committed
        assert ledger.balance("a").held.micros == 2_000_000
        assert ledger.audit().ok
