"""The tables: their laws, their versions, and that every way to them leads to the same ones."""

import sys
from typing import Any

import psycopg
import pytest

from ledger_fortress import Ledger, LedgerError, StoreUnavailable
from ledger_fortress.errors import MissingExtra, SchemaOutdated
from ledger_fortress.protocol import Touch
from ledger_fortress.stores import postgres_schema
from ledger_fortress.stores.postgres import PostgresStore
from tests.services import PostgresServer

CATALOGUE = """
SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       coalesce(pg_get_expr(d.adbin, d.adrelid), ''), coalesce(l.collname, '')
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE c.relnamespace = %(schema)s::text::regnamespace AND c.relkind = 'r'
      AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'table', relname, relkind::text, array_to_string(reloptions, ','), false, '', ''
FROM pg_class WHERE relnamespace = %(schema)s::text::regnamespace
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated, '', ''
FROM pg_constraint WHERE connamespace = %(schema)s::text::regnamespace
UNION ALL
SELECT 'index', tablename, indexname, indexdef, false, '', ''
FROM pg_indexes WHERE schemaname = %(schema)s::text
UNION ALL
SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid), false, '', ''
FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
WHERE relnamespace = %(schema)s::text::regnamespace AND NOT tgisinternal
UNION ALL
SELECT 'function', proname, pg_get_function_identity_arguments(oid), prosrc, false, '', ''
FROM pg_proc WHERE pronamespace = %(schema)s::text::regnamespace
ORDER BY 1, 2, 3, 4
"""


def catalogue(server: PostgresServer, url: str) -> Any:
    with server.connect(url) as raw:
        name = raw.execute("SELECT current_schema()").fetchall()[0][0]
        rows = raw.execute(CATALOGUE, {"schema": name}).fetchall()
        meta = raw.execute("SELECT * FROM ledger_meta").fetchall()
    return [[str(field).replace(name, "here") for field in row] for row in rows], meta


def test_the_migrations_lead_to_the_schema(server: PostgresServer, url: str) -> None:
    """From nothing, file by file: the same columns, constraints, indexes, triggers and functions."""
    assert list(postgres_schema.migrations()) == list(range(1, postgres_schema.SCHEMA_VERSION + 1))
    with server.schema() as other:
        with server.connect(other) as raw:
            for script in postgres_schema.migrations().values():
                raw.execute(script.encode())
            raw.execute(
                "UPDATE ledger_meta SET value = %s WHERE name = 'schema'",
                [str(postgres_schema.SCHEMA_VERSION)],
            )
        rows, meta = catalogue(server, url)
        assert len(rows) > 80
        assert catalogue(server, other) == (rows, meta)


