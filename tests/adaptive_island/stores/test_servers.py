"""Servers that stop, crash or cut connections, and processes that know nothing of each other."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from adaptive_island import Island, Policy
from adaptive_island.stores import Circuit, open_store, postgres, sqlite
from adaptive_island.stores.redis import RedisStore
from adaptive_island.testing import Events
from tests.adaptive_island.kit import MODEL, THREE
from tests.adaptive_island.stores.test_thread import use
from tests.ledger_fortress.redis.servers import RedisServer
from tests.services import postgres_server

BRISK = Policy(share_every=0.01)

CHILD = """
import json, sys
from adaptive_island import Island, Policy
url, name, fast = sys.argv[1:]
island = Island.open(url, policy=Policy(share_every=0.01))
providers = ("byteplus", "replicate", "fal")
for n in range(40):
    with island.attempt("lab/model", providers[n % 3], id=f"{name}-{n}") as ticket:
        ticket.succeed() if providers[n % 3] == fast else ticket.fail("caller" if n % 2 else "provider")
print("told", flush=True)
sys.stdin.readline()
island.refresh()
lines = island.explain("lab/model", providers)
print(json.dumps([[line.provider, round(line.attempts, 2), round(line.success, 3)] for line in lines]))
island.close()
"""


def test_two_processes_come_to_the_same_view(url: str) -> None:
    open_store(url, migrate=True).pull("", "")
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, url, name, "fal"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "told\n"
    store = open_store(url)
    while len(list(store.log())) < 80:  # both have told everything: each second they do
        pass
    views = [json.loads(child.communicate("\n", timeout=60)[0]) for child in children]
    assert [child.returncode for child in children] == [0, 0]
    for (name, attempts, success), (other, more, likewise) in zip(*views, strict=True):
        assert (name, attempts, success) == (
            other,
            pytest.approx(more, rel=0.05),
            pytest.approx(likewise, 0.05),
        )
    assert views[0][0][0] == "fal"
    store.close()


def test_a_host_that_is_gone_is_noticed(postgres_url: str) -> None:
    """Also while an answer is waited for, when nothing is on its way there; a URL may say otherwise."""
    for url, idle in ((postgres_url, "2"), (f"{postgres_url}&keepalives_idle=9", "9")):
        store = postgres.PostgresStore(url, Policy(), migrate=True)
        store.pull("", "")
        assert store._connection is not None
        told = store._connection.info.get_parameters()
        assert (told["keepalives_idle"], told["keepalives_count"]) == (idle, "2")
        store.close()


def test_postgres_that_crashes_and_cuts_connections() -> None:
    server = postgres_server()
    with server.schema() as place:
        island = Island.open(place, policy=BRISK, hook=Events(), migrate=True)
        use(island, 5)
        island.refresh()
        server.stop("immediate")
        use(island, 50)
        island.refresh()
        assert island.health().counts["store"] >= 1
        server.start()
        island.refresh()
        with server.connect(autocommit=True) as connection:
            ours = "application_name = 'adaptive_island'"
            connection.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}".encode()
            )
        use(island, 50)
        island.refresh()
        island.refresh()
        told = {attempt.id for attempt in open_store(place).log()}
        assert {f"r{n}" for n in range(50)} <= told
        assert len(told) == 3 * 105 + 50
        island.close()


def test_postgres_that_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel of its host goes on answering, so that only a time limit ends the waiting."""
    monkeypatch.setattr(postgres, "ANSWER", 0.2)
    server = postgres_server()
    with server.schema() as place, server.connect(autocommit=True) as other:
        island = Island.open(place, policy=Policy(share_every=3_600.0), hook=Events(), migrate=True)
        use(island, 1)
        island.refresh()
        find = b"SELECT pid FROM pg_stat_activity WHERE application_name = 'adaptive_island'"
        ((frozen,),) = other.execute(find).fetchall()
        os.kill(frozen, signal.SIGSTOP)
        try:
            use(island, 1)
            island.refresh()
            assert "no answer for 0.2 s" in island.health().last_error
            assert island.health().counts["store"] == 1
            island.refresh()  # on another connection
        finally:
            os.kill(frozen, signal.SIGCONT)
        assert island.health().counts["store"] == 1
        island.refresh()
        assert len(list(open_store(place).log())) == 7  # three attempts a round, and the one report twice
        island.close()


