"""The part of a job store's contract about endpoints and deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

from execution_arrow.machine.state import Event
from execution_arrow.stores.base import Committed, Done, Fenced, Hint, JobStore
from execution_arrow.stores.outgoing import (
    Delivery,
    Endpoint,
    KeepEndpoint,
    Posted,
    Publish,
    Replay,
    Report,
    Reported,
    TakeDeliveries,
    Taken,
)
from execution_arrow.testing.steps import NOW, ManualClock, commit_of, one, owned


def kept(store: JobStore, name: str = "we_1", **changes: Any) -> Endpoint:
    """An endpoint for everything, or as told."""
    endpoint = Endpoint(id=name, account=None, events=(), document="{}")
    one(store, KeepEndpoint(endpoint=replace(endpoint, **changes), at=NOW), Done)
    return next(found for found in store.endpoints() if found.id == name)


def told(store: JobStore, identity: str = "gen_1", *types: str, account: str = "acct") -> None:
    """A generation with these events, made in one commit."""
    row = owned(store, identity=identity, account=account)
    events = [Event(no=no, type=kind, at=NOW) for no, kind in enumerate(types or ("a",), 1)]
    one(store, commit_of(row, events=events), Committed)


def taken(
    store: JobStore, clock: ManualClock, at: float = NOW, limit: int = 10, each: int = 10, **options: Any
) -> tuple[Delivery, ...]:
    clock.now = at
    return one(store, TakeDeliveries(seconds=30, limit=limit, each=each, **options), Taken).deliveries


def named(deliveries: Sequence[Delivery]) -> list[tuple[str, str, int]]:
    return [(delivery.endpoint, delivery.subject, delivery.no) for delivery in deliveries]


def reported(delivery: Delivery, state: Any = "delivered", at: float = NOW, **changes: Any) -> Report:
    report = Report(
        endpoint=delivery.endpoint, subject=delivery.subject, no=delivery.no, claim=delivery.claim,
        state=state, at=at, next_at=at, answer=200, error="", failed=state != "delivered",
    )  # fmt: skip
    return replace(report, **changes)


class OutgoingPromises:
    """See `JobStoreContract`."""

    def test_an_event_comes_with_its_deliveries_to_all_who_want_it(self, store: JobStore) -> None:
        kept(store, "we_all")
        kept(store, "we_mine", account="acct")
        kept(store, "we_other", account="other")
        kept(store, "we_b", events=("b", "c"))
        row = owned(store)
        events = [Event(no=1, type="a", at=NOW), Event(no=2, type="b", at=NOW + 1, settled=False)]
        one(store, commit_of(row, events=events, version=row.version + 1), Fenced)
        assert store.deliveries(None, None, None, 9) == []
        assert one(store, commit_of(row, events=events), Committed).posts == 5
        found = store.deliveries(None, None, None, 9)
        assert named(found) == [
            ("we_all", "gen_1", 2), ("we_b", "gen_1", 2), ("we_mine", "gen_1", 2),
            ("we_all", "gen_1", 1), ("we_mine", "gen_1", 1),
        ]  # fmt: skip
        assert found[1] == Delivery(
            endpoint="we_b", subject="gen_1", no=2, account="acct", type="b", at=NOW + 1, settled=False,
            next_at=NOW + 1,
        )  # fmt: skip
        assert named(store.deliveries("we_all", "waiting", "gen_1", 1)) == [("we_all", "gen_1", 2)]
        assert store.deliveries(None, "dead", None, 9) == store.deliveries(None, None, "gen_2", 9) == []

    def test_an_endpoint_is_changed_from_the_version_that_was_read(self, store: JobStore) -> None:
        endpoint = kept(store, account="acct", events=("a", "b"), document='{"url":"x"}')
        assert (endpoint.version, endpoint.account, endpoint.events) == (1, "acct", ("a", "b"))
        assert endpoint.document == '{"url":"x"}'
        one(store, KeepEndpoint(endpoint=replace(endpoint, version=0), at=NOW), Fenced)
        one(store, KeepEndpoint(endpoint=replace(endpoint, document="{}"), at=NOW), Done)
        one(store, KeepEndpoint(endpoint=endpoint, at=NOW), Fenced)
        one(store, KeepEndpoint(endpoint=endpoint, at=NOW, remove=True), Fenced)
        (changed,) = store.endpoints()
        assert changed == replace(endpoint, document="{}", version=2)
        told(store, "gen_1", "a")
        one(store, KeepEndpoint(endpoint=changed, at=NOW, remove=True), Done)
        assert (store.endpoints(), store.deliveries(None, None, None, 9)) == ([], [])

    def test_a_delivery_is_taken_by_one_until_its_time_is_over(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        kept(store)
        told(store)
        (first,) = taken(store, clock)
        assert (first.claim, first.next_at, first.state) == (1, NOW + 30, "waiting")
        assert taken(store, clock, NOW + 29) == ()
        (again,) = taken(store, clock, NOW + 30)
        assert again == replace(first, claim=2, next_at=NOW + 60)
        one(store, reported(first), Fenced)
        one(store, reported(again), Reported)
        assert taken(store, clock, NOW + 99) == ()

    def test_of_one_subject_only_the_first_that_waits_is_given_out(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        kept(store)
        told(store, "gen_1", "a", "b")
        told(store, "gen_2", "a")
        head, other = taken(store, clock)
        assert named([head, other]) == [("we_1", "gen_1", 1), ("we_1", "gen_2", 1)]
        assert one(store, TakeDeliveries(seconds=30, limit=9, each=9), Taken).next_at == NOW + 30
        later = reported(head, "waiting", next_at=NOW + 40, answer=500, error="no")
        one(store, later, Reported)
        one(store, reported(other), Reported)
        assert taken(store, clock, NOW + 39) == ()
        (head,) = taken(store, clock, NOW + 40)
        assert (head.no, head.tries, head.answer, head.error) == (1, 1, 500, "no")
        one(store, reported(head, "dead", at=NOW + 41), Reported)
        assert named(taken(store, clock, NOW + 41)) == [("we_1", "gen_1", 2)]

    def test_nobody_gets_more_than_its_room_and_everybody_has_a_turn(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        for name in ("we_1", "we_2", "we_3"):
            kept(store, name)
        for number in range(4):
            told(store, f"gen_{number}")
        found = taken(store, clock, each=2, busy={"we_1": 1, "we_3": 2})
        assert [delivery.endpoint for delivery in found] == ["we_1", "we_2", "we_2"]
        found = taken(store, clock, each=2, limit=3, after="we_1")
        assert [delivery.endpoint for delivery in found] == ["we_2", "we_2", "we_3"]
        found = taken(store, clock, each=2, limit=3, after="we_3")
        assert [delivery.endpoint for delivery in found] == ["we_1", "we_1", "we_3"]

    def test_failures_in_a_row_are_counted_and_a_success_ends_the_row(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        kept(store)
        for number in range(4):
            told(store, f"gen_{number}")
        first, second, third, fourth = taken(store, clock)
        one(store, reported(first, "dead", at=NOW + 1), Reported)
        answer = one(store, reported(second, "waiting", at=NOW + 2), Reported)
        assert answer.endpoint is not None
        assert (answer.endpoint.failures, answer.endpoint.failing_since) == (2, NOW + 1)
        not_its_fault = reported(third, "waiting", next_at=NOW + 9e6, failed=None)
        one(store, not_its_fault, Reported)
        assert (store.endpoints()[0].failures, store.endpoints()[0].failing_since) == (2, NOW + 1)
        one(store, reported(fourth), Reported)
        assert (store.endpoints()[0].failures, store.endpoints()[0].failing_since) == (0, None)
        told(store, "gen_9")
        (last,) = taken(store, clock)
        one(store, reported(last, "waiting"), Reported)
        one(store, KeepEndpoint(endpoint=store.endpoints()[0], at=NOW), Done)
        assert store.endpoints()[0].failures == 0

    def test_what_waits_for_a_disabled_endpoint_is_dead(self, store: JobStore, clock: ManualClock) -> None:
        endpoint = kept(store)
        told(store)
        (under_way,) = taken(store, clock)
        one(store, KeepEndpoint(endpoint=replace(endpoint, disabled=True), at=NOW + 5), Done)
        told(store, "gen_2", "a", "b")
        dead = store.deliveries("we_1", "dead", None, 9)
        assert [(d.subject, d.no, d.ended_at) for d in dead] == [
            ("gen_1", 1, NOW + 5), ("gen_2", 1, NOW), ("gen_2", 2, NOW),
        ]  # fmt: skip
        one(store, reported(under_way, "waiting"), Reported)
        assert taken(store, clock, NOW + 99) == ()
        assert one(store, Replay(endpoint="we_1", at=NOW), Posted).count == 0
        one(store, reported(under_way), Reported)  # it had arrived all the same
        assert named(store.deliveries("we_1", "delivered", None, 9)) == [("we_1", "gen_1", 1)]

    def test_what_is_dead_can_be_replayed_and_what_was_delivered_by_its_name(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        kept(store)
        kept(store, "we_2")
        for number in range(1, 4):
            told(store, f"gen_{number}")
        for delivery in taken(store, clock):
            one(store, reported(delivery, "delivered" if delivery.subject == "gen_3" else "dead"), Reported)
        assert one(store, Replay(endpoint="we_1", at=NOW + 7, subject="gen_1"), Posted).count == 1
        assert one(store, Replay(endpoint="we_1", at=NOW + 7), Posted).count == 1
        assert one(store, Replay(endpoint="we_1", at=NOW + 7, subject="gen_3", no=1), Posted).count == 1
        assert taken(store, clock, NOW + 6) == ()
        again = taken(store, clock, NOW + 7)
        assert named(again) == [("we_1", f"gen_{number}", 1) for number in range(1, 4)]
        assert {(d.replays, d.tries, d.claim, d.ended_at) for d in again} == {(1, 0, 2, None)}

    def test_a_replay_takes_so_many_at_a_time_those_that_died_first(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        kept(store)
        for number in range(1, 6):
            told(store, f"gen_{number}")
        for delivery in taken(store, clock, each=9):
            died = NOW + int(delivery.subject[-1]) * (-1 if delivery.subject == "gen_4" else 1)
            one(store, reported(delivery, "dead", at=died), Reported)
        replay = Replay(endpoint="we_1", at=NOW + 7, most=2)
        assert one(store, replay, Posted).count == 2
        assert {d.subject for d in taken(store, clock, NOW + 7, each=9)} == {"gen_4", "gen_1"}
        assert [one(store, replay, Posted).count for _ in range(3)] == [2, 1, 0]

    def test_what_has_ended_is_forgotten_after_its_time(self, store: JobStore, clock: ManualClock) -> None:
        kept(store)
        for number in range(3):
            told(store, f"gen_{number}")
        for delivery, state in zip(taken(store, clock), ("dead", "delivered", "waiting"), strict=True):
            one(store, reported(delivery, state, next_at=NOW + 9e6), Reported)
        assert taken(store, clock, NOW + 100, keep=100.0) == ()
        assert len(store.deliveries(None, None, None, 9)) == 3
        assert taken(store, clock, NOW + 101, keep=100.0) == ()
        assert named(store.deliveries(None, None, None, 9)) == [("we_1", "gen_2", 1)]

    def test_what_ends_in_crowds_is_forgotten_as_fast(self, store: JobStore, clock: ManualClock) -> None:
        kept(store)
        store.apply(
            [Publish(account="acct", subject=f"s{n}", type="x", at=NOW, body="{}") for n in range(150)]
        )
        kept(store, version=1, disabled=True)
        clock.now = NOW + 1000
        take = TakeDeliveries(seconds=30, limit=9, each=9, keep=10.0)
        first, second = (one(store, take, Taken) for _ in range(2))
        assert (first.next_at, second.next_at) == (first.now, None)
        assert store.deliveries(None, None, None, 999) == []

    def test_an_event_of_its_own_is_published_once(self, store: JobStore, clock: ManualClock) -> None:
        kept(store, "we_1", events=("x",))
        kept(store, "we_2", events=("y",))
        publish = Publish(account="acct", subject="s", type="x", at=NOW, body='{"b":1}')
        assert [one(store, publish, Posted).count for _ in range(2)] == [1, 0]
        assert one(store, replace(publish, subject="t", endpoint="we_2"), Posted).count == 1
        found = taken(store, clock)
        assert [(d.endpoint, d.subject, d.body, d.no) for d in found] == [
            ("we_1", "s", '{"b":1}', 1), ("we_2", "t", '{"b":1}', 1),
        ]  # fmt: skip

    def test_a_delivery_that_may_be_taken_is_hinted_at(self, store: JobStore) -> None:
        heard: SimpleQueue[Sequence[Hint]] = SimpleQueue()
        end = store.watch(heard.put)
        try:
            kept(store)
            told(store)
            assert store.deliveries("we_1", "waiting", None, 9)  # else there is nothing to be heard of
            while all(hint.kind not in ("post", "any") for hint in heard.get(timeout=10)):
                pass
        finally:
            end()
