"""A ledger in a real Cluster of three masters, by the client that knows where which slot is."""

from collections.abc import Callable, Iterator

import pytest

from ledger_fortress import Ledger, LedgerError, Reason, Refused, StoreUnavailable
from ledger_fortress.commands import Grant, Linked, Reserve
from ledger_fortress.protocol import Touch
from ledger_fortress.stores.redis import RedisStore
from ledger_fortress.testing import FakeClock
from tests.ledger_fortress.redis.servers import RedisCluster, redis_cluster

C = 1_000_000
SHARDS = 12


@pytest.fixture
def cluster() -> RedisCluster:
    cluster = redis_cluster()
    cluster.clear()
    return cluster


@pytest.fixture
def ledger(cluster: RedisCluster) -> Iterator[Ledger]:
    with Ledger.open(f"{cluster.url}?shards={SHARDS}") as opened:
        yield opened


@pytest.fixture
def own_cluster() -> Iterator[RedisCluster]:
    cluster = RedisCluster()
    yield cluster
    cluster.close()


def spread(ledger: Ledger, count: int = 40) -> list[str]:
    """Accounts of many tenants, with credits."""
    names = [f"t{number}:a" for number in range(count)]
    for name in names:
        ledger.grant(name, 10, key="in", create=True)
    return names


def test_the_shards_are_on_all_nodes(cluster: RedisCluster, ledger: Ledger) -> None:
    names = spread(ledger)
    assert all(node.client().dbsize() for node in cluster.nodes)
    assert ledger.accounts() == sorted(names)
    for name in names:
        ledger.reserve(name, 4, key="h", timeout=60)
        ledger.charge(name, "h", 3)
        assert ledger.charge(name, "h", 3).replayed
    assert {str(ledger.balance(name)) for name in names} == {"7.000000 available, 0.000000 held"}
    assert ledger.seal().accounts == len(names)
    proof = ledger.audit()
    assert proof.ok, proof.problems
    assert proof.entries == 4 * len(names)
    with Ledger.open(cluster.url) as again:  # how it was made is found out
        assert again.digest() == ledger.digest()


def test_time_and_alerts_come_from_all_nodes(cluster: RedisCluster) -> None:
    clock = FakeClock()
    with Ledger(RedisStore(cluster.url, shards=SHARDS, clock=clock)) as ledger:
        names = spread(ledger)
        for name in names:
            ledger.set_alert(name, "low", 9, key="al")
            ledger.reserve(name, 4, key="h", timeout=5)
        assert sorted(alert.account for alert in ledger.alerts()) == sorted(names)
        assert ledger.ack(ledger.alerts()) == len(names)
        assert len(ledger.open_holds()) == len(names)
        clock.tick(10)
        swept = 0
        while ledger._store.due(64):
            swept += ledger.sweep(64)
        assert swept == len(names)
        assert ledger.open_holds() == []


def test_what_belongs_together_has_one_tenant(ledger: Ledger) -> None:
    """Linked commands and transfers stay within a shard; across shards they are refused, and move nothing."""
    names = spread(ledger)
    store = ledger._store
    assert isinstance(store, RedisStore)
    far = next(name for name in names if store._layout.shard(name) != store._layout.shard("t0:a"))
    with pytest.raises(ValueError, match="different shards"):
        ledger.transfer("t0:a", far, 1, key="t")
    pair = [Reserve(account=name, key="l", amount=C, timeout=60 * C) for name in ("t0:a", far)]
    with pytest.raises(ValueError, match="different shards"):
        ledger.apply([Linked("l1", tuple(pair))])
    assert ledger.open_holds() == []
    ledger.grant("t0:b", 1, key="in", create=True)
    ledger.transfer("t0:a", "t0:b", 1, key="t")
    both = [Reserve(account=name, key="l", amount=C, timeout=60 * C) for name in ("t0:a", "t0:b")]
    assert all(bool(answer.receipt.version) for answer in ledger.apply([Linked("l2", tuple(both))]))  # type: ignore[union-attr]
    assert ledger.audit().ok


def test_independent_commands_of_many_shards_in_one_call_are_said_to_be_too_much(ledger: Ledger) -> None:
    grants = [Grant(account=f"x{n}", key="in", amount=C, create=True) for n in range(20)]
    with pytest.raises(ValueError, match="different shards"):
        ledger.apply(grants)
    assert ledger.accounts() == []


