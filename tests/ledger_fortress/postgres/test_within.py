"""The ledger inside the caller's transaction: together or not at all."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from ledger_fortress import Ledger, LedgerError, Refused, StoreUnavailable
from ledger_fortress.commands import Grant, Reserve
from tests.ledger_fortress.postgres.test_sessions import wait_until_waiting
from tests.services import PostgresServer

C = 1_000_000
Connection = psycopg.Connection[Any]


@pytest.fixture
def ledger(server: PostgresServer, url: str) -> Iterator[Ledger]:
    with Ledger.open(url) as opened:
        opened.grant("a", 10, key="in", create=True)
        with server.connect(url, autocommit=True) as raw:
            raw.execute("CREATE TABLE job (name text PRIMARY KEY)")
        yield opened


@pytest.fixture
def mine(server: PostgresServer, url: str, ledger: Ledger) -> Iterator[Connection]:
    """The caller's own connection."""
    with server.connect(url) as connection:
        yield connection


def jobs(connection: Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM job ORDER BY name").fetchall()]


def order(connection: Connection, ledger: Ledger, name: str) -> None:
    connection.execute("INSERT INTO job VALUES (%s)", [name])
    ledger.within(connection).reserve("a", 3, key=name)


def test_both_or_neither(ledger: Ledger, mine: Connection) -> None:
    order(mine, ledger, "first")
    mine.rollback()
    assert jobs(mine) == []
    assert ledger.hold("a", "first") is None
    order(mine, ledger, "first")
    assert ledger.hold("a", "first") is None  # nothing has happened until the commit
    assert ledger.within(mine).hold("a", "first") is not None
    mine.commit()
    assert jobs(mine) == ["first"]
    hold = ledger.hold("a", "first")
    assert hold is not None
    assert hold.state == "open"
    assert ledger.audit().ok


def test_all_verbs_and_reads_see_the_transaction(ledger: Ledger, mine: Connection) -> None:
    """What was done earlier in it is there, for rules and readers alike."""
    with mine.transaction():
        inside = ledger.within(mine)
        inside.grant("b", 5, key="in", create=True, note="a note")
        inside.reserve("b", 2, key="h", timeout=900)
        inside.charge("b", "h", 1)
        assert inside.charge("b", "h", 1).replayed
        assert str(inside.balance("b")) == "4.000000 available, 0.000000 held"
        assert [entry.kind for entry in inside.entries("b")] == ["open", "grant", "reserve", "charge"]
        assert inside.accounts() == ["a", "b"]
        assert inside.open_holds() == []
        assert inside.sweep() == 0
        with pytest.raises(LedgerError, match="outside the transaction"):
            inside.audit()
        assert ledger.accounts() == ["a"]
    assert ledger.audit().entries == 6


def test_a_refusal_leaves_the_transaction_usable(ledger: Ledger, mine: Connection) -> None:
    """What the caller wrote before stays his to commit; the recorded refusal commits with it."""
    mine.execute("INSERT INTO job VALUES ('poor')")
    with pytest.raises(Refused, match="insufficient"):
        ledger.within(mine).reserve("a", 99, key="big")
    with pytest.raises(Refused, match="unknown_account"):
        ledger.within(mine).reserve("nobody", 1, key="h")
    with pytest.raises(Refused, match="unknown_account"):
        ledger.within(mine).balance("nobody")
    mine.commit()
    assert jobs(mine) == ["poor"]
    with pytest.raises(Refused) as again:
        ledger.reserve("a", 99, key="big")
    assert again.value.replayed
    assert mine.execute("SELECT account FROM ledger_account").fetchall() == [("a",)]


def test_a_failed_step_leaves_the_transaction_as_it_was(
    server: PostgresServer, url: str, ledger: Ledger, mine: Connection
) -> None:
    """No retry: the caller is told, and nothing of the step remains in what he may still commit."""
    mine.execute("INSERT INTO job VALUES ('kept')")
    mine.execute("SET LOCAL lock_timeout = '50ms'")
    with server.connect(url) as stranger:
        stranger.execute("SELECT 1 FROM ledger_account FOR UPDATE")
        with pytest.raises(StoreUnavailable, match="lock timeout") as told:
            ledger.within(mine).apply(
                [
                    Grant(account="0", key="in", amount=C, create=True),
                    Reserve(account="a", key="h", amount=C, timeout=C),
                ]
            )
        assert not told.value.maybe_applied
    mine.commit()
    assert jobs(mine) == ["kept"]
    assert ledger.accounts() == ["a"]
    assert ledger.hold("a", "h") is None


def test_others_wait_for_the_callers_commit(server: PostgresServer, ledger: Ledger, mine: Connection) -> None:
    """Ten credits, seven held in an open transaction: who asks for four waits, and is then refused."""
    ledger.within(mine).reserve("a", 7, key="mine")
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(ledger.reserve, "a", 4, key="other")
        wait_until_waiting(server)
        mine.commit()
        with pytest.raises(Refused, match="insufficient"):
            other.result(30)
    assert ledger.audit().ok


def test_what_was_committed_during_the_wait_is_seen(
    server: PostgresServer, ledger: Ledger, mine: Connection, url: str
) -> None:
    """The transaction began before; READ COMMITTED lets it see what it waited for."""
    assert jobs(mine) == []
    with server.connect(url) as other, ThreadPoolExecutor(1) as pool:
        ledger.within(other).reserve("a", 7, key="other")
        waiting = pool.submit(ledger.within(mine).reserve, "a", 4, key="mine")
        wait_until_waiting(server)
        other.commit()
        with pytest.raises(Refused, match="insufficient"):
            waiting.result(30)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_stricter_levels_are_refused(ledger: Ledger, mine: Connection, level: str) -> None:
    mine.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
    with pytest.raises(LedgerError, match="READ COMMITTED transactions only"):
        ledger.within(mine).reserve("a", 1, key="h")
    mine.execute("INSERT INTO job VALUES ('still usable')")
    mine.commit()


def test_connections_that_are_in_no_transaction(ledger: Ledger, mine: Connection) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        mine.execute("SELECT * FROM nothing")
    with pytest.raises(LedgerError, match="has failed already"):
        ledger.within(mine).reserve("a", 1, key="h")
    mine.rollback()
    mine.autocommit = True
    with pytest.raises(LedgerError, match="autocommit mode and in no transaction"):
        ledger.within(mine).reserve("a", 1, key="h")
    with mine.transaction():
        ledger.within(mine).reserve("a", 1, key="h")
    assert ledger.hold("a", "h") is not None
    mine.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.within(mine).reserve("a", 1, key="h2")


def test_what_is_no_connection(ledger: Ledger, url: str) -> None:
    async def other_kind() -> None:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            with pytest.raises(TypeError, match="AsyncConnection"):
                ledger.within(connection)

    asyncio.run(other_kind())
    with pytest.raises(TypeError, match="psycopg 3"):
        ledger.within("postgresql://localhost")
    with Ledger.open("memory:") as memory, pytest.raises(TypeError, match="only a ledger in PostgreSQL"):
        memory.within(None)


class LikeDjango:
    """What Django's connection wrapper shows: a psycopg connection made on demand, with its own cursors."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.connection: Connection | None = None

    def ensure_connection(self) -> None:
        if self.connection is None:
            self.connection = psycopg.connect(self._url, cursor_factory=psycopg.ClientCursor)


def test_a_wrapped_connection(ledger: Ledger, url: str) -> None:
    wrapper = LikeDjango(url)
    ledger.within(wrapper).reserve("a", 1, key="h")
    assert wrapper.connection is not None
    assert ledger.hold("a", "h") is None
    wrapper.connection.commit()
    assert ledger.hold("a", "h") is not None
    wrapper.connection.close()


def test_the_callers_connection_is_his_own(ledger: Ledger, server: PostgresServer, url: str) -> None:
    """His row and cursor factories do not disturb us, and we leave his settings as they were."""
    names = (
        "enable_seqscan",
        "enable_hashjoin",
        "enable_mergejoin",
        "plan_cache_mode",
        "jit",
        "lock_timeout",
    )
    with server.connect(url, row_factory=dict_row, cursor_factory=psycopg.ClientCursor) as mine:
        mine.execute("SET enable_hashjoin = off")
        before = [mine.execute(f"SHOW {name}".encode()).fetchone() for name in names]
        ledger.within(mine).reserve("a", 1, key="h")
        assert ledger.within(mine).balance("a").held.micros == C
        assert [mine.execute(f"SHOW {name}".encode()).fetchone() for name in names] == before
        mine.commit()
        assert [mine.execute(f"SHOW {name}".encode()).fetchone() for name in names] == before
    assert ledger.audit().ok
