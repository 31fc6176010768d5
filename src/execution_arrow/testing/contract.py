"""The contract of a job store.

Subclass `JobStoreContract` in a pytest module and give it a `store` fixture::

    class TestMyStore(JobStoreContract):
        @pytest.fixture
        def store(self, tmp_path):
            ...

Nothing here needs pytest itself; a failing promise is an `AssertionError` that names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from execution_arrow.machine.state import Event
from execution_arrow.stores.base import (
    Append,
    Beat,
    Claim,
    Claimed,
    Commit,
    Committed,
    Create,
    Created,
    Disown,
    Done,
    Existing,
    Fenced,
    Inboxed,
    JobStore,
    JobTaken,
    Op,
    Release,
    Result,
    Row,
)

R = TypeVar("R", bound=Result)
NOW = 1_800_000_000.0


def one(store: JobStore, op: Op, kind: type[R]) -> R:
    (result,) = store.apply([op])
    assert isinstance(result, kind), f"{op!r} answered {result!r}, expected {kind.__name__}"
    return result


def created_by(identity: str = "gen_1", **changes: Any) -> Create:
    op = Create(
        id=identity, account="acct", model="lab/m", status="pending", spec="{}", state="{}", created_at=NOW,
        next_at=NOW, fingerprint="f1",
    )  # fmt: skip
    return replace(op, **changes)


def commit_of(row: Row, **changes: Any) -> Commit:
    assert row.owner is not None
    op = Commit(
        id=row.id,
        owner=row.owner,
        epoch=row.epoch,
        version=row.version,
        state='{"x":1}',
        status="processing",
        next_at=NOW + 5,
        at=NOW,
    )
    return replace(op, **changes)


def fact(text: str = "a", attempt: str = "att_1", generation: str = "gen_1") -> Inboxed:
    return Inboxed(generation=generation, attempt=attempt, dedup=text, body={"kind": text}, at=NOW)


def owned(store: JobStore, owner: str = "w1", **changes: Any) -> Row:
    """A generation that `owner`, alive until NOW + 10, has created and owns."""
    op = created_by(owner=owner, **changes)
    store.apply([Beat(owner=owner, now=NOW, until=NOW + 10), op])
    return loaded(store, op.id)


def loaded(store: JobStore, identity: str = "gen_1") -> Row:
    row = store.load(identity)
    assert row is not None, f"{identity} was created and cannot be loaded"
    return row


def claimed_by(
    store: JobStore, owner: str, now: float, ids: Sequence[str] = (), limit: int = 10
) -> tuple[Row, ...]:
    store.apply([Beat(owner=owner, now=now, until=now + 10)])
    return one(store, Claim(owner=owner, now=now, limit=limit, ids=ids), Claimed).rows


class JobStoreContract:
    """Every promise of `stores.base.JobStore`. Each test starts from an empty store."""

    def test_a_created_row_is_loaded_as_it_was_written(self, store: JobStore) -> None:
        one(store, created_by(spec='{"s":1}', state='{"t":2}', key="k"), Created)
        row = loaded(store)
        assert (row.spec, row.state, row.key, row.version, row.owner) == ('{"s":1}', '{"t":2}', "k", 1, None)
        assert store.load("nobody") is None

    def test_an_idempotency_key_belongs_to_one_generation_per_account(self, store: JobStore) -> None:
        one(store, created_by(key="k"), Created)
        again = one(store, created_by("gen_2", key="k", fingerprint="f2"), Existing)
        assert (again.id, again.fingerprint) == ("gen_1", "f1")
        assert store.load("gen_2") is None
        one(store, created_by("gen_3", key="k", account="other"), Created)
        assert store.by_key("acct", "k") == ("gen_1", "f1")
        assert store.by_key("acct", "other") is None

    def test_a_commit_moves_the_row_to_its_next_version(self, store: JobStore) -> None:
        row = owned(store)
        assert one(store, commit_of(row), Committed).version == 2
        after = loaded(store)
        assert (after.state, after.version, after.next_at, after.owner) == ('{"x":1}', 2, NOW + 5, "w1")

    def test_a_commit_under_an_old_version_epoch_or_owner_writes_nothing(self, store: JobStore) -> None:
        row = owned(store)
        stale = [
            commit_of(row, version=row.version + 1),
            commit_of(row, epoch=row.epoch - 1),
            commit_of(row, owner="w2"),
        ]
        for op in stale:
            full = replace(
                op, events=[Event(no=1, type="e", at=NOW)], heard=[fact()], jobs=[("p", "c", "j", "a")]
            )
            one(store, full, Fenced)
        assert loaded(store) == row
        assert store.events("gen_1") == []

    def test_a_commit_that_needs_nobody_hands_the_row_back(self, store: JobStore) -> None:
        row = owned(store)
        one(store, commit_of(row, next_at=None, status="succeeded"), Committed)
        after = loaded(store)
        assert (after.owner, after.next_at) == (None, None)
        assert claimed_by(store, "w2", NOW + 100) == ()

    def test_a_key_can_be_given_back(self, store: JobStore) -> None:
        row = owned(store, key="k")
        one(store, commit_of(row, free_key=True), Committed)
        assert store.by_key("acct", "k") is None
        one(store, created_by("gen_2", key="k"), Created)

    def test_a_job_belongs_to_one_attempt(self, store: JobStore) -> None:
        row = owned(store)
        one(store, commit_of(row, jobs=[("fal", "c", "j1", "att_1")]), Committed)
        row = loaded(store)
        taken = one(store, commit_of(row, jobs=[("fal", "c", "j1", "att_2")]), JobTaken)
        assert taken.attempt == "att_1"
        assert loaded(store) == row
        one(store, commit_of(row, jobs=[("fal", "c", "j1", "att_1"), ("fal", "d", "j1", "att_3")]), Committed)

    def test_events_come_with_their_change_in_order(self, store: JobStore) -> None:
        row = owned(store)
        events = [Event(no=1, type="a", at=NOW), Event(no=2, type="b", at=NOW, settled=False)]
        one(store, commit_of(row, events=events), Committed)
        assert store.events("gen_1") == events

    def test_facts_need_no_lease_and_are_kept_once(self, store: JobStore) -> None:
        owned(store)
        assert one(store, Append(fact=fact()), Done).new
        assert not one(store, Append(fact=fact()), Done).new
        assert one(store, Append(fact=fact(attempt="att_2")), Done).new
        inbox = loaded(store).inbox
        assert [(item.dedup, item.attempt, dict(item.body)) for item in inbox] == [
            ("a", "att_1", {"kind": "a"}),
            ("a", "att_2", {"kind": "a"}),
        ]
        assert [item.seq for item in store.inbox("w1")] == [item.seq for item in inbox]
        assert store.inbox("w2") == []

    def test_a_folded_fact_leaves_the_inbox_with_its_change(self, store: JobStore) -> None:
        row = owned(store)
        store.apply([Append(fact=fact("a")), Append(fact=fact("b"))])
        first, second = loaded(store).inbox
        one(store, commit_of(row, folded=[first.seq]), Committed)
        assert [item.seq for item in loaded(store).inbox] == [second.seq]
        one(store, commit_of(loaded(store), heard=[fact("b")]), Committed)
        assert loaded(store).inbox == ()
        assert not one(store, Append(fact=fact("b")), Done).new  # a late repeat does not come back
        assert loaded(store).inbox == ()

    def test_a_claim_takes_what_is_due_and_free(self, store: JobStore) -> None:
        store.apply(
            [created_by("gen_1"), created_by("gen_2", next_at=NOW + 60), created_by("gen_3", next_at=None)]
        )
        (row,) = claimed_by(store, "w1", NOW)
        assert (row.id, row.owner, row.epoch) == ("gen_1", "w1", 1)
        assert claimed_by(store, "w2", NOW) == ()
        store.apply([Beat(owner="w1", now=NOW, until=NOW + 100)])
        assert [found.id for found in claimed_by(store, "w2", NOW + 60)] == ["gen_2"]

    def test_a_named_claim_need_not_be_due(self, store: JobStore) -> None:
        store.apply([created_by("gen_1", next_at=NOW + 60), created_by("gen_2")])
        assert [row.id for row in claimed_by(store, "w1", NOW, ids=["gen_1"])] == ["gen_1"]
        assert claimed_by(store, "w2", NOW, ids=["gen_1"]) == ()
        assert claimed_by(store, "w2", NOW, ids=["nobody"]) == ()

    def test_a_claim_respects_its_limit(self, store: JobStore) -> None:
        store.apply([created_by(f"gen_{number}") for number in range(5)])
        assert len(claimed_by(store, "w1", NOW, limit=3)) == 3
        assert len(claimed_by(store, "w2", NOW, limit=3)) == 2

    def test_a_dead_owner_loses_its_rows_under_a_new_epoch(self, store: JobStore) -> None:
        row = owned(store)
        assert claimed_by(store, "w2", NOW + 9) == ()
        (taken,) = claimed_by(store, "w2", NOW + 11)
        assert (taken.owner, taken.epoch) == ("w2", row.epoch + 1)
        one(store, commit_of(row), Fenced)

    def test_a_dead_owners_row_is_due_whatever_its_time(self, store: JobStore) -> None:
        owned(store, next_at=NOW + 10_000)
        assert [row.id for row in claimed_by(store, "w2", NOW + 11)] == ["gen_1"]

    def test_a_released_row_is_free_at_its_time(self, store: JobStore) -> None:
        owned(store)
        one(store, Release(owner="w1", rows=[("gen_1", NOW + 30)]), Done)
        assert claimed_by(store, "w2", NOW) == ()
        assert len(claimed_by(store, "w2", NOW + 30)) == 1

    def test_only_the_owner_can_release(self, store: JobStore) -> None:
        owned(store)
        one(store, Release(owner="w2", rows=[("gen_1", None)]), Done)
        assert loaded(store).owner == "w1"

    def test_an_owner_hands_back_what_it_does_not_know_of(self, store: JobStore) -> None:
        for number in range(1, 4):
            owned(store, identity=f"gen_{number}", next_at=NOW + 60)
        owned(store, "w2", identity="gen_4")
        one(store, Release(owner="w1", rows=[("nobody", None)]), Done)
        one(store, Disown(owner="w1", keep=["gen_2"], now=NOW), Done)
        assert [loaded(store, f"gen_{number}").owner for number in range(1, 5)] == [None, "w1", None, "w2"]
        assert {row.id for row in claimed_by(store, "w3", NOW)} == {"gen_1", "gen_3"}

    def test_a_claim_takes_each_row_once(self, store: JobStore) -> None:
        """A dead owner's row that is due and has a waiting fact is one row all the same."""
        owned(store)
        store.apply([created_by("gen_2"), Append(fact=fact()), Append(fact=fact(generation="gen_2"))])
        found = claimed_by(store, "w2", NOW + 11)
        assert sorted((row.id, len(row.inbox)) for row in found) == [("gen_1", 1), ("gen_2", 1)]

    def test_a_waiting_fact_makes_a_row_due(self, store: JobStore) -> None:
        row = owned(store)
        one(store, commit_of(row, next_at=None), Committed)
        one(store, Append(fact=fact()), Done)
        (found,) = claimed_by(store, "w2", NOW)
        assert [item.dedup for item in found.inbox] == ["a"]

    def test_pages_are_newest_first_and_filtered(self, store: JobStore) -> None:
        store.apply([created_by(f"gen_{number}", account="a" if number % 2 else "b") for number in range(6)])
        assert [row.id for row in store.page(None, None, None, 3)] == ["gen_5", "gen_4", "gen_3"]
        assert [row.id for row in store.page(None, None, "gen_3", 2)] == ["gen_2", "gen_1"]
        assert [row.id for row in store.page("a", None, None, 9)] == ["gen_5", "gen_3", "gen_1"]
        assert store.page(None, "failed", None, 9) == []

    def test_what_still_needs_somebody_is_listed_owned_or_not(self, store: JobStore) -> None:
        store.apply([created_by(f"gen_{number}", next_at=NOW + number) for number in range(4)])
        one(store, commit_of(owned(store, identity="gen_4"), next_at=None), Committed)
        owned(store, identity="gen_5", next_at=NOW + 9)
        assert [row.id for row in store.unfinished(None, 9)] == ["gen_0", "gen_1", "gen_2", "gen_3", "gen_5"]
        assert [row.id for row in store.unfinished("gen_1", 2)] == ["gen_2", "gen_3"]

    def test_an_erasure_replaces_the_spec_and_forgets_folded_facts_alone(self, store: JobStore) -> None:
        row = owned(store, spec='{"prompt":"p"}')
        one(store, commit_of(row, heard=[fact("folded")]), Committed)
        one(store, Append(fact=fact("waiting")), Done)
        one(store, commit_of(row, erased="{}"), Fenced)
        assert loaded(store).spec == '{"prompt":"p"}'
        one(store, commit_of(loaded(store), erased="{}", heard=[fact("now")]), Committed)
        after = loaded(store)
        assert (after.spec, [item.dedup for item in after.inbox]) == ("{}", ["waiting"])
        assert one(store, Append(fact=fact("folded")), Done).new  # nothing of it was kept
        assert not one(store, Append(fact=fact("waiting")), Done).new

    def test_a_batch_is_performed_in_order(self, store: JobStore) -> None:
        results = store.apply(
            [
                Beat(owner="w1", now=NOW, until=NOW + 10),
                created_by(),
                Claim(owner="w1", now=NOW, limit=1),
                Append(fact=fact()),
            ]
        )
        assert [type(result) for result in results] == [Done, Created, Claimed, Done]
