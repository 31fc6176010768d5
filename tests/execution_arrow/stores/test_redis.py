"""What only a Redis can do: promise too little, be killed, be restored, hold a lock for who is gone."""

from __future__ import annotations

import logging
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from execution_arrow.errors import ArrowError, SchemaOutdated, StoreNotDurable, StoreUnavailable
from execution_arrow.machine.state import Event
from execution_arrow.stores import open_store, redis_load
from execution_arrow.stores import redis as redis_module
from execution_arrow.stores.base import (
    Append,
    Beat,
    Claim,
    Claimed,
    Commit,
    Committed,
    Create,
    Created,
    Disown,
    Done,
    Op,
    Release,
    Row,
)
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.stores.outgoing import (
    Endpoint,
    KeepEndpoint,
    Posted,
    Publish,
    Replay,
    Report,
    TakeDeliveries,
    Taken,
)
from execution_arrow.stores.redis import RedisStore
from execution_arrow.stores.redis_keys import Keys, delivery_name, delivery_of
from execution_arrow.testing.steps import NOW, ManualClock, commit_of, created_by, fact, loaded, one, owned
from tests.ledger_fortress.redis.servers import RedisServer

DURABLE = ("--appendfsync", "always")


@pytest.fixture(scope="module")
def listening() -> Iterator[RedisServer]:
    server = RedisServer(*DURABLE)
    yield server
    server.close()


@pytest.fixture
def server(listening: RedisServer) -> RedisServer:
    with listening.client() as client:
        client.flushall()
    return listening


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    store = RedisStore(server.url)
    yield store
    store.close()


# --- what it promises -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value", "safe", "lacks"),
    [
        ("appendfsync", "everysec", "always", "appendfsync everysec"),
        ("appendfsync", "no", "always", "CONFIG SET appendfsync always"),
        ("appendonly", "no", "yes", "no append-only file"),
        ("no-appendfsync-on-rewrite", "yes", "no", "while it rewrites"),
    ],
)
def test_a_server_that_may_forget_is_refused_by_name_or_taken_with_open_eyes(
    server: RedisServer, setting: str, value: str, safe: str, lacks: str
):
    with server.client() as client:
        client.config_set(setting, value)
        try:
            with pytest.raises(StoreNotDurable, match=lacks) as refused:
                open_store(server.url)
            assert "accept_duplicate_submits=1" in str(refused.value)
            accepted = open_store(f"{server.url}?accept_duplicate_submits=1&name=other")
            one(accepted, created_by(), Created)
            accepted.close()
        finally:
            client.config_set(setting, safe)


def test_a_server_that_throws_keys_away_is_refused_whatever_is_accepted(server: RedisServer):
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(StoreNotDurable, match="noeviction") as refused:
                RedisStore(server.url, accept_duplicate_submits=True)
            assert "accept_duplicate_submits" not in str(refused.value)
        finally:
            client.config_set("maxmemory-policy", "noeviction")


def test_a_replica_beside_it_may_take_over_and_a_replica_itself_is_no_store(server: RedisServer):
    second = RedisServer(*DURABLE, "--port", "0")
    try:
        with server.client() as client, second.client() as other:
            client.config_set("repl-diskless-sync-delay", 0)
            other.execute_command("REPLICAOF", "127.0.0.1", "1")
            with pytest.raises(ArrowError, match="is a replica"):
                RedisStore(second.url)
    finally:
        second.close()


def test_a_url_that_says_nonsense_and_a_newer_schema_are_refused(server: RedisServer, store: RedisStore):
    with pytest.raises(ValueError, match="say 1 or 0"):
        open_store(f"{server.url}?accept_duplicate_submits=please")
    with pytest.raises(ValueError, match="1 to 64 letters"):
        open_store(f"{server.url}?name=a%20b")
    one(store, created_by(), Created)
    with server.client() as client:
        client.hset("{jobs}:meta", "schema", "2")
    with pytest.raises(SchemaOutdated, match="update the package"):
        RedisStore(server.url)


# --- the same as the memory store, whatever is asked ------------------------------------------------------


