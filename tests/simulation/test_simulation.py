"""The simulator in the suite: generations in worlds that go wrong, each judged from outside."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation import many
from tests.simulation.knobs import draw
from tests.simulation.run import simulate


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_every_promise_is_kept_in_every_world(store: str, figure: Callable[[str], None]) -> None:
    total = many.run(1_000, first=0, store=store, jobs=1, say=lambda line: None)
    assert not total.failures, "\n".join(many.told(outcome, store) for outcome in total.failures)
    assert not total.unequal, f"these seeds ran differently in another process: {total.unequal}"
    rate = total.generations / total.seconds
    figure(f"simulated over {store}: {total.generations} generations, {rate:.0f} per second of processor")


def test_a_seed_is_one_world() -> None:
    first, second = (simulate(draw(7)) for _ in range(2))
    assert (first.digest, first.steps) == (second.digest, second.steps)
    assert simulate(draw(8)).digest != first.digest
