"""What only a server does: lose connections and answers, undo, restart, tell others, grow."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psycopg
import pytest

from execution_arrow.errors import ArrowError, SchemaOutdated, StoreUnavailable
from execution_arrow.machine.state import Event
from execution_arrow.stores import open_store, postgres, postgres_batch, postgres_pool, postgres_schema, sql
from execution_arrow.stores.base import (
    ANYTHING,
    Append,
    Beat,
    Beaten,
    Claim,
    Claimed,
    Committed,
    Create,
    Created,
    Disown,
    Existing,
    Hint,
    JobTaken,
    Op,
    Release,
)
from execution_arrow.stores.hints import hints_in, payload_of
from execution_arrow.stores.outgoing import Publish, TakeDeliveries, Taken
from execution_arrow.stores.postgres import PostgresStore
from execution_arrow.testing.contract_outgoing import kept, reported
from execution_arrow.testing.steps import ManualClock, commit_of, created_by, fact, loaded, one, owned
from tests.services import PostgresServer

TABLES = ("arrow_generation", "arrow_fact", "arrow_event", "arrow_job", "arrow_worker", "arrow_delivery")


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(url)
    yield store
    store.close()


def batch(store: PostgresStore) -> list[Op]:
    """Every kind of operation at once, on the store that `prepare` left."""
    row = loaded(store, "gen_1")
    return [
        created_by("gen_9", key="k9"),
        commit_of(
            row, folded=[row.inbox[0].seq], heard=[fact("new")], events=[Event(no=1, type="e", at=1.0)],
            jobs=[("fal", "c", "j1", "att_1")],
        ),
        Append(fact=fact("later")),
        Release(owner="w1", rows=[("gen_2", 5.0)]),
        Claim(owner="w2", seconds=10, ids=["gen_3"]),
        Claim(owner="w3", seconds=10, limit=1),
        Disown(owner="w1", keep=["gen_1"]),
        Beat(owner="w1", seconds=100),
        TakeDeliveries(seconds=10, limit=1, each=1),
        Publish(account="acct", subject="s", type="x", at=1.0, body="{}"),
    ]  # fmt: skip


def prepare(store: PostgresStore) -> None:
    kept(store)
    for name in ("gen_1", "gen_2"):
        owned(store, identity=name)
    store.apply([created_by("gen_3"), created_by("gen_4"), Append(fact=fact("old"))])


def picture(server: PostgresServer, url: str) -> dict[str, list[Any]]:
    """Everything that is stored, but for what the clock wrote."""
    with server.connect(url) as raw:
        rows = {
            table: raw.execute(f"SELECT * FROM {table} ORDER BY 1, 2".encode()).fetchall() for table in TABLES
        }
    rows["arrow_worker"] = [row[:1] for row in rows["arrow_worker"]]
    return rows


@contextmanager
def stopping(at: int, after: bool, act: Callable[[psycopg.Connection[Any]], None]) -> Iterator[list[str]]:
    """Every statement a round trip of its own; before or after the `at`-th one, `act`."""
    seen: list[str] = []
    real = postgres_batch.run

    def run(connection: Any, name: str, values: Any = None) -> Any:
        seen.append(name)
        if len(seen) == at and not after:
            act(connection)
        cursor = real(connection, name, values)
        if len(seen) == at and after:
            act(connection)
        return cursor

    with pytest.MonkeyPatch.context() as patch:
        for module in (postgres, postgres_batch):
            patch.setattr(module, "run", run)
        patch.setattr(psycopg.Connection, "pipeline", lambda _: nullcontext())
        yield seen


def statements(url: str) -> list[str]:
    store = PostgresStore(url)
    prepare(store)
    ops = batch(store)
    with stopping(0, False, lambda _: None) as seen:
        store.apply(ops)
    store.close()
    return seen


def round_trips(store: PostgresStore, action: Callable[[], object], tmp_path: Path) -> int:
    """How often libpq itself waited for the server: at each `Sync`, and at nothing else that it sent."""
    store.load("warm")
    (connection,) = store._pool._idle
    with (tmp_path / "trace").open("w+b") as trace:
        connection.pgconn.trace(trace.fileno())
        action()
        connection.pgconn.untrace()
        trace.seek(0)
        sent = [line.split(b"\t")[3] for line in trace if line.split(b"\t")[1:2] == [b"F"]]
    assert not [what for what in sent if what.startswith(b"Query")]
    return sum(what.startswith(b"Sync") for what in sent)


@pytest.mark.parametrize("size", [1, 64])
def test_a_batch_is_two_round_trips_however_many_operations_it_has(
    url: str, size: int, tmp_path: Path, figure: Callable[[str], None]
):
    store = PostgresStore(url)
    news = [created_by(f"gen_new_{number}", key=f"k{number}") for number in range(size)]
    facts = [Append(fact=fact(generation=op.id)) for op in news]
    assert round_trips(store, lambda: store.apply([*news, *facts]), tmp_path) == 2
    names = [op.id for op in news]
    assert round_trips(store, lambda: store.load_many(names), tmp_path) == 1
    figure(f"PostgreSQL jobs: {2 * size} operations in 2 round trips, {size} rows in 1")
    store.close()


def in_a_child(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to end a process at a statement")
def test_a_process_that_ends_at_any_statement_leaves_all_or_nothing(server: PostgresServer):
    with server.schema() as url:
        PostgresStore(url, migrate=True).close()
        seen = statements(url)
        done = picture(server, url)
    assert seen[-1] == "commit"
    assert {"lock", "create", "bind", "commit_row", "append", "release", "claim", "disown", "notify"} <= set(
        seen
    )
    with server.schema() as url:
        store = PostgresStore(url, migrate=True)
        prepare(store)
        nothing = picture(server, url)
        ops = batch(store)
        for number in range(1, len(seen) + 1):

            def die_here(number: int = number) -> None:
                with stopping(number, False, lambda _: os._exit(0)):
                    PostgresStore(url).apply(ops)

            assert in_a_child(die_here) == 0
            assert picture(server, url) == nothing, f"something was left by a death before {seen[number - 1]}"

        def die_after() -> None:
            with stopping(len(seen), True, lambda _: os._exit(0)):
                PostgresStore(url).apply(ops)

        assert in_a_child(die_after) == 0
        found = picture(server, url)
        assert {table: len(rows) for table, rows in found.items()} == {
            table: len(rows) for table, rows in done.items()
        }
        store.close()


def end(connection: psycopg.Connection[Any]) -> None:
    """End the session from outside, and wait until it is over."""
    pid = connection.info.backend_pid
    with psycopg.connect(connection.info.dsn, password=connection.info.password, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def test_a_session_that_is_ended_at_any_statement_is_replaced(server: PostgresServer):
    """Before the commit the batch is done again on another connection, once, and nobody is told."""
    with server.schema() as url:
        PostgresStore(url, migrate=True).close()
        count = len(statements(url))
    for number in range(1, count + 1):
        with server.schema() as url:
            store = PostgresStore(url, migrate=True)
            prepare(store)
            ops = batch(store)
            with stopping(number, False, end) as seen:
                if number < count - 1:  # `notify` and `commit` are on their way together
                    results = store.apply(ops)
                    assert isinstance(results[1], Committed)
                else:
                    with pytest.raises(StoreUnavailable) as lost:
                        store.apply(ops)
                    assert lost.value.maybe_applied
            assert len(seen) > count or number >= count - 1
            store.close()


def test_a_commit_whose_answer_is_lost_says_so(url: str, store: PostgresStore):
    prepare(store)
    ops = batch(store)
    with stopping(0, False, lambda _: None) as seen:
        store.apply([Beat(owner="x", seconds=1)])
    count = len(seen)

    def cut(connection: psycopg.Connection[Any]) -> None:
        os.close(os.dup(connection.fileno()))
        connection.close()
        raise psycopg.OperationalError("the line is dead")

    with stopping(count, True, cut), pytest.raises(StoreUnavailable) as lost:
        store.apply([created_by("gen_8", key="k8")])
    assert ops
    assert lost.value.maybe_applied
    assert isinstance(store.apply([created_by("gen_7", key="k8")])[0], Existing | Created)


def test_a_server_that_restarts_loses_nothing_and_is_used_at_once(server: PostgresServer, url: str):
    store = PostgresStore(url)
    written: list[str] = []
    told: list[StoreUnavailable] = []
    stop = threading.Event()

    def write(worker: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            name = f"gen_{worker}_{number}"
            try:
                store.apply([created_by(name)])
                written.append(name)
            except StoreUnavailable as error:
                told.append(error)

    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(write, worker) for worker in range(3)]
        try:
            wait_for(lambda: len(written) > 50)
            server.stop("immediate")
            wait_for(lambda: bool(told))
            server.start()
            store.apply([created_by("gen_at_once")])
            enough = len(written) + 20
            wait_for(lambda: len(written) > enough)
        finally:
            stop.set()
        for job in jobs:
            job.result(30)
    kept = {row.id for row in store.page(None, None, None, 100_000)}
    assert kept >= {*written, "gen_at_once"}
    store.close()


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain for half a minute")


# --- several at once ---


def test_claims_at_the_same_time_share_nothing(url: str):
    """Four workers take batches until nothing is left: each row once, and nobody waits for another."""
    stores = [PostgresStore(url, clock=ManualClock()) for _ in range(4)]
    stores[0].apply([created_by(f"gen_{number:03d}") for number in range(400)])
    start = threading.Barrier(4)

    def claim(number: int) -> list[str]:
        mine: list[str] = []
        start.wait()
        while rows := one(stores[number], Claim(owner=f"w{number}", seconds=60, limit=10), Claimed).rows:
            assert {row.epoch for row in rows} == {1}
            mine += [row.id for row in rows]
        return mine

    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(claim, range(4)))
    taken = Counter(name for share in shares for name in share)
    assert len(taken) == 400
    assert max(taken.values()) == 1
    for store in stores:
        store.close()


def test_one_key_asked_for_at_the_same_time_is_one_generation(url: str):
    stores = [PostgresStore(url) for _ in range(4)]
    for round in range(25):
        start = threading.Barrier(4)

        def create(number: int, round: int = round, start: threading.Barrier = start) -> Any:
            start.wait()
            op: Create = created_by(f"gen_{round}_{number}", key=f"k{round}")
            return stores[number].apply([op])[0]

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(create, range(4)))
        assert sum(isinstance(answer, Created) for answer in answers) == 1
        assert len({answer.id for answer in answers if isinstance(answer, Existing)}) == 1
    for store in stores:
        store.close()


def test_one_job_claimed_by_two_attempts_at_the_same_time_is_bound_once(url: str):
    stores = [PostgresStore(url) for _ in range(2)]
    for round in range(25):
        rows = [owned(stores[n], f"w{n}", identity=f"gen_{round}_{n}") for n in range(2)]
        start = threading.Barrier(2)

        def bind(number: int, rows: Any = rows, start: threading.Barrier = start, round: int = round) -> Any:
            start.wait()
            job = ("fal", "c", f"job{round}", f"att_{round}_{number}")
            return stores[number].apply([commit_of(rows[number], jobs=[job])])[0]

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(bind, range(2)))
        assert sorted(type(answer).__name__ for answer in answers) == ["Committed", "JobTaken"]
        (taken,) = [answer for answer in answers if isinstance(answer, JobTaken)]
        loser = next(n for n in range(2) if isinstance(answers[n], JobTaken))
        assert taken.attempt == f"att_{round}_{1 - loser}"
        assert loaded(stores[loser], f"gen_{round}_{loser}").version == 1
    for store in stores:
        store.close()


def test_batches_that_lock_the_same_rows_in_opposite_orders_both_end(url: str):
    stores = [PostgresStore(url) for _ in range(2)]
    names = [f"gen_{number:02d}" for number in range(40)]
    for name in names:
        owned(stores[0], identity=name)
    start = threading.Barrier(2)

    def release(number: int) -> int:
        start.wait()
        for _ in range(20):
            ordered = names if number else names[::-1]
            stores[number].apply([Release(owner="nobody", rows=[(name, None)]) for name in ordered])
            stores[number].apply([commit_of(loaded(stores[number], name), owner="stale") for name in ordered])
        return number

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(release, range(2))) == [0, 1]
    for store in stores:
        store.close()


# --- time ---


def test_time_is_the_servers_whatever_this_host_believes(
    server: PostgresServer, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(time, "time", lambda: 1.0)
    said = one(store, Beat(owner="w", seconds=1), Beaten).now
    with server.connect() as raw:
        (real,) = raw.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchall()[0]
    assert 0 <= real - said < 60


# --- hints ---


def test_a_payload_says_what_it_was_made_of():
    hints = [Hint("free", "gen_1"), Hint("fact", "gen_2"), Hint("free"), Hint("end", "gen_3")]
    assert hints_in(payload_of(hints)) == hints
    assert hints_in(payload_of(Hint("free", f"gen_{number}") for number in range(2_000))) == [ANYTHING]
    assert hints_in("newer:gen_1") == [ANYTHING]


def test_a_listener_survives_its_connection(server: PostgresServer, url: str, store: PostgresStore):
    heard: SimpleQueue[Any] = SimpleQueue()
    end_watch = store.watch(heard.put)
    assert heard.get(timeout=10) == [ANYTHING]  # listening from now on
    other = PostgresStore(url)
    other.apply([created_by("gen_1")])
    assert heard.get(timeout=10) == [Hint("free", "gen_1")]
    with server.connect(autocommit=True) as raw:
        raw.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    assert heard.get(timeout=10) == [ANYTHING]  # what came in between may be lost
    other.apply([created_by("gen_2")])
    assert heard.get(timeout=10) == [Hint("free", "gen_2")]
    end_watch()
    other.close()


# --- tables ---


def test_a_process_with_many_open_files_works_on(server: PostgresServer, url: str):
    """Connections beyond the 1,024th file of a process: `select` would raise, one batch in two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(2048, hard)), hard))
    with contextlib.ExitStack() as files:
        for _ in range(1_100):
            files.enter_context(open(os.devnull))
        store = PostgresStore(url)
        files.callback(store.close)
        heard: SimpleQueue[Hint] = SimpleQueue()
        store.watch(lambda hints: [heard.put(hint) for hint in hints])
        assert heard.get(timeout=10) == ANYTHING
        for number in range(3):
            assert store.apply([created_by(f"gen_{number}", owner=None)]) == [Created()]
            assert store.load(f"gen_{number}") is not None
        assert heard.get(timeout=10) == Hint("free", "gen_0")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s3cret@db/jobs?password=s3cret&a=b", "postgresql://me@db/jobs?a=b"),
        ("postgresql://me:s3c?s3cret@db:5432/jobs", "postgresql://me@db:5432/jobs"),
        ("postgresql://me:s3c#s3cret@db/jobs?a=b%20c", "postgresql://me@db/jobs?a=b%20c"),
        ("postgresql://me:s3c/s3cret@db/jobs", "postgresql://db/jobs"),
        ("postgresql://db/jobs?user=a@b", "postgresql://db/jobs?user=a%40b"),
        ("postgresql:///jobs?host=/tmp", "postgresql:///jobs?host=/tmp"),
    ],
)
def test_no_part_of_a_password_is_shown(url: str, shown: str):
    assert postgres_pool.without_password(url) == shown


