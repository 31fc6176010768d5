"""The driver between a machine that is right and a world that is not: stores that do not answer, workers
that are paused past their lease, ledgers that are away, watchers that raise.

Time is real but short; providers, ledger and artifacts are the shipped fakes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import AsyncArrow, Generation, GenerationFailed, InsufficientCredits, Policy, Status
from execution_arrow import facts as f
from execution_arrow.driver.following import Busy
from execution_arrow.driver.session import Heard, to_inbox
from execution_arrow.driver.worker import Limits
from execution_arrow.errors import ArtifactGone, ArtifactRetry, MaybeSentError, NotSentError, StoreUnavailable
from execution_arrow.facts import Fault
from execution_arrow.machine.state import State
from execution_arrow.stores.base import Append, Commit, Op, Result
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing import (
    FakeArtifacts,
    FakeLedger,
    FakeProvider,
    FakeRouter,
    FakeTransport,
    fake_parts,
)

QUICK = Limits(lease=0.6, inbox_every=0.02, claim_every=0.02)
REQUEST = {"generation_prompt": "x"}


def run(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 30))  # type: ignore[arg-type]

    return wrapper


def arrow_of(tmp_path: Path, *providers: FakeProvider, **more: Any) -> AsyncArrow:
    named = {provider.semantics.name: provider for provider in providers or (FakeProvider(),)}
    options = {
        name: more.pop(name) for name in ("policy", "worker", "limits", "watch", "public_url") if name in more
    }
    return AsyncArrow(fake_parts(named, tmp_path, **more), **{"limits": QUICK, **options})


async def generate(arrow: AsyncArrow, **more: Any) -> Generation:
    return await arrow.generate_and_wait("m", REQUEST, account="acct", timeout=20, **more)


class FlakyStore(MemoryStore):
    """Refuses the commits it is told to, before or after they happened."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[int] = []
        self.after: list[int] = []
        self.blinding = 0  # how many loads after that fail, too
        self.blind = 0
        self.commits = 0

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        number = self.commits
        self.commits += any(isinstance(op, Commit) for op in ops)
        if self.commits > number and number in self.before:
            raise StoreUnavailable("before", maybe_applied=False)
        results = super().apply(ops)
        if self.commits > number and number in self.after:
            self.blind = self.blinding
            raise StoreUnavailable("after", maybe_applied=True)
        return results

    def load(self, generation_id: str) -> Any:
        if self.blind:
            self.blind -= 1
            raise StoreUnavailable("blind", maybe_applied=False)
        return super().load(generation_id)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("moment", ["before", "after"])
@run
async def test_a_commit_without_an_answer_neither_loses_nor_repeats(tmp_path: Path, moment: str, number: int):
    store, transport, ledger = FlakyStore(), FakeTransport(), FakeLedger()
    getattr(store, moment).append(number)
    async with arrow_of(tmp_path, store=store, transport=transport, holds=ledger) as arrow:
        done = await generate(arrow)
    assert done.status is Status.SUCCEEDED
    assert len(transport.submits()) == len(set(transport.submits())) == 1
    assert len(ledger.settled) == 1


@run
async def test_a_commit_that_nobody_can_ask_about_ends_in_doubt_and_not_in_two_posts(tmp_path: Path):
    """The attempt's row was written, the answer and the look were lost: nothing is sent from memory."""
    store, transport = FlakyStore(), FakeTransport()
    store.after.append(0)
    providers = FakeProvider("one"), FakeProvider("two")
    async with arrow_of(tmp_path, *providers, store=store, transport=transport, worker=True) as arrow:
        store.blinding = 1
        started = await arrow.generate("m", REQUEST, account="acct")
        await asyncio.sleep(0.3)  # the driver meets both failures before we look
        done = await arrow.wait(started.id, timeout=20)
    assert done.status is Status.SUCCEEDED
    assert len(transport.submits()) == len(set(transport.submits()))
    assert [attempt.outcome.value for attempt in done.attempts] == ["unknown", "used"]


