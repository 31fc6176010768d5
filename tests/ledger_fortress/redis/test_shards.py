"""Shards and bounds: what one script may touch, and what several shards together still answer."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ledger_fortress import Ledger
from ledger_fortress.commands import Grant, Linked, Reserve, SetAlert, Transfer
from ledger_fortress.engine import run
from ledger_fortress.protocol import Changes, LedgerStore, Touch
from ledger_fortress.rules import Policy
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.stores.redis import RedisStore
from ledger_fortress.stores.redis_rows import Layout
from ledger_fortress.testing import FakeClock
from tests.ledger_fortress.redis.servers import RedisServer

C = 1_000_000
SHARDS = 8


def grant(account: str, key: str = "in", **more: Any) -> Grant:
    return Grant(account=account, key=key, amount=10 * C, create=True, **more)


def apart() -> tuple[str, str]:
    """Two tenants in different shards."""
    layout = Layout("credits", SHARDS)
    other = next(f"t{n}" for n in range(100) if layout.shard(f"t{n}") != layout.shard("t0"))
    return "t0:x", f"{other}:x"


def test_accounts_of_a_tenant_are_together() -> None:
    layout = Layout("credits", SHARDS)
    assert {layout.shard(f"t0:{n}") for n in range(50)} == {layout.shard("t0")}
    assert {layout.shard(f"t{n}") for n in range(200)} == set(range(SHARDS))


def test_linked_across_shards_is_a_mistake_of_the_caller(server: RedisServer, url: str) -> None:
    here, there = apart()
    store = RedisStore(url, shards=SHARDS)
    for account in (here, "t0:y", there):
        run(store, [grant(account)], Policy())
    bad = Linked("l1", tuple(Reserve(account=a, key="h", amount=C, timeout=C) for a in (here, there)))
    with pytest.raises(ValueError, match="different shards"):
        run(store, [bad], Policy())
    with pytest.raises(ValueError, match="different shards"):
        run(store, [Transfer(account=here, to=there, key="t", amount=C)], Policy())
    assert store.open_holds(None) == []
    good = Linked("l2", tuple(Reserve(account=a, key="h", amount=C, timeout=C) for a in (here, "t0:y")))
    run(store, [good], Policy())
    assert len(store.open_holds(None)) == 2


def test_shards_are_settled_when_the_ledger_is_made(url: str) -> None:
    with Ledger.open(f"{url}?name=mine&shards=8") as ledger:
        ledger.grant(apart()[1], 1, key="in", create=True)
    with Ledger.open(f"{url}?name=mine") as ledger:
        assert ledger.balance(apart()[1]).available.micros == C
    with pytest.raises(ValueError, match="made with 8 shards"):
        Ledger.open(f"{url}?name=mine&shards=4")
    with pytest.raises(ValueError, match="not a number"):
        Ledger.open(f"{url}?shards=few")
    assert RedisStore(url).accounts("", 9) == [], "another name is another ledger"


def test_shards_answer_like_one_ledger(url: str) -> None:
    """Lists over all accounts, in the same order as the reference, page by page."""
    clock = FakeClock()
    stores: list[LedgerStore] = [MemoryStore(clock), RedisStore(url, shards=SHARDS, clock=clock)]
    accounts = [f"t{n}:ü{n % 3}" for n in range(30)]
    for store in stores:
        for n, account in enumerate(accounts):
            commands = [
                grant(account),
                SetAlert(account=account, key="s", name="low", below=9 * C),
                Reserve(account=account, key="h", amount=2 * C, timeout=(n % 7 + 1) * C),
            ]
            run(store, commands, Policy())
    assert stores[0].accounts("", 99) == stores[1].accounts("", 99) == sorted(accounts)
    assert stores[0].accounts("t2", 5) == stores[1].accounts("t2", 5)
    assert stores[0].open_holds(None) == stores[1].open_holds(None)
    assert stores[0].notices(None, (), True, 11) == stores[1].notices(None, (), True, 11)
    assert len(stores[1].notices(None, (), False, 99)) == 30
    marks = [notice[:3] for notice in stores[0].notices(None, (), True, 11)]
    assert [store.acknowledge(marks) for store in stores] == [11, 11]
    assert stores[0].notices(None, (), True, 99) == stores[1].notices(None, (), True, 99)
    ledgers = [Ledger(store) for store in stores]
    assert ledgers[0].seal().hash == ledgers[1].seal().hash
    clock.tick(10)
    swept = 0
    while ledgers[1]._store.due(100):
        swept += ledgers[1].sweep()
    assert swept == ledgers[0].sweep() == 30
    assert ledgers[1].audit().ok


def test_many_threads_of_many_tenants_share_one_ledger(url: str) -> None:
    """The grouping writer may put tenants of several shards into one batch; each is applied all the same."""
    with Ledger.open(f"{url}?shards={SHARDS}") as ledger, ThreadPoolExecutor(8) as pool:
        receipts = pool.map(lambda n: ledger.grant(f"t{n}", 1, key="in", create=True), range(64))
        assert sum(receipt.version for receipt in receipts) == 2 * 64
        assert ledger.audit().ok


def test_due_is_what_one_sweep_can_take(url: str) -> None:
    clock = FakeClock()
    store = RedisStore(url, clock=clock)
    for first in range(0, 100, 50):
        run(
            store,
            [grant(f"a{n:03}", expires=int(clock.seconds + 1) * C) for n in range(first, first + 50)],
            Policy(),
        )
    clock.tick(2)
    ledger = Ledger(store)
    assert len(store.due(100)) == 64
    assert [ledger.sweep(), ledger.sweep(), ledger.sweep()] == [64, 36, 0]


def test_one_commit_is_bounded(url: str, server: RedisServer) -> None:
    store = RedisStore(url)
    many = [f"a{n}" for n in range(65)]
    with pytest.raises(ValueError, match="at most 64 accounts"):
        store.read(Touch(tuple(many)))
    with pytest.raises(ValueError, match="at most 256 commands"):
        run(store, [grant("a", f"k{n}") for n in range(257)], Policy())
    with pytest.raises(ValueError, match="at most 512 keys"):
        run(store, [grant("a", f"k{n}") for n in range(513)], Policy())
    with pytest.raises(ValueError, match="at most 262144 bytes"):
        run(store, [grant("a", f"k{n}", note="x" * 2_000, salt=bytes(16)) for n in range(140)], Policy())
    assert store.accounts("", 9) == []
    assert len(run(store, [grant("a", f"k{n}") for n in range(200)], Policy())) == 200


def test_pending_notices_are_read_in_pages(url: str) -> None:
    """Many of one instant, more than a page of them: none twice, none lost."""
    clock = FakeClock()
    store = RedisStore(url, clock=clock)
    expected = 0
    for n in range(60):
        commands: list[Any] = [grant(f"p{n}")]
        commands += [SetAlert(account=f"p{n}", key=f"s{k}", name=f"n{k}", below=9 * C) for k in range(12)]
        commands.append(Reserve(account=f"p{n}", key="h", amount=2 * C, timeout=60 * C))
        run(store, commands, Policy())
        expected += 12
        clock.tick(n % 2)
    found = store.notices(None, (), True, 10_000)
    assert len(found) == len({notice[:3] for notice in found}) == expected
    assert found == sorted(found, key=lambda notice: (notice.at, *notice[:3]))


def test_a_clock_that_went_back_hides_nothing_that_is_due(url: str) -> None:
    """What was due by the account's last entry is loaded, though the clock says that it is earlier."""
    clock = FakeClock()
    stores: list[LedgerStore] = [MemoryStore(clock), RedisStore(url, clock=clock)]
    for store in stores:
        holds = [Reserve(account="a", key=f"h{n}", amount=C, timeout=n * C) for n in (5, 20, 90)]
        run(store, [grant("a"), *holds], Policy())
    clock.tick(30)
    state = stores[1].read(Touch(("a",))).accounts["a"]
    late = state._replace(version=state.version + 1, at=round(clock.seconds * C))
    for store in stores:
        store.transact(Touch(("a",)), lambda _: Changes(accounts=((late, state.version),)))
    clock.tick(-30)
    expected = stores[0].read(Touch(("a",))).due["a"]
    assert [hold.key for hold in expected.holds] == ["h5", "h20"]
    assert stores[1].read(Touch(("a",))).due["a"] == expected


def test_settled_holds_leave_the_list_of_open_ones(url: str, server: RedisServer) -> None:
    """The list grows with the open holds and not with the history."""
    with Ledger.open(url) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        for number in range(3):
            ledger.reserve("a", 1, key=f"h{number}", timeout=60)
        ledger.charge("a", "h0")
        ledger.release("a", "h1")
    client = server.client()
    assert client.smembers("{credits.0}:holding") == {b"a\nh2"}
    assert client.zrange("{credits.0}:deadline:a", 0, -1) == [b"h2"]
    assert sorted(client.hkeys("{credits.0}:hold:a")) == [b"h0", b"h1"]
