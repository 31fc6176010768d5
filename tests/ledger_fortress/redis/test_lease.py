"""The lease of a shard: whoever was overtaken has it to himself, until he has saved."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger_fortress import Ledger, StoreBusy
from ledger_fortress.commands import Grant
from ledger_fortress.engine import run
from ledger_fortress.protocol import Changes, Loaded, Touch
from ledger_fortress.rules import Policy
from ledger_fortress.stores import redis as redis_store
from ledger_fortress.stores.redis import RedisStore
from tests.ledger_fortress.redis.servers import RedisServer

C = 1_000_000
LEASE = "{credits.0}:writer"


def grant(account: str, key: str) -> Grant:
    return Grant(account=account, key=key, amount=C, create=True)


def moved(loaded: Loaded) -> Changes:
    """The account one version on: what no rule would do, but a store must save or refuse."""
    account = loaded.accounts["a"]
    return Changes(accounts=((account._replace(version=account.version + 1), account.version),))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine ends no lease and no waiting."""
    monkeypatch.setattr(redis_store, "LEASE_MS", 60_000)
    monkeypatch.setattr(redis_store, "BUSY_SECONDS", 60.0)


def test_the_overtaken_one_is_not_overtaken_twice(url: str, server: RedisServer) -> None:
    """Others wait for him; they go on when he has saved."""
    store, other = RedisStore(url), RedisStore(url)
    run(store, [grant("a", "in")], Policy())
    seen: list[int] = []
    waiting: list[threading.Thread] = []

    def slow(loaded: Loaded) -> Changes:
        seen.append(loaded.accounts["a"].version)
        if len(seen) == 1:
            run(other, [grant("a", "overtakes")], Policy())
        else:
            assert server.client().pttl(LEASE) > 0
            waiting.append(threading.Thread(target=run, args=(other, [grant("a", "waits")], Policy())))
            waiting[0].start()
            time.sleep(0.1)
            assert waiting[0].is_alive()
        return moved(loaded)

    store.transact(Touch(("a",)), slow)
    assert seen == [2, 3]
    waiting[0].join(60)
    assert not server.client().exists(LEASE)
    assert store.read(Touch(("a",))).accounts["a"].version == 5


def test_readers_and_other_shards_do_not_wait(url: str, server: RedisServer) -> None:
    with Ledger.open(f"{url}?shards=8") as ledger:
        ledger.grant("a", 1, key="in", create=True)
        layout = ledger._store._layout  # type: ignore[attr-defined]
        mine = layout.shard("a")
        server.client().set(layout.shared(mine, "writer"), "somebody", px=60_000)
        elsewhere = next(f"t{n}" for n in range(99) if layout.shard(f"t{n}") != mine)
        assert ledger.grant(elsewhere, 1, key="in", create=True).version == 2
        assert str(ledger.balance("a")) == "1.000000 available, 0.000000 held"
        assert ledger.audit().ok
        assert ledger.seal().accounts == 2


def test_a_lease_that_is_never_given_back_is_busy(
    url: str, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if its holder stopped for long: the writer gives up, and the lease of a dead one ends by itself."""
    monkeypatch.setattr(redis_store, "BUSY_SECONDS", 0.05)
    with Ledger.open(url) as ledger:
        ledger.grant("a", 1, key="in", create=True)
        server.client().set(LEASE, "somebody", px=60_000)
        with pytest.raises(StoreBusy, match="nothing was applied"):
            ledger.grant("a", 1, key="k")
        server.client().pexpire(LEASE, 20)
        monkeypatch.setattr(redis_store, "BUSY_SECONDS", 60.0)
        assert not ledger.grant("a", 1, key="k").replayed


@pytest.mark.parametrize("end", ["nothing to save", "an error"])
def test_a_lease_is_given_back_without_a_save_too(url: str, server: RedisServer, end: str) -> None:
    store, other = RedisStore(url), RedisStore(url)
    run(store, [grant("a", "in")], Policy())
    tries: list[int] = []

    def decide(loaded: Loaded) -> Changes:
        tries.append(1)
        if len(tries) == 1:
            run(other, [grant("a", "overtakes")], Policy())
            return moved(loaded)
        assert server.client().exists(LEASE)
        if end == "an error":
            raise RuntimeError("a bug in a rule")
        return Changes()

    if end == "an error":
        with pytest.raises(RuntimeError, match="a bug"):
            store.transact(Touch(("a",)), decide)
    else:
        assert store.transact(Touch(("a",)), decide) == Changes()
    assert not server.client().exists(LEASE)


def test_who_lost_his_lease_may_still_save_where_nobody_came(url: str, server: RedisServer) -> None:
    """And may not where somebody else has it now: the versions would say so too, but later."""
    store, other = RedisStore(url), RedisStore(url)
    run(store, [grant("a", "in")], Policy())
    tries: list[int] = []

    def decide(loaded: Loaded) -> Changes:
        tries.append(1)
        if len(tries) == 1:
            run(other, [grant("a", "overtakes")], Policy())
        elif len(tries) == 2:
            server.client().set(LEASE, "somebody else", px=50)
        else:
            server.client().delete(LEASE)
        return moved(loaded)

    store.transact(Touch(("a",)), decide)
    assert len(tries) == 3


def test_many_writers_of_one_account_all_come_through(url: str, figure: Callable[[str], None]) -> None:
    """Eight stores without a writer between them, one account: nobody is busy, nothing is lost."""
    stores = [RedisStore(url) for _ in range(8)]
    run(stores[0], [grant("a", "in")], Policy())
    start = threading.Barrier(8)

    def write(number: int) -> int:
        start.wait()
        for turn in range(25):
            run(stores[number], [grant("a", f"w{number}.{turn}")], Policy())
        return 25

    with ThreadPoolExecutor(8) as pool:
        count = sum(pool.map(write, range(8)))
    assert stores[0].read(Touch(("a",))).accounts["a"].version == 2 + count
    assert Ledger(stores[0]).audit().ok
    figure(f"Redis: {count} writes of one account by eight writers, none given up")