def test_missing_tables_name_the_command(empty_url: str):
    with pytest.raises(SchemaOutdated, match="execution-arrow migrate --data 'postgresql://"):
        PostgresStore(empty_url)
    open_store(empty_url, migrate=True).close()
    open_store(empty_url).close()


@pytest.mark.parametrize(
    ("schema", "compatible", "message"),
    [(0, 0, "execution-arrow migrate"), (3, 1, ""), (4, 3, ""), (4, 4, "update the package")],
)
def test_two_adjacent_versions_run_side_by_side(
    server: PostgresServer, url: str, schema: int, compatible: int, message: str
):
    """Tables are migrated first; code of the version before goes on until it is replaced."""
    with server.connect(url, autocommit=True) as raw:
        raw.execute("UPDATE arrow_meta SET value = %s WHERE name = 'schema'", (str(schema),))
        raw.execute("UPDATE arrow_meta SET value = %s WHERE name = 'compatible'", (str(compatible),))
    if message:
        with pytest.raises(SchemaOutdated, match=message):
            PostgresStore(url)
    else:
        PostgresStore(url).close()


def test_migrations_lead_to_the_schema(server: PostgresServer):
    """From the first version step by step, or at once: the same tables."""

    def columns(url: str) -> list[Any]:
        with server.connect(url) as raw:
            return raw.execute(
                "SELECT table_name, column_name, data_type, is_nullable, column_default "
                "FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1, 2"
            ).fetchall()

    with server.schema() as one_url, server.schema() as two_url:
        PostgresStore(one_url, migrate=True).close()
        with server.connect(two_url, autocommit=True) as raw:
            for script in sql.migrations("postgres").values():
                raw.execute(script.encode())
        assert columns(one_url)
        assert columns(one_url) == columns(two_url)
        assert max(sql.migrations("postgres")) == postgres_schema.SCHEMA


