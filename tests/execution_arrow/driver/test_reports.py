"""`usage`, `reconcile` and `delete` over an Arrow of fakes, and over the real ledger where holds matter."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import Arrow, AsyncArrow, Policy, Status
from execution_arrow import facts as f
from execution_arrow.errors import RequestRejected, StoreUnavailable, UnknownGeneration
from execution_arrow.facts import Fault
from execution_arrow.machine.state import State
from execution_arrow.reports.desk import PAGE
from execution_arrow.reports.reconciling import Finding
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.stores.sqlite import SqliteStore
from execution_arrow.testing import FakeLedger, FakeProvider, fake_parts
from execution_arrow.testing.steps import created_by
from execution_arrow.wiring import FortressLedger
from ledger_fortress import AsyncLedger
from ledger_fortress.stores import open_store
from tests.execution_arrow.driver.test_driver import QUICK, REQUEST, arrow_of, generate, run

PROMPT = "a very private lighthouse"


def troubles(found: tuple[Finding, ...]) -> list[tuple[str, str | None]]:
    return [(str(finding.trouble), finding.generation) for finding in found]


# --- usage ----------------------------------------------------------------------------------------------


@run
async def test_usage_counts_every_outcome_and_every_credit(tmp_path: Path):
    """Four generations: at the first try, after a refusal, after doubt, and one that nobody could do."""
    refused = f.Refused(fault=Fault.PROVIDER, code="busy")
    one = FakeProvider(
        "one",
        submits=[f.Accepted(job="a"), refused, f.Ambiguous(), f.Accepted(job="b")],
        polls=[
            f.Succeeded(outputs=(f.Output(index=0, url="https://x.example/1"),), cost=7_000),
            f.Failed(fault=Fault.PROVIDER, code="oom"),
        ],
    )
    two = FakeProvider("two", submits=[f.Accepted(job="c"), f.Accepted(job="d"), refused])
    async with arrow_of(tmp_path, one, two, policy=Policy(unknown_patience=0.0)) as arrow:
        for _ in range(3):
            await generate(arrow)
        lost = await arrow.generate("m", REQUEST, account="acct")
        assert (await arrow.wait(lost.id, timeout=20)).status is Status.FAILED
        usage = await arrow.usage()
    first, second = usage.providers
    assert (usage.generations, usage.unreadable, usage.charged) == (4, 0, Decimal("0.120000"))
    assert (first.provider, first.submissions, first.used, first.failed, first.unknown) == ("one", 4, 1, 2, 1)
    assert (first.cost, first.wasted, first.possible_waste) == (
        Decimal("0.007000"), Decimal(0), Decimal("0.040000"),
    )  # fmt: skip
    assert (second.provider, second.submissions, second.used, second.failed) == ("two", 3, 2, 1)
    assert second.cost == Decimal("0.080000")


@run
async def test_usage_is_of_a_window(tmp_path: Path):
    async with arrow_of(tmp_path) as arrow:
        await generate(arrow)
        now = datetime.now(UTC)
        assert (await arrow.usage(until=now - timedelta(hours=1))).generations == 0
        assert (
            await arrow.usage(since=now + timedelta(hours=1), until=now + timedelta(hours=2))
        ).generations == 0
        usage = await arrow.usage(since=now - timedelta(minutes=1), until=now + timedelta(minutes=1))
        assert (usage.generations, usage.providers[0].used) == (1, 1)
        with pytest.raises(RequestRejected, match="since: must be a datetime with an offset"):
            await arrow.usage(since=datetime(2026, 1, 1))  # noqa: DTZ001


@run
async def test_usage_reads_more_than_a_page_and_says_what_it_could_not_read(tmp_path: Path):
    store = MemoryStore()
    async with arrow_of(tmp_path, store=store) as arrow:
        for _ in range(3):
            await generate(arrow)
        record = store._records[(await arrow.list())[1].id]
        object.__setattr__(record.row, "spec", record.row.spec.replace('"v":', '"v":9'))
        usage = await arrow.usage()
    assert (usage.generations, usage.unreadable) == (2, 1)


@run
async def test_usage_says_nothing_of_unreadable_rows_outside_its_window(tmp_path: Path):
    """A newer version's rows of today are no doubt about last month's figures, nor they about today's."""
    store = MemoryStore()
    async with arrow_of(tmp_path, store=store) as arrow:
        await generate(arrow)
        (record,) = store._records.values()
        object.__setattr__(record.row, "spec", record.row.spec.replace('"v":', '"v":9'))
        now, hour = datetime.now(UTC), timedelta(hours=1)
        counted = [
            (await arrow.usage(since=since, until=until)).unreadable
            for since, until in [(now - hour, now + hour), (None, now - hour), (now + hour, now + 2 * hour)]
        ]
    assert counted == [1, 0, 0]


