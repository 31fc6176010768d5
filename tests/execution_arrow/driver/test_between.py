"""Moments between two owners: a row that is being made, an answer that is being handed over at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from execution_arrow import facts as f
from execution_arrow.record import Status
from execution_arrow.stores.base import Append, Op, Result
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing import FakeLedger
from execution_arrow.values import replace
from tests.execution_arrow.driver.test_driver import REQUEST, arrow_of, generate, run
from tests.execution_arrow.driver.test_review_ownership import Gate


class Thinking(FakeLedger):
    """Takes its time over a hold."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def hold(self, *asked: Any) -> f.HoldOpened | f.HoldRefused:
        self.asked.set()
        await self.go_on.wait()
        return await super().hold(*asked)


@run
async def test_tidying_up_leaves_a_row_alone_that_is_being_made(tmp_path: Path):
    """Its ledger is slow, so nobody drives it yet; it is ours all the same."""
    store, ledger = MemoryStore(), Thinking()
    async with arrow_of(tmp_path, store=store, holds=ledger, worker=False) as arrow:
        task = asyncio.create_task(generate(arrow))
        await ledger.asked.wait()
        arrow._lease.doubt()
        await arrow._lease.tidy(arrow._here().sessions)
        ledger.go_on.set()
        done = await task
    row = store.load(done.id)
    assert done.status is Status.SUCCEEDED
    assert row is not None
    assert row.epoch == 1


class SlowInbox(MemoryStore):
    """Counts what is appended."""

    def __init__(self) -> None:
        super().__init__()
        self.appended: list[str] = []

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        self.appended += [str(op.fact.body["kind"]) for op in ops if isinstance(op, Append)]
        return super().apply(ops)


@run
async def test_closing_does_not_interrupt_an_answer_that_is_being_handed_over(tmp_path: Path):
    """The row was lost while the paid call was out; its answer is written down although we are leaving."""
    store, transport = SlowInbox(), Gate()
    arrow = arrow_of(tmp_path, store=store, transport=transport, worker=False)
    async with arrow:
        started = await arrow.generate("m", REQUEST, account="acct")
        waiting = asyncio.create_task(arrow.wait(started.id))
        await transport.arrived.wait()
        record = store._records[started.id]
        record.row = replace(record.row, epoch=record.row.epoch + 1, owner="another")
        real, leave = arrow._store.apply, asyncio.Event()

        async def apply(op: Op) -> Result:
            if isinstance(op, Append):
                leave.set()
                await asyncio.sleep(0.05)
            return await real(op)

        arrow._store.apply = apply  # type: ignore[method-assign]
        transport.gate.set()
        await leave.wait()
        await arrow.aclose(grace=0.0)
        waiting.cancel()
    assert store.appended == ["Accepted"]
