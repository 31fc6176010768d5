"""Ownership in doubt: cancelled waits, lost answers of the store, leases that lapsed and came back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import Policy, Status
from execution_arrow import facts as f
from execution_arrow.driver.worker import Limits
from execution_arrow.errors import ArtifactGone, ArtifactRetry, CancelTooLate, StoreUnavailable
from execution_arrow.machine.state import State
from execution_arrow.stores.base import Claim, Commit, Create, Op, Release, Result
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing import FakeArtifacts, FakeLedger, FakeNormalizer, FakeProvider, FakeTransport
from tests.execution_arrow.driver.test_driver import QUICK, REQUEST, arrow_of, generate, run


class Deaf(MemoryStore):
    """Performs the next operation of one kind and loses the answer."""

    kind: type[Any] = type(None)

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        results = super().apply(ops)
        if any(isinstance(op, self.kind) for op in ops):
            self.kind = type(None)
            raise StoreUnavailable("the answer was lost", maybe_applied=True)
        return results


@pytest.mark.parametrize("kind", [Create, Claim, Release])
@run
async def test_a_row_that_carries_our_name_without_our_knowing_is_not_stuck(tmp_path: Path, kind: type[Any]):
    """The store did it and could not say so. Our heartbeat must not keep such a row from everybody."""
    store, ledger = Deaf(), FakeLedger()
    async with arrow_of(tmp_path, store=store, holds=ledger, worker=False) as arrow:
        store.kind = kind
        with contextlib.suppress(StoreUnavailable):
            await arrow.generate("m", REQUEST, account="acct", idempotency_key="k")
        with contextlib.suppress(StoreUnavailable):
            await arrow.wait((await arrow.list())[0].id, timeout=0.2)
        other = asyncio.create_task(_keep_alive(arrow))
        found = await arrow.generate("m", REQUEST, account="acct", idempotency_key="k")
        done = await arrow.wait(found.id, timeout=5)
        other.cancel()
    assert done.status is Status.SUCCEEDED
    assert ledger.settled == {done.id: ("charge", 40_000)}


async def _keep_alive(arrow: Any) -> None:
    """What a busy worker does: its lease never ends."""
    while True:
        await arrow._lease.keep()
        await asyncio.sleep(0.05)


class SlowClaims(MemoryStore):
    """Answers a claim late: time enough to stop waiting for it."""

    slow = False

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        results = super().apply(ops)
        if self.slow and any(isinstance(op, Claim) for op in ops):
            time.sleep(0.3)
        return results


@run
async def test_a_wait_that_is_cancelled_in_its_claim_leaves_no_row_behind(tmp_path: Path):
    store = SlowClaims()
    async with arrow_of(tmp_path, store=store) as arrow:
        started = await arrow.generate("m", REQUEST, account="acct")
        other = asyncio.create_task(_keep_alive(arrow))
        store.slow = True
        with pytest.raises(TimeoutError):
            await arrow.wait(started.id, timeout=0.1)
        store.slow = False
        assert (await arrow.wait(started.id, timeout=5)).status is Status.SUCCEEDED
        other.cancel()


class Gate(FakeTransport):
    """Every paid call waits for the gate, so that with one slot the others queue behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.arrived = asyncio.Event()

    async def send(self, call: Any, *, spool: Path | None = None) -> Any:
        reply = await super().send(call, spool=spool)
        self.arrived.set()
        await self.gate.wait()
        return reply


ONE_SLOT = Limits(lease=0.6, inbox_every=0.02, claim_every=0.02, effects=1)


@run
async def test_a_call_that_waits_for_its_turn_does_not_leave_after_a_cancel(tmp_path: Path):
    """Its hold is released by then: the provider would be paid for nobody."""
    transport, ledger = Gate(), FakeLedger()
    async with arrow_of(tmp_path, transport=transport, holds=ledger, worker=True, limits=ONE_SLOT) as arrow:
        first = await arrow.generate("m", REQUEST, account="acct")
        await transport.arrived.wait()
        second = await arrow.generate("m", REQUEST, account="acct")
        await until(lambda: _attempts(arrow, second.id))
        await arrow.cancel(second.id)
        transport.gate.set()
        assert (await arrow.wait(second.id, timeout=5)).status is Status.CANCELED
        assert (await arrow.wait(first.id, timeout=5)).status is Status.SUCCEEDED
        await until(lambda: _rejected(arrow, second.id))
    assert len(transport.submits()) == 1
    assert ledger.settled[second.id] == ("release", 0)


