"""Never executed: what type checkers must make of the public API."""

from typing import assert_type

from adaptive_island import (
    Attempt,
    Explanation,
    Fault,
    Health,
    Island,
    IslandError,
    Order,
    Outcome,
    Policy,
    Ticket,
)


def rank(island: Island) -> Order:
    order = island.rank(
        "bytedance/seedream-4.5",
        ("byteplus", "replicate", "fal"),
        order="fastest",
        region="eu",
        costs={"byteplus": 40_000, "replicate": 40_000, "fal": 40_000},
        work="1080p",
        sticky="user-7",
    )
    assert_type(order, Order)
    assert_type(order.model, str)
    assert_type(order.dropped, tuple[str, ...])
    for provider in order:
        assert_type(provider, str)
    assert_type(island.rank("m/n", ["fal"], order=("fal", "replicate")), Order)
    assert_type(island.explain("m/n", ("fal",)), tuple[Explanation, ...])
    return order


def attempt(order: Order) -> None:
    with Island.open("memory:", policy=Policy()) as island:
        assert_type(island, Island)
        for provider in order:
            with island.attempt(order.model, provider, region="eu") as ticket:
                assert_type(ticket, Ticket)
                assert_type(ticket.skip, bool)
                assert_type(ticket.id, str)
                ticket.fail(Fault.ACCOUNT, retry_after=2.5)
                ticket.succeed(cost=40_000)
                ticket.unknown()
        assert_type(island.health(), Health)
        island.isolate("fal")
        island.restore("fal")


def record(island: Island) -> IslandError | None:
    try:
        island.record(Attempt(id="a", model="m/n", provider="fal", outcome=Outcome.USED, seconds=3.5))
    except IslandError as error:
        return error
    return None
