"""Facts are never lost (invariant 13): what a worker heard about a generation that is not its own any more
reaches the inbox, also when the store is away at that moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import Policy, Status
from execution_arrow.errors import StoreUnavailable
from execution_arrow.machine.state import Outcome
from execution_arrow.stores.base import Append, Claim, Commit, Op, Result
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing import FakeLedger
from tests.execution_arrow.driver.test_driver import QUICK, REQUEST, arrow_of, run
from tests.execution_arrow.driver.test_review_ownership import Gate, until


class Away(MemoryStore):
    """Refuses some kinds of operations while told to."""

    away: tuple[type[Any], ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.appended: list[str] = []

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        if any(isinstance(op, self.away) for op in ops):
            raise StoreUnavailable("away", maybe_applied=False)
        self.appended += [str(op.fact.body["kind"]) for op in ops if isinstance(op, Append)]
        return super().apply(ops)


async def said(store: Away) -> bool:
    return "Accepted" in store.appended


async def _nothing() -> None:
    return None


async def lapsed(zombie: Any, transport: Gate) -> None:
    """The worker's one call is under way, and its lease is over."""
    await transport.arrived.wait()
    zombie._lease.keep = _nothing
    await asyncio.sleep(QUICK.lease + 0.1)


WAIT = Policy(on_unknown="wait")


@run
async def test_a_job_id_that_arrives_after_the_lease_while_the_store_is_away_is_written_later(tmp_path: Path):
    """Its heir waits for the unknown attempt; only the zombie knows the job, and the store refuses it."""
    store, transport, ledger = Away(), Gate(), FakeLedger()
    shared: dict[str, Any] = {"store": store, "holds": ledger, "policy": WAIT, "limits": QUICK}
    async with arrow_of(tmp_path, transport=transport, worker=True, **shared) as zombie:
        started = await zombie.generate("m", REQUEST, account="acct")
        await lapsed(zombie, transport)
        async with arrow_of(tmp_path, worker=True, **shared) as heir:
            await until(lambda: _outcome(heir, started.id, Outcome.UNKNOWN))
            store.away = (Append,)
            transport.gate.set()
            await until(lambda: _waiting(zombie))
            store.away = ()
            done = await heir.wait(started.id, timeout=10)
    assert done.status is Status.SUCCEEDED
    assert [attempt.outcome for attempt in done.attempts] == [Outcome.USED]
    assert len(transport.submits()) == 1
    assert store.appended.count("Accepted") == 1


async def _outcome(arrow: Any, generation_id: str, outcome: Outcome) -> bool:
    return outcome in [attempt.outcome for attempt in (await arrow.get(generation_id)).attempts]


async def _waiting(arrow: Any) -> bool:
    return bool(arrow._driver.committer.unsaid)


@run
async def test_what_waits_for_a_commit_is_handed_over_when_our_own_next_claim_replaces_the_session(
    tmp_path: Path,
):
    """The commit of the job id failed, then the lease was over and the same worker claimed the row again."""
    store, transport = Away(), Gate()
    async with arrow_of(
        tmp_path, transport=transport, store=store, policy=WAIT, limits=QUICK, worker=True
    ) as arrow:
        started = await arrow.generate("m", REQUEST, account="acct")
        await transport.arrived.wait()
        store.away = (Commit, Claim)
        transport.gate.set()
        (session,) = arrow._driver.sessions.values()  # type: ignore[union-attr]
        await until(lambda: _failed(session))
        store.away = (Commit,)
        store._leases.clear()
        await until(lambda: _replaced(arrow, session))
        store.away = ()
        done = await arrow.wait(started.id, timeout=10)
    assert done.status is Status.SUCCEEDED
    assert len(transport.submits()) == 1
    assert "Accepted" in store.appended


async def _failed(session: Any) -> bool:
    return session.failure is not None


async def _replaced(arrow: Any, session: Any) -> bool:
    return all(one is not session for one in arrow._driver.sessions.values())


@pytest.mark.parametrize("back", [True, False])
@run
async def test_what_could_not_be_committed_at_the_end_is_in_the_inbox_or_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, back: bool
):
    """A worker that stops while its store is away tries for its grace; then it says what it takes along."""
    caplog.set_level(logging.WARNING, logger="execution_arrow")
    store, transport = Away(), Gate()
    shared: dict[str, Any] = {"store": store, "holds": FakeLedger(), "policy": WAIT, "limits": QUICK}
    arrow = arrow_of(tmp_path, transport=transport, worker=True, **shared)
    await arrow.__aenter__()
    started = await arrow.generate("m", REQUEST, account="acct")
    await transport.arrived.wait()
    store.away = (Commit, Append)
    transport.gate.set()
    (session,) = arrow._driver.sessions.values()  # type: ignore[union-attr]
    await until(lambda: _failed(session))
    closing = asyncio.create_task(arrow.aclose(grace=5.0 if back else 0.2))
    await asyncio.sleep(0.1)
    if back:
        store.away = ()
    await closing
    told = any("fact_not_written" in record.getMessage() for record in caplog.records)
    assert (("Accepted" in store.appended), told) == (back, not back)
    store.away = ()
    async with arrow_of(tmp_path, worker=True, **shared) as heir:
        if back:
            assert (await heir.wait(started.id, timeout=10)).status is Status.SUCCEEDED
        else:  # the durable state says that the call may have left: it is doubt, never a second call
            await until(lambda: _outcome(heir, started.id, Outcome.UNKNOWN))
    assert len(transport.submits()) == 1
