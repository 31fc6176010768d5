"""Pains of false alarms and wrong addresses: what a provider says, to whom, and how often.

Each test is one pain that was reported elsewhere; docs/pains.md names the reports.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from execution_arrow import GenerationFailed, Policy, Status
from execution_arrow import facts as f
from execution_arrow.driver.session import Heard, to_inbox
from execution_arrow.machine.state import State
from execution_arrow.ports import Secret
from execution_arrow.sandbox import Fault, Sandbox
from execution_arrow.stores.base import Append
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing import FakeCredentials, FakeLedger, FakeProvider
from tests.execution_arrow.arrow.conftest import Opener
from tests.execution_arrow.pains.kit import SEEDREAM, ask, faked, followed, fund, outcomes, run


@run
async def test_a_refusal_because_of_the_content_looks_like_an_outage(box: Sandbox, open_arrow: Opener):
    """Pain 14: refusals counted as failures, opened breakers, and were sent to the next provider."""
    box.fault("byteplus", Fault("moderation", times=12))
    async with open_arrow() as arrow:
        await fund(arrow)
        for _ in range(12):
            with pytest.raises(GenerationFailed) as caught:
                await arrow.generate_and_wait(SEEDREAM, ask("byteplus, fal"), account="acct")
            failed = caught.value.generation
            assert (failed.error_code, failed.charged) == ("BSE2006", 0)
            assert outcomes(failed) == [("byteplus", "failed")]  # nobody else is asked
            assert failed.attempts[0].moderation
        fine = await arrow.generate_and_wait(SEEDREAM, ask("byteplus, fal"), account="acct")
        assert outcomes(fine) == [("byteplus", "used")]  # no breaker has opened


@run
async def test_a_callback_that_never_comes_leaves_the_job_hanging(box: Sandbox, open_arrow: Opener):
    """Pain 15: a promised call that never came; whoever is told where to call is polled as well."""
    async with open_arrow(public_url="http://127.0.0.1:9/nobody") as arrow:
        await fund(arrow)
        done = await arrow.generate_and_wait(SEEDREAM, ask("replicate"), account="acct", timeout=30)
        assert done.status is Status.SUCCEEDED
        assert any(call.on == "poll" for call in box.calls("replicate"))


@run
async def test_two_tellers_of_one_end_settle_it_twice(tmp_path: Path):
    """Pain 15: two check-then-write processes, and a refund for each; a repeated notice counts once."""
    store, ledger = MemoryStore(), FakeLedger()
    end = f.Succeeded(outputs=(f.Output(index=0, url="https://fake.example/0.png"),))
    provider = FakeProvider(polls=[f.Running()] * 3)
    shared = {"store": store, "holds": ledger}
    async with faked(tmp_path, provider, worker=True, **shared) as one:
        started = await one.generate("m", {}, account="acct")
        for _ in range(200):
            now = await one.get(started.id)
            if now.attempts and now.attempts[0].state is not State.SENDING:
                break
            await asyncio.sleep(0.01)
        told = to_inbox(started.id, Heard(attempt=now.attempts[0].id, fact=end), 0.0)
        answers = [store.apply([Append(fact=told)])[0] for _ in range(5)]
        assert [answer.new for answer in answers] == [True] + [False] * 4  # type: ignore[union-attr]
        async with faked(tmp_path, FakeProvider(), worker=True, **shared) as two:
            ends = await asyncio.gather(*(arrow.wait(started.id, timeout=20) for arrow in (one, two)))
    assert [end.status for end in ends] == [Status.SUCCEEDED] * 2
    assert ledger.settled == {started.id: ("charge", 40_000)}
    assert [event.type for event in store.events(started.id)] == [
        "generation.started",
        "generation.completed",
    ]


class Keyring(FakeCredentials):
    """Remembers who asked for which key."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str]] = set()

    def get(self, provider: str, reference: str) -> Secret:
        self.asked.add((provider, reference))
        return Secret(f"key of {reference}")


@run
async def test_after_failover_the_status_is_asked_of_the_wrong_provider(tmp_path: Path):
    """Also reported: polls went to the first choice, or with its key; an attempt carries its own of both."""
    keys = Keyring()
    first = FakeProvider("one", polls=[f.Running()] * 1000)
    policy = Policy(attempt_deadline=0.2, cancel_patience=0.1, write_off_after=1.0, generation_deadline=20)
    async with faked(tmp_path, first, FakeProvider("two"), credentials=keys, policy=policy) as arrow:
        done = await arrow.generate_and_wait("m", {}, account="acct")
        done = await followed(arrow, done.id)
        calls = arrow._parts.transport.calls  # type: ignore[attr-defined]
    assert done.provider_used == "two"
    jobs = {attempt.job: attempt.provider for attempt in done.attempts}
    polls = [call.url for call in calls if call.method == "GET"]
    assert {url.partition("//")[2].partition(".")[0] for url in polls} == {"one", "two"}
    for url in polls:
        host, job = url.partition("//")[2].split(".")[0], url.rpartition("/")[2]
        assert jobs[job] == host
    assert keys.asked == {("one", "fake:one"), ("two", "fake:two")}
