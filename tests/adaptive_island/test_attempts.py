"""Tickets and reports: what counts, what waits, what is censored, and what is counted only once."""

from __future__ import annotations

import asyncio
import math

import pytest

from adaptive_island import Attempt, Fault, Outcome
from tests.adaptive_island.kit import MODEL, THREE, World


def counted(world: World, provider: str = "fal") -> tuple[float, float]:
    """Effective attempts and successes of a provider, as health shows them."""
    for line in world.island.health().providers:
        if line.provider == provider:
            return round(line.attempts, 6), round(line.successes, 6)
    return 0.0, 0.0


def test_a_ticket_tells_once(world: World) -> None:
    ticket = world.island.attempt(MODEL, "fal")
    world.clock.advance(3)
    ticket.succeed(cost=40_000)
    ticket.fail()
    ticket.unknown()
    assert counted(world) == (1.0, 1.0)
    [line] = world.island.explain(MODEL, ("fal",))
    assert line.cost == 40_000
    assert line.seconds == pytest.approx(3.0, rel=0.2)


def test_the_first_verdict_of_an_id_stands(world: World) -> None:
    name = world.report("fal", Outcome.FAILED, id="a1")
    world.report("fal", Outcome.USED, id=name, times=3)
    assert counted(world) == (1.0, 0.0)
    assert world.island.health().counts["duplicates"] == 3


def test_a_long_job_is_settled_later_by_id(world: World) -> None:
    with world.island.attempt(MODEL, "fal") as ticket:
        pass
    assert world.island.health().in_flight == 1
    world.clock.advance(120)
    world.report("fal", id=ticket.id, seconds=120.0)
    assert world.island.health().in_flight == 0
    assert counted(world) == (1.0, 1.0)


def test_pending_is_no_verdict(world: World) -> None:
    world.report("fal", Outcome.PENDING, id="a1")
    assert counted(world) == (0.0, 0.0)
    world.report("fal", id="a1")
    assert counted(world) == (1.0, 1.0)


def test_unknown_is_a_gauge_until_the_verdict(world: World) -> None:
    """It weighs while it lasts, is no verdict, and makes way for one."""
    for provider in THREE:
        world.report(provider, seconds=5.0, times=20)
    for n in range(3):
        world.report("byteplus", Outcome.UNKNOWN, id=f"u{n}")
    [line] = [p for p in world.island.health().providers if p.provider == "byteplus"]
    assert (line.unknown, round(line.attempts, 6)) == (3, 20.0)
    assert world.rank(order="reliable")[-1] == "byteplus"
    for n in range(3):
        world.report("byteplus", id=f"u{n}", seconds=5.0)
    assert world.rank(order="reliable")[0] == "byteplus"


def test_unknowns_open_the_breaker_but_their_verdict_does_not_count_twice(world: World) -> None:
    """A provider that swallows submissions is unavailable, whatever becomes of them."""
    for n in range(3):
        world.report("fal", Outcome.UNKNOWN, id=f"u{n}", seconds=0.0)
        world.report("fal", Outcome.FAILED, id=f"u{n}", seconds=0.0)
    assert world.states() == []
    world.report("fal", Outcome.UNKNOWN, id="u3", seconds=0.0)
    assert world.states() == ["open"]


def test_a_users_cancel_is_censored(world: World) -> None:
    world.report("fal", Outcome.CANCELED, times=10)
    assert counted(world) == (0.0, 0.0)
    assert world.states() == []


def test_a_cancel_that_blames_the_provider_counts(world: World) -> None:
    world.report("fal", Outcome.CANCELED, fault=Fault.PROVIDER, seconds=0.0, times=4)
    assert counted(world) == (4.0, 0.0)
    assert world.states() == ["open"]


def test_the_callers_fault_never_counts(world: World) -> None:
    world.fail("fal", fault=Fault.CALLER, times=50)
    assert counted(world) == (0.0, 0.0)
    assert world.states() == []


def test_the_accounts_fault_opens_the_account_for_all_models(world: World) -> None:
    """A key without credit fails everywhere; other accounts and the provider's record are untouched."""
    world.fail("fal", fault=Fault.ACCOUNT, account="key_a")
    assert world.island.attempt("another/model", "fal", account="key_a").skip
    assert not world.island.attempt(MODEL, "fal", account="key_b").skip
    assert counted(world) == (0.0, 0.0)
    assert world.rank(account="key_a")[-1] == "fal"
    assert world.rank(account="key_b") == THREE


def test_leaving_with_an_exception_is_unknown(world: World) -> None:
    """Nobody knows whether the bytes left; the exception goes on."""
    with pytest.raises(TimeoutError), world.island.attempt(MODEL, "fal") as ticket:
        raise TimeoutError
    [line] = [p for p in world.island.health().providers if p.provider == "fal"]
    assert line.unknown == 1
    assert not ticket.skip


def test_leaving_with_a_cancellation_is_censored(world: World) -> None:
    with pytest.raises(asyncio.CancelledError), world.island.attempt(MODEL, "fal"):
        raise asyncio.CancelledError
    assert world.island.health().in_flight == 0
    assert counted(world) == (0.0, 0.0)


