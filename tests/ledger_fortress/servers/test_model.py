"""The same histories as elsewhere, against the model and the memory store: nothing tells the stores apart."""

import random
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from hypothesis import settings
from hypothesis.stateful import initialize, run_state_machine_as_test

from ledger_fortress import Ledger
from ledger_fortress.rules import Policy
from tests.ledger_fortress.servers.conftest import Empty
from tests.ledger_fortress.sizes import size
from tests.ledger_fortress.test_model import LIFE, LedgersAgree, wander


def machine_over(empty: Empty) -> type[LedgersAgree]:
    """The memory store, a server in place of the file, and the model."""

    class ServerAgrees(LedgersAgree):
        @initialize()
        def start(self, over: Any = "refuse", late: Any = "refuse") -> None:
            super().start()
            self.ledgers.pop().close()
            self.places = ExitStack()
            url = self.places.enter_context(empty())
            policy = Policy(refund_life=LIFE)
            self.ledgers.append(Ledger.open(url, clock=lambda: self.now, policy=policy, migrate=True))
            self.ledgers[1].apply(self.past)

        def teardown(self) -> None:
            super().teardown()
            if hasattr(self, "places"):
                self.places.close()

    return ServerAgrees


def test_any_history(empty: Empty, url: str) -> None:
    """What hypothesis thinks of."""
    found = settings(max_examples=size(4, 10_000), stateful_step_count=30)
    run_state_machine_as_test(machine_over(empty), settings=found)


def test_long_histories(empty: Empty, url: str, figure: Callable[[str], None]) -> None:
    """Random steps that are likely to meet the steps before them."""
    before = LedgersAgree.sent
    for seed in range(size(3, 10_000)):
        dice = random.Random(f"server {seed}")
        machine = machine_over(empty)()
        machine.start()
        for _ in range(200):
            wander(machine, dice)
            if dice.random() < 0.1:
                machine.readers_see_the_model()
        machine.readers_see_the_model()
        machine.teardown()
    figure(f"{url.partition(':')[0]} against the model: {LedgersAgree.sent - before} commands")