class Draw:
    """Random operations, from what was seen of the store before."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def op(self, rows: dict[str, Row], taken: list[Any]) -> Op:
        draw, name = self.random, f"gen_{self.random.randrange(6)}"
        owner = f"w{draw.randrange(3)}"
        row, made = rows.get(name), draw.randrange(12)
        if row is None or made == 0:
            fresh = name if row is None else f"{name}_{draw.randrange(10**6)}"
            return created_by(
                fresh, owner=draw.choice([None, owner]), key=draw.choice([None, "k1", "k2"]),
                next_at=draw.choice([NOW, NOW + 5]), spec=f"spec {fresh}",
            )  # fmt: skip
        match made:
            case 1 | 2 | 3:
                return self._commit(row, owner)
            case 4 | 5:
                return Append(fact=fact(draw.choice("abc"), generation=name))
            case 6:
                return Claim(owner=owner, seconds=5, limit=draw.choice([1, 10]))
            case 7:
                return Claim(owner=owner, seconds=5, limit=2, ids=[name, "nobody"])
            case 8:
                return Release(owner=owner, rows=[(name, draw.choice([None, NOW + 3]))])
            case 9:
                return Disown(owner=owner, keep=[name])
            case 10:
                return Beat(owner=owner, seconds=draw.choice([0, 5]))
            case _:
                return self._outgoing(taken)

    def _commit(self, row: Row, owner: str) -> Commit:
        draw = self.random
        state = f"state {draw.randrange(10**6)}"
        return Commit(
            id=row.id, owner=row.owner or owner, epoch=row.epoch, version=row.version, state=state,
            status=draw.choice(["processing", "failed"]), next_at=draw.choice([None, NOW, NOW + 4]), at=NOW,
            heard=[fact(draw.choice("abcd"), generation=row.id)] if draw.random() < 0.5 else [],
            folded=[item.seq for item in row.inbox][:1],
            events=[Event(no=row.version, type="e", at=NOW)] if draw.random() < 0.5 else [],
            jobs=[("p", "c", draw.choice(["j1", "j2"]), f"a_{row.id}")] if draw.random() < 0.3 else [],
            free_key=draw.random() < 0.1, erased="erased" if draw.random() < 0.1 else None,
        )  # fmt: skip

    def _outgoing(self, taken: list[Any]) -> Op:
        draw = self.random
        match draw.randrange(5):
            case 0 | 1:
                return TakeDeliveries(seconds=3, limit=1000, each=1000, keep=6.0)
            case 2 if taken:
                d = draw.choice(taken)
                return Report(
                    endpoint=d.endpoint, subject=d.subject, no=d.no, claim=d.claim, at=NOW,
                    state=draw.choice(["delivered", "waiting", "dead"]), next_at=NOW + 2, answer=200,
                    error="", failed=draw.random() < 0.5,
                )  # fmt: skip
            case 3:
                return Replay(endpoint=draw.choice(["we_1", "we_2"]), at=NOW)
            case _:
                return Publish(account="acct", subject=f"s{draw.randrange(4)}", type="x", at=NOW, body="{}")


def shown(store: Any) -> list[Any]:
    """All that can be read."""
    rows = store.page(None, None, None, 1000)
    events = [store.events(row.id) for row in rows]
    waiting = [sorted((f.seq, f.dedup) for f in store.inbox(f"w{number}")) for number in range(3)]
    more = [store.unfinished(None, 1000), store.page("acct", "failed", None, 5)]
    return [rows, events, waiting, more, store.endpoints(), store.deliveries(None, None, None, 1000)]


@pytest.mark.parametrize("seed", range(8))
def test_it_does_what_the_memory_store_does(server: RedisServer, seed: int):
    """The same random batches; answers, rows, inboxes and deliveries are the same, and the indexes fit."""
    clock, draw = ManualClock(), Draw(seed)
    real, model = RedisStore(server.url, clock=clock), MemoryStore(clock)
    taken: list[Any] = []
    batch: list[Op] = [
        KeepEndpoint(endpoint=Endpoint(id=name, account=account, events=events, document="{}"), at=NOW)
        for name, account, events in (("we_1", None, ()), ("we_2", "acct", ("e",)), ("we_3", "other", ()))
    ]
    for _ in range(60):
        ours, theirs = real.apply(batch), model.apply(batch)
        for our, their in zip(ours, theirs, strict=True):
            if isinstance(our, Claimed) and isinstance(their, Claimed):
                # A look too many where others own what needs nobody; never one too few.
                assert our.next_at is not None or their.next_at is None, batch
                assert their.next_at is None or our.next_at is None or our.next_at <= their.next_at, batch
                our = replace(our, next_at=their.next_at)
            assert comparable(our) == comparable(their), batch
        taken += [d for result in ours for d in getattr(result, "deliveries", ())]
        assert shown(real) == shown(model), batch
        rows = {row.id: row for row in real.page(None, None, None, 1000)}
        single = [draw.op(rows, taken) for _ in range(draw.random.choice([1, 1, 3]))]
        made = [op.id for op in single if isinstance(op, Create)]
        single = single if len(made) == len(set(made)) else single[:1]
        # Which of several a limited claim takes is the store's own affair: ask for all, and once.
        batch = [replace(op, limit=1000) if isinstance(op, Claim) else op for op in single]
        clock.now += draw.random.choice([0.0, 1.0])
    audit(server)
    with server.client() as client:
        assert not client.exists("{jobs}:lock")
    real.close()


def comparable(result: Any) -> Any:
    if isinstance(result, Claimed):
        return sorted((row.id, row) for row in result.rows), result.now, result.next_at
    if isinstance(result, Taken):  # of what is due at the same time, any may come first
        return sorted(map(str, result.deliveries)), result.now, result.next_at
    return result


def audit(server: RedisServer) -> None:
    """Every index, made anew from the hashes."""
    keys = Keys("jobs")
    with server.client() as client:
        names = [name.decode() for name in client.zrange(keys.all, 0, -1)]
        rows = {name: client.hgetall(keys.row(name)) for name in names}
        told = {name for name in names if client.exists(keys.inbox(name))}
        free = {name for name, row in rows.items() if b"owner" not in row}
        due = {
            name: float(row[b"next_at"]) for name, row in rows.items() if name in free and b"next_at" in row
        }

        def members(key: bytes) -> set[str]:
            return {one.decode() for one in client.smembers(key)}

        assert {name.decode(): at for name, at in client.zrange(keys.due, 0, -1, withscores=True)} == due
        assert (members(keys.told), members(keys.told_free)) == (told, told & free)
        for owner in {row[b"owner"].decode() for row in rows.values() if b"owner" in row}:
            mine = {name for name, row in rows.items() if row.get(b"owner") == owner.encode()}
            assert members(keys.owned(owner)) == mine
            assert client.sismember(keys.owners, owner)
        endpoints = {name.decode() for name in client.hkeys(keys.endpoints)}
        waiting = {name for name in endpoints if client.exists(keys.waiting(name))}
        assert waiting <= members(keys.posted)
        for name in endpoints:
            posts = [delivery_of(value) for value in client.hvals(keys.deliveries(name))]
            dead = {delivery_name(one.subject, one.no) for one in posts if one.state == "dead"}
            assert {one.decode() for one in client.zrange(keys.dead(name), 0, -1)} == dead
        assert {one.decode() for one in client.zrange(keys.open, 0, -1)} == {
            name for name, row in rows.items() if b"next_at" in row
        }


def test_what_is_asked_does_not_grow_with_other_peoples_endpoints(server: RedisServer, store: RedisStore):
    def keep(name: str, account: str) -> KeepEndpoint:
        return KeepEndpoint(endpoint=Endpoint(id=name, account=account, events=(), document="{}"), at=1.0)

    def asked(op: Op) -> tuple[int, int]:
        """Commands, and whether all endpoints were read, in what a single operation asks."""
        with server.client() as client:
            client.config_resetstat()
            store.apply([op])
            stats = client.info("commandstats")
            return sum(one["calls"] for one in stats.values()), stats.get("cmdstat_hvals", {"calls": 0})[
                "calls"
            ]

    def costs(name: str) -> list[tuple[int, int]]:
        row = owned(store, id=name)
        found = [asked(commit_of(row, events=[Event(no=1, type="e", at=1.0)]))]
        taken = one(store, TakeDeliveries(seconds=30, limit=9, each=9), Taken).deliveries[0]
        report = Report(
            endpoint="we_1", subject=name, no=1, claim=taken.claim, state="delivered", at=1.0, next_at=1.0,
            answer=200, error="", failed=False,
        )  # fmt: skip
        take = TakeDeliveries(seconds=30, limit=9, each=9)
        rest: list[Op] = [
            report,
            take,
            take,
            Claim(owner="w", seconds=5, limit=2),
            Beat(owner="w", seconds=5),
        ]
        return found + [asked(op) for op in rest]

    store.apply([keep("we_1", "acct")])
    alone = costs("gen_1")
    store.apply([keep(f"x{number}", f"acct_{number}") for number in range(300)])
    assert costs("gen_2") == alone
    assert [whole for _, whole in alone] == [1, 0, 0, 0, 0, 0]


def test_an_endpoint_with_thousands_of_deliveries_can_be_given_up_and_replayed(
    server: RedisServer, store: RedisStore, monkeypatch: pytest.MonkeyPatch
):
    crowd = 300
    endpoint = Endpoint(id="we_1", account=None, events=(), document="{}")
    store.apply([KeepEndpoint(endpoint=endpoint, at=1.0)])
    event = Publish(account="acct", subject="", type="x", at=1.0, body="{}")
    store.apply([replace(event, subject=f"s{number}") for number in range(crowd)])
    monkeypatch.setattr(redis_load, "LOCK_MS", 1)  # too short for any of it
    with server.client() as client:
        client.config_resetstat()
        one(store, KeepEndpoint(endpoint=replace(endpoint, version=1, disabled=True), at=1.0), Done)
        stats = client.info("commandstats")
        assert sum(each["calls"] for each in stats.values()) < 2 * crowd  # a line each, the rest together
        assert "cmdstat_hvals" not in stats  # what was delivered long ago is not looked at
    one(store, KeepEndpoint(endpoint=replace(endpoint, version=2), at=1.0), Done)
    with server.client() as client:
        client.config_resetstat()
        assert one(store, Replay(endpoint="we_1", at=1.0, most=100), Posted).count == 100
        assert "cmdstat_hvals" not in client.info("commandstats")  # those hundred are read, and no other
    audit(server)
    assert one(store, Replay(endpoint="we_1", at=1.0), Posted).count == crowd - 100
    audit(server)


def test_a_batch_has_its_lock_for_as_long_as_it_may_need(store: RedisStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(redis_load, "LOCK_MS", 1)  # too short for two thousand of anything
    store.apply([KeepEndpoint(endpoint=Endpoint(id="we_1", account=None, events=(), document="{}"), at=1.0)])
    event = Publish(account="acct", subject="", type="x", at=1.0, body="{}")
    posted = store.apply([replace(event, subject=f"s{number}") for number in range(2000)])
    assert posted == [Posted(1)] * 2000


# --- several processes ------------------------------------------------------------------------------------


def test_many_claimers_take_each_row_once(server: RedisServer):
    stores = [RedisStore(server.url) for _ in range(4)]
    stores[0].apply([created_by(f"gen_{number:03}", created_at=1.0, next_at=1.0) for number in range(100)])

    def work(place: int) -> list[str]:
        mine: list[str] = []
        while found := one(stores[place], Claim(owner=f"w{place}", seconds=60, limit=3), Claimed).rows:
            mine += [row.id for row in found]
        return mine

    with ThreadPoolExecutor(4) as pool:
        taken = [name for mine in pool.map(work, range(4)) for name in mine]
    assert sorted(taken) == [f"gen_{number:03}" for number in range(100)]
    audit(server)
    for store in stores:
        store.close()


def test_who_was_stopped_past_its_lock_writes_nothing(
    server: RedisServer, store: RedisStore, monkeypatch: pytest.MonkeyPatch
):
    """Its picture is old by then: another has written since, and its own batch is done anew, singly."""
    monkeypatch.setattr(redis_load, "LOCK_MS", 50)
    row = owned(store)
    other = RedisStore(server.url)
    real, hit = store._server.run, threading.Event()

    def late(name: str, *more: Any) -> Any:
        if name == "save" and not hit.is_set():
            hit.set()
            with server.client() as client:
                while client.exists("{jobs}:lock"):
                    pass
            one(other, commit_of(row, state='{"theirs":1}'), Committed)
        return real(name, *more)

    monkeypatch.setattr(store._server, "run", late)
    with pytest.raises(StoreUnavailable, match="lock ended") as lost:
        store.apply([commit_of(row, state='{"ours":1}'), created_by("gen_2")])
    assert not lost.value.maybe_applied
    assert loaded(store).state == '{"theirs":1}'
    assert store.load("gen_2") is None
    other.close()


def test_a_lock_of_somebody_who_died_ends_by_itself(
    server: RedisServer, store: RedisStore, monkeypatch: pytest.MonkeyPatch
):
    with server.client() as client:
        client.set("{jobs}:lock", "of-the-dead", px=100)
    one(store, created_by(), Created)
    monkeypatch.setattr(redis_module, "BUSY_SECONDS", 0.05)
    with server.client() as client:
        client.set("{jobs}:lock", "of-the-slow", px=60_000)
    with pytest.raises(StoreUnavailable, match="others kept its lock") as busy:
        store.apply([created_by("gen_2")])
    assert not busy.value.maybe_applied


# --- a server that dies, and one that forgets -------------------------------------------------------------


def test_what_was_acknowledged_is_there_after_a_kill(figure: Callable[[str], None]):
    """SIGKILL under load, several times; every acknowledged change is there, of the others all or nothing."""
    server = RedisServer(*DURABLE)
    kept: dict[str, int] = {}
    unsure = 0
    try:
        store = RedisStore(server.url)
        store.apply([Beat(owner="w1", seconds=200)])
        for _ in range(3):
            killer = threading.Timer(0.15, server.stop)
            killer.start()
            number = len(kept)
            while True:
                name = f"gen_{number:05}_{unsure}"
                try:
                    one(store, created_by(name, owner="w1"), Created)
                    kept[name] = 1
                    kept[name] = one(store, commit_of(loaded(store, name)), Committed).version
                    number += 1
                except StoreUnavailable:
                    unsure += 1
                    break
            killer.join()
            server.start()
            rows = {row.id: row for row in store.load_many(list(kept))}
            assert rows.keys() == kept.keys()
            assert all(rows[name].version >= version for name, version in kept.items())
        audit(server)
        one(store, created_by("gen_after"), Created)
        store.close()
    finally:
        server.close()
    figure(f"Redis jobs: {sum(kept.values())} acknowledged changes, none lost in 3 kills of the server")


def test_a_store_that_was_restored_is_told_of_once(caplog: pytest.LogCaptureFixture, tmp_path: Path):
    """From a copy of its file: what was acknowledged since is gone. It is told, and work goes on."""
    caplog.set_level(logging.ERROR, logger="execution_arrow")
    server = RedisServer(*DURABLE)
    try:
        store = RedisStore(server.url)
        row = owned(store)
        server.stop()
        files = server.folder / "appendonlydir"
        files = files if files.exists() else server.folder / "appendonly.aof"
        copy = tmp_path / "copy"
        (shutil.copytree if files.is_dir() else shutil.copyfile)(files, copy)
        server.start()
        one(store, commit_of(row), Committed)
        server.stop()
        if files.is_dir():
            shutil.rmtree(files)
            shutil.copytree(copy, files)
        else:
            shutil.copyfile(copy, files)
        server.start()
        assert loaded(store).version == 1
        one(store, Append(fact=fact()), Done)
        one(store, Append(fact=fact("b")), Done)
        (told,) = [record.getMessage() for record in caplog.records]
        assert "has forgotten 1 transactions" in told
        with server.client() as client:
            client.flushall()
        one(store, created_by("gen_9"), Created)
        assert "has forgotten everything" in caplog.records[1].getMessage()
        store.close()
    finally:
        server.close()


def test_a_server_that_is_away_is_unavailable_and_used_again_when_it_is_back(server: RedisServer):
    heard = threading.Event()
    store = RedisStore(server.url)
    end = store.watch(lambda _: heard.set())
    server.stop()
    with pytest.raises(StoreUnavailable) as away:
        store.apply([created_by()])
    assert not away.value.maybe_applied
    with pytest.raises(StoreUnavailable):
        store.load("gen_1")
    heard.clear()
    server.start()
    one(store, created_by(), Created)
    assert heard.wait(20)  # it listens anew
    end()
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.apply([created_by("gen_2")])


def test_two_claims_of_one_batch_find_enough_for_both(store: RedisStore):
    store.apply([created_by(f"gen_{number}", created_at=1.0, next_at=1.0) for number in range(6)])
    both = store.apply([Claim(owner="w1", seconds=60, limit=3), Claim(owner="w2", seconds=60, limit=2)])
    first, second = (one for one in both if isinstance(one, Claimed))
    assert (len(first.rows), len(second.rows)) == (3, 2)
    assert second.next_at == second.now  # and there is more