@run
async def test_money_does_not_wait_behind_providers_that_hang(tmp_path: Path):
    """Every slot is taken by a provider that does not answer; the second customer's credits come back."""
    transport, ledger = Gate(), FakeLedger()
    async with arrow_of(tmp_path, transport=transport, holds=ledger, worker=True, limits=ONE_SLOT) as arrow:
        await arrow.generate("m", REQUEST, account="acct")
        await transport.arrived.wait()
        second = await arrow.generate("m", REQUEST, account="acct")
        await until(lambda: _attempts(arrow, second.id))
        await arrow.cancel(second.id)
        assert (await arrow.wait(second.id, timeout=5)).status is Status.CANCELED
        assert ledger.settled[second.id] == ("release", 0)
        assert len(transport.submits()) == 1
        transport.gate.set()


async def until(found: Any) -> None:
    for _ in range(500):
        if await found():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


async def _attempts(arrow: Any, generation_id: str) -> Any:
    return (await arrow.get(generation_id)).attempts


async def _rejected(arrow: Any, generation_id: str) -> bool:
    return [attempt.state for attempt in await _attempts(arrow, generation_id)] == [State.REJECTED]


@run
async def test_a_lease_that_lapsed_and_was_renewed_sends_nothing_old(tmp_path: Path):
    """Paused past its lease, a worker comes back; its generation was taken over and ended meanwhile."""
    store, transport, ledger = MemoryStore(), Gate(), FakeLedger()
    policy = Policy(on_unknown="fail", unknown_patience=0.0)
    shared = {"store": store, "holds": ledger, "policy": policy}
    async with arrow_of(tmp_path, transport=transport, worker=True, limits=ONE_SLOT, **shared) as zombie:
        await zombie.generate("m", REQUEST, account="acct")
        await transport.arrived.wait()
        second = await zombie.generate("m", REQUEST, account="acct")
        await until(lambda: _attempts(zombie, second.id))
        keep, zombie._lease.keep = zombie._lease.keep, _nothing  # type: ignore[method-assign]
        await asyncio.sleep(QUICK.lease + 0.1)
        async with arrow_of(tmp_path, worker=True, limits=QUICK, **shared) as heir:
            assert (await heir.wait(second.id, timeout=5)).status is Status.FAILED
            zombie._lease.keep = keep  # type: ignore[method-assign]
            await zombie._lease.keep()
            transport.gate.set()
            await asyncio.sleep(0.3)
            (attempt,) = (await heir.get(second.id)).attempts
    assert attempt.id not in transport.submits()
    assert attempt.state is State.REJECTED  # and the doubt is gone: it is known that nothing left


async def _nothing() -> None:
    return None


class Lagging(MemoryStore):
    """Commits take a moment, as on a disk."""

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        if any(isinstance(op, Commit) for op in ops):
            time.sleep(0.03)
        return super().apply(ops)


@run
async def test_an_answer_that_waits_to_be_folded_is_not_asked_for_again(tmp_path: Path):
    """Two copies end while the first one's commit is on its way: each file is fetched once."""
    asked: list[str] = []
    artifacts = FakeArtifacts(fail=lambda url: asked.append(url))  # type: ignore[arg-type, func-returns-value]
    outputs = tuple(f.Output(index=i, url=f"https://fake.example/{i}") for i in range(4))
    provider = FakeProvider(polls=[f.Succeeded(outputs=outputs)])
    real = artifacts.copy

    async def copy(url: str, **more: Any) -> f.Stored:
        await asyncio.sleep(0.01 * int(url[-1]))
        return await real(url, **more)

    artifacts.copy = copy  # type: ignore[method-assign, assignment]
    async with arrow_of(
        tmp_path, provider, store=Lagging(), artifacts=artifacts, normalizer=FakeNormalizer(["fake"], asked=4)
    ) as arrow:
        done = await generate(arrow)
    assert len(done.files) == 4
    assert sorted(asked) == [output.url for output in outputs]


