"""Bugs that users of other routers and breakers reported, each as a test that it cannot happen here."""

from __future__ import annotations

import pytest

from adaptive_island import Attempt, BreakerRules, Fault, Island, Outcome, Policy
from adaptive_island.events import BreakerChanged
from adaptive_island.order import Source
from adaptive_island.testing import FakeClock
from tests.adaptive_island.kit import MODEL, THREE, World


def test_failures_of_fallback_attempts_count_too(world: World) -> None:
    """LiteLLM #32574: failures were de-duplicated per request, a failing fallback was never cooled down."""
    for _ in range(4):
        for provider in ("byteplus", "replicate"):
            world.clock.advance(1)
            world.island.attempt(MODEL, provider).fail()
    opened = {event.provider for event in world.events if isinstance(event, BreakerChanged)}
    assert opened == {"byteplus", "replicate"}


def test_a_trickle_of_failures_opens_without_a_minimum_per_minute(world: World) -> None:
    """LiteLLM #34836: 25 errors in a row kept a deployment in rotation, fewer than 5 fell in one minute."""
    world.report("byteplus")
    for _ in range(4):
        world.fail("fal", after=300.0)
    assert world.states() == ["open"]


def test_cooling_down_again_keeps_the_later_moment(world: World) -> None:
    """LiteLLM #40130: a second cooldown kept the first, shorter deadline."""
    world.report("byteplus", times=3)
    running = world.island.attempt(MODEL, "fal")
    world.fail("fal", retry_after=10.0)
    running.fail(retry_after=120.0)
    world.clock.advance(119)
    assert world.island.attempt(MODEL, "fal").skip


@pytest.mark.parametrize("allowed", [THREE, THREE[:1]])
def test_when_all_are_open_there_is_still_an_order(world: World, allowed: tuple[str, ...]) -> None:
    """LiteLLM #3646, OrcaRouter-Lite #121: all cooling down raised an error instead of a last resort."""
    for provider in allowed:
        world.report(provider, times=3)
        world.fail(provider, times=4)
    assert sorted(world.rank(allowed)) == sorted(allowed)
    assert not world.island.attempt(MODEL, allowed[0]).skip


def test_the_state_can_be_seen(world: World) -> None:
    """LiteLLM #25504, Portkey gateway #1289: no way to see a breaker."""
    world.report("byteplus")
    world.fail("fal", times=4)
    assert {line.provider: line.breaker for line in world.island.explain(MODEL, THREE)}["fal"] == "open"
    assert world.island.health().open_breakers == 1
    assert world.states() == ["open"]


def test_one_order_never_disturbs_another(world: World) -> None:
    """LiteLLM #39970: cost-based and latency-based routing shared a cache entry (division by zero)."""
    costs = {"byteplus": 0, "replicate": 0, "fal": 0}
    for provider in THREE:
        world.report(provider, seconds=0.0, cost=0)
    for order in ("cheapest", "fastest", "balanced", "cheapest", "reliable"):
        assert sorted(world.rank(order=order, costs=costs)) == sorted(THREE)
    assert world.island.rank(MODEL, THREE, order="cheapest", costs=costs).source is Source.LEARNED


def test_thresholds_are_the_operators(world: World) -> None:
    """LiteLLM #31876, #34416: thresholds could not be set."""
    strict = World(Policy(breaker=BreakerRules(consecutive=1, open_seconds=5.0, jitter=0.0)))
    strict.report("byteplus")
    strict.fail("fal")
    assert strict.island.attempt(MODEL, "fal").retry_after == 5.0


def test_half_open_lets_one_through_however_many_ask(world: World) -> None:
    """future-agi #2693, opossum #119, Truxify #11683: unlimited traffic while half open."""
    world.report("byteplus", times=3)
    world.fail("fal", times=4)
    world.clock.advance(40)
    assert sum(not world.island.attempt(MODEL, "fal").skip for _ in range(100)) == 1


@pytest.mark.parametrize("ending", ["caller", "cancel", "nothing"])
def test_a_probe_without_verdict_does_not_hold_the_place_for_ever(world: World, ending: str) -> None:
    """opossum #276, nora #585: a 4xx on the probe never released the slot."""
    world.report("byteplus", times=3)
    world.fail("fal", times=4)
    world.clock.advance(40)
    probe = world.island.attempt(MODEL, "fal")
    if ending == "caller":
        probe.fail(Fault.CALLER)
    elif ending == "cancel":
        probe.cancel()
    else:
        world.clock.advance(world.island.policy.breaker.probe_lease)
    assert not world.island.attempt(MODEL, "fal").skip