# --- reconcile ------------------------------------------------------------------------------------------


@run
async def test_a_healthy_arrow_has_nothing_to_look_at(tmp_path: Path):
    async with arrow_of(tmp_path, FakeProvider(polls=[f.Running()] * 50), worker=True) as arrow:
        started = [await arrow.generate("m", REQUEST, account="acct") for _ in range(5)]
        for generation in started:
            assert await arrow.reconcile(grace=5) == ()
            await arrow.wait(generation.id, timeout=20)
        assert await arrow.reconcile(grace=5) == ()


@run
async def test_a_stuck_settlement_is_found_until_it_moves(tmp_path: Path):
    class Refusing(FakeLedger):
        async def settle(self, *call: Any) -> Any:
            return f.SettleRefused(reason="rewound")

    async with arrow_of(tmp_path, holds=Refusing()) as arrow:
        done = await generate(arrow)
        assert (done.status, done.stuck) == (Status.SUCCEEDED, "rewound")
        (finding,) = await arrow.reconcile()
    assert (finding.trouble, finding.generation, finding.amount, finding.detail) == (
        "settlement_stuck", done.id, Decimal("0.040000"), "charge: rewound",
    )  # fmt: skip
    assert "every hour" in finding.advice


@run
async def test_a_ledger_that_does_not_answer_is_named_after_an_hour(tmp_path: Path):
    class Away(FakeLedger):
        async def settle(self, *call: Any) -> Any:
            raise StoreUnavailable("away", maybe_applied=False)

    async with arrow_of(tmp_path, holds=Away(), worker=True) as arrow:
        started = await arrow.generate("m", REQUEST, account="acct")
        while arrow._here().sessions[started.id].run.decided_at is None:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert await arrow.reconcile() == ()
        arrow._clock.learn(arrow._clock.now() + 4000)
        found = await arrow.reconcile(grace=5000)
    assert troubles(found) == [("settlement_late", started.id)]


@run
async def test_what_nobody_looks_at_is_named(tmp_path: Path):
    """No worker runs. After a while the row is overdue for a look; much later its doubt is overdue, too."""
    store = MemoryStore()
    policy = Policy(unknown_patience=0.0, on_unknown="fail", write_off_after=100.0)
    async with arrow_of(tmp_path, FakeProvider(submits=[f.Ambiguous()]), store=store, policy=policy) as arrow:
        started = await arrow.generate("m", REQUEST, account="acct")
        await arrow.wait(started.id, timeout=20)
    async with arrow_of(tmp_path, store=store) as arrow:
        await arrow.generate("m", REQUEST, account="acct")
        arrow._clock.learn(arrow._clock.now() + 600)
        found = await arrow.reconcile()
    assert [trouble for trouble, _ in troubles(found)] == ["unattended", "unattended", "residue_overdue"]


@run
async def test_a_row_of_a_newer_version_is_named(tmp_path: Path):
    store = MemoryStore()
    async with arrow_of(tmp_path, store=store) as arrow:
        started = await arrow.generate("m", REQUEST, account="acct")
        record = store._records[started.id]
        object.__setattr__(record.row, "state", '{"v":99}')
        (finding,) = await arrow.reconcile()
    assert (finding.trouble, finding.generation) == ("unreadable", started.id)
    assert "newer version" in finding.detail


class Book(FakeLedger):
    """A ledger whose open holds a test can write."""

    def __init__(self) -> None:
        super().__init__()
        self.settles: list[tuple[str, str, int]] = []

    async def settle(self, account: str, key: str, verb: str, amount: int) -> Any:
        self.settles.append((key, verb, amount))
        return await super().settle(account, key, verb, amount)