@run
async def test_a_ledger_that_is_away_is_asked_again_with_the_same_key(tmp_path: Path):
    ledger = FakeLedger()
    async with arrow_of(tmp_path, holds=ledger, worker=True) as arrow:
        started = await arrow.generate("m", REQUEST, account="acct")
        ledger.broken, ledger.applied_anyway = 1, True
        done = await arrow.wait(started.id, timeout=20)
    assert done.status is Status.SUCCEEDED
    assert ledger.settled == {done.id: ("charge", 40_000)}


@run
async def test_a_hold_without_an_answer_is_left_to_a_worker_and_held_once(tmp_path: Path):
    ledger = FakeLedger()
    ledger.broken, ledger.applied_anyway = 1, True
    async with arrow_of(tmp_path, holds=ledger) as arrow:
        with pytest.raises(StoreUnavailable):
            await arrow.generate("m", REQUEST, account="acct", idempotency_key="k")
        found = await arrow.generate("m", REQUEST, account="acct", idempotency_key="k")
        done = await arrow.wait(found.id, timeout=20)
    assert done.status is Status.SUCCEEDED
    assert ledger.available == 10_000_000 - 40_000


@run
async def test_no_hold_no_dispatch(tmp_path: Path):
    transport = FakeTransport()
    async with arrow_of(tmp_path, holds=FakeLedger(available=1), transport=transport) as arrow:
        with pytest.raises(InsufficientCredits):
            await generate(arrow)
    assert transport.calls == []


