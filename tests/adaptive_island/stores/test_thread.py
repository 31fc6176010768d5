"""The one thread behind an island: it waits for the store so that nobody else does."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adaptive_island import Attempt, Island, Outcome, Policy, runtime
from adaptive_island.courier import Courier
from adaptive_island.stores import News, open_store
from adaptive_island.testing import Events, FakeClock
from tests.adaptive_island.kit import MODEL, THREE
from tests.ledger_fortress.redis.servers import RedisServer

BRISK = Policy(share_every=0.01)


class Stuck:
    """A store that answers nothing until it is let go."""

    where = "stuck:"

    def __init__(self) -> None:
        self.entered, self.let_go = threading.Event(), threading.Event()

    def push(self, reports: Any, circuits: Any) -> None:
        self.entered.set()
        assert self.let_go.wait(60)

    def pull(self, life: str, cursor: str) -> News:
        self.entered.set()
        assert self.let_go.wait(60)
        return News("life", "1")

    def log(self, after: float = 0.0) -> Iterator[Attempt]:
        return iter(())

    def read(self) -> Any:
        return {}

    def write(self, key: str, document: str, seconds: float) -> None: ...
    def after_fork(self) -> None: ...
    def close(self) -> None: ...


def use(island: Island, rounds: int) -> None:
    """What a service does, with every way into the island."""
    for n in range(rounds):
        for provider in island.rank(MODEL, THREE, costs={"fal": n}):
            ticket = island.attempt(MODEL, provider)
            ticket.succeed(cost=n)
        island.record(Attempt(id=f"r{n}", model=MODEL, provider="fal", outcome=Outcome.FAILED, at=1.0 + n))
        island.explain(MODEL, THREE)
        island.health()


def test_nobody_waits_for_a_store_that_hangs() -> None:
    store = Stuck()
    island = Island(BRISK, None, Events(), 1, store)
    island.rank(MODEL, THREE)
    assert store.entered.wait(60)
    use(island, 200)  # would never come back if anything in it waited for the store
    store.let_go.set()
    island.close()


class Closing(Stuck):
    """As stores are: what is under way and the closing exclude each other."""

    closed = False

    def close(self) -> None:
        assert self.let_go.is_set(), "waits for ever for a server that is frozen"
        self.closed = True


def test_close_does_not_wait_for_a_store_that_hangs() -> None:
    store = Closing()
    island = Island(BRISK, None, Events(), 1, store)
    island.rank(MODEL, THREE)
    assert store.entered.wait(60)
    island.close()
    island.close()
    store.let_go.set()
    while not store.closed:  # the round ends, and with it what was in the way
        island.close()


def test_nobody_waits_for_a_server_that_is_frozen() -> None:
    server = RedisServer()
    try:
        island = Island.open(server.url, policy=BRISK, hook=Events())
        use(island, 5)
        os.kill(server._process.pid, signal.SIGSTOP)
        use(island, 200)
        os.kill(server._process.pid, signal.SIGCONT)
        island.refresh()
        assert island.health().store_age is not None
        island.close()
    finally:
        server.close()


def test_close_tells_what_is_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/island.db"
    with Island.open(url, policy=Policy(share_every=3_600.0)) as island:
        use(island, 3)
    store = open_store(url)
    assert len(list(store.log())) == 12
    store.close()


def test_a_process_that_just_ends_tells_what_is_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/island.db"
    code = (
        "from adaptive_island import Island, Policy\n"
        f"island = Island.open({url!r}, policy=Policy(share_every=3600.0))\n"
        "island.attempt('m', 'fal', id='mine').succeed()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    store = open_store(url)
    assert [attempt.id for attempt in store.log()] == ["mine"]
    store.close()


def _child(island: Island, name: str) -> None:
    island.attempt(MODEL, "fal", id=name).succeed()
    island.close()


@pytest.mark.parametrize("kind", ["sqlite", "redis", "postgres"])
def test_a_forked_child_has_its_own_thread_and_connection(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = {
        "sqlite": lambda: f"sqlite:///{tmp_path}/island.db",
        "redis": lambda: request.getfixturevalue("redis_server").url,
        "postgres": lambda: request.getfixturevalue("postgres_url"),
    }[kind]()
    island = Island.open(url, policy=Policy(share_every=3_600.0), hook=Events(), migrate=True)
    island.attempt(MODEL, "fal", id=f"{kind}-parent-1").succeed()
    island.refresh()
    island.attempt(MODEL, "fal", id=f"{kind}-parent-2").succeed()  # waits in the parent's outbox
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_child, args=(island, f"{kind}-child-{n}")) for n in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    store = open_store(url)
    told = {attempt.id for attempt in store.log()}
    assert {f"{kind}-child-0", f"{kind}-child-1"} <= told
    assert f"{kind}-parent-2" not in told, "a child told what was its parent's to tell"
    island.refresh()  # the parent's connection still works
    assert {attempt.id for attempt in store.log()} >= {f"{kind}-parent-2"}
    island.close()
    store.close()


def test_nothing_is_copied_in_the_middle_of_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork waits for whoever holds a lock, but not for ever."""
    monkeypatch.setattr(runtime, "PATIENCE", 0.01)
    store = Stuck()
    island = Island(BRISK, None, Events(), 1, store)
    island.rank(MODEL, THREE)
    assert store.entered.wait(60)
    runtime._hold_all()  # comes back although the store does not answer
    assert island._lock.locked()
    runtime._release_all()
    assert not island._lock.locked()
    store.let_go.set()
    island.close()
    assert island._exchange is not None
    runtime._hold_all()
    assert island._lock.locked()
    assert island._exchange.one.locked()
    runtime._release_all()
    assert not island._exchange.one.locked()


def test_an_island_that_nobody_holds_ends_its_thread() -> None:
    store = Stuck()
    store.let_go.set()
    island = Island(BRISK, FakeClock(), Events(), 1, store)
    island.rank(MODEL, THREE)
    threads = [thread for thread in threading.enumerate() if thread.name == "adaptive-island"]
    assert threads
    gone = weakref.ref(island)
    del island
    gc.collect()
    assert gone() is None
    threads[-1].join(60)
    assert not threads[-1].is_alive()


def test_nothing_starts_before_first_use_or_after_close() -> None:
    turns: list[int] = []

    class Rounds:
        def go_round(self) -> None:
            turns.append(1)

    rounds = Rounds()
    courier = Courier(rounds.go_round, 0.001)
    assert turns == []
    courier.start()
    courier.close()
    count = len(turns)
    assert count >= 1, "close goes round once more"
    courier.start()
    courier.close()
    assert len(turns) == count
