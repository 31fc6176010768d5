"""The same histories as elsewhere, against the model and the memory store: nothing tells the stores apart."""

import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis.stateful import initialize

from ledger_fortress import Ledger
from ledger_fortress.commands import Grant, Linked
from ledger_fortress.engine import run, run_sweep
from ledger_fortress.protocol import LedgerStore
from ledger_fortress.rules import Policy
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.stores.redis import RedisStore
from ledger_fortress.testing import FakeClock
from tests.ledger_fortress.postgres.test_model import (
    any_command,
    clock_now,
    compare_notices,
    compare_seals,
    contents,
)
from tests.ledger_fortress.redis.servers import RedisServer
from tests.ledger_fortress.test_model import LIFE, LedgersAgree, wander

C = 1_000_000


class RedisAgrees(LedgersAgree):
    """The memory store and Redis, and the model."""

    server: ClassVar[RedisServer]

    @initialize()
    def start(self) -> None:
        super().start()
        self.ledgers.pop().close()
        with self.server.client() as client:
            client.flushall()
        policy = Policy(refund_life=LIFE)
        self.ledgers.append(Ledger.open(self.server.url, clock=lambda: self.now, policy=policy))
        self.ledgers[1].apply(self.past)


def test_any_history(server: RedisServer) -> None:
    """What hypothesis thinks of."""
    RedisAgrees.server = server
    case = RedisAgrees.TestCase
    case.settings = settings(max_examples=int(os.environ.get("N", "4")), stateful_step_count=30)
    case("runTest").runTest()


def test_long_histories(server: RedisServer, figure: Callable[[str], None]) -> None:
    """Random steps that are likely to meet the steps before them."""
    RedisAgrees.server = server
    before = LedgersAgree.sent
    for seed in range(int(os.environ.get("N", "3"))):
        dice = random.Random(f"redis {seed}")
        machine = RedisAgrees()
        machine.start()
        for _ in range(200):
            wander(machine, dice)
            if dice.random() < 0.1:
                machine.readers_see_the_model()
        machine.readers_see_the_model()
        machine.teardown()
    figure(f"Redis against the model: {LedgersAgree.sent - before} commands")


def test_every_verb_leaves_the_same_rows(url: str, figure: Callable[[str], None]) -> None:
    """All verbs at random, in batches and linked: the same answers, and in the end the same rows."""
    clock, dice = FakeClock(), random.Random(3)
    stores: list[LedgerStore] = [MemoryStore(clock), RedisStore(url, clock=clock)]
    policy = Policy(refund_life=LIFE)
    opened = [Grant(account=name, key="in", amount=40 * C, create=True) for name in "ab"]
    assert run(stores[0], opened, policy) == run(stores[1], opened, policy)
    number = 0
    while number < 1_200 * int(os.environ.get("N", "1")):
        batch: list[Any] = []
        for _ in range(dice.choice([1, 1, 3, 8])):
            number += 1
            batch.append(any_command(dice, number))
        if len(batch) == 3 and len({(command.account, command.key) for command in batch}) == 3:
            batch = [Linked(f"link{number}", tuple(batch))]
        clock.seconds = clock_now(number)
        answers = [run(store, batch, policy) for store in stores]
        assert answers[0] == answers[1], batch
        assert stores[0].due(9) == stores[1].due(9)
        assert stores[0].open_holds(None) == stores[1].open_holds(None)
        if dice.random() < 0.1:
            assert run_sweep(stores[0], stores[0].due(9)) == run_sweep(stores[1], stores[1].due(9))
    ours, theirs = contents(stores[0]), contents(stores[1])
    assert ours == theirs
    kinds = Counter(entry.kind for entry in ours[0])
    figure(f"Redis against memory: {number} commands of every verb, {len(ours[0])} entries, {dict(kinds)}")
    assert len(kinds) > 18
    assert ours[4], "no member was ever set"
    compare_notices(stores)
    compare_seals(stores)
    stores[1].close()
