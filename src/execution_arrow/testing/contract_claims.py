"""The part of a job store's contract about who owns a row, until when, and who is told."""

from __future__ import annotations

from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any

from execution_arrow.stores.base import (
    ANYTHING,
    Append,
    Beat,
    Beaten,
    Claim,
    Claimed,
    Committed,
    Disown,
    Done,
    Fenced,
    Hint,
    JobStore,
    Release,
)
from execution_arrow.testing.steps import (
    NOW,
    ManualClock,
    claimed_by,
    commit_of,
    created_by,
    fact,
    loaded,
    one,
    owned,
)


class ClaimPromises:
    """See `JobStoreContract`."""

    def test_a_claim_takes_what_is_due_and_free(self, store: JobStore, clock: ManualClock) -> None:
        store.apply(
            [created_by("gen_1"), created_by("gen_2", next_at=NOW + 60), created_by("gen_3", next_at=None)]
        )
        (row,) = claimed_by(store, clock, "w1", NOW)
        assert (row.id, row.owner, row.epoch) == ("gen_1", "w1", 1)
        assert claimed_by(store, clock, "w2", NOW) == ()
        store.apply([Beat(owner="w1", seconds=100)])
        assert [found.id for found in claimed_by(store, clock, "w2", NOW + 60)] == ["gen_2"]

    def test_a_named_claim_need_not_be_due(self, store: JobStore, clock: ManualClock) -> None:
        store.apply([created_by("gen_1", next_at=NOW + 60), created_by("gen_2")])
        assert [row.id for row in claimed_by(store, clock, "w1", NOW, ids=["gen_1"])] == ["gen_1"]
        assert claimed_by(store, clock, "w2", NOW, ids=["gen_1"]) == ()
        assert claimed_by(store, clock, "w2", NOW, ids=["nobody"]) == ()

    def test_a_claim_respects_its_limit(self, store: JobStore, clock: ManualClock) -> None:
        store.apply([created_by(f"gen_{number}") for number in range(5)])
        assert len(claimed_by(store, clock, "w1", NOW, limit=3)) == 3
        assert len(claimed_by(store, clock, "w2", NOW, limit=3)) == 2

    def test_a_dead_owner_loses_its_rows_under_a_new_epoch(self, store: JobStore, clock: ManualClock) -> None:
        row = owned(store)
        assert claimed_by(store, clock, "w2", NOW + 9) == ()
        (taken,) = claimed_by(store, clock, "w2", NOW + 11)
        assert (taken.owner, taken.epoch) == ("w2", row.epoch + 1)
        one(store, commit_of(row), Fenced)

    def test_a_dead_owners_row_is_due_whatever_its_time(self, store: JobStore, clock: ManualClock) -> None:
        owned(store, next_at=NOW + 10_000)
        assert [row.id for row in claimed_by(store, clock, "w2", NOW + 11)] == ["gen_1"]

    def test_a_released_row_is_free_at_its_time(self, store: JobStore, clock: ManualClock) -> None:
        owned(store)
        one(store, Release(owner="w1", rows=[("gen_1", NOW + 30)]), Done)
        assert claimed_by(store, clock, "w2", NOW) == ()
        assert len(claimed_by(store, clock, "w2", NOW + 30)) == 1

    def test_only_the_owner_can_release(self, store: JobStore) -> None:
        owned(store)
        one(store, Release(owner="w2", rows=[("gen_1", None)]), Done)
        assert loaded(store).owner == "w1"

    def test_an_owner_hands_back_what_it_does_not_know_of(self, store: JobStore, clock: ManualClock) -> None:
        for number in range(1, 4):
            owned(store, identity=f"gen_{number}", next_at=NOW + 60)
        owned(store, "w2", identity="gen_4")
        one(store, Release(owner="w1", rows=[("nobody", None)]), Done)
        one(store, Disown(owner="w1", keep=["gen_2"]), Done)
        assert [loaded(store, f"gen_{number}").owner for number in range(1, 5)] == [None, "w1", None, "w2"]
        assert {row.id for row in claimed_by(store, clock, "w3", NOW)} == {"gen_1", "gen_3"}

    def test_a_claim_takes_each_row_once(self, store: JobStore, clock: ManualClock) -> None:
        """A dead owner's row that is due and has a waiting fact is one row all the same."""
        owned(store)
        store.apply([created_by("gen_2"), Append(fact=fact()), Append(fact=fact(generation="gen_2"))])
        found = claimed_by(store, clock, "w2", NOW + 11)
        assert sorted((row.id, len(row.inbox)) for row in found) == [("gen_1", 1), ("gen_2", 1)]

    def test_a_waiting_fact_makes_a_row_due(self, store: JobStore, clock: ManualClock) -> None:
        row = owned(store)
        one(store, commit_of(row, next_at=None), Committed)
        one(store, Append(fact=fact()), Done)
        (found,) = claimed_by(store, clock, "w2", NOW)
        assert [item.dedup for item in found.inbox] == ["a"]

    def test_a_lease_runs_by_the_stores_clock(self, store: JobStore, clock: ManualClock) -> None:
        """No operation says what time it is, so a worker whose clock is wrong can neither steal nor keep."""
        assert one(store, Beat(owner="w1", seconds=10), Beaten).now == NOW
        owned(store)
        assert loaded(store).owner_until == NOW + 10
        clock.now = NOW + 9
        assert one(store, Beat(owner="w1", seconds=10), Beaten).now == NOW + 9
        assert claimed_by(store, clock, "w2", NOW + 18) == ()
        assert len(claimed_by(store, clock, "w2", NOW + 19)) == 1

    def test_a_claim_that_takes_something_extends_the_lease_and_one_that_does_not_writes_nothing(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        store.apply([created_by("gen_1"), created_by("gen_2", next_at=NOW + 12)])
        assert len(claimed_by(store, clock, "w1", NOW)) == 1
        assert claimed_by(store, clock, "w1", NOW + 9) == ()
        assert loaded(store).owner_until == NOW + 10
        assert len(claimed_by(store, clock, "w2", NOW + 11)) == 1

    def test_a_clock_that_is_set_back_keeps_no_dead_owner_alive(
        self, store: JobStore, clock: ManualClock
    ) -> None:
        """Whoever lives renews in time; the rows of whoever died are not locked away for hours."""
        owned(store)
        owned(store, "w2", identity="gen_2")
        back = NOW - 7200
        assert claimed_by(store, clock, "w3", back) == ()
        assert claimed_by(store, clock, "w3", back + 9) == ()
        clock.now = back + 5
        one(store, Beat(owner="w2", seconds=10), Beaten)
        assert [row.id for row in claimed_by(store, clock, "w3", back + 11)] == ["gen_1"]

    def test_a_lease_that_is_given_back_protects_nothing(self, store: JobStore, clock: ManualClock) -> None:
        owned(store)
        one(store, Beat(owner="w1", seconds=0), Beaten)
        assert len(claimed_by(store, clock, "w2", NOW)) == 1

    def test_a_claim_says_when_there_may_be_more(self, store: JobStore, clock: ManualClock) -> None:
        def later(owner: str = "w1", **more: Any) -> float | None:
            return one(store, Claim(owner=owner, seconds=10, **more), Claimed).next_at

        assert later() is None
        store.apply([created_by("gen_1", next_at=NOW + 60), created_by("gen_2", next_at=NOW + 30)])
        assert later() == NOW + 30
        owned(store, "w2", identity="gen_3")
        assert later() == NOW + 10  # the end of somebody else's lease
        assert later("w2") == NOW + 30  # one's own is no reason to look
        assert later(ids=["gen_1"]) is None

    def test_what_others_may_wait_for_is_hinted(self, store: JobStore) -> None:
        heard: SimpleQueue[Sequence[Hint]] = SimpleQueue()
        end = store.watch(heard.put)
        row = owned(store)
        store.apply([created_by("gen_2"), Append(fact=fact())])
        one(store, commit_of(row, status="succeeded"), Committed)
        assert loaded(store).version == row.version + 1  # else there is nothing to be heard of
        missing = {Hint("free", "gen_2"), Hint("fact", "gen_1"), Hint("end", "gen_1")}
        while missing:
            hints = heard.get(timeout=10)
            missing = set() if ANYTHING in hints else missing - set(hints)
        end()
        end()
