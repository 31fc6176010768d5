"""What only a file can do: survive, be shared, be locked, be of another version."""

from __future__ import annotations

import multiprocessing
import shlex
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from execution_arrow.cli import main
from execution_arrow.errors import SchemaOutdated, StoreUnavailable
from execution_arrow.stores import sql, sqlite_schema
from execution_arrow.stores.base import Beat, Committed, JobTaken
from execution_arrow.stores.sqlite import SqliteStore
from execution_arrow.stores.sqlite_file import connect, many_writers_are_safe
from execution_arrow.testing.steps import commit_of, created_by, loaded, one, owned


def test_rows_survive_the_process_object(tmp_path: Path):
    first = SqliteStore(tmp_path / "a.db")
    owned(first, key="k")
    first.close()
    second = SqliteStore(tmp_path / "a.db")
    assert second.by_key("acct", "k") == ("gen_1", "f1")
    second.close()


def test_only_what_must_be_durable_is_synced(tmp_path: Path):
    store = SqliteStore(tmp_path / "a.db")
    row = owned(store)
    synced = store.syncs
    (result,) = store.apply([commit_of(row, sync=False)])
    assert isinstance(result, Committed)
    assert store.syncs == synced
    store.apply([commit_of(loaded(store))])
    assert store.syncs == synced + 1
    store.close()


def test_two_stores_of_one_process_share_the_writing_side(tmp_path: Path):
    one, two = SqliteStore(tmp_path / "a.db"), SqliteStore(tmp_path / "a.db")
    one.apply([created_by("gen_1")])
    two.apply([created_by("gen_2")])
    assert [row.id for row in one.page(None, None, None, 9)] == ["gen_2", "gen_1"]
    one.close()
    two.apply([created_by("gen_3")])
    two.close()


def test_reading_a_file_that_nobody_wrote_makes_none(tmp_path: Path):
    store = SqliteStore(tmp_path / "a.db")
    assert store.load("gen_1") is None
    assert not (tmp_path / "a.db").exists()
    store.close()


def _write_elsewhere(path: str, results: multiprocessing.Queue) -> None:
    store = SqliteStore(path)
    assert store.load("gen_1") is not None  # reading is allowed
    try:
        store.apply([Beat(owner="w", seconds=1)])
        results.put("written")
    except StoreUnavailable as error:
        results.put((error.maybe_applied, str(error)))


def test_a_second_writing_process_is_refused_on_builds_that_need_it(tmp_path: Path):
    store = SqliteStore(tmp_path / "a.db")
    store.apply([created_by()])
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    child = context.Process(target=_write_elsewhere, args=(str(tmp_path / "a.db"), results))
    child.start()
    answer = results.get(timeout=60)
    child.join()
    store.close()
    if many_writers_are_safe():
        assert answer == "written"
    else:
        assert answer[0] is False
        assert "another process writes" in answer[1]


@pytest.mark.parametrize(
    ("version", "safe"),
    [((3, 40, 1), False), ((3, 44, 6), True), ((3, 50, 6), False), ((3, 50, 7), True), ((3, 51, 2), False),
     ((3, 51, 3), True), ((3, 54, 0), True)],
)  # fmt: skip
def test_the_list_of_fixed_builds(version: tuple[int, ...], safe: bool):
    assert many_writers_are_safe(version) is safe


def tables(path: Path) -> list[object]:
    with closing(sqlite3.connect(path)) as raw:
        meta = raw.execute("SELECT name, value FROM arrow_meta ORDER BY 1").fetchall()
        return [raw.execute("SELECT name, sql FROM sqlite_master ORDER BY 1").fetchall(), meta]


def write_version(path: Path, version: int) -> None:
    """A file as that version left it."""
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript("".join(script for n, script in sql.migrations("sqlite").items() if n <= version))
        raw.execute("UPDATE arrow_meta SET value = ? WHERE name = 'schema'", (version,))
        raw.commit()


def test_migrations_lead_to_the_schema(tmp_path: Path):
    assert list(sql.migrations("sqlite")) == list(range(1, sqlite_schema.SCHEMA + 1))
    for name in ("fresh", "old"):
        if name == "old":
            write_version(tmp_path / "old.db", 1)
        store = SqliteStore(tmp_path / f"{name}.db", migrate=True)
        owned(store)
        store.close()
    assert tables(tmp_path / "old.db") == tables(tmp_path / "fresh.db")


