"""Crashes at every step of short runs, alone and in pairs; see `crashes`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from tests.simulation.crashes import everywhere, pairs, short
from tests.simulation.faults import KINDS, apply_to
from tests.simulation.knobs import Knobs
from tests.simulation.many import collecting_between
from tests.simulation.run import Outcome
from tests.simulation.test_simulation import size

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")

# What happens to the one generation: nothing, doubt, a failure, a late end.
PLOTS = (
    None,
    ("submit", "lost_reply"),
    ("submit", "provider"),
    ("life", "job_fails"),
    ("life", "never_ends"),
)


def kept(outcomes: Iterable[tuple[object, Outcome]], what: str) -> int:
    """The number of runs; every one kept every promise."""
    number = 0
    with collecting_between() as collect:
        for at, outcome in outcomes:
            assert not outcome.error, f"{what}, crash at {at}: {outcome.error}"
            number += 1
            if number % 20 == 0:
                collect()
    assert number > 5, f"{what}: there was next to nothing to crash in"
    return number


def worlds(store: str, many: int) -> list[tuple[str, Knobs]]:
    """A short run for every kind, with the plots in turn; `many` of them."""
    found = []
    for number in range(many):
        kind, plot = KINDS[number % len(KINDS)], PLOTS[(number + number // len(KINDS)) % len(PLOTS)]
        if plot is not None and plot[1] not in apply_to(kind).get(plot[0], ()):
            plot = None
        found.append(
            (f"{store} {kind} {plot} seed {number}", short(number, kind, store, plot, number % 4 == 2))
        )
    return found


@pytest.mark.parametrize(("store", "many"), [("memory", 12), ("sqlite", 3)])
def test_a_crash_at_every_step_breaks_no_promise(
    store: str, many: int, figure: Callable[[str], None]
) -> None:
    """Over memory every second run loses its machine, too: what nobody asked to be durable is gone."""
    runs = sum(
        kept(everywhere(knobs, dark=store == "memory" and number % 2 == 1), what)
        for number, (what, knobs) in enumerate(worlds(store, size(many, 2_000)))
    )
    figure(f"simulated over {store}: {runs} short runs with a crash, one at each of their steps")


def test_a_crash_inside_the_recovery_from_a_crash_breaks_no_promise(figure: Callable[[str], None]) -> None:
    """Every pair with N=200000 and more; else each 199th: no period of a run's steps divides that."""
    every = max(1, 199 - size(0, 1_000))
    runs = sum(
        kept(pairs(knobs, every, dark=number % 2 == 1), what)
        for number, (what, knobs) in enumerate(worlds("memory", 4))
    )
    figure(f"simulated: {runs} short runs with two crashes, the second inside the recovery from the first")
