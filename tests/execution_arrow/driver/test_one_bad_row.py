"""One generation that cannot be handled harms no other one: the worker lives, and says which it is."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from execution_arrow import AsyncArrow, Status
from execution_arrow import facts as f
from execution_arrow.driver.aside import Aside
from execution_arrow.driver.committing import Committer
from execution_arrow.driver.driver import Driver
from execution_arrow.driver.session import Heard, Session, read_row
from execution_arrow.stores.base import Append, Inboxed, Row
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing import FakeProvider, fake_parts
from tests.execution_arrow.driver.test_restored import Clock
from tests.execution_arrow.pains.kit import QUICK, run


@pytest.mark.parametrize("step", ["_schedule", "_start"])
@run
async def test_a_step_that_raises_ends_a_turn_and_not_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
):
    real, bad = getattr(Driver, step), set[str]()

    def raising(self: Driver, session: Session) -> object:
        if session.run.spec.id in bad:
            raise AssertionError("a state that should not be")
        return real(self, session)

    monkeypatch.setattr(Driver, step, raising)
    caplog.set_level(logging.ERROR, logger="execution_arrow")
    async with AsyncArrow(fake_parts({"fake": FakeProvider()}, tmp_path), limits=QUICK) as arrow:
        broken = await arrow.generate("m", {}, account="acct")
        bad.add(broken.id)
        await arrow._here().claim([broken.id])
        for _ in range(3):
            done = await arrow.generate_and_wait("m", {}, account="acct", timeout=20)
            assert done.status is Status.SUCCEEDED
        assert f"turn_failed generation={broken.id}" in caplog.text


@run
async def test_an_answer_that_cannot_be_handed_over_does_not_end_the_worker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """It is handed over outside a turn: an exception there would end the task group, and all with it."""

    class Broken:
        async def apply(self, op: object) -> object:
            raise ValueError("a store that breaks its word")

    store = MemoryStore()
    async with AsyncArrow(fake_parts({"fake": FakeProvider()}, tmp_path, store=store), limits=QUICK) as arrow:
        committer = Committer(Broken(), arrow._lease, arrow._clock)  # type: ignore[arg-type]
        row = store.load((await arrow.generate("m", {}, account="acct")).id)
        assert row is not None
        heard = [Heard(attempt="att_1", fact=f.Accepted(job="j"))]
        await committer.hand_over(read_row(row, heard, term=0))
    assert "a store that breaks its word" in caplog.text
    assert [fact.body["kind"] for fact in committer.unsaid] == ["Accepted"]  # it waits for a better store


def of_a_newer_version(store: MemoryStore, generation_id: str) -> None:
    news = Inboxed(generation=generation_id, attempt="", dedup="x", body={"kind": "News"}, at=0.0)
    store.apply([Append(fact=news)])


@run
async def test_a_fact_of_a_newer_version_is_not_looked_at_for_ever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """A free row with a fact is due, whatever its time: handed back unread it would be claimed at once."""
    store = MemoryStore()
    async with AsyncArrow(fake_parts({"fake": FakeProvider()}, tmp_path, store=store), limits=QUICK) as arrow:
        done = await arrow.generate_and_wait("m", {}, account="acct", timeout=20)
    of_a_newer_version(store, done.id)
    parts = fake_parts({"fake": FakeProvider()}, tmp_path, store=store)
    async with AsyncArrow(parts, limits=QUICK, worker=True) as arrow:
        for _ in range(20):  # any number of turns
            assert (await arrow.generate_and_wait("m", {}, account="acct", timeout=20)).done
    row = store.load(done.id)
    assert row is not None
    assert row.epoch <= 3
    assert [item.body for item in row.inbox] == [{"kind": "News"}]  # it waits for who can read it
    assert caplog.text.count(f"unreadable fact={row.inbox[0].seq} generation={done.id}") == 1


@run
async def test_a_fact_of_a_newer_version_holds_up_nothing(tmp_path: Path):
    store = MemoryStore()
    provider = FakeProvider(polls=[f.Running()] * 10_000)
    async with AsyncArrow(fake_parts({"fake": provider}, tmp_path, store=store), limits=QUICK) as arrow:
        started = await arrow.generate("m", {}, account="acct")
        of_a_newer_version(store, started.id)
        await arrow._here().claim([started.id])
        while not (await arrow.get(started.id)).attempts:
            await asyncio.sleep(0.01)
        assert (await arrow.cancel(started.id)).status is not Status.PENDING
        assert (await arrow.wait(started.id, timeout=20)).status is Status.CANCELED


def as_a_newer_version_writes_it(store: MemoryStore, generation_id: str) -> None:
    row = store.load(generation_id)
    assert row is not None
    newer = json.dumps({**json.loads(row.state), "v": 99})
    record = store._records[generation_id]
    record.row = replace(row, state=newer, next_at=0.0, owner=None, inbox=())
    store._note(record)


@pytest.mark.parametrize("told", [False, True], ids=["alone", "with a fact"])
@run
async def test_a_row_of_a_newer_version_is_left_to_who_can_read_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, told: bool
):
    """While a fleet is updated the newer workers need it soon; the older ones neither keep nor circle it."""
    store = MemoryStore()
    async with AsyncArrow(fake_parts({"fake": FakeProvider()}, tmp_path, store=store), limits=QUICK) as arrow:
        done = await arrow.generate_and_wait("m", {}, account="acct", timeout=20)
    as_a_newer_version_writes_it(store, done.id)
    row = store.load(done.id)
    assert row is not None
    done_epoch = row.epoch
    if told:
        of_a_newer_version(store, done.id)
    parts = fake_parts({"fake": FakeProvider()}, tmp_path, store=store)
    async with AsyncArrow(parts, limits=QUICK, worker=True) as arrow:
        for _ in range(20):
            assert (await arrow.generate_and_wait("m", {}, account="acct", timeout=20)).done
        now = arrow._clock.now()
    row = store.load(done.id)
    assert row is not None
    assert row.next_at is not None
    assert row.next_at < now + 60
    assert row.epoch <= done_epoch + 2  # of thousands of looks
    assert caplog.text.count(f"newer_row generation={done.id}") == 1


def test_a_row_that_is_driven_by_now_is_not_handed_back() -> None:
    """It could not be read once, its lease ended, and the next time it could."""
    clock = Clock()
    aside = Aside(clock)
    fact = Inboxed(generation="gen_1", attempt="", dedup="x", body={}, at=0.0)
    row = Row(
        id="gen_1", account="a", key=None, spec="", state="", version=1, epoch=1, owner="w", owner_until=9.0,
        next_at=0.0, created_at=0.0, inbox=(fact,),
    )  # fmt: skip
    aside.put(row, ValueError("no such thing"))
    assert aside.handed_back({}) == []
    clock.at += 3600.0
    assert aside.handed_back({"gen_1": None}) == []
    aside.put(row, ValueError("no such thing"))
    clock.at += 3600.0
    assert aside.handed_back({}) == [("gen_1", clock.at)]