class Slow(FakeTransport):
    """Holds submits back until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.arrived = asyncio.Event()

    async def send(self, call: Any, *, spool: Path | None = None) -> Any:
        reply = await super().send(call, spool=spool)
        if call.method == "POST" and call.json:
            self.arrived.set()
            await self.gate.wait()
        return reply


@run
async def test_a_zombies_answer_counts_and_its_decisions_do_not(tmp_path: Path):
    """One worker is paused inside its submit for longer than its lease; another one takes over."""
    store, slow, quick, ledger = MemoryStore(), Slow(), FakeTransport(), FakeLedger()
    shared = {"store": store, "holds": ledger, "limits": QUICK}
    names = FakeProvider("one", lookup="suggestive"), FakeProvider("two")
    policy = Policy(unknown_patience=0.2)
    async with arrow_of(tmp_path, *names, transport=slow, policy=policy, **shared) as zombie:
        waiting = asyncio.create_task(generate(zombie))
        await slow.arrived.wait()
        generation_id = (await zombie.list())[0].id
        zombie._lease.keep = _nothing  # type: ignore[method-assign]  # its heartbeat has stopped
        zombie._worker.stop()
        await asyncio.sleep(QUICK.lease + 0.1)
        async with arrow_of(tmp_path, *names, transport=quick, policy=policy, worker=True, **shared) as heir:
            done = await heir.wait(generation_id, timeout=10)
            assert [(a.provider, a.outcome.value) for a in done.attempts] == [
                ("one", "unknown"),
                ("two", "used"),
            ]
            slow.gate.set()  # the zombie hears: accepted
            for _ in range(200):
                done = await heir.get(generation_id)
                if not done.watching:
                    break
                await asyncio.sleep(0.02)
            assert [a.outcome.value for a in done.attempts] == ["discarded", "used"]
        assert (await waiting).id == generation_id
    assert len(slow.submits()) == 1
    assert ledger.settled == {generation_id: ("charge", 40_000)}


async def _nothing() -> None:
    return None


@run
async def test_a_lease_that_is_over_starts_no_call(tmp_path: Path):
    transport = FakeTransport()
    async with arrow_of(tmp_path, transport=transport) as arrow:
        arrow._lease.stop_acting()
        started = await arrow.generate("m", REQUEST, account="acct")
        await arrow._here().claim([started.id])
        await asyncio.sleep(0.3)
        assert transport.calls == []


@run
async def test_busy_names_the_owner(tmp_path: Path):
    store, slow = MemoryStore(), Slow()
    async with arrow_of(tmp_path, store=store, transport=slow, worker=True) as one:
        started = await one.generate("m", REQUEST, account="acct")
        await slow.arrived.wait()
        async with arrow_of(tmp_path, store=store) as two:
            answer = await two.advance(started.id)
            assert isinstance(answer, Busy)
            assert answer.owner == one._lease.owner
        slow.gate.set()
        await one.wait(started.id, timeout=10)


@run
async def test_cancel_from_another_process_reaches_the_owner(tmp_path: Path):
    store = MemoryStore()
    endless = FakeProvider(polls=iter(lambda: f.Running(), None))
    async with arrow_of(tmp_path, endless, store=store, worker=True) as owner:
        started = await owner.generate("m", REQUEST, account="acct")
        async with arrow_of(tmp_path, store=store) as other:
            await asyncio.sleep(0.1)
            assert (await other.cancel(started.id)).status in (Status.CANCELED, Status.PROCESSING)
        assert (await owner.wait(started.id, timeout=10)).status is Status.CANCELED


@run
async def test_a_fact_for_an_ended_generation_is_folded_by_whoever_claims_it(tmp_path: Path):
    store = MemoryStore()
    async with arrow_of(tmp_path, store=store, worker=True) as arrow:
        done = await generate(arrow)
        heard = Heard(attempt=done.attempts[0].id, fact=f.Running())
        store.apply([Append(fact=to_inbox(done.id, heard, 1.0))])
        for _ in range(100):
            row = store.load(done.id)
            assert row is not None
            if not row.inbox and row.owner is None:
                break
            await asyncio.sleep(0.02)
        assert not row.inbox
        assert (await arrow.get(done.id)).status is Status.SUCCEEDED


@run
async def test_a_job_id_of_another_generation_is_never_used(tmp_path: Path):
    twice = FakeProvider(submits=[f.Accepted(job="same"), f.Accepted(job="same")])
    async with arrow_of(tmp_path, twice, FakeProvider("two"), policy=Policy(unknown_patience=0.0)) as arrow:
        first = await generate(arrow)
        second = await generate(arrow)
    assert [a.outcome.value for a in first.attempts] == ["used"]
    assert [(a.provider, a.job) for a in second.attempts] == [("fake", None), ("two", second.attempts[1].job)]


@run
async def test_copies_are_tried_again_and_lost_ones_give_way(tmp_path: Path):
    errors = iter([ArtifactRetry("busy"), None, ArtifactGone("404"), None])
    artifacts = FakeArtifacts(fail=lambda url: next(errors))
    async with arrow_of(tmp_path, FakeProvider("one"), FakeProvider("two"), artifacts=artifacts) as arrow:
        assert [a.outcome.value for a in (await generate(arrow)).attempts] == ["used"]
        assert [a.outcome.value for a in (await generate(arrow)).attempts] == ["failed", "used"]


@pytest.mark.parametrize(
    ("error", "state"), [(NotSentError("refused"), State.REJECTED), (MaybeSentError("reset"), State.UNKNOWN)]
)
@run
async def test_what_the_transport_says_about_the_post_is_believed(
    tmp_path: Path, error: Exception, state: State
):
    errors = iter([error])
    transport = FakeTransport(fail=lambda call: next(errors, None) if call.method == "POST" else None)
    async with arrow_of(tmp_path, FakeProvider("one"), FakeProvider("two"), transport=transport) as arrow:
        done = await generate(arrow)
    assert [a.state for a in done.attempts] == [state, State.STORED]


@run
async def test_a_port_that_breaks_its_word_does_not_break_the_worker(tmp_path: Path):
    errors = iter([ZeroDivisionError("a bug")])
    transport = FakeTransport(fail=lambda call: next(errors, None))
    async with arrow_of(tmp_path, FakeProvider("one"), FakeProvider("two"), transport=transport) as arrow:
        done = await generate(arrow)
    assert done.attempts[0].state is State.UNKNOWN  # it may have left: never assumed that it has not


@run
async def test_a_watcher_that_raises_delays_nothing(tmp_path: Path):
    def watch(generation: Generation) -> None:
        raise RuntimeError("not my day")

    async with arrow_of(tmp_path, watch=watch) as arrow:
        assert (await generate(arrow)).status is Status.SUCCEEDED


@run
async def test_an_open_breaker_is_passed_over_unless_nobody_is_left(tmp_path: Path):
    router = FakeRouter()
    router.closed = {"one"}
    async with arrow_of(tmp_path, FakeProvider("one"), FakeProvider("two"), router=router) as arrow:
        assert (await generate(arrow)).provider_used == "two"
        router.closed = {"one", "two"}
        assert (await generate(arrow)).provider_used == "one"
    assert [(v.provider, v.outcome) for v in router.verdicts] == [("two", "used"), ("one", "used")]


@run
async def test_the_callers_fault_is_told_to_the_router_as_such(tmp_path: Path):
    router = FakeRouter()
    refusing = FakeProvider(submits=[f.Refused(fault=Fault.CALLER, code="bad")])
    async with arrow_of(tmp_path, refusing, router=router) as arrow:
        with pytest.raises(GenerationFailed):
            await generate(arrow)
    assert [(v.outcome, v.fault) for v in router.verdicts] == [("failed", "caller")]


@run
async def test_a_graceful_stop_finishes_what_is_under_way_and_hands_back(tmp_path: Path):
    store, slow, ledger = MemoryStore(), Slow(), FakeLedger()
    async with arrow_of(tmp_path, store=store, transport=slow, holds=ledger, worker=True) as arrow:
        started = await arrow.generate("m", REQUEST, account="acct")
        await slow.arrived.wait()
        asyncio.get_running_loop().call_later(0.2, slow.gate.set)
    row = store.load(started.id)
    assert row is not None
    assert row.owner is None
    async with arrow_of(tmp_path, store=store, holds=ledger) as heir:
        done = await heir.wait(started.id, timeout=10)
    assert [a.outcome.value for a in done.attempts] == ["used"]  # the answer was heard before the end
    assert len(slow.submits()) == 1


@run
async def test_an_idle_worker_calls_nobody_and_writes_no_generation(tmp_path: Path):
    store, transport = FlakyStore(), FakeTransport()
    async with arrow_of(tmp_path, store=store, transport=transport, worker=True) as arrow:
        done = await generate(arrow)
        commits, calls = store.commits, len(transport.calls)
        await asyncio.sleep(0.5)
        assert (store.commits, len(transport.calls)) == (commits, calls)
        assert (await arrow.get(done.id)).version == done.version


@run
async def test_a_caller_that_stops_waiting_leaves_no_generation_without_a_driver(tmp_path: Path):
    """A web framework cancels the handler in the middle of `generate`: the row is handed on all the same."""

    class Hesitant(FakeLedger):
        async def hold(self, *args: Any) -> Any:
            await asyncio.sleep(0.2)
            return await super().hold(*args)

    async with arrow_of(tmp_path, holds=Hesitant()) as arrow:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(arrow.generate("m", REQUEST, account="acct"), 0.1)
        await asyncio.sleep(0.3)
        (left,) = await arrow.list()
        assert (await arrow.wait(left.id, timeout=10)).status is Status.SUCCEEDED


@run
async def test_advance_says_when_the_store_is_away_instead_of_waiting(tmp_path: Path):
    store = FlakyStore()
    async with arrow_of(tmp_path, store=store) as arrow:
        started = await arrow.generate("m", REQUEST, account="acct")
        store.before.extend(range(100))
        with pytest.raises(StoreUnavailable):
            await arrow.advance(started.id)
        store.before.clear()
        assert (await arrow.wait(started.id, timeout=10)).status is Status.SUCCEEDED


@run
async def test_a_transport_that_never_comes_back_is_doubt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Lost(FakeTransport):
        async def send(self, call: Any, *, spool: Path | None = None) -> Any:
            if call.json and not self.calls:
                self.calls.append(call)
                await asyncio.Event().wait()
            return await super().send(call, spool=spool)

    monkeypatch.setattr("execution_arrow.driver.perform._GRACE", -29.8)
    async with arrow_of(tmp_path, FakeProvider("one"), FakeProvider("two"), transport=Lost()) as arrow:
        assert [a.outcome.value for a in (await generate(arrow)).attempts] == ["unknown", "used"]
