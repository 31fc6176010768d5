"""The simulator in the suite: generations in worlds that go wrong, each judged from outside."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.simulation import many
from tests.simulation.coverage import NAMES, RARE, UNREACHED
from tests.simulation.knobs import draw
from tests.simulation.run import simulate


def size(default: int, per: int) -> int:
    """Generations: the default, or one for every `per` of the environment variable N if that is more."""
    return max(default, int(os.environ.get("N", "0")) // per)


def kept(total: many.Total, store: str, figure: Callable[[str], None]) -> None:
    assert not total.failures, "\n".join(many.told(outcome, store) for outcome in total.failures)
    assert not total.unequal, f"these seeds ran differently in another process: {total.unequal}"
    rate = total.generations / total.seconds
    figure(f"simulated over {store}: {total.generations} generations, {rate:.0f} per second of processor")


@contextmanager
def unmeasured() -> Iterator[None]:
    """Without the coverage tracer, which would take two thirds of the time and has seen these lines."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def run(generations: int, first: int, store: str) -> many.Total:
    return many.run(generations, first=first, store=store, jobs=1, say=lambda line: None)


def test_every_promise_is_kept_in_every_world_and_every_row_is_taken(figure: Callable[[str], None]) -> None:
    measured = run(1_000, 0, "memory")
    with unmeasured():
        total = run(size(5_300, 2), measured.seeds, "memory")
    kept(total, "memory", figure)
    total.add(measured)
    kept(total, "memory", lambda line: None)
    missing = total.covered.missing(total.generations)
    assert not missing, "taken too rarely:\n" + "\n".join(missing)


def test_every_promise_is_kept_over_sqlite(figure: Callable[[str], None]) -> None:
    kept(run(300, 0, "sqlite"), "sqlite", lambda line: None)
    with unmeasured():
        kept(run(size(600, 8), 20, "sqlite"), "sqlite", figure)


def test_a_seed_is_one_world() -> None:
    first, second = (simulate(draw(7)) for _ in range(2))
    assert (first.digest, first.steps) == (second.digest, second.steps)
    assert simulate(draw(8)).digest != first.digest


def test_exceptions_from_the_coverage_gate_name_rows_that_there_are() -> None:
    assert RARE | UNREACHED.keys() <= set(NAMES)