@run
async def test_a_hold_that_came_after_the_end_is_found_and_given_back(tmp_path: Path):
    ledger = Book()
    async with arrow_of(tmp_path, holds=ledger) as arrow:
        done = await generate(arrow)
        del ledger.settled[done.id]  # restored to a backup: open again
        (finding,) = await arrow.reconcile()
        assert (finding.trouble, finding.generation, finding.repaired) == ("hold_after_end", done.id, False)
        (repaired,) = await arrow.reconcile(repair=True)
        assert repaired.repaired
        assert ledger.settles == [(done.id, "charge", 40_000)] * 2  # the same key, the same amount
        assert await arrow.reconcile() == ()
        assert (await arrow.get(done.id)).status is Status.SUCCEEDED


@run
async def test_a_hold_that_nobody_here_knows_is_named_and_left_alone(tmp_path: Path):
    ledger = Book()
    ledger.holds["gen_gone"] = 5
    async with arrow_of(tmp_path, holds=ledger) as arrow:
        for _ in range(2):
            (finding,) = await arrow.reconcile(repair=True)
        assert (finding.trouble, finding.detail, finding.repaired) == (
            "hold_without_generation", "gen_gone", False,
        )  # fmt: skip
    assert ledger.settles == []


class Counting(SqliteStore):
    """Counts the statements of its reads, and the rows that one answer holds."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.statements: list[str] = []
        self.most = 0

    def _open_reader(self) -> Any:
        connection = super()._open_reader()
        connection.set_trace_callback(self.statements.append)
        return connection

    def load_many(self, generation_ids: Any) -> Any:
        found = super().load_many(generation_ids)
        self.most = max(self.most, len(found))
        return found

    def unfinished(self, after: str | None, limit: int) -> Any:
        found = super().unfinished(after, limit)
        self.most = max(self.most, len(found))
        return found


@run
async def test_reconcile_asks_for_pages_of_rows_not_for_each(tmp_path: Path):
    """200 holds at work and 200 that were settled and are open again: a page of rows is two statements."""
    store, ledger = Counting(tmp_path / "arrow.db"), Book()
    provider = FakeProvider()
    async with arrow_of(tmp_path, provider, store=store, holds=ledger) as arrow:
        done = await generate(arrow)
        row = store.load(done.id)
        assert row is not None
        copies = [f"gen_ended_{number}" for number in range(200)]
        for name in copies:  # rows that ended, as many as a test can wait for
            spec = row.spec.replace(done.id, name)
            store.apply([created_by(name, spec=spec, state=row.state, next_at=None)])
            ledger.holds[name] = 40_000
        working = [await arrow.generate("m", REQUEST, account="acct") for _ in range(200)]
        store.statements.clear()
        found = await arrow.reconcile(grace=1e6)
        assert len(found) == 200
        assert {finding.trouble for finding in found} == {"hold_after_end"}
        pages = 2 * -(-200 // PAGE) + 1  # of working rows, an empty one after them, and of ended rows
        assert len(store.statements) <= 2 * pages
        assert store.most <= PAGE
        assert len(working) == 200


@run
async def test_work_without_a_hold_is_named(tmp_path: Path):
    ledger = Book()
    provider = FakeProvider(polls=[f.Running()] * 10_000)
    async with arrow_of(tmp_path, provider, holds=ledger, worker=True) as arrow:
        started = await arrow.generate("m", REQUEST, account="acct")
        while not (await arrow.get(started.id)).attempts:
            await asyncio.sleep(0.01)
        del ledger.holds[started.id]
        found = await arrow.reconcile()
        assert troubles(found) == [("hold_missing", started.id)]


@run
async def test_a_late_request_for_a_hold_finds_its_key_used_up(tmp_path: Path):
    """The generation gave up, released what was not there, and then the request arrived."""
    ledger = AsyncLedger(open_store("memory:"))
    await ledger.grant("acct", "1", key="start", create=True)

    class Slow(FortressLedger):
        async def hold(self, *call: Any) -> Any:
            raise StoreUnavailable("lost on its way", maybe_applied=True)

    parts = fake_parts({"fake": FakeProvider()}, tmp_path, holds=Slow(ledger), ledger=ledger)
    policy = Policy(generation_deadline=0.0)
    async with AsyncArrow(parts, policy=policy, limits=QUICK, worker=True) as arrow:
        with pytest.raises(StoreUnavailable):
            await arrow.generate("m", REQUEST, account="acct")
        (begun,) = await arrow.list()
        failed = await arrow.wait(begun.id, timeout=20)
        assert (failed.status, failed.charged) == (Status.FAILED, 0)
        late = await FortressLedger(ledger).hold("acct", begun.id, 40_000, 60.0)
        assert isinstance(late, f.HoldRefused)
        assert await arrow.reconcile() == ()
        balance = await ledger.balance("acct")
        assert (balance.held.micros, balance.available.micros) == (0, 1_000_000)


@run
async def test_the_ledgers_own_findings_are_told_under_its_name(tmp_path: Path):
    ledger = AsyncLedger(open_store("memory:"))
    await ledger.grant("acct", "1", key="start", create=True)
    await ledger.charge("acct", "gen_lost", "0.5", on_missing="debt")
    parts = fake_parts({"fake": FakeProvider()}, tmp_path, holds=FortressLedger(ledger), ledger=ledger)
    async with AsyncArrow(parts, limits=QUICK) as arrow:
        (finding,) = await arrow.reconcile()
        assert (finding.trouble, finding.generation, finding.amount) == (
            "ledger_late_charge", "gen_lost", Decimal("0.500000"),
        )  # fmt: skip
        assert await arrow.reconcile(since=datetime.now(UTC) + timedelta(hours=1)) == ()
        with pytest.raises(RequestRejected, match="grace"):
            await arrow.reconcile(grace=-1)


# --- delete ---------------------------------------------------------------------------------------------


def kept(store: MemoryStore) -> str:
    """Everything that the store holds, as text."""
    return json.dumps(
        [
            [record.row.spec, record.row.state, [dict(fact.body) for fact in record.facts.values()]]
            for record in store._records.values()
        ]
    )


@run
async def test_delete_forgets_the_words_and_keeps_the_books(tmp_path: Path):
    store = MemoryStore()
    quoting = f.Refused(fault=Fault.PROVIDER, code="x", message=f"we do not draw {PROMPT}")
    async with arrow_of(
        tmp_path, FakeProvider("one", submits=[quoting]), FakeProvider("two"), store=store
    ) as arrow:
        begun = await arrow.generate("m", {"generation_prompt": PROMPT}, account="acct")
        done = await arrow.wait(begun.id, timeout=20)
        assert PROMPT in kept(store)
        assert await arrow.delete(done.id) is True
        assert PROMPT not in kept(store)
        after = await arrow.get(done.id)
        assert (after.erased, after.request, after.status) == (True, {}, Status.SUCCEEDED)
        assert (after.charged, after.cost, after.files) == (done.charged, done.cost, done.files)
        assert [a.id for a in after.attempts] == [a.id for a in done.attempts]
        assert await arrow.delete(done.id) is True
        assert (await arrow.usage()).charged == done.charged
        with pytest.raises(UnknownGeneration):
            await arrow.delete("gen_none")


@run
async def test_delete_waits_for_what_is_still_watched(tmp_path: Path):
    store = MemoryStore()
    provider = FakeProvider(polls=[f.Running()] * 5 + [f.Running()] * 20 + [f.Canceled()])
    async with arrow_of(tmp_path, provider, store=store, worker=True) as arrow:
        begun = await arrow.generate("m", {"generation_prompt": PROMPT}, account="acct")
        while not (g := await arrow.get(begun.id)).attempts or g.attempts[0].state is not State.LIVE:
            await asyncio.sleep(0.01)
        assert await arrow.delete(begun.id) is False
        await arrow.cancel(begun.id)
        for _ in range(500):
            if (await arrow.get(begun.id)).erased:
                break
            await asyncio.sleep(0.02)
        assert PROMPT not in kept(store)
        assert (await arrow.get(begun.id)).status is Status.CANCELED


def test_the_blocking_face_has_the_same_reports(tmp_path: Path):
    with Arrow(lambda: AsyncArrow(fake_parts({"fake": FakeProvider()}, tmp_path), limits=QUICK)) as arrow:
        done = arrow.generate_and_wait("m", REQUEST, account="acct", timeout=20)
        assert arrow.usage().generations == 1
        assert arrow.reconcile() == ()
        assert arrow.delete(done.id) is True
