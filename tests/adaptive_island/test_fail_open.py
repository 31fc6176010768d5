"""Nothing that a caller, a clock, a hook or a cache does may cost a request."""

from __future__ import annotations

import logging
import math
import os
import random
from typing import Any

import pytest

from adaptive_island import Attempt, Island, Outcome
from adaptive_island.order import Source
from adaptive_island.testing import FakeClock
from tests.adaptive_island.kit import MODEL, THREE, World

ROUNDS = int(os.environ.get("N", "1")) * 3_000


class Unfriendly:
    """An object on which everything raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __len__(self) -> int:
        raise RuntimeError("len")

    def __str__(self) -> str:
        raise RuntimeError("str")

    __repr__ = __str__


POISON: list[Any] = [
    *(
        None,
        0,
        -1,
        1.5,
        math.nan,
        math.inf,
        True,
        "",
        " ",
        ",",
        ",,,",
        "a" * 10_000,
        "\0",
        "\ud800",
        b"bytes",
    ),
    *([], {}, set(), [[]], {"fal": math.nan}, {"fal": -5}, {"fal": "free"}, {"fal": 10**400}, {1: 2}),
    *({"fal": True}, object(), Unfriendly(), lambda: 1, ("fal", None), ("fal", 3, "fal"), frozenset({"fal"})),
    range(3),
]


def test_poisoned_arguments_never_cost_the_order() -> None:
    """Any argument may be anything: the answer is a permutation, or a subset for an explicit order."""
    rng, world = random.Random(11), World()
    for provider in THREE:
        world.report(provider, times=3)
    world.fail("fal", times=4)
    for _ in range(ROUNDS):
        kwargs = {
            name: rng.choice(POISON)
            for name in ("order", "region", "costs", "work", "sticky", "account")
            if rng.random() < 0.4
        }
        model = rng.choice(POISON) if rng.random() < 0.3 else MODEL
        order = world.island.rank(model, THREE, **kwargs)
        assert set(order) <= set(THREE)
        if order.source is not Source.EXPLICIT:
            assert sorted(order) == sorted(THREE)


def test_poisoned_attempts_and_reports_never_raise() -> None:
    rng, world = random.Random(12), World()
    fields = ("id", "model", "provider", "outcome", "region", "account", "work", "fault", "seconds", "cost",
              "retry_after", "at")  # fmt: skip
    good = {"id": "a", "model": MODEL, "provider": "fal", "outcome": Outcome.USED}
    for n in range(ROUNDS):
        values: dict[str, Any] = {**good, "id": f"a{n}"}
        for name in rng.sample(fields, 2):
            values[name] = rng.choice(POISON)
        world.island.record(Attempt(**values))
        names = {
            name: rng.choice(POISON) for name in ("region", "account", "work", "id") if rng.random() < 0.3
        }
        ticket = world.island.attempt(rng.choice([MODEL, *POISON]), rng.choice(["fal", *POISON]), **names)
        rng.choice([ticket.succeed, ticket.fail, ticket.unknown, ticket.cancel])()
        world.island.attempt(MODEL, "fal").fail(rng.choice(POISON), rng.choice(POISON))
    assert sorted(world.rank()) == sorted(THREE)
    assert all(math.isfinite(line.score or 0.0) for line in world.island.explain(MODEL, THREE))


WRONG: list[Any] = [(), [], "", "fal", b"fal", None, 7, ("fal", None), [["fal"]], Unfriendly(), {}]


@pytest.mark.parametrize("allowed", WRONG, ids=range(len(WRONG)))
def test_allowed_is_the_one_thing_that_must_be_right(world: World, allowed: Any) -> None:
    with pytest.raises(ValueError, match="allowed must be"):
        world.island.rank(MODEL, allowed)


def test_duplicates_in_allowed_count_once(world: World) -> None:
    assert world.rank(("fal", "fal", "byteplus")) == ("fal", "byteplus")


def test_a_hook_that_raises_breaks_nothing() -> None:
    def hook(event: object) -> None:
        raise RuntimeError("pager down")

    island = Island.open("memory:", hook=hook)
    for n in range(5):
        island.record(Attempt(id=f"a{n}", model=MODEL, provider="fal", outcome=Outcome.FAILED))
    assert island.health().counts["hook"] == 1
    assert "pager down" in island.health().last_error


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf, None, "noon"])
def test_a_broken_clock_stands_still(broken: Any) -> None:
    clock = FakeClock()
    island = Island.open("memory:", clock=clock)
    island.record(Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.USED))
    clock.now = broken
    assert sorted(island.rank(MODEL, THREE)) == sorted(THREE)
    island.attempt(MODEL, "fal").succeed()
    assert island.health().in_flight == 0


@pytest.mark.parametrize("jump", [-86_400.0 * 365, -3_600.0, 3_600.0, 86_400.0 * 365])
def test_a_clock_that_jumps_still_answers(world: World, jump: float) -> None:
    for provider in THREE:
        world.report(provider, times=20)
    world.fail("byteplus", times=2)
    world.clock.advance(jump)
    assert sorted(world.rank()) == sorted(THREE)
    for _ in range(40):
        world.clock.advance(1)
        world.report("replicate", seconds=1.0)
        world.fail("byteplus", times=1)
    assert world.rank()[0] == "replicate"


def test_setting_the_wall_clock_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default clock is anchored once and carried on by the monotonic one."""
    island = Island.open("memory:")
    for provider in ("byteplus", "replicate"):
        island.record(Attempt(id=provider, model=MODEL, provider=provider, outcome=Outcome.USED))
    for n in range(4):
        island.record(Attempt(id=f"a{n}", model=MODEL, provider="fal", outcome=Outcome.FAILED))
    monkeypatch.setattr("time.time", lambda: 0.0)
    ticket = island.attempt(MODEL, "fal")
    assert ticket.skip
    assert ticket.retry_after is not None
    assert ticket.retry_after <= 33


def test_loud_once(caplog: pytest.LogCaptureFixture) -> None:
    """One warning at the first trouble, then at most one in five minutes, with the number of times."""
    clock = FakeClock()
    island = Island.open("memory:", clock=clock)
    with caplog.at_level(logging.WARNING, logger="adaptive_island"):
        for _ in range(100):
            island.record(None)  # type: ignore[arg-type]
        assert len(caplog.records) == 1
        clock.advance(301)
        island.record(None)  # type: ignore[arg-type]
        assert len(caplog.records) == 2
        assert "times=100" in caplog.records[-1].getMessage()


def test_a_breaker_is_logged_once_per_change(caplog: pytest.LogCaptureFixture) -> None:
    island = Island.open("memory:", clock=FakeClock())
    with caplog.at_level(logging.WARNING, logger="adaptive_island"):
        for n in range(9):
            island.record(Attempt(id=f"a{n}", model=MODEL, provider="fal", outcome=Outcome.FAILED))
    [record] = caplog.records
    assert "breaker_open provider=fal" in record.getMessage()
