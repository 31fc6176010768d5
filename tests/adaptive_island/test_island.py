"""What a service sees: it starts with the caller's order, learns, and can say why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_island import BreakerRules, Island, Outcome, Policy, Weights
from adaptive_island.errors import UnknownStore
from adaptive_island.order import Source
from tests.adaptive_island.kit import MODEL, THREE, World


def test_other_stores_are_refused_by_name() -> None:
    with pytest.raises(UnknownStore, match="memory:"):
        Island.open("mysql://cache/0")


def test_a_cold_start_is_the_callers_order(world: World) -> None:
    for order in ("fastest", "cheapest", "reliable", "balanced"):
        result = world.island.rank(MODEL, THREE, order=order, costs={"fal": 1, "byteplus": 900_000})
        assert result == THREE
        assert result.source is Source.CALLER


def test_a_provider_that_fails_falls_behind(world: World) -> None:
    world.fail("byteplus", times=2)
    assert world.rank() == ("replicate", "fal", "byteplus")


def test_a_slow_provider_falls_behind_for_fastest(world: World) -> None:
    for provider, seconds in (("byteplus", 30.0), ("replicate", 10.0), ("fal", 5.0)):
        world.report(provider, seconds=seconds, times=20)
    assert world.rank(order="fastest") == ("fal", "replicate", "byteplus")


def test_cheapest_follows_the_costs_of_this_request(world: World) -> None:
    for provider in THREE:
        world.report(provider, seconds=5.0, times=20)
    one = {"byteplus": 50_000, "replicate": 40_000, "fal": 30_000}
    other = {"byteplus": 30_000, "replicate": 40_000, "fal": 50_000}
    assert world.rank(order="cheapest", costs=one) == ("fal", "replicate", "byteplus")
    assert world.rank(order="cheapest", costs=other) == ("byteplus", "replicate", "fal")


def test_costs_that_are_not_told_are_learned_ones(world: World) -> None:
    for provider, cost in (("byteplus", 90_000), ("replicate", 60_000), ("fal", 10_000)):
        world.report(provider, seconds=5.0, cost=cost, times=20)
    assert world.rank(order="cheapest") == ("fal", "replicate", "byteplus")


def test_reliable_prefers_the_one_that_works(world: World) -> None:
    """The fast one fails one time in three: still first for nobody who asks for reliable."""
    for n in range(60):
        if n % 3:
            world.report("byteplus", seconds=1.0)
        else:
            world.fail("byteplus")
        world.report("replicate", seconds=8.0)
    assert world.rank(("byteplus", "replicate"), order="reliable") == ("replicate", "byteplus")
    assert world.rank(("replicate", "byteplus"), order="fastest") == ("byteplus", "replicate")


def test_a_policy_brings_its_own_orders() -> None:
    world = World(Policy(orders={"patient": Weights(per_minute=0.0, per_dollar=100.0, per_failure=0.0)}))
    for provider in THREE:
        world.report(provider, seconds=5.0, times=5)
    assert world.rank(order="patient", costs={"byteplus": 9, "replicate": 9, "fal": 9}) == THREE
    costs = {"byteplus": 9_000, "replicate": 6_000, "fal": 3_000}
    assert world.rank(order="patient", costs=costs) == ("fal", "replicate", "byteplus")


def test_latency_is_learned_relative_to_the_class_of_work(world: World) -> None:
    """replicate did only clips of 60 s: that does not make it slow for thumbnails."""
    for _ in range(20):
        world.report("byteplus", seconds=60.0, work="clip")
        world.report("replicate", seconds=58.0, work="clip")
        world.report("byteplus", seconds=5.0, work="thumb")
    for line in world.island.explain(MODEL, ("byteplus", "replicate"), work="thumb"):
        assert line.seconds is not None
        assert line.seconds < 8.0, "the class's own pace, not a clip's"


def test_a_slow_provider_is_expected_to_be_slow_in_a_class_it_never_did(world: World) -> None:
    for _ in range(30):
        world.report("byteplus", seconds=10.0, work="a")
        world.report("replicate", seconds=40.0, work="a")
        world.report("byteplus", seconds=3.0, work="b")
    explained = {e.provider: e for e in world.island.explain(MODEL, ("byteplus", "replicate"), work="b")}
    slow, quick = explained["replicate"].seconds, explained["byteplus"].seconds
    assert slow is not None
    assert quick is not None
    assert slow > 1.5 * quick


def test_what_a_provider_does_elsewhere_is_its_prior(world: World) -> None:
    """A model nobody tried starts from how its providers do with other models."""
    for _ in range(30):
        world.fail("byteplus", model="other/model")
        world.report("fal", model="other/model")
    assert world.rank(("byteplus", "fal"), model="new/model") == ("fal", "byteplus")


def test_regions_learn_apart(world: World) -> None:
    world.fail("byteplus", times=3, region="eu")
    assert world.rank(region="us") == THREE
    assert world.rank(region="eu")[-1] == "byteplus"


def test_old_failures_are_forgotten(world: World) -> None:
    world.report("byteplus", times=50, seconds=5.0)
    world.report("replicate", times=50, seconds=6.0)
    two = ("byteplus", "replicate")
    world.fail("byteplus", times=3)
    assert world.rank(two, order="reliable") == ("replicate", "byteplus")
    world.clock.advance(7 * 24 * 3_600)
    world.report("replicate", times=5, seconds=6.0)
    assert world.rank(two, order="reliable") == two


def test_an_untried_provider_is_tried(world: World) -> None:
    """Optimism: with enough seen of the others, somebody unseen gets a turn where it may matter."""
    firsts = set()
    for _ in range(40):
        world.clock.advance(60)
        first = world.rank(order="fastest")[0]
        firsts.add(first)
        world.report(first, seconds=30.0)
    assert firsts == set(THREE)


def test_attempts_in_flight_count_from_the_start(world: World) -> None:
    """A thousand requests at once do not all explore the same unknown provider."""
    world.report("byteplus", seconds=6.0, times=30)
    firsts = []
    for _ in range(40):
        first = world.rank(order="balanced")[0]
        firsts.append(first)
        world.island.attempt(MODEL, first)
    assert firsts.count("byteplus") > 20


def test_a_hanging_provider_is_visible_before_anything_times_out(world: World) -> None:
    """Attempts far beyond their usual time weigh like failures while they last."""
    for provider in THREE:
        world.report(provider, seconds=5.0, times=20)
    assert world.rank(order="reliable")[0] == "byteplus"
    for _ in range(5):
        world.island.attempt(MODEL, "byteplus")
    world.clock.advance(60)
    assert world.rank(order="reliable")[-1] == "byteplus"


def test_open_breakers_go_to_the_tail_and_come_back(world: World) -> None:
    for provider in THREE:
        world.report(provider, seconds=5.0, times=50)
    world.fail("byteplus", times=4)
    order = world.island.rank(MODEL, THREE)
    assert order[-1] == "byteplus"
    assert "breaker open: byteplus" in order.reason
    world.clock.advance(31)
    ticket = world.island.attempt(MODEL, "byteplus")
    world.clock.advance(5)
    ticket.succeed()
    assert world.states() == ["open", "half_open", "closed"]


def test_panic_ignores_the_breakers(world: World) -> None:
    """When two of three are open it is rather us, or everything: the order goes by the index again."""
    for provider in THREE:
        world.report(provider, seconds=5.0, times=50)
    for provider in ("byteplus", "replicate"):
        world.fail(provider, times=4)
    order = world.island.rank(MODEL, THREE)
    assert "ignored" in order.reason
    assert not world.island.attempt(MODEL, "byteplus").skip


def test_panic_never_overrules_a_wish_to_stay_away(world: World) -> None:
    for provider in THREE:
        world.report(provider, seconds=5.0, times=50)
    world.fail("byteplus", retry_after=60.0)
    world.fail("replicate", times=4)
    assert world.rank()[-1] == "byteplus"
    ticket = world.island.attempt(MODEL, "byteplus")
    assert ticket.skip
    assert ticket.retry_after == pytest.approx(60, rel=0.2)
    assert not world.island.attempt(MODEL, "replicate").skip


def test_isolate_and_restore(world: World) -> None:
    for provider in THREE:
        world.report(provider, times=5)
    world.island.isolate("byteplus")
    assert world.rank()[-1] == "byteplus"
    ticket = world.island.attempt(MODEL, "byteplus", account="any")
    assert (ticket.skip, ticket.retry_after) == (True, None)
    world.report("byteplus", times=3)
    assert world.island.attempt(MODEL, "byteplus").skip, "a success does not overrule a human"
    world.island.restore("byteplus")
    assert not world.island.attempt(MODEL, "byteplus").skip


def test_isolating_one_model_or_one_account_leaves_the_rest(world: World) -> None:
    world.island.isolate("fal", model=MODEL)
    world.island.isolate("fal", account="key_b")
    assert world.island.attempt(MODEL, "fal", account="key_a").skip
    assert world.island.attempt("other", "fal", account="key_b").skip
    assert not world.island.attempt("other", "fal", account="key_a").skip


def test_explain_says_why(world: World) -> None:
    world.report("fal", seconds=4.0, times=10)
    world.report("replicate", seconds=20.0, times=10)
    world.fail("byteplus", times=4)
    lines = world.island.explain(MODEL, THREE, costs={"fal": 40_000, "byteplus": 20_000, "replicate": 30_000})
    assert tuple(line.provider for line in lines) == world.rank()
    best, *_, last = lines
    assert (best.provider, best.position, best.cost) == ("fal", 1, 40_000)
    assert best.score is not None
    assert best.mean is not None
    assert best.width == pytest.approx(best.score - best.mean)
    assert best.attempts == pytest.approx(10, rel=0.01)
    assert best.last_seen == world.clock.now
    assert (last.provider, last.breaker) == ("byteplus", "open")
    assert "breaker open (failures) for" in last.reason


def test_explain_of_an_explicit_order_names_what_it_left_out(world: World) -> None:
    lines = world.island.explain(MODEL, THREE, order="fal")
    assert [(line.provider, line.position) for line in lines] == [
        ("fal", 1),
        ("byteplus", 0),
        ("replicate", 0),
    ]


def test_health_names_each_provider(world: World) -> None:
    world.report("fal", times=10)
    world.fail("byteplus", times=4)
    world.island.attempt(MODEL, "fal")
    health = world.island.health()
    status = {p.provider: p.status.value for p in health.providers}
    assert status == {"byteplus": "degraded", "fal": "healthy"}
    world.clock.advance(31)
    status = {p.provider: p.status.value for p in world.island.health().providers}
    assert status["byteplus"] == "recovering"
    [fal] = [p for p in health.providers if p.provider == "fal"]
    assert (fal.failure_rate, fal.in_flight) == (0.0, 1)
    world.clock.advance(86_400)
    assert {p.status.value for p in world.island.health().providers if p.provider == "fal"} == {"unknown"}


@given(st.integers(0, 2**32), st.lists(st.tuples(st.sampled_from(THREE), st.booleans(), st.floats(0, 90))))
def test_the_same_history_gives_the_same_order(seed: int, history: list[tuple[str, bool, float]]) -> None:
    """Deterministic in what was reported, the question and the time, jitter of the breakers included."""
    orders = []
    for _ in range(2):
        world = World(seed=seed)
        for provider, good, gap in history:
            world.clock.advance(gap)
            if good:
                world.report(provider, seconds=gap)
            else:
                world.fail(provider)
        orders.append((world.rank(), list(world.events)))
    assert orders[0] == orders[1]


def test_a_remembered_order_is_the_decided_one(world: World) -> None:
    """Hit and miss agree, and a report, a breaker or a second of time makes it decide again."""
    for provider in THREE:
        world.report(provider, seconds=5.0)
    costs = dict.fromkeys(THREE, 40_000)
    first = world.island.rank(MODEL, THREE, costs=costs)
    assert world.island.rank(MODEL, THREE, costs=costs) is first, "remembered"
    costs["byteplus"] = 9_000_000
    assert world.island.rank(MODEL, THREE, costs=costs)[-1] == "byteplus", "the caller's dict is not ours"
    world.fail("fal", times=2)
    assert world.island.rank(MODEL, THREE, costs=dict.fromkeys(THREE, 40_000))[-1] == "fal"


def test_the_policy_refuses_nonsense() -> None:
    for wrong in ({"fast": 0}, {"slow": -1}, {"band": float("nan")}, {"panic": "half"}, {"models_most": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Policy(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two memories"):  # a store could not keep their sums apart
        Policy(fast=86_400.0, slow=86_400.0)
    with pytest.raises(ValueError, match="rate"):
        Policy(breaker=BreakerRules(rate=0.0))


def test_a_discarded_result_is_still_a_delivery(world: World) -> None:
    """It came too late to be used: its seconds tell that, the provider did deliver."""
    world.report("byteplus", Outcome.DISCARDED, seconds=300.0, times=5)
    [line] = world.island.explain(MODEL, ("byteplus",))
    assert line.success is not None
    assert line.success > 0.95
    assert line.seconds is not None
    assert line.seconds > 200


def test_a_cost_that_nobody_knows_is_not_shown_as_nothing(world: World) -> None:
    world.report("fal")
    assert {line.cost for line in world.island.explain(MODEL, THREE)} == {None}
    [told, *_] = world.island.explain(MODEL, ("fal",), costs={"fal": 0})
    assert told.cost == 0
