"""What the Redis store asks of its server, says about it, and makes of its failures."""

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import redis

from ledger_fortress import Ledger
from ledger_fortress.answers import Applied, Reason, Replayed
from ledger_fortress.cli import main
from ledger_fortress.commands import Grant
from ledger_fortress.engine import run
from ledger_fortress.errors import (
    LedgerError,
    MissingExtra,
    Refused,
    SchemaOutdated,
    StoreBusy,
    StoreUnavailable,
)
from ledger_fortress.protocol import Changes, Loaded, Touch
from ledger_fortress.rules import Policy
from ledger_fortress.stores import redis as redis_store
from ledger_fortress.stores.base import ATTEMPTS
from ledger_fortress.stores.redis import RedisStore
from ledger_fortress.stores.redis_server import Durability
from tests.ledger_fortress.redis.servers import RedisServer

C = 1_000_000


def grant(account: str, key: str, **more: Any) -> Grant:
    return Grant(account=account, key=key, amount=10 * C, create=True, **more)


def everything(server: RedisServer) -> dict[bytes, bytes]:
    """All that is stored for longer than a moment, as the server dumps it."""
    with server.client() as client:
        return {key: client.dump(key) for key in client.keys("*") if client.ttl(key) == -1}


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that end before their holder has saved: all that protects him then are the versions."""
    monkeypatch.setattr(redis_store, "LEASE_MS", 1)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_evicts_is_refused(own_server: RedisServer, policy: str) -> None:
    own_server.client().config_set("maxmemory-policy", policy)
    with pytest.raises(LedgerError, match=f"{policy}.*CONFIG SET maxmemory-policy noeviction"):
        RedisStore(own_server.url)
    assert everything(own_server) == {}


@pytest.mark.parametrize(
    ("settings", "fsync", "survives", "words"),
    [
        ({"appendfsync": "always"}, "always", True, "survive power loss"),
        ({"appendfsync": "everysec"}, "everysec", False, "about the last 2 seconds"),
        ({"appendfsync": "no"}, "no", False, "not yet written"),
        ({"appendonly": "no"}, "off", False, "since the last snapshot"),
    ],
)
def test_durability_is_what_the_server_says(
    own_server: RedisServer, settings: dict[str, str], fsync: str, survives: bool, words: str
) -> None:
    for name, value in settings.items():
        own_server.client().config_set(name, value)
    store = RedisStore(own_server.url)
    assert (store.durability.fsync, store.durability.survives_power_loss) == (fsync, survives)
    assert words in str(store.durability)


def test_a_server_that_hides_its_settings_promises_nothing(own_server: RedisServer) -> None:
    own_server.client().execute_command("ACL", "SETUSER", "default", "-config")
    durability = RedisStore(own_server.url).durability
    assert (durability.fsync, durability.survives_power_loss) == ("unknown", False)


def test_a_replica_is_refused_and_having_one_ends_the_promise(own_server: RedisServer) -> None:
    """One that takes over may lack what was acknowledged last."""
    assert Durability("always", 0).survives_power_loss
    assert not Durability("always", 1).survives_power_loss
    own_server.client().execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(LedgerError, match="is a replica"):
        RedisStore(own_server.url)


def test_scripts_that_the_server_forgot_are_sent_again(server: RedisServer, url: str) -> None:
    with Ledger.open(url) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        server.client().script_flush()
        ledger.reserve("a", 1, key="h", timeout=60)
        server.client().script_flush()
        assert ledger.balance("a").held.micros == C


def test_what_was_acknowledged_survives_a_killed_server(own_server: RedisServer) -> None:
    """The same store goes on over a new connection, and finds everything."""
    with Ledger.open(own_server.url) as ledger:
        receipts = [ledger.grant("a", 1, key=f"g{n}", create=True) for n in range(20)]
        own_server.stop()
        with pytest.raises(StoreUnavailable) as failed:
            ledger.grant("a", 1, key="while down")
        assert not failed.value.maybe_applied
        own_server.start()
        again = [ledger.grant("a", 1, key=f"g{n}", create=True) for n in range(20)]
        assert [r.hash for r in again] == [r.hash for r in receipts]
        assert all(receipt.replayed for receipt in again)
        ledger.grant("a", 1, key="after")
        assert ledger.audit().ok


def test_a_rewound_server_is_noticed_by_a_receipt(own_server: RedisServer) -> None:
    """An older file is put back: whoever shows a receipt of what is gone stops the account."""
    log = next(path for path in own_server.folder.rglob("*.aof*") if path.is_file())
    copy = Path(own_server.folder) / "copy"
    with Ledger.open(own_server.url) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        shutil.copy(log, copy)
        receipt = ledger.reserve("a", 3, key="lost", timeout=60)
        own_server.stop()
        shutil.copy(copy, log)
        own_server.start()
        with pytest.raises(Refused) as refused:
            ledger.reserve("a", 3, key="next", timeout=60, seen=receipt)
        assert refused.value.reason is Reason.REWOUND
        with pytest.raises(Refused) as refused:
            ledger.reserve("a", 3, key="another", timeout=60)
        assert refused.value.reason in (Reason.REWOUND, Reason.FROZEN)
        assert [finding.trouble for finding in ledger.reconcile()] == ["rewound"]


def test_the_clock_is_the_servers(url: str, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    store = RedisStore(url)
    seconds, micros = server.client().time()
    assert 0 <= store.read(Touch(("a",))).now - (seconds * C + micros) < 60 * C
    assert store.due(1) == []
    assert not store.trust_clock()


def test_an_answer_that_was_lost_leaves_doubt_and_the_key_ends_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script ran, its reply did not arrive: said so, not sent again unseen, and the key tells."""
    store = RedisStore(url)
    run(store, [grant("a", "in")], Policy())
    real = store._server.client.evalsha
    calls: list[Any] = []

    def evalsha(*values: Any) -> Any:
        calls.append(real(*values))
        if len(calls) == 2:
            raise redis.ConnectionError("cut off")
        return calls[-1]

    monkeypatch.setattr(store._server.client, "evalsha", evalsha)
    with pytest.raises(StoreUnavailable) as failed:
        run(store, [grant("a", "once")], Policy())
    assert failed.value.maybe_applied
    assert len(calls) == 2
    answer = run(store, [grant("a", "once")], Policy())[0]
    assert isinstance(answer, Replayed)
    assert isinstance(answer.first, Applied)