def test_many_processes_that_migrate_at_once_make_one_set_of_tables(empty_url: str):
    with ThreadPoolExecutor(4) as pool:
        for store in pool.map(lambda _: PostgresStore(empty_url, migrate=True), range(4)):
            store.close()


def test_what_is_no_database_is_said_so(server: PostgresServer):
    with pytest.raises(ArrowError, match="cannot be reached"):
        PostgresStore("postgresql://nobody@127.0.0.1:1/nowhere?connect_timeout=1")
    with pytest.raises(ValueError, match="postgresql"):
        open_store("mysql://x")


# --- growth ---


def grow(raw: psycopg.Connection[Any], rows: int) -> None:
    raw.execute(
        "INSERT INTO arrow_generation SELECT 'old_' || n, 'acct', 'm', 'succeeded', NULL, '', '{}', '{}',"
        " 9, 1, NULL, NULL, 1, 1 FROM generate_series(1, %s) n",
        (rows,),
    )
    raw.execute(
        "INSERT INTO arrow_fact (generation, attempt, dedup, body, at, folded)"
        " SELECT 'old_' || n, 'a', 'd', '{}', 1, true FROM generate_series(1, %s) n",
        (rows,),
    )
    raw.execute(
        "INSERT INTO arrow_delivery"
        " (endpoint, subject, no, account, type, at, settled, state, next_at, ended_at) SELECT"
        " 'we_1', 'old_' || n, 1, 'acct', 'a', n * 1e-6, true, 'delivered', 1, 9e9"
        " FROM generate_series(1, %s) n",
        (rows,),
    )
    raw.execute(
        "INSERT INTO arrow_endpoint (id, account, events, document, disabled, version) SELECT"
        " 'we_old' || n, 'old_' || n, '{}', '{}', false, 1 FROM generate_series(1, %s) n",
        (rows,),
    )
    raw.execute(
        "INSERT INTO arrow_job SELECT 'fal', 'c', 'old' || n, 'a', 'g' FROM generate_series(1, %s) n", (rows,)
    )