def test_a_migration_runs_once_and_only_when_asked(
    server: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version's file is applied by migrate=True, and then the ledger is what it was."""
    with Ledger.open(url) as ledger:
        ledger.grant("a", 1, key="in", create=True)
    later = postgres_schema.SCHEMA_VERSION + 1
    known = postgres_schema.migrations()
    script = "ALTER TABLE ledger_hold ADD COLUMN later text"
    monkeypatch.setattr(postgres_schema, "SCHEMA_VERSION", later)
    monkeypatch.setattr(postgres_schema, "migrations", lambda: {**known, later: script})
    with pytest.raises(
        SchemaOutdated, match=rf"has ledger schema {later - 1}, .*; run: ledger-fortress migrate"
    ):
        Ledger.open(url)
    for _ in range(2):
        with Ledger.open(url, migrate=True) as ledger:
            assert ledger.audit().entries == 2
    monkeypatch.undo()
    for migrate in (False, True):
        with pytest.raises(SchemaOutdated, match=f"has ledger schema {later}, .*update the package"):
            Ledger.open(url, migrate=migrate)


def test_a_migration_that_fails_leaves_everything_as_it_was(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = postgres_schema.SCHEMA_VERSION + 1
    script = "ALTER TABLE ledger_hold ADD COLUMN later text; SELECT 1 / 0"
    with monkeypatch.context() as patch:
        patch.setattr(postgres_schema, "SCHEMA_VERSION", later)
        patch.setattr(postgres_schema, "migrations", lambda: {later: script})
        with pytest.raises(LedgerError, match="division by zero"):
            Ledger.open(url, migrate=True)
    with Ledger.open(url) as ledger:
        ledger.grant("a", 1, key="in", create=True)


def test_a_place_without_tables(empty_url: str) -> None:
    """Opening makes nothing in somebody's database; the error has the command, ready to be typed."""
    with pytest.raises(SchemaOutdated) as told:
        Ledger.open(empty_url)
    typed = str(told.value).partition("run: ledger-fortress migrate '")[2].rstrip("'")
    Ledger.open(typed, migrate=True).close()
    Ledger.open(empty_url).close()


def test_the_schema_repeats_the_laws(server: PostgresServer, url: str) -> None:
    """Another program on the same database meets them too."""
    with Ledger.open(url) as ledger:
        ledger.grant("a", 1, key="in", create=True)
    refused = (psycopg.errors.RestrictViolation, psycopg.errors.CheckViolation)
    with server.connect(url, autocommit=True) as raw:
        for statement in (
            "UPDATE ledger_entry SET amount = 2",
            "DELETE FROM ledger_entry",
            "TRUNCATE ledger_entry",
            "UPDATE ledger_account SET available = -1",
            "UPDATE ledger_account SET available = 9007199254740992",
            "UPDATE ledger_account SET debt = 1",
            "UPDATE ledger_account SET version = -1",
            "UPDATE ledger_account SET head = ''",
            "UPDATE ledger_account SET status = 'odd'",
            "UPDATE ledger_notice SET body = ''",
            "DELETE FROM ledger_notice",
            "DELETE FROM ledger_checkpoint",
            "UPDATE ledger_checkpoint SET at = 1",
        ):
            with pytest.raises(refused):
                raw.execute(statement.encode())


def test_commits_are_durable(server: PostgresServer, url: str) -> None:
    """A server, role or database that says `synchronous_commit = off` does not get its way with money."""
    seen = []
    with Ledger.open(f"{url}%20-csynchronous_commit%3Doff") as ledger:
        store = ledger._store
        assert isinstance(store, PostgresStore)
        with store._pool.connection() as connection:
            assert connection.execute("SHOW synchronous_commit").fetchall() == [("off",)]
            ask = connection

        def look(*_: object) -> None:
            seen.extend(ask.execute("SHOW synchronous_commit").fetchall())
            raise KeyError

        with pytest.raises(KeyError):
            store.transact(Touch(("a",)), look)
    assert seen == [("on",)]


def test_a_password_is_never_shown() -> None:
    url = "postgresql://me:s3cret@127.0.0.1:1/credits?sslmode=disable&password=s3cret"
    with pytest.raises(StoreUnavailable) as told:
        Ledger.open(url)
    assert "s3cret" not in str(told.value)
    assert "postgresql://me@127.0.0.1:1/credits?sslmode=disable cannot be reached" in str(told.value)
    assert not told.value.maybe_applied


def test_urls_that_open_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="not a PostgreSQL URL"):
        Ledger.open("postgresql://localhost/credits?color=blue")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'babysea-primitives\[postgres\]'"):
        Ledger.open("postgresql://localhost/credits")


def test_another_encoding_is_refused(server: PostgresServer) -> None:
    """Names sort by code point in every store, and only UTF-8 does that here."""
    with server.connect(autocommit=True) as raw:
        raw.execute("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        try:
            with pytest.raises(LedgerError, match="LATIN1: create a database with ENCODING 'UTF8'"):
                Ledger.open(server.url.replace("/postgres?", "/latin?"), migrate=True)
        finally:
            raw.execute("DROP DATABASE latin WITH (FORCE)")
