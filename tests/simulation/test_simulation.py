"""The simulator in the suite: generations in worlds that go wrong, each judged from outside."""

from __future__ import annotations

import os
from collections.abc import Callable

import coverage
import pytest

from tests.simulation import many
from tests.simulation.knobs import draw
from tests.simulation.run import simulate

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


def size(default: int, per: int) -> int:
    """Generations: the default, or one for every `per` of the environment variable N if that is more."""
    return max(default, int(os.environ.get("N", "0")) // per)


def kept(total: many.Total, store: str, figure: Callable[[str], None]) -> None:
    assert not total.failures, "\n".join(many.told(outcome, store) for outcome in total.failures)
    assert not total.unequal, f"these seeds ran differently in another process: {total.unequal}"
    rate = total.generations / total.seconds
    figure(f"simulated over {store}: {total.generations} generations, {rate:.0f} per second of processor")


def run(generations: int, first: int, store: str, jobs: int = 2) -> many.Total:
    return many.run(generations, first=first, store=store, jobs=jobs, say=lambda line: None)


def traced() -> bool:
    """Whether line coverage is measured: that takes three quarters of the time, and proves nothing here."""
    current: coverage.Coverage | None = coverage.Coverage.current()
    return current is not None


def test_every_promise_is_kept_in_every_world_and_every_row_is_taken(figure: Callable[[str], None]) -> None:
    """Every row and every fault at every kind of provider twenty times, over both stores together."""
    if traced():
        kept(run(1_000, 0, "memory", jobs=1), "memory", figure)
        kept(run(300, 0, "sqlite", jobs=1), "sqlite", figure)
        return
    sqlite = run(size(4_000, 8), 0, "sqlite")
    kept(sqlite, "sqlite", figure)
    total = run(size(9_500, 2), sqlite.seeds, "memory")
    total.covered.add(sqlite.covered)
    many.complete(total, first=sqlite.seeds + total.seeds, store="memory", jobs=2)
    kept(total, "memory", figure)
    missing = total.covered.missing(total.generations)
    assert not missing, "taken too rarely:\n" + "\n".join(missing)


def test_a_seed_is_one_world() -> None:
    first, second = (simulate(draw(7)) for _ in range(2))
    assert (first.digest, first.steps) == (second.digest, second.steps)
    assert simulate(draw(8)).digest != first.digest