def test_a_file_of_the_version_before_is_brought_up_when_that_is_asked_for(tmp_path: Path):
    """By the command that the refusal names; what is in the file stays."""
    write_version(tmp_path / "arrow.db", 1)
    with closing(sqlite3.connect(tmp_path / "arrow.db")) as raw:  # as the first release wrote it
        raw.execute("DELETE FROM arrow_meta WHERE name = 'compatible'")
        raw.execute(
            "INSERT INTO generations VALUES ('gen_1', 'acct', 'm', 'pending', 'k', 'f', '{}', '{}', 1, 0, "
            "NULL, 5.0, 5.0, 5.0)"
        )
        raw.commit()
    with pytest.raises(SchemaOutdated) as refused:
        SqliteStore(tmp_path / "arrow.db")
    command = str(refused.value).partition("run: ")[2]
    program, *arguments = shlex.split(command)
    assert program == "execution-arrow"
    assert main(arguments) == 0
    migrated = SqliteStore(tmp_path / "arrow.db")
    assert loaded(migrated).key == "k"
    migrated.close()


def test_a_migration_that_is_stopped_leaves_the_version_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_version(tmp_path / "a.db", 1)
    before = tables(tmp_path / "a.db")
    whole = sql.migrations("sqlite")
    broken = {**whole, 2: whole[2] + "\nINSERT INTO no_such_table VALUES (1);"}
    monkeypatch.setattr(sql, "migrations", lambda dialect: broken)
    with pytest.raises(StoreUnavailable, match="no_such_table"):
        SqliteStore(tmp_path / "a.db", migrate=True)
    assert tables(tmp_path / "a.db") == before
    monkeypatch.undo()
    SqliteStore(tmp_path / "a.db", migrate=True).close()
    assert tables(tmp_path / "a.db") != before


@pytest.mark.parametrize("old", [False, True])
def test_many_processes_that_make_or_migrate_a_file_at_once_make_one_set_of_tables(tmp_path: Path, old: bool):
    """A thread with connections of its own is as good as a process here."""
    path = tmp_path / "a.db"
    connect(path).close()  # WAL from now on
    if old:
        write_version(path, 1)
    ready = threading.Barrier(4)

    def bring_up(_: int) -> None:
        connection = connect(path)
        ready.wait()
        sqlite_schema.ensure(connection, path, migrate=True)
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(bring_up, range(4)))
    assert tables(path)[1] == [("compatible", "3"), ("schema", str(sqlite_schema.SCHEMA))]


def test_another_versions_file_is_refused_with_advice(tmp_path: Path):
    store = SqliteStore(tmp_path / "a.db")
    store.apply([created_by()])
    store.close()
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("UPDATE arrow_meta SET value = '99'")
    connection.close()
    with pytest.raises(SchemaOutdated, match="99"):
        SqliteStore(tmp_path / "a.db").load("gen_1")


def test_a_broken_statement_writes_nothing_and_the_store_recovers(tmp_path: Path):
    store = SqliteStore(tmp_path / "a.db")
    with pytest.raises(StoreUnavailable) as caught:
        store.apply([created_by("gen_1"), created_by("gen_1")])
    assert caught.value.maybe_applied is False
    assert store.load("gen_1") is None
    store.apply([created_by("gen_1")])
    assert loaded(store).id == "gen_1"
    store.close()


def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path):
    (tmp_path / "a.db").write_bytes(b"not a database, longer than a header" * 100)
    with pytest.raises(StoreUnavailable):
        SqliteStore(tmp_path / "a.db").apply([created_by()])


def test_jobs_from_before_schema_3_stay_bound_and_lead_nowhere(tmp_path: Path):
    """Whose they are is told by polls, as ever; a job cannot be taken by another attempt meanwhile."""
    write_version(tmp_path / "arrow.db", 2)
    with closing(sqlite3.connect(tmp_path / "arrow.db")) as raw:
        raw.execute("INSERT INTO jobs VALUES ('fal', 'c', 'j1', 'att_1')")
        raw.commit()
    store = SqliteStore(tmp_path / "arrow.db", migrate=True)
    row = owned(store)
    assert store.of_job("fal", "j1") == []
    assert one(store, commit_of(row, jobs=[("fal", "c", "j1", "att_2")]), JobTaken).attempt == "att_1"
    one(store, commit_of(row, jobs=[("fal", "c", "j1", "att_1"), ("fal", "c", "j2", "att_1")]), Committed)
    assert store.of_job("fal", "j2") == ["gen_1"]
    store.close()


def test_tables_that_were_refused_once_stay_refused(tmp_path: Path) -> None:
    """The connection breaks, the tables are of a newer version when it is made anew: no try gets through."""
    path = tmp_path / "arrow.db"
    store = SqliteStore(path)
    store.apply([Beat(owner="w1", seconds=10)])
    store._side.drop()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE arrow_meta SET value = '99'")
    for _ in range(3):
        with pytest.raises(SchemaOutdated, match="99"):
            store.apply([Beat(owner="w1", seconds=10)])
    store.close()