def test_an_exception_after_the_verdict_changes_nothing(world: World) -> None:
    def deliver_and_stumble() -> None:
        with world.island.attempt(MODEL, "fal") as ticket:
            ticket.succeed()
            raise KeyError

    with pytest.raises(KeyError):
        deliver_and_stumble()
    assert counted(world) == (1.0, 1.0)


def test_a_skipped_ticket_says_when_to_come_back(world: World) -> None:
    world.report("byteplus", times=3)
    world.fail("fal", times=4)
    ticket = world.island.attempt(MODEL, "fal")
    assert ticket.skip
    assert ticket.reason == "breaker open: failures"
    assert ticket.retry_after is not None
    assert 30 <= ticket.retry_after <= 33
    assert world.island.health().in_flight == 0, "nothing was submitted"


def test_only_one_caller_gets_the_probe(world: World) -> None:
    world.report("byteplus", times=3)
    world.fail("fal", times=4)
    world.clock.advance(35)
    tickets = [world.island.attempt(MODEL, "fal") for _ in range(5)]
    assert [ticket.skip for ticket in tickets] == [False, True, True, True, True]
    world.clock.advance(1)
    tickets[0].fail()
    assert world.island.attempt(MODEL, "fal").skip
    assert world.states() == ["open", "half_open", "open"]


def test_the_probe_of_an_account_is_judged_by_the_account(world: World) -> None:
    """A model that fails says nothing about the credentials: the probe goes back unjudged."""
    world.fail("fal", fault=Fault.ACCOUNT, account="key_a")
    world.clock.advance(40)
    first = world.island.attempt(MODEL, "fal", account="key_a")
    assert not first.skip
    world.clock.advance(1)
    first.fail()
    second = world.island.attempt("another/model", "fal", account="key_a")
    assert not second.skip
    world.clock.advance(1)
    second.succeed()
    assert not world.island.attempt("third/model", "fal", account="key_a").skip


def test_reports_of_the_past_teach_but_do_not_trip(world: World) -> None:
    """Feeding yesterday's log must not open today's breakers."""
    now = world.clock.now
    for n in range(30):
        world.report("fal", Outcome.FAILED, at=now - 7_200 - n)
    assert world.states() == []
    assert world.rank()[-1] == "fal" or world.rank(order="reliable")[-1] == "fal"


def test_reports_from_the_future_count_as_now(world: World) -> None:
    world.report("fal", at=world.clock.now + 1e9, times=3)
    assert counted(world) == (3.0, 3.0)


BAD = [
    None,
    "attempt",
    {"id": "a"},
    Attempt(id="", model=MODEL, provider="fal", outcome=Outcome.USED),
    Attempt(id="a", model="", provider="fal", outcome=Outcome.USED),
    Attempt(id="a", model="*", provider="fal", outcome=Outcome.USED),
    Attempt(id="a", model=MODEL, provider="f" * 600, outcome=Outcome.USED),
    Attempt(id="a", model=MODEL, provider=7, outcome=Outcome.USED),  # type: ignore[arg-type]
    Attempt(id=["a"], model=MODEL, provider="fal", outcome=Outcome.USED),  # type: ignore[arg-type]
    Attempt(id="a", model=MODEL, provider="fal", outcome="used"),  # type: ignore[arg-type]
    Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.FAILED, fault="provider"),  # type: ignore[arg-type]
    Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.USED, seconds=math.nan),
    Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.USED, seconds=math.inf),
    Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.USED, seconds=-1.0),
    Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.USED, seconds=1e9),
    Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.USED, cost=0.04),  # type: ignore[arg-type]
    Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.USED, cost=-1),
    Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.USED, at=math.nan),
    Attempt(id="a", model=MODEL, provider="fal", outcome=Outcome.FAILED, retry_after=math.nan),
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_report_without_sense_is_dropped_and_counted(world: World, bad: object) -> None:
    world.island.record(bad)  # type: ignore[arg-type]
    assert counted(world) == (0.0, 0.0)
    assert world.island.health().counts == {"record": 1}
    assert world.island.health().last_error.startswith("record: ")


def test_the_published_outcome_words_are_the_projects(world: World) -> None:
    assert [o.value for o in Outcome] == ["used", "failed", "canceled", "discarded", "pending", "unknown"]


def test_an_id_used_for_two_models_leaves_both_in_order(world: World) -> None:
    """The second announcement takes the first one's place; neither model's ranking stumbles over it."""
    world.island.attempt("m1", "fal", id="x")
    world.island.attempt("m2", "fal", id="x").succeed()
    world.rank(model="m1")
    world.rank(model="m2")
    assert world.events == []
    assert world.island.health().in_flight == 0


def test_an_id_that_has_its_verdict_is_not_in_flight_again(world: World) -> None:
    """Its next verdict will not count, so nothing may wait for it: no flight, and no probe."""
    world.island.attempt(MODEL, "byteplus", id="x").fail()
    world.island.attempt(MODEL, "fal", id="x").succeed()
    assert world.island.health().in_flight == 0
    assert world.island.health().counts == {"reused_ids": 1, "duplicates": 1}
    world.fail("fal", times=4)
    world.clock.advance(60.0)
    world.island.attempt(MODEL, "fal", id="x")
    world.island.attempt(MODEL, "fal", id="y").succeed()
    assert world.states()[-1] == "closed", "the probe was still there for somebody whose verdict counts"