def test_redis_that_is_killed_and_comes_back_empty_handed() -> None:
    server = RedisServer()
    try:
        island = Island.open(server.url, policy=Policy(share_every=3_600.0), hook=Events())
        use(island, 5)
        island.refresh()
        server.stop()
        use(island, 5)
        island.refresh()
        assert island.rank(MODEL, THREE)
        server.start()
        island.refresh()
        island.refresh()
        assert island.health().store_age is not None
        assert len(list(open_store(server.url).log())) >= 15
        island.close()
    finally:
        server.close()


def test_a_sqlite_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "island.db"
    path.write_bytes(b"this is no database" * 100)
    with Island.open(f"sqlite:///{path}", policy=BRISK, hook=Events()) as island:
        use(island, 5)
        island.refresh()
        assert "not a database" in island.health().last_error


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_schema_of_another_version_is_named(kind: str, tmp_path: Path, postgres_url: str) -> None:
    url = f"sqlite:///{tmp_path}/island.db" if kind == "sqlite" else postgres_url
    open_store(url, migrate=True).read()
    if kind == "sqlite":
        import sqlite3

        with sqlite3.connect(tmp_path / "island.db") as db:
            db.execute("PRAGMA user_version = 99")
    else:
        with postgres_server().connect(postgres_url, autocommit=True) as connection:
            connection.execute("UPDATE island SET schema = 99")
    with Island.open(url, policy=BRISK, hook=Events()) as island:
        use(island, 2)
        island.refresh()
        assert "has schema 99" in island.health().last_error


def test_missing_tables_are_named_with_the_command(postgres_url: str) -> None:
    with Island.open(postgres_url, policy=BRISK, hook=Events()) as island:
        use(island, 2)
        island.refresh()
        assert "adaptive-island migrate" in island.health().last_error


def test_redis_forgets_what_nobody_reads_any_more() -> None:
    """Places of sums that have expired, and breakers closed long ago; what is open or fresh stays."""
    server = RedisServer()
    now = time.time()
    told = [
        Circuit("fal", "old", MODEL, "closed", now, 0.0, "", 1),
        Circuit("fal", "fresh", MODEL, "closed", now, 0.0, "", 1),
        Circuit("fal", "open", MODEL, "open", now, now, "failures", 1),
    ]
    try:
        store = RedisStore(server.url, Policy())
        store.push([], told)
        with Island.open(server.url, policy=Policy(share_every=3_600.0), hook=Events()) as island:
            use(island, 3)
        with server.client() as client:
            places = client.zcard("{adaptive_island}:changes")
            assert places
            for key in client.scan_iter("{adaptive_island}:cells:*"):
                client.delete(key)
                break
            for scope in (["fal", "old", MODEL], ["fal", "open", MODEL]):  # the last word, two days ago
                client.zadd("{adaptive_island}:told", {json.dumps(scope): now - 2 * 86_400.0}, xx=True)
            RedisStore(server.url, Policy()).push([], [])
            assert client.zcard("{adaptive_island}:changes") == places - 1
            assert client.hlen("{adaptive_island}:circuits") == 2
        store.close()
    finally:
        server.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_log_is_pruned_by_an_index(kind: str, tmp_path: Path, postgres_url: str) -> None:
    """A month of attempts is not walked through while others wait."""
    url = postgres_url if kind == "postgres" else f"sqlite:///{tmp_path}/island.db"
    store = open_store(url, migrate=True)
    store.pull("", "")
    store.close()
    if kind == "sqlite":
        with closing(sqlite3.connect(tmp_path / "island.db")) as db:
            plan = str(db.execute(f"EXPLAIN QUERY PLAN {sqlite._PRUNE_LOG}", (0.0, 1)).fetchall())
    else:
        with psycopg.connect(url) as connection:
            connection.execute("SET enable_seqscan = off")
            plan = str(connection.execute(b"EXPLAIN " + postgres._PRUNE_LOG, (0.0, 1)).fetchall())
    assert "attempts_by_age" in plan


def test_a_password_is_not_shown() -> None:
    assert open_store("postgresql://me:se?cr#et@host/db").where == "postgresql://me@host/db"