@run
async def test_a_synchronous_result_under_a_job_id_of_another_attempt_is_taken_without_it(tmp_path: Path):
    outputs = (f.Output(index=0, url="https://fake.example/0"),)
    same = f.Completed(outputs=outputs, job="same")
    async with arrow_of(tmp_path, FakeProvider(submits=[same, same], sync=True)) as arrow:
        assert (await generate(arrow)).status is Status.SUCCEEDED
        assert (await generate(arrow)).status is Status.SUCCEEDED


class Broken(MemoryStore):
    """Raises something that no store may raise, once, at a commit."""

    error: Exception | None = None

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        if self.error is not None and any(isinstance(op, Commit) and op.jobs for op in ops):
            error, self.error = self.error, None
            raise error
        return super().apply(ops)


@run
async def test_a_turn_that_breaks_loses_no_fact(tmp_path: Path):
    """The job id is in the queue again: without it a paid job would never be asked about."""
    store, transport = Broken(), FakeTransport()
    store.error = ZeroDivisionError("a bug")
    async with arrow_of(tmp_path, store=store, transport=transport) as arrow:
        task = asyncio.create_task(generate(arrow))
        await until(lambda: _true(store.error is None))
        (session,) = arrow._here().sessions.values()
        await until(lambda: _true(not session.turning))
        arrow._here().soon(session)  # instead of the minute
        done = await task
    assert [a.outcome.value for a in done.attempts] == ["used"]
    assert len(transport.submits()) == 1


async def _true(value: bool) -> bool:
    return value


@run
async def test_reading_alone_writes_nothing(tmp_path: Path):
    """A process that only looks must not ask for the writing side of the file."""
    store = Deaf()
    writes: list[Op] = []
    real = store.apply
    store.apply = lambda ops: (writes.extend(ops), real(ops))[1]  # type: ignore[method-assign]
    async with arrow_of(tmp_path, store=store) as arrow:
        await arrow.list()
    assert writes == []


@pytest.mark.parametrize("text", ["\ud800", "ok \udfff"])
@run
async def test_text_that_is_not_unicode_is_stored_all_the_same(tmp_path: Path, text: str):
    """A provider's error or a prompt may hold half a surrogate pair; JSON can say it, UTF-8 cannot."""
    from execution_arrow.stores.sqlite import SqliteStore

    refused = f.Refused(fault=f.Fault.PROVIDER, code="x", message=text)
    store = SqliteStore(tmp_path / "a.db")
    async with arrow_of(
        tmp_path, FakeProvider("one", submits=[refused]), FakeProvider("two"), store=store
    ) as a:
        done = await a.generate_and_wait("m", {"generation_prompt": text}, account="acct", timeout=5)
    assert done.status is Status.SUCCEEDED
    assert done.attempts[0].message == text


@run
async def test_an_account_that_is_no_name_is_refused_before_anything_is_written(tmp_path: Path):
    from execution_arrow.errors import RequestRejected

    store = MemoryStore()
    async with arrow_of(tmp_path, store=store) as arrow:
        for bad in ("", "\ud800", None):
            with pytest.raises(RequestRejected, match="account"):
                await arrow.generate("m", REQUEST, account=bad)  # type: ignore[arg-type]
    assert store.page(None, None, None, 9) == []


@run
async def test_a_cancel_that_came_too_late_does_not_swallow_the_next_one(tmp_path: Path):
    """Its results were lost after all, so another provider works; the second wish comes in time."""
    errors: dict[str, Exception] = {"now": ArtifactRetry("busy")}
    shared = {"store": MemoryStore(), "artifacts": FakeArtifacts(lambda url: errors["now"])}
    providers = FakeProvider("one"), FakeProvider("two", polls=iter(lambda: f.Running(), None))
    async with (
        arrow_of(tmp_path, *providers, worker=True, **shared) as owner,
        arrow_of(tmp_path, *providers, **shared) as other,
    ):
        started = await owner.generate("m", REQUEST, account="acct")
        await until(lambda: _state(owner, started.id, 0, State.COLLECTING))
        with pytest.raises(CancelTooLate):
            await other.cancel(started.id)
        errors["now"] = ArtifactGone("404")
        await until(lambda: _state(owner, started.id, 1, State.LIVE))
        await other.cancel(started.id)
        assert (await owner.wait(started.id, timeout=5)).status is Status.CANCELED


async def _state(arrow: Any, generation_id: str, number: int, state: State) -> bool:
    attempts = (await arrow.get(generation_id)).attempts
    return len(attempts) > number and attempts[number].state is state