def test_a_full_server_writes_nothing(own_server: RedisServer) -> None:
    with Ledger.open(own_server.url) as ledger:
        ledger.grant("a", 10, key="in", create=True)
        before = everything(own_server)
        own_server.client().config_set("maxmemory", "1mb")
        own_server.client().config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable, match="nothing was applied"):
            ledger.reserve("a", 1, key="h", timeout=60)
        assert everything(own_server) == before
        own_server.client().config_set("maxmemory", "0")
        ledger.reserve("a", 1, key="h", timeout=60)


def test_sixteen_times_too_late_is_busy(url: str, short_leases: None) -> None:
    """A writer that is always overtaken gives up, and has written nothing."""
    store, other = RedisStore(url), RedisStore(url)
    run(store, [grant("a", "in")], Policy())
    seen: list[int] = []

    def overtaken(loaded: Loaded) -> Changes:
        account = loaded.accounts["a"]
        seen.append(account.version)
        run(other, [grant("a", f"g{len(seen)}")], Policy())
        return Changes(accounts=((account._replace(version=account.version + 1), account.version),))

    with pytest.raises(StoreBusy, match="nothing was applied"):
        store.transact(Touch(("a",)), overtaken)
    assert len(seen) == ATTEMPTS == 16
    assert seen == sorted(set(seen))
    assert Ledger(store).audit().ok


@pytest.mark.parametrize("what", ["looked at", "not there", "key", "entry"])
def test_everything_that_was_looked_at_is_checked(
    url: str, server: RedisServer, short_leases: None, what: str
) -> None:
    """An account that was only read, one that was missing, a taken key, a taken place: nothing is saved."""
    store, other = RedisStore(url), RedisStore(url)
    run(store, [grant("a", "in"), grant("b", "in")], Policy())
    taken = store.entries("a", 0, 9)[-1]
    before: list[Any] = []
    tries: list[int] = []

    def decide(loaded: Loaded) -> Changes:
        tries.append(1)
        account = loaded.accounts["a"]
        moved = ((account._replace(version=account.version + 1), account.version),)
        if what == "looked at":
            run(other, [grant("b", f"g{len(tries)}")], Policy())
        elif what == "not there":
            run(other, [grant(f"new{len(tries)}", "in")], Policy())
        before[:] = [everything(server)]
        if what == "key":
            return Changes(accounts=moved, entries=(taken._replace(version=99),))
        if what == "entry":
            return Changes(accounts=moved, entries=(taken._replace(key=None),))
        return Changes(accounts=moved)

    names = ("a", "b", *(f"new{n}" for n in range(1, 20)))
    with pytest.raises(StoreBusy):
        store.transact(Touch(names), decide)
    assert everything(server) == before[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shards": 0}, "shards must be from 1"),
        ({"shards": 2_000}, "shards must be from 1"),
        ({"name": "a{b}"}, "name 'a{b}'"),
        ({"name": ""}, "name ''"),
    ],
)
def test_bad_options(url: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RedisStore(url, **options)


def test_another_schema_is_left_alone(url: str, server: RedisServer) -> None:
    RedisStore(url)
    server.client().hset("{credits}:meta", "schema", "99")
    before = everything(server)
    with pytest.raises(SchemaOutdated, match="schema 99"):
        RedisStore(url)
    assert everything(server) == before


def test_without_redis_py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtra, match=r"babysea-primitives\[redis\]"):
        Ledger.open("redis://localhost/0")


def test_passwords_are_not_shown(own_server: RedisServer) -> None:
    socket = own_server.socket
    with pytest.raises(StoreUnavailable) as failed:
        RedisStore(f"redis+unix://:secret@{socket}.not-there")
    assert "secret" not in str(failed.value)


def test_a_closed_store_says_so(url: str) -> None:
    store = RedisStore(url)
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.read(Touch(("a",)))


def test_a_typing_mistake_makes_no_ledger(
    url: str, server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line opens what is there; a program may ask for the same."""
    with Ledger.open(url) as ledger:
        ledger.grant("a", 5, key="in", create=True)
    before = everything(server)
    assert main(["balance", f"{url}?name=credit", "a"]) == 2
    assert "there is no ledger 'credit'" in capsys.readouterr().err
    assert main(["balance", url, "a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["available"] == "5.000000"
    with pytest.raises(ValueError, match="yes or no"):
        Ledger.open(f"{url}?create=maybe")
    assert everything(server) == before
    assert main(["import", f"{url}?name=copy", os.devnull, "--create"]) == 1  # made, though nothing came in
