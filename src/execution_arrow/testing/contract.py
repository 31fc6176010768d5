"""The contract of a job store.

Subclass `JobStoreContract` in a pytest module and give it a `clock` fixture, and a `store` that takes its
time from there::

    class TestMyStore(JobStoreContract):
        @pytest.fixture
        def clock(self):
            return ManualClock()

        @pytest.fixture
        def store(self, clock, tmp_path):
            return MyStore(tmp_path / "store", clock=clock)

Nothing here needs pytest itself; a failing promise is an `AssertionError` that names it.
"""

from __future__ import annotations

from dataclasses import replace

from execution_arrow.machine.state import Event
from execution_arrow.stores.base import (
    Append,
    Beat,
    Beaten,
    Claim,
    Claimed,
    Committed,
    Created,
    Done,
    Existing,
    Fenced,
    JobStore,
    JobTaken,
)
from execution_arrow.testing.contract_claims import ClaimPromises
from execution_arrow.testing.contract_outgoing import OutgoingPromises
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


class JobStoreContract(ClaimPromises, OutgoingPromises):
    """Every promise of `stores.base.JobStore`. Each test starts from an empty store."""

    def test_a_created_row_is_loaded_as_it_was_written(self, store: JobStore) -> None:
        one(store, created_by(spec='{"s":1}', state='{"t":2}', key="k"), Created)
        row = loaded(store)
        assert (row.spec, row.state, row.key, row.version, row.owner) == ('{"s":1}', '{"t":2}', "k", 1, None)
        assert row.created_at == NOW
        assert store.load("nobody") is None

    def test_many_rows_are_loaded_by_their_names(self, store: JobStore) -> None:
        for number in range(5):
            one(store, created_by(f"gen_{number}"), Created)
        one(store, Append(fact=fact(generation="gen_3")), Done)
        names = ["gen_3", "gen_1", "nobody", "gen_3"]
        found = {row.id: row for row in store.load_many(names)}
        assert found == {name: store.load(name) for name in ("gen_1", "gen_3")}
        assert len(found["gen_3"].inbox) == 1
        assert store.load_many([]) == []

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

    def test_a_commit_that_needs_nobody_hands_the_row_back(self, store: JobStore, clock: ManualClock) -> None:
        row = owned(store)
        one(store, commit_of(row, next_at=None, status="succeeded"), Committed)
        after = loaded(store)
        assert (after.owner, after.next_at) == (None, None)
        assert claimed_by(store, clock, "w2", NOW + 100) == ()

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
        assert taken == JobTaken("att_1", "j1")
        both = [("fal", "c", "j2", "att_2"), ("fal", "c", "j1", "att_3")]
        assert one(store, commit_of(row, jobs=both), JobTaken) == JobTaken("att_1", "j1")
        assert loaded(store) == row
        one(store, commit_of(row, jobs=[("fal", "c", "j1", "att_1"), ("fal", "d", "j1", "att_3")]), Committed)

    def test_whose_state_has_a_text_in_it_is_found(self, store: JobStore) -> None:
        one(store, commit_of(owned(store), state='{"key":"sha256/ab_%"}'), Committed)
        one(store, commit_of(owned(store, identity="gen_2"), state='{"key":"sha256/abc"}'), Committed)
        assert store.holders('"sha256/ab_%"') == ["gen_1"]
        assert sorted(store.holders("sha256/ab")) == ["gen_1", "gen_2"]
        assert store.holders("sha256/zz") == []

    def test_a_job_leads_to_its_generation(self, store: JobStore) -> None:
        row = owned(store)
        assert store.of_job("fal", "j1") == []
        one(store, commit_of(row, jobs=[("fal", "c", "j1", "att_1"), ("bfl", "c", "j2", "att_2")]), Committed)
        assert (store.of_job("fal", "j1"), store.of_job("bfl", "j2")) == (["gen_1"], ["gen_1"])
        assert (store.of_job("fal", "j2"), store.of_job("fal", "j\ud800")) == ([], [])
        other = owned(store, identity="gen_2")
        taken = [("fal", "c", "j1", "att_9")]
        one(store, commit_of(other, jobs=taken), JobTaken)
        assert store.of_job("fal", "j1") == ["gen_1"]
        one(store, commit_of(other, jobs=[("fal", "d", "j1", "att_3")]), Committed)  # with another's key
        assert sorted(store.of_job("fal", "j1")) == ["gen_1", "gen_2"]

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

    def test_a_row_that_is_not_there_is_fenced_and_takes_no_facts(self, store: JobStore) -> None:
        """A store that was restored from a copy may have forgotten what a worker still holds."""
        row = owned(store)
        one(store, replace(commit_of(row), id="gen_gone", heard=[fact(generation="gen_gone")]), Fenced)
        assert not one(store, Append(fact=fact(generation="gen_gone")), Done).new
        assert store.load("gen_gone") is None

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
                Beat(owner="w1", seconds=10),
                created_by(),
                Claim(owner="w1", seconds=10, limit=1),
                Append(fact=fact()),
            ]
        )
        assert [type(result) for result in results] == [Beaten, Created, Claimed, Done]