def use(store: PostgresStore) -> None:
    """Every statement of daily use."""
    for number in range(8):  # often enough for the driver to prepare, and the server to keep, its plans
        name = f"gen_{number}"
        row = owned(store, identity=name, key=f"k{number}")
        store.apply([created_by(f"x{number}", key=f"k{number}"), Append(fact=fact(generation=name))])
        inbox = store.inbox("w1")
        store.apply([commit_of(row, folded=[inbox[0].seq], heard=[fact("h", generation=name)],
                               jobs=[("fal", "c", f"j{number}", "att_1")])])  # fmt: skip
        store.apply([Release(owner="w1", rows=[(name, 1.0)])])
        store.apply([Claim(owner="w2", seconds=60, ids=[name]), Claim(owner="w3", seconds=60, limit=3)])
        store.apply([Disown(owner="w2", keep=[]), Claim(owner="w3", seconds=60, limit=3)])
        tell = Publish(account="acct", subject=f"s{number}", type="x", at=1.0, body="{}")
        store.apply([tell, replace(tell, subject=f"t{number}", endpoint="we_1")])
        last = loaded(store, name)
        assert last.owner == "w3"
        events = [Event(no=1, type="a", at=1.0), Event(no=2, type="b", at=1.0)]
        store.apply([commit_of(last, next_at=None, erased="{}", events=events)])
        for state in ("waiting", "delivered", "dead"):
            (taken,) = store.apply([TakeDeliveries(seconds=60, limit=9, each=3)])
            assert isinstance(taken, Taken)
            store.apply([reported(found, state, at=1.0) for found in taken.deliveries])
        store.deliveries(None, None, None, 5)
        store.by_key("acct", f"k{number}")
        store.of_job("fal", f"j{number}")
        store.page(None, None, None, 5)
        store.page("acct", "succeeded", "gen_4", 5)
        store.unfinished(None, 5)
        store.events(name)


