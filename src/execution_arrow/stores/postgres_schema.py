"""Making and migrating the tables in a PostgreSQL database.

`schema.sql` is the whole of today's tables; `migrations/NNNN_*.sql` lead there from every earlier version,
one file per version. An empty database gets the former, an older one those files that it lacks.
"""

from __future__ import annotations

from typing import Final

from execution_arrow.errors import ArrowError
from execution_arrow.stores import sql
from execution_arrow.stores.postgres_pool import Connection, run
from execution_arrow.stores.versions import check

SCHEMA: Final = 3
OLDEST_SERVER: Final = 140_000


def open_schema(connection: Connection, where: str, url: str, migrate: bool) -> None:
    """See that the tables are there in a version we can use; make them so only if `migrate` says so."""
    found, compatible = versions_of(connection, where)
    if migrate and (found or 0) < SCHEMA:
        with connection.transaction():
            run(connection, "migrate_alone")
            found, _ = versions_of(connection, where)  # somebody else may have been quicker
            _bring_up(connection, found or 0)
        found, compatible = versions_of(connection, where)
    check(where, f"run: execution-arrow migrate --data '{url}'", SCHEMA, found, compatible)


def versions_of(connection: Connection, where: str) -> tuple[int | None, int | None]:
    """The tables' version and the oldest code that may use them; None where there are none."""
    there, server, encoding = run(connection, "about").fetchall()[0]
    if server < OLDEST_SERVER:
        raise ArrowError(f"{where} is PostgreSQL {server // 10_000}: the job store needs 14 or later")
    if encoding != "UTF8":
        raise ArrowError(f"{where} is encoded as {encoding}: create a database with ENCODING 'UTF8'")
    if not there:
        return None, None
    found, compatible = run(connection, "versions").fetchall()[0]
    return int(found), int(compatible)


def _bring_up(connection: Connection, found: int) -> None:
    if not found:
        connection.execute(sql.text("postgres/schema.sql").encode())
        return
    for version, script in sql.migrations("postgres").items():
        if version > found:
            connection.execute(script.encode())
            run(connection, "set_version", {"name": "schema", "value": str(version)})
