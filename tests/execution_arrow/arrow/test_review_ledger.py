"""The real ledger where the fakes are kinder than it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from execution_arrow import AsyncArrow, Status
from execution_arrow import facts as f
from execution_arrow.errors import LedgerRefused, RequestRejected
from execution_arrow.testing import FakeNormalizer, FakeProvider, fake_parts
from execution_arrow.wiring import FortressLedger
from ledger_fortress import AsyncLedger
from ledger_fortress.stores import open_store
from tests.execution_arrow.driver.test_driver import QUICK, REQUEST, run


def arrow_of(tmp_path: Path, ledger: AsyncLedger, price: int) -> AsyncArrow:
    normalizer = FakeNormalizer(["fake"], price=price)
    parts = fake_parts(
        {"fake": FakeProvider()}, tmp_path, normalizer=normalizer, holds=FortressLedger(ledger), ledger=ledger
    )
    return AsyncArrow(parts, limits=QUICK)


@run
async def test_a_free_model_is_generated_for_nothing(tmp_path: Path):
    """A ledger holds no zero; a price of 0 is a price all the same."""
    ledger = AsyncLedger(open_store("memory:"))
    await ledger.grant("acct", "1", key="start", create=True)
    async with arrow_of(tmp_path, ledger, 0) as arrow:
        done = await arrow.generate_and_wait("m", REQUEST, account="acct", timeout=5)
        assert (done.status, done.charged) == (Status.SUCCEEDED, 0)
        assert (await ledger.balance("acct")).available.micros == 1_000_000


@run
async def test_what_no_ledger_takes_ends_at_once_and_is_not_asked_for_ever(tmp_path: Path):
    ledger = AsyncLedger(open_store("memory:"))
    async with arrow_of(tmp_path, ledger, -1) as arrow:
        with pytest.raises(LedgerRefused, match="invalid"):
            await arrow.generate("m", REQUEST, account="acct", idempotency_key="k")
        (refused,) = await arrow.list()
        assert refused.status is Status.FAILED
        with pytest.raises(RequestRejected, match="account: must be text of 1 to 200"):
            await arrow.generate("m", REQUEST, account="x" * 201)


@run
async def test_a_hold_of_the_real_ledger_is_told_apart_from_its_settled_self(tmp_path: Path):
    ledger = AsyncLedger(open_store("memory:"))
    await ledger.grant("acct", "1", key="start", create=True)
    port = FortressLedger(ledger)
    for _ in range(2):
        assert await port.hold("acct", "gen_1", 40_000, 60.0) == f.HoldOpened()
    (held,) = await port.held()
    assert (held.key, held.amount) == ("gen_1", 40_000)
    assert await port.settle("acct", "gen_1", "release", 0) == f.Settled()
    assert await port.held() == []
    assert await port.hold("acct", "gen_1", 40_000, 60.0) == f.HoldClosed()
    await port.settle("acct", "gen_2", "charge", 40_000)  # the ledger's store was restored without its hold
    assert await port.hold("acct", "gen_2", 40_000, 60.0) == f.HoldClosed()
    assert [(remark.trouble, remark.key) for remark in await port.remarks(0.0)] == [("late_charge", "gen_2")]


@run
async def test_a_hold_that_arrives_after_its_release_does_not_open():
    """A worker that was stopped with the request in its hands sends it when all is long settled."""
    ledger = AsyncLedger(open_store("memory:"))
    await ledger.grant("acct", "1", key="start", create=True)
    port = FortressLedger(ledger)
    assert await port.settle("acct", "gen_1", "release", 0) == f.Settled()
    assert await port.settle("acct", "gen_1", "release", 0) == f.Settled()
    assert isinstance(await port.hold("acct", "gen_1", 40_000, 900.0), f.HoldRefused)
    balance = await ledger.balance("acct")
    assert (balance.available.micros, balance.held.micros) == (1_000_000, 0)


@run
async def test_a_refused_hold_is_released_without_a_trace():
    ledger = AsyncLedger(open_store("memory:"))
    await ledger.grant("acct", "0.01", key="start", create=True)
    port = FortressLedger(ledger)
    refused = await port.hold("acct", "gen_1", 40_000, 900.0)
    assert isinstance(refused, f.HoldRefused)
    assert refused.reason == "insufficient"
    assert await port.settle("acct", "gen_1", "release", 0) == f.Settled()
    assert (await ledger.balance("acct")).available.micros == 10_000
