"""The plans: right on the first day, and still right when the tables have grown since."""

import time
from collections.abc import Callable

import pytest

from ledger_fortress import Ledger
from ledger_fortress.commands import Charge, Grant, Item, Reserve
from ledger_fortress.ledger import Ledger as AnyLedger
from ledger_fortress.stores import postgres_rows
from tests.ledger_fortress.sizes import size
from tests.services import PostgresServer

C = 1_000_000
ACCOUNTS = 100
TABLES = ("ledger_account", "ledger_entry", "ledger_hold", "ledger_note", "ledger_member", "ledger_notice")


def grow(ledger: AnyLedger, pairs: int) -> None:
    names = [f"acct_{number:03d}" for number in range(ACCOUNTS)]
    ledger.apply([Grant(account=n, key="in", amount=10_000 * C, create=True, note="hello") for n in names])
    for start in range(0, pairs, 250):
        batch: list[Item] = []
        for number in range(start, start + 250):
            account, key = names[number % ACCOUNTS], f"k{number:07d}"
            batch.append(Reserve(account=account, key=key, amount=C, timeout=900 * C))
            batch.append(Charge(account=account, hold=key, amount=C))
        ledger.apply(batch)


def use(ledger: AnyLedger) -> None:
    """Every statement of daily use."""
    ledger.reserve("acct_001", 1, key="h")
    again = ledger.reserve("acct_001", 1, key="h")
    ledger.reserve("acct_001", 1, key="h2", seen=again)
    ledger.charge("acct_001", "h")
    ledger.release("acct_001", "h2")
    ledger.reserve("acct_002", 1, key="late", timeout=0.000001)
    ledger.balance("acct_002")
    ledger.sweep()
    ledger.hold("acct_001", "h")
    ledger.open_holds("acct_001")
    ledger.statement("acct_003", after=5, limit=20)
    ledger.set_member("acct_004", "ann", 5, key="ann")
    ledger.reserve("acct_004", 1, key="hers", member="ann")
    ledger.charge("acct_004", "hers")
    for kinds in ((), ("alert",)):
        for notice in ledger._store.notices(None, kinds, True, 10):
            assert ledger._store.acknowledge([notice[:3]]) == 1
    ledger._store.notices("acct_005", (), False, 10)
    ledger.accounts("acct_050", 10)


def scans(server: PostgresServer, url: str, ledger: AnyLedger) -> dict[str, int]:
    """How often each table has been read from end to end."""
    for connection in ledger._store._pool._idle:  # type: ignore[attr-defined]
        connection.execute("SELECT pg_stat_force_next_flush()")
    with server.connect(url, autocommit=True) as raw:
        rows = raw.execute(
            "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE schemaname = current_schema()"
        ).fetchall()
    return {name: count for name, count in rows if name in TABLES}


@pytest.mark.parametrize("seen_empty", [False, True], ids=["never analysed", "analysed while empty"])
def test_no_table_is_ever_read_from_end_to_end(
    server: PostgresServer, url: str, seen_empty: bool, figure: Callable[[str], None]
) -> None:
    """Also with the worst statistics there are: those that were taken before the first row came."""
    freeze_statistics(server, url, seen_empty)
    pairs = size(2_500, 10)
    with Ledger.open(url) as ledger:
        grow(ledger, pairs)
        use(ledger)
        assert scans(server, url, ledger) == dict.fromkeys(TABLES, 0)
    figure(f"PostgreSQL plans: no scan of a table in {2 * pairs} operations, statistics {seen_empty=}")


def test_without_the_pins_they_are(server: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: the planner left alone does what it fears."""
    monkeypatch.setitem(postgres_rows._SQL, "pin", b"SELECT 1")
    freeze_statistics(server, url, True)
    with Ledger.open(url) as ledger:
        grow(ledger, 500)
        use(ledger)
        assert sum(scans(server, url, ledger).values()) > 0


def freeze_statistics(server: PostgresServer, url: str, seen_empty: bool) -> None:
    with server.connect(url, autocommit=True) as raw:
        for table in TABLES:
            raw.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
            if seen_empty:
                raw.execute(f"VACUUM ANALYZE {table}".encode())
        others = (
            "SELECT 1 FROM pg_stat_activity WHERE backend_type LIKE 'client%' AND pid <> pg_backend_pid()"
        )
        for _ in range(1_000):  # a session that is closing still has its own counts to add
            if not raw.execute(others).fetchone():
                break
            time.sleep(0.005)
        raw.execute("SELECT pg_stat_reset()")


def test_an_update_of_an_account_stays_on_its_page(server: PostgresServer, url: str) -> None:
    """What the free half of each page is for: a busy account's row does not touch the indexes."""
    with Ledger.open(url) as ledger:
        ledger.grant("a", 1_000, key="in", create=True)
        for number in range(100):
            ledger.reserve("a", 1, key=f"k{number}", on_timeout="report")
        for connection in ledger._store._pool._idle:  # type: ignore[attr-defined]
            connection.execute("SELECT pg_stat_force_next_flush()")
    with server.connect(url, autocommit=True) as raw:
        updated, hot = raw.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables "
            "WHERE relname = 'ledger_account' AND schemaname = current_schema()"
        ).fetchall()[0]
    assert updated > 100
    assert hot > 0.9 * updated
