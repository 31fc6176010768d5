"""The same histories as elsewhere, against the model and the memory store: nothing tells the stores apart."""

import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from hypothesis import settings
from hypothesis.stateful import initialize

from ledger_fortress import Ledger
from ledger_fortress.commands import (
    Charge,
    Clawback,
    Command,
    Dispute,
    DisputeLost,
    DisputeWon,
    Expire,
    Extend,
    Freeze,
    Grant,
    Linked,
    Refund,
    Release,
    Reserve,
    SetAlert,
    SetMember,
    Transfer,
    Unfreeze,
)
from ledger_fortress.engine import run, run_sweep
from ledger_fortress.protocol import LedgerStore
from ledger_fortress.rules import Policy
from ledger_fortress.stores.memory import MemoryStore
from ledger_fortress.stores.postgres import PostgresStore
from ledger_fortress.testing import FakeClock
from tests.ledger_fortress.test_model import LIFE, LedgersAgree, wander
from tests.services import PostgresServer, postgres_server

C = 1_000_000


class PostgresAgrees(LedgersAgree):
    """The memory store and PostgreSQL, and the model."""

    @initialize()
    def start(self) -> None:
        super().start()
        self.ledgers.pop().close()
        self.places = ExitStack()
        url = self.places.enter_context(postgres_server().schema())
        policy = Policy(refund_life=LIFE)
        self.ledgers.append(Ledger.open(url, clock=lambda: self.now, policy=policy, migrate=True))
        self.ledgers[1].apply(self.past)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "places"):
            self.places.close()


class TestPostgresAgrees(PostgresAgrees.TestCase):  # type: ignore[misc,name-defined]
    settings = settings(max_examples=int(os.environ.get("N", "4")), stateful_step_count=30)

    def runTest(self) -> None:
        postgres_server()  # skips here, where a skip is one, and not inside of an example
        super().runTest()


def test_long_histories(server: PostgresServer, figure: Callable[[str], None]) -> None:
    """Random steps that are likely to meet the steps before them."""
    before = LedgersAgree.sent
    for seed in range(int(os.environ.get("N", "3"))):
        dice = random.Random(f"postgres {seed}")
        machine = PostgresAgrees()
        machine.start()
        for _ in range(200):
            wander(machine, dice)
            if dice.random() < 0.1:
                machine.readers_see_the_model()
        machine.readers_see_the_model()
        machine.teardown()
    figure(f"PostgreSQL against the model: {LedgersAgree.sent - before} commands")


def any_command(dice: random.Random, number: int) -> Command:
    """Any verb at all, about accounts, holds, grants and members that are likely to be there."""
    name, key = dice.choice("aaab"), f"k{number:06d}"
    amount = dice.randrange(1, 9) * C
    old = f"k{dice.randrange(max(0, number - 12), number + 1):06d}"
    member = dice.choice(["ann", "bob", None])
    kinds: list[Callable[[], Command]] = [
        lambda: Grant(account=name, key=key, amount=amount * 3, source=dice.choice(["plan", None])),
        lambda: Grant(
            account=name,
            key=key,
            amount=amount * 3,
            expires=int(clock_now(number) + dice.randrange(5, 60)) * C,
            rollover=amount,
            rollover_life=30 * C,
        ),
        *[lambda: Reserve(account=name, key=key, amount=amount, timeout=20 * C, member=member)] * 5,
        *[lambda: Charge(account=name, hold=old, amount=dice.choice([None, amount]), on_missing="debt")] * 3,
        *[lambda: Charge(account=name, hold=old)] * 2,
        lambda: Release(account=name, hold=old),
        lambda: Refund(account=name, hold=old, key=key),
        lambda: Extend(account=name, hold=old, timeout=40 * C, key=key),
        lambda: SetMember(
            account=name, key=key, member="ann", cap=amount * 4, window=dice.choice([0, 50 * C])
        ),
        lambda: SetAlert(account=name, key=key, name="low", below=dice.choice([None, amount * 2])),
        lambda: Transfer(account=name, key=key, to="b" if name == "a" else "a", amount=amount),
        lambda: Clawback(account=name, grant=dice.choice([old, "in"]), key=key, amount=amount),
        *[lambda: Dispute(account=name, grant=dice.choice([old, "in"]), key=key, amount=amount)] * 2,
        lambda: DisputeWon(account=name, hold=old),
        lambda: DisputeLost(account=name, hold=old),
        lambda: Expire(account=name, grant=old),
        lambda: dice.choice([Freeze, Unfreeze, Unfreeze])(account=name, key=key),
    ]
    return dice.choice(kinds)()


def clock_now(number: int) -> float:
    return 1_700_000_000 + number / 2


def contents(store: LedgerStore) -> list[list[Any]]:
    with store.scan() as scan:
        rows = (scan.entries(), scan.accounts(), scan.holds(), scan.notes(), scan.members(), scan.notices())
        return [sorted(row) for row in rows]


def test_every_verb_leaves_the_same_rows(
    server: PostgresServer, url: str, figure: Callable[[str], None]
) -> None:
    """All verbs at random, in batches and linked: the same answers, and in the end the same rows."""
    clock, dice = FakeClock(), random.Random(3)
    stores: list[LedgerStore] = [MemoryStore(clock), PostgresStore(url, clock=clock)]
    policy = Policy(refund_life=LIFE)
    opened = [Grant(account=name, key="in", amount=40 * C, create=True) for name in "ab"]
    assert run(stores[0], opened, policy) == run(stores[1], opened, policy)
    number, kinds = 0, Counter[str]()
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
        if dice.random() < 0.1:
            assert run_sweep(stores[0], stores[0].due(9)) == run_sweep(stores[1], stores[1].due(9))
    ours, theirs = contents(stores[0]), contents(stores[1])
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == other
    kinds.update(entry.kind for entry in ours[0])
    figure(
        f"PostgreSQL against memory: {number} commands of every verb, {len(ours[0])} entries, {dict(kinds)}"
    )
    assert len(kinds) > 18
    assert ours[4], "no member was ever set"
    compare_notices(stores)
    compare_seals(stores)
    stores[1].close()


def compare_notices(stores: list[LedgerStore]) -> None:
    """Every filter, and what acknowledging changes."""
    every = stores[0].notices(None, (), False, 10_000)
    assert len(every) > 5
    some = [notice[:3] for notice in every[::2]]
    assert [store.acknowledge([*some, ("nobody", 1, 0)]) for store in stores] == [len(some)] * 2
    assert [store.acknowledge([*some, every[1][:3]]) for store in stores] == [1, 1]
    assert [store.acknowledge([]) for store in stores] == [0, 0]
    for account in (None, "a", "nobody"):
        for kinds in ((), (every[0].kind,), ("none such", every[-1].kind)):
            for pending in (False, True):
                for limit in (3, 10_000):
                    found = [store.notices(account, kinds, pending, limit) for store in stores]
                    assert found[0] == found[1]


def compare_seals(stores: list[LedgerStore]) -> None:
    ledgers = [Ledger(store) for store in stores]
    for turn in range(3):
        assert ledgers[0].seal() == ledgers[1].seal()
        for ledger in ledgers:
            ledger.grant("a", 1, key=f"after seal {turn}")
    for after, limit in ((0, 10), (1, 1), (3, 10)):
        assert stores[0].checkpoints(after, limit) == stores[1].checkpoints(after, limit)
    last = stores[1].last_checkpoint()
    assert last is not None
    assert last == stores[0].last_checkpoint()
    assert not stores[1].add_checkpoint(last._replace(hash=b"x" * 32))
    assert stores[1].last_checkpoint() == last