def test_a_failure_while_half_open_is_not_forgotten(world: World) -> None:
    """agentic_security #328: the failed probe left the breaker half open."""
    world.report("byteplus", times=3)
    world.fail("fal", times=4)
    world.clock.advance(40)
    probe = world.island.attempt(MODEL, "fal")
    world.clock.advance(2)
    probe.fail()
    ticket = world.island.attempt(MODEL, "fal")
    assert ticket.skip
    assert ticket.retry_after is not None
    assert ticket.retry_after >= 60


def test_time_alone_brings_a_provider_back_to_its_probe(world: World) -> None:
    """zentinel #261, deltallm #247: a second, persistent flag kept the provider out for good."""
    world.report("byteplus", times=3)
    world.fail("fal", times=4)
    assert world.island.attempt(MODEL, "fal").skip
    world.clock.advance(40)
    with world.island.attempt(MODEL, "fal") as ticket:
        assert not ticket.skip
        world.clock.advance(1)
        ticket.succeed()
    assert not world.island.attempt(MODEL, "fal").skip
    assert "fal" not in world.island.rank(MODEL, THREE).reason


def test_calls_longer_than_the_window_are_counted(world: World) -> None:
    """go-zero #5011: counted at the start, long calls left the window before they ended."""
    world.report("byteplus")
    tickets = [world.island.attempt(MODEL, "fal") for _ in range(4)]
    assert world.island.health().in_flight == 4
    world.clock.advance(2 * world.island.policy.breaker.window_seconds)
    for ticket in tickets:
        ticket.fail()
    assert world.states() == ["open"]


def test_credit_exhausted_takes_the_account_out_not_the_model(world: World) -> None:
    """claude-code #82991: 402 must lead to another provider, at the account's scope."""
    world.island.attempt(MODEL, "fal", account="team").fail(Fault.ACCOUNT)
    assert world.island.rank("other/model", ("fal", "byteplus"), account="team") == ("byteplus", "fal")
    assert world.island.rank("other/model", ("fal", "byteplus"), account="") == ("fal", "byteplus")


def test_one_lucky_attempt_does_not_beat_a_long_record(world: World) -> None:
    """Success rate without a prior: 1 of 1 beat 985 of 1000 and took all traffic for a day."""
    for n in range(200):
        (world.fail if n % 66 == 65 else world.report)("byteplus", seconds=5.0, after=1.0)
    world.report("fal", seconds=5.0)
    means = {line.provider: line.mean for line in world.island.explain(MODEL, ("byteplus", "fal"))}
    assert means["byteplus"] is not None
    assert means["fal"] is not None
    assert means["fal"] - means["byteplus"] < world.island.policy.band


def test_nobody_is_dropped_for_lack_of_attempts(world: World) -> None:
    """Providers outside the window were dropped from failover: a list of one is no failover."""
    world.report("fal", times=100)
    assert sorted(world.rank()) == sorted(THREE)


def test_fast_failures_are_not_speed(world: World) -> None:
    """Latency percentiles that include failures make a provider that fails at once look fast."""
    for _ in range(30):
        world.report("byteplus", seconds=6.0)
        world.fail("fal", seconds=0.1)
        world.report("fal", seconds=12.0)
    [fal] = world.island.explain(MODEL, ("fal",))
    assert fal.seconds == pytest.approx(12.0, rel=0.15)
    assert world.rank(("byteplus", "fal"))[0] == "byteplus"


def test_the_same_verdict_from_two_processes_counts_once() -> None:
    """A webhook and a poll both saying so is normal."""
    island = Island.open("memory:", clock=FakeClock())
    report = Attempt(id="gen_1/1", model=MODEL, provider="fal", outcome=Outcome.FAILED, seconds=4.0)
    for _ in range(10):
        island.record(report)
    [fal] = island.health().providers
    assert fal.attempts == pytest.approx(1.0)
    assert fal.status.value == "degraded"
    assert island.health().open_breakers == 0