def read(server: PostgresServer, url: str, store: PostgresStore) -> tuple[int, int]:
    """(scans from end to end, rows that were looked at) since statistics were reset."""
    for connection in store._pool._idle:
        connection.execute("SELECT pg_stat_force_next_flush()")
    with server.connect(url, autocommit=True) as raw:
        found = raw.execute(
            "SELECT sum(seq_scan)::int, sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int "
            "FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname LIKE 'arrow_%'"
            " AND relname NOT IN ('arrow_meta', 'arrow_worker')"
        ).fetchall()
    return found[0]


def lives_beside_a_history(server: PostgresServer, url: str, analysed: bool) -> tuple[int, int]:
    """Live on empty tables, so that plans are made; let them grow behind the planner's back; live again."""
    store = PostgresStore(url)
    kept(store)
    with server.connect(url, autocommit=True) as raw:
        for table in TABLES:
            raw.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
        if analysed:
            for table in TABLES:
                raw.execute(f"VACUUM ANALYZE {table}".encode())
        use(store)
        for table in (*TABLES[1:], TABLES[0]):
            raw.execute(f"DELETE FROM {table}".encode())
        grow(raw, OLD)
        raw.execute("SELECT pg_stat_force_next_flush()")
        raw.execute("SELECT pg_stat_reset()")
    use(store)
    found = read(server, url, store)
    store.close()
    return found


OLD = 5_000


@pytest.mark.parametrize("analysed", [False, True], ids=["never analysed", "analysed while empty"])
def test_what_an_operation_reads_does_not_grow_with_the_history(
    server: PostgresServer, url: str, analysed: bool, figure: Callable[[str], None]
):
    """With plans from the day when the tables were empty: the worst there are."""
    scans, looked_at = lives_beside_a_history(server, url, analysed)
    assert scans == 0
    assert looked_at < OLD / 2, "some statement walks the history"
    figure(f"PostgreSQL jobs: 8 lives beside {OLD} old ones look at {looked_at} rows, {analysed=}")


def test_without_the_pins_it_does(server: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch):
    """The test above can fail: the planner left alone does what it fears."""
    monkeypatch.setitem(postgres_pool.SQL, "pin", b"SELECT 1")
    scans, looked_at = lives_beside_a_history(server, url, True)
    assert scans > 0
    assert looked_at > OLD