def test_a_key_that_moves_to_another_node_is_followed(cluster: RedisCluster, ledger: Ledger) -> None:
    """Resharding: the node says where the slot is now, having written nothing."""
    ledger.grant("t0:a", 10, key="in", create=True)
    store = ledger._store
    assert isinstance(store, RedisStore)
    clients = [node.client() for node in cluster.nodes]
    slot = clients[0].execute_command("CLUSTER KEYSLOT", store._layout.of("t0:a", "account"))
    ids = [client.execute_command("CLUSTER MYID").decode() for client in clients]
    source = next(
        n for n, client in enumerate(clients) if client.execute_command("CLUSTER COUNTKEYSINSLOT", slot)
    )
    target = (source + 1) % 3
    try:
        clients[target].execute_command(f"CLUSTER SETSLOT {slot} IMPORTING {ids[source]}")
        clients[source].execute_command(f"CLUSTER SETSLOT {slot} MIGRATING {ids[target]}")
        keys = clients[source].execute_command("CLUSTER GETKEYSINSLOT", slot, 999)
        port = cluster.ports[target]
        clients[source].execute_command("MIGRATE", "127.0.0.1", port, "", 0, 5_000, "KEYS", *keys)
        for client in (clients[target], clients[source], clients[(source + 2) % 3]):
            client.execute_command(f"CLUSTER SETSLOT {slot} NODE {ids[target]}")
        assert not ledger.reserve("t0:a", 4, key="h", timeout=60).replayed
        assert str(ledger.balance("t0:a")) == "6.000000 available, 4.000000 held"
        assert clients[target].execute_command("CLUSTER COUNTKEYSINSLOT", slot)
        assert ledger.audit().ok
    finally:
        redis_cluster.cache_clear()  # it is not as it was
        cluster.close()


def test_a_node_that_is_gone(own_cluster: RedisCluster) -> None:
    """Its shards are unavailable, which is said so; after its return all is there, and nothing twice."""
    with Ledger.open(f"{own_cluster.url}?shards={SHARDS}") as ledger:
        names = spread(ledger, 12)
        node = own_cluster.nodes[2]
        node.stop()
        lost = []
        for name in names:
            try:
                ledger.reserve(name, 1, key="h", timeout=60)
            except StoreUnavailable:
                lost.append(name)
        assert 0 < len(lost) < len(names)
        node.start()
        for name in names:
            repeat_until_it_is_there(lambda name=name: ledger.reserve(name, 1, key="h", timeout=60))  # type: ignore[misc]
        assert len(ledger.open_holds()) == len(names)
        assert ledger.audit().ok


def repeat_until_it_is_there(action: Callable[[], object]) -> None:
    import time

    deadline = time.monotonic() + 30
    while True:
        try:
            action()
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def test_a_rewound_node_is_noticed_by_a_receipt(cluster: RedisCluster, ledger: Ledger) -> None:
    """As after a failover to a replica that lacked the last entries."""
    ledger.grant("t0:a", 10, key="in", create=True)
    store = ledger._store
    assert isinstance(store, RedisStore)
    before = {key: store._server.client.dump(key) for key in keys_of(cluster, store, "t0:a")}
    receipt = ledger.reserve("t0:a", 3, key="lost", timeout=60)
    for key in keys_of(cluster, store, "t0:a"):
        store._server.client.delete(key)
    for key, dump in before.items():
        store._server.client.restore(key, 0, dump)
    with pytest.raises(Refused) as refused:
        ledger.reserve("t0:a", 3, key="next", timeout=60, seen=receipt)
    assert refused.value.reason is Reason.REWOUND


def keys_of(cluster: RedisCluster, store: RedisStore, account: str) -> list[bytes]:
    tag = store._layout.shared(store._layout.shard(account), "")
    return [key for node in cluster.nodes for key in node.client().keys("*") if key.startswith(tag.encode())]


def test_one_node_that_evicts_is_enough_to_refuse(cluster: RedisCluster) -> None:
    client = cluster.nodes[1].client()
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(LedgerError, match="noeviction"):
            RedisStore(cluster.url)
    finally:
        client.config_set("maxmemory-policy", "noeviction")


def test_durability_is_that_of_the_worst_node(cluster: RedisCluster) -> None:
    for node in cluster.nodes:
        node.client().config_set("appendfsync", "always")
    store = RedisStore(cluster.url)
    assert store.durability.survives_power_loss
    cluster.nodes[2].client().config_set("appendfsync", "everysec")
    try:
        assert RedisStore(cluster.url).durability.fsync == "everysec"
    finally:
        cluster.nodes[2].client().config_set("appendfsync", "always")
    assert store.read(Touch(("nobody",))).accounts == {}
    assert "Cluster" in store._server.where


def test_no_cluster_there() -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        RedisStore("redis+cluster://127.0.0.1:1")
