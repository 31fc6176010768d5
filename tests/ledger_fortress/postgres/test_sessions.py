"""Two real sessions on one account: what the second reads after it has waited for the first."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from ledger_fortress.answers import Answer, Applied, Refusal
from ledger_fortress.commands import Charge, Grant, Reserve
from ledger_fortress.engine import run
from ledger_fortress.ledger import Ledger
from ledger_fortress.protocol import Changes, Failure, LedgerStore, Loaded, Touch
from ledger_fortress.rules import Policy
from ledger_fortress.stores import postgres, postgres_rows
from ledger_fortress.stores.postgres import PostgresStore
from tests.services import PostgresServer

C = 1_000_000


class Paused:
    """A store that stops while it holds its locks, until told to go on."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self.holding = threading.Event()
        self.go = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def transact(self, touch: Touch, decide: Callable[[Loaded], Changes]) -> Changes:
        def pause(loaded: Loaded) -> Changes:
            self.holding.set()
            assert self.go.wait(30)
            return decide(loaded)

        return self._store.transact(touch, pause)


def wait_until_waiting(server: PostgresServer) -> None:
    """Until some session of the server waits for a lock."""
    with server.connect(autocommit=True) as connection:
        for _ in range(1_000):
            if connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                return
            time.sleep(0.005)
    raise AssertionError("nobody waits for a lock")


class LockAndLoadAtOnce(postgres_rows.Loading):
    """The mistake: one statement locks the account and reads its holds."""

    def lock(self) -> None:
        names = postgres_rows.texts(self._names)
        holds = postgres_rows.pairs(self._touch.holds)
        self._session.run("make_accounts", names)
        self._early = psycopg.Cursor(self._session.connection).execute(
            """
            WITH locked AS MATERIALIZED (
                SELECT account FROM ledger_account WHERE account = ANY (%s::text[]) FOR NO KEY UPDATE
            )
            SELECT ledger_hold.* FROM locked JOIN ledger_hold USING (account)
            JOIN unnest(%s::text[], %s::text[]) AS wanted (account, key) USING (account, key)
            """,
            (names, *holds),
        )
        super().lock()

    def ask(self) -> None:
        super().ask()
        self._holds = self._early


@pytest.mark.parametrize(
    ("loading", "second_answer"),
    [(postgres_rows.Loading, "hold_charged"), (LockAndLoadAtOnce, "applied")],
    ids=["as shipped", "with the mistake"],
)
def test_a_charge_that_waited_sees_the_charge_it_waited_for(
    server: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch, loading: Any, second_answer: str
) -> None:
    """With lock and load in one statement the hold would be charged twice: the test can tell."""
    monkeypatch.setattr(postgres, "Loading", loading)
    first, second = Paused(PostgresStore(url)), PostgresStore(url)
    first.go.set()
    run(
        first,
        [
            Grant(account="a", key="in", amount=10 * C, create=True),
            Reserve(account="a", key="h", amount=3 * C, timeout=900 * C),
            Reserve(account="a", key="somebody else's", amount=3 * C, timeout=900 * C),
        ],
        Policy(),
    )
    first.go.clear()
    first.holding.clear()
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(run, first, [Charge(account="a", hold="h", key="k1")], Policy())
        assert first.holding.wait(30)
        two = pool.submit(run, second, [Charge(account="a", hold="h", key="k2")], Policy())
        wait_until_waiting(server)
        first.go.set()
        assert said(one) == "applied"
        assert said(two) == second_answer
    proof = Ledger(second).audit()
    assert proof.ok == (loading is postgres_rows.Loading), proof.problems
    first.close()
    second.close()


def said(future: "Future[list[Answer | Failure]]") -> str:
    answer = future.result(30)[0]
    return str(answer.reason) if isinstance(answer, Refusal) else type(answer).__name__.lower()


def test_an_account_that_both_open(server: PostgresServer, url: str) -> None:
    """The second to open an account waits for the first and then finds it, with all its keys."""
    first, second = Paused(PostgresStore(url)), PostgresStore(url)
    grant = Grant(account="new", key="in", amount=C, create=True)
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(run, first, [grant], Policy())
        assert first.holding.wait(30)
        two = pool.submit(run, second, [grant], Policy())
        wait_until_waiting(server)
        first.go.set()
        assert (said(one), said(two)) == ("applied", "replayed")
    first.close()
    second.close()


def test_an_account_that_one_looked_for_in_vain(server: PostgresServer, url: str) -> None:
    """A refused `unknown_account` leaves nothing behind that stands in the way of opening it."""
    first, second = Paused(PostgresStore(url)), PostgresStore(url)
    with ThreadPoolExecutor(2) as pool:
        lost = Reserve(account="new", key="h", amount=C, timeout=C)
        other = Grant(account="other", key="in", amount=C, create=True)
        one = pool.submit(run, first, [other, lost], Policy())
        assert first.holding.wait(30)
        two = pool.submit(run, second, [Grant(account="new", key="in", amount=C, create=True)], Policy())
        wait_until_waiting(server)
        first.go.set()
        answers = one.result(30)
        assert isinstance(answers[0], Applied)
        assert isinstance(answers[1], Refusal)
        assert answers[1].reason == "unknown_account"
        assert said(two) == "applied"
    with server.connect(url) as raw:
        versions = raw.execute("SELECT account, version FROM ledger_account ORDER BY 1").fetchall()
        assert versions == [("new", 2), ("other", 2)]
    assert Ledger(second).audit().ok
    first.close()
    second.close()


def test_many_accounts_in_any_order_never_deadlock(server: PostgresServer, url: str) -> None:
    """Batches that name, and open, the same accounts in opposite orders wait for each other, in one order."""
    names = [f"acct_{number}" for number in range(12)]

    def work(worker: int) -> int:
        store = PostgresStore(url)
        applied = 0
        for turn in range(6):
            order = names if (worker + turn) % 2 else names[::-1]
            batch = [Grant(account=n, key=f"{worker}:{turn}", amount=C, create=True) for n in order]
            applied += sum(isinstance(answer, Applied) for answer in run(store, batch, Policy()))
        store.close()
        return applied

    def deadlocks() -> int:
        with server.connect(autocommit=True) as raw:
            row = raw.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            return int(row.fetchall()[0][0])

    before = deadlocks()
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 4 * 6 * 12
    assert deadlocks() == before
    with Ledger.open(url) as ledger:
        assert ledger.audit().entries == 12 * (1 + 4 * 6)
