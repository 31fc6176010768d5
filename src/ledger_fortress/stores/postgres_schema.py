"""Making and migrating the ledger's tables in a PostgreSQL database.

`schema.sql` is the whole of today's tables; `migrations/NNNN_*.sql` lead there from every earlier version,
one file per version. An empty database gets the former, an older ledger those files that it lacks.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from ledger_fortress.errors import LedgerError, SchemaOutdated

from .postgres_rows import Session
from .sql import schema

SCHEMA_VERSION: Final = 1
OLDEST_SERVER: Final = 140_000


@cache
def migrations() -> dict[int, str]:
    """The script that makes each version out of the one before it."""
    folder = files("ledger_fortress.stores") / "sql" / "postgres" / "migrations"
    found = {int(file.name[:4]): file.read_text("utf-8") for file in folder.iterdir() if ".sql" in file.name}
    return dict(sorted(found.items()))


def open_schema(session: Session, where: str, command: str, migrate: bool) -> None:
    """See that the tables are there in this version; make them so only if `migrate` says so."""
    found = version_of(session, where)
    if found != SCHEMA_VERSION and migrate and (found or 0) < SCHEMA_VERSION:
        with session.connection.transaction():
            session.run("migrate_alone")
            found = version_of(session, where)  # somebody else may have been quicker
            _bring_up(session, found)
        found = version_of(session, where)
    if found == SCHEMA_VERSION:
        return
    if found is None:
        raise SchemaOutdated(f"{where} has no ledger tables yet; run: ledger-fortress migrate '{command}'")
    advice = "update the package" if found > SCHEMA_VERSION else f"run: ledger-fortress migrate '{command}'"
    raise SchemaOutdated(
        f"{where} has ledger schema {found}, this version works with {SCHEMA_VERSION}; {advice}"
    )


def version_of(session: Session, where: str) -> int | None:
    """The version of the ledger's tables, None where there are none."""
    there, server, encoding = session.run("about").fetchall()[0]
    if server < OLDEST_SERVER:
        raise LedgerError(f"{where} is PostgreSQL {server // 10_000}: the ledger needs 14 or later")
    if encoding != "UTF8":
        raise LedgerError(f"{where} is encoded as {encoding}: create a database with ENCODING 'UTF8'")
    return int(session.run("schema_version").fetchall()[0][0]) if there else None


def _bring_up(session: Session, found: int | None) -> None:
    if found is None:
        session.connection.execute(schema("postgres").encode())
        return
    for version, script in migrations().items():
        if version > found:
            session.connection.execute(script.encode())
            session.run("set_schema_version", str(version))
