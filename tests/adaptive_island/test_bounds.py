"""Memory stays flat, threads do not corrupt or convoy, a fork starts clean."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import statistics
import threading
import time
import tracemalloc

import pytest

from adaptive_island import Attempt, Island, Outcome, Policy
from adaptive_island.testing import FakeClock
from tests.adaptive_island.kit import MODEL, THREE, World

N = int(os.environ.get("N", "1"))


def grown(step: object, rounds: int) -> int:
    """Bytes that `rounds` more calls of step(n) leave behind after it was warm."""
    for n in range(rounds):
        step(n)  # type: ignore[operator]
    gc.collect()
    tracemalloc.start()
    try:
        for n in range(rounds, 3 * rounds):
            step(n)  # type: ignore[operator]
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_ranking_names_nobody_reported_on_leaves_nothing_behind() -> None:
    island = Island.open("memory:", clock=FakeClock())
    island.record(Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.USED))
    costs = dict.fromkeys(THREE, 1)

    def step(n: int) -> None:
        island.rank(
            f"model/{n}", (*THREE, f"p{n}"), region=f"r{n}", work=f"w{n}", account=f"a{n}", costs=costs
        )
        island.rank(f"model/{n}", (*THREE, f"p{n}"), costs={"fal": n}, sticky=f"s{n}")

    assert grown(step, 2_000 * N) < 64_000


def test_random_names_in_reports_are_bounded() -> None:
    """A million invented models may cost a fixed amount of memory, not more."""
    policy = Policy(models_most=50, attempts_most=100, breakers_most=100, orders_most=100)
    island = Island.open("memory:", policy=policy, clock=FakeClock(), hook=lambda event: None)
    outcomes = list(Outcome)

    def step(n: int) -> None:
        model, provider = f"model/{n}", f"p{n}"
        for k in range(5):
            island.record(
                Attempt(
                    id=f"{n}/{k}", model=model, provider=provider, outcome=outcomes[(n + k) % 6],
                    account=f"k{n}", work=f"w{n}", region=f"r{n % 500}",
                )
            )  # fmt: skip
        island.attempt(model, provider, account=f"k{n}")
        island.rank(model, THREE, costs={"fal": n}, work=f"w{n}")
        island.rank(f"model/{n - 1}", (*THREE, provider), costs={"fal": n})

    assert grown(step, 1_000 * N) < 400_000


def test_hot_models_survive_a_flood_of_names() -> None:
    island = Island.open("memory:", policy=Policy(models_most=50), clock=FakeClock())
    for n in range(2_000):
        provider = "fal" if n % 2 else "byteplus"
        outcome = Outcome.USED if provider == "fal" else Outcome.CANCELED
        island.record(Attempt(id=f"hot{n}", model=MODEL, provider=provider, outcome=outcome, seconds=2.0))
        island.record(Attempt(id=f"x{n}", model=f"x{n}", provider="fal", outcome=Outcome.USED))
    [line] = island.explain(MODEL, ("fal",))
    assert line.attempts > 500


def test_known_classes_of_work_survive_a_flood_of_invented_ones() -> None:
    """Free sizes are classes that customers invent; they may not push out what is known about 1080p."""
    world = World()
    for _ in range(50):
        world.report("fal", seconds=2.0, work="1080p", after=0.1)
        world.report("byteplus", seconds=60.0, work="1080p", after=0.1)
    for n in range(2_500):
        world.report("replicate", work=f"{n}x512", after=0.1)
    [line] = world.island.explain(MODEL, ("fal",), work="1080p")
    assert line.seconds == pytest.approx(2.0, rel=0.1)
    assert world.rank(("byteplus", "fal"), work="1080p") == ("fal", "byteplus")
    world.clock.advance(2 * 86_400.0)
    world.report("fal", times=9, seconds=1.0, work="8K")
    [line] = world.island.explain(MODEL, ("fal",), work="8K")
    assert line.seconds == pytest.approx(1.0, rel=0.2), "there is room again for a class that is new a day on"


def test_remembered_orders_are_bounded() -> None:
    island = Island.open("memory:", policy=Policy(orders_most=200), clock=FakeClock())
    island.record(Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.USED))
    assert grown(lambda n: island.rank(MODEL, (*THREE, f"p{n}"), work=f"w{n}"), 1_000 * N) < 400_000


def test_threads_neither_corrupt_nor_lose_counts() -> None:
    """Eight threads rank, attempt and report at once: every order is right and every verdict counted once."""
    island = Island.open("memory:", hook=lambda event: None)
    wrong: list[object] = []
    each = 400 * N

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for n in range(each):
            try:
                order = island.rank(MODEL, THREE, costs={"fal": rng.randrange(9)}, work=str(n % 3))
                if sorted(order) != sorted(THREE):
                    wrong.append(order)
                ticket = island.attempt(MODEL, order[0])
                ticket.succeed(cost=1)
                report = Attempt(
                    id=f"same{n}", model=MODEL, provider="fal", outcome=Outcome.USED, seconds=1.0
                )
                island.record(report)
                if n % 50 == 0:
                    island.health()
                    island.explain(MODEL, THREE)
            except Exception as error:  # a thread must not die silently
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    health = island.health()
    assert sum(p.attempts for p in health.providers) == pytest.approx(8 * each + each, rel=0.02)
    assert health.counts == {"duplicates": 7 * each}
    assert health.in_flight == 0


def test_one_thread_in_a_decision_does_not_hold_up_a_remembered_order() -> None:
    """A hit takes no lock: it answers even while somebody holds it."""
    island = Island.open("memory:", policy=Policy(refresh=600.0))
    island.record(Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.USED))
    first = island.rank(MODEL, THREE)
    with island._lock:
        answer: list[object] = []
        thread = threading.Thread(target=lambda: answer.append(island.rank(MODEL, THREE)), daemon=True)
        thread.start()
        thread.join(5)
        assert answer == [first]


def _in_child(island: Island, queue: multiprocessing.Queue[object]) -> None:
    ticket = island.attempt(MODEL, "fal")
    ticket.succeed()
    queue.put((ticket.id, tuple(island.rank(MODEL, THREE)), len(island.health().providers)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_has_its_own_lock_and_names() -> None:
    """Forked while another thread holds the lock, the child still answers, and under names of its own."""
    island = Island.open("memory:")
    island.record(Attempt(id="a", model=MODEL, provider="byteplus", outcome=Outcome.USED))
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[object] = context.Queue()
    with island._lock:
        children = [context.Process(target=_in_child, args=(island, queue)) for _ in range(2)]
        for child in children:
            child.start()
    answers = [queue.get(timeout=20) for _ in children]
    for child in children:
        child.join(20)
    names = {name for name, _order, _known in answers}  # type: ignore[misc]
    assert len({*names, island.attempt(MODEL, "fal").id}) == 3
    assert all(sorted(order) == sorted(THREE) for _name, order, _known in answers)  # type: ignore[misc]


def test_ninety_virtual_days() -> None:
    """Through hundreds of epochs the estimates stay right, finite and bounded."""
    clock = FakeClock()
    island = Island.open("memory:", clock=clock, seed=1)
    rng, started = random.Random(5), time.monotonic()
    chances: dict[str, list[float]] = {"byteplus": [], "fal": []}
    for day in range(90):
        for n in range(40):
            clock.advance(2_160)
            for provider, chance, seconds in (("byteplus", 0.95, 6.0), ("fal", 0.6, 9.0)):
                outcome = Outcome.USED if rng.random() < chance else Outcome.FAILED
                island.record(
                    Attempt(id=f"{day}/{n}/{provider}", model=MODEL, provider=provider, outcome=outcome,
                            seconds=seconds * rng.lognormvariate(0, 0.3))
                )  # fmt: skip
        if day > 5:
            for line in island.explain(MODEL, ("byteplus", "fal"), order="balanced"):
                assert line.success is not None
                assert 0.0 < line.success < 1.0
                chances[line.provider].append(line.success)
                usual = 6.3 if line.provider == "byteplus" else 9.4
                assert line.seconds == pytest.approx(usual, rel=0.4)
    assert statistics.mean(chances["byteplus"]) == pytest.approx(0.95, abs=0.03)
    assert statistics.mean(chances["fal"]) == pytest.approx(0.6, abs=0.06)
    assert time.monotonic() - started < 60
