"""Pains of lost results: forgotten jobs, links that died, pictures that are not what was asked for.

Each test is one pain that was reported elsewhere; docs/pains.md names the reports.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
from pathlib import Path

import pytest

from execution_arrow import AsyncArrow, GenerationFailed, Policy, Status, WaitTimeout
from execution_arrow import facts as f
from execution_arrow.artifacts.folder import FolderArtifacts
from execution_arrow.errors import ArtifactGone
from execution_arrow.providers.base import Call, Reply
from execution_arrow.sandbox import Fault, Sandbox
from execution_arrow.spool import write_spool
from execution_arrow.testing import FakeArtifacts, FakeLedger, FakeNormalizer, FakeProvider, FakeTransport
from tests.execution_arrow.arrow.conftest import PROVIDERS, Opener, options
from tests.execution_arrow.arrow.test_killed import expect, start
from tests.execution_arrow.artifacts import makers
from tests.execution_arrow.pains.kit import (
    QUICK,
    SCHNELL,
    SEEDREAM,
    ask,
    billed,
    faked,
    followed,
    fund,
    of,
    outcomes,
    run,
    until,
)


@run
async def test_the_client_stops_polling_and_the_result_is_lost(box: Sandbox, open_arrow: Opener):
    """Pain 2: the job's id died with the caller's timeout; the provider finished, billed, and nobody came."""
    box.fault("replicate", Fault("slow", times=1, seconds=0.5))
    async with open_arrow() as arrow:
        await fund(arrow)
        with pytest.raises(WaitTimeout) as caught:
            await arrow.generate_and_wait(SCHNELL, ask("replicate"), account="acct", timeout=0.1)
    async with open_arrow() as later:  # another process, another day
        done = await later.wait(caught.value.generation_id, timeout=30)
        assert done.status is Status.SUCCEEDED
        assert done.attempts[0].job in {job.id for job in box.jobs("replicate")}
        assert len(of(done, box.calls())) == len(billed(box, done)) == 1


@run
async def test_a_job_that_timed_out_runs_on_at_the_provider(box: Sandbox, open_arrow: Opener):
    """Pain 5: nobody canceled what nobody waited for."""
    box.fault("replicate", Fault("never_finishes", times=1))
    async with open_arrow(policy=Policy(attempt_deadline=0.5, generation_deadline=30)) as arrow:
        await fund(arrow)
        done = await arrow.generate_and_wait(SCHNELL, ask("replicate, fal"), account="acct")
        done = await followed(arrow, done.id)
        assert outcomes(done) == [("replicate", "canceled"), ("fal", "used")]
        told = [call for call in of(done, box.calls(), "cancel") if call.provider == "replicate"]
        assert told
        assert told[0].job == done.attempts[0].job


def test_a_job_is_tied_to_the_process_that_started_it(box: Sandbox, tmp_path: Path):
    """Pain 10: "processing" for ever, when the browser or the function that polled was gone."""
    box.fault("replicate", Fault("slow", seconds=1.0))
    before = len(box.calls())
    plan = {
        "base_urls": {name: box.base_url(name) for name in PROVIDERS},
        "environment": box.environment(),
        "credits": "5",
        "generations": [(SCHNELL, ask("replicate"))],
    }
    child = start(tmp_path / "data", plan)
    expect(child.stdout, "ready")
    asyncio.run(until(lambda: any(call.on == "poll" for call in box.calls()[before:])))
    child.send_signal(signal.SIGKILL)
    child.wait()

    async def another_process() -> None:
        async with AsyncArrow.open(tmp_path / "data", limits=QUICK, worker=True, **options(box)) as arrow:
            generation = (await arrow.list())[0]
            assert not generation.done
            done = await followed(arrow, generation.id)  # nobody asks: the worker finds it
            assert outcomes(done) == [("replicate", "used")]
            assert len(of(done, box.calls())) == 1

    asyncio.run(another_process())


@run
async def test_one_failed_poll_kills_a_paid_render(box: Sandbox, open_arrow: Opener):
    """Pain 11: a 500 on one poll ended the job for the customer, and the provider billed it."""
    box.fault("replicate", Fault("server_error", on="poll", times=2))
    box.fault("replicate", Fault("lost_reply", on="poll", times=1))
    async with open_arrow() as arrow:
        await fund(arrow)
        done = await arrow.generate_and_wait(SCHNELL, ask("replicate, fal"), account="acct")
        assert outcomes(done) == [("replicate", "used")]


@run
async def test_done_without_a_result_is_polled_until_the_deadline(box: Sandbox, open_arrow: Opener):
    """Pain 11: "succeeded" without a URL is neither a success nor something to wait for for half an hour."""
    box.fault("replicate", Fault("no_output", times=1))
    async with open_arrow(policy=Policy(empty_patience=0.3)) as arrow:
        await fund(arrow)
        done = await arrow.generate_and_wait(SCHNELL, ask("replicate, fal"), account="acct", timeout=30)
        assert outcomes(done) == [("replicate", "failed"), ("fal", "used")]
        assert done.attempts[0].code == "empty"


@run
async def test_the_results_link_expires(box: Sandbox, open_arrow: Opener, tmp_path: Path):
    """Pain 12: links live for an hour or a day, and databases full of them rot."""
    async with open_arrow() as arrow:
        await fund(arrow)
        done = await arrow.generate_and_wait(SEEDREAM, ask("fal"), account="acct")
    file = done.files[0]
    assert file.path is not None
    assert "http" not in str(file)
    assert hashlib.sha256(file.path.read_bytes()).hexdigest() == file.sha256

    gone = FakeArtifacts(fail=lambda url: ArtifactGone("404") if "one" in url else None)
    outputs = (f.Output(index=0, url="https://one.example/0.png"),)
    first = FakeProvider("one", polls=[f.Succeeded(outputs=outputs)])
    async with faked(tmp_path, first, FakeProvider("two"), artifacts=gone) as arrow:
        late = await arrow.generate_and_wait("m", {}, account="acct")
    assert outcomes(late) == [("one", "failed"), ("two", "used")]  # no success without the bytes


@run
async def test_the_results_link_dies_before_the_copy(box: Sandbox, open_arrow: Opener):
    """Pain 12: after a crash the link is dead, and the picture that was paid for is paid for again."""
    for provider in ("fal", "replicate"):
        box.fault(provider, Fault("dead_link", times=1, seconds=0.4))
    async with open_arrow() as arrow:
        await fund(arrow)
        for provider in ("fal", "replicate"):
            done = await arrow.generate_and_wait(SEEDREAM, ask(provider), account="acct", timeout=30)
            assert outcomes(done) == [(provider, "used")]
            assert len(of(done, box.calls(provider))) == 1


@run
async def test_a_link_that_nobody_renews_is_no_success(box: Sandbox, open_arrow: Opener):
    """Pain 12: where no other link can be had either, another provider is asked, and it says why."""
    box.fault("fal", Fault("dead_link", times=1, seconds=3600.0))
    async with open_arrow(policy=Policy(collect_deadline=3.0)) as arrow:
        await fund(arrow)
        done = await arrow.generate_and_wait(SEEDREAM, ask("fal, replicate"), account="acct", timeout=30)
        assert outcomes(done) == [("fal", "failed"), ("replicate", "used")]
        assert done.attempts[0].code == "outputs_lost"


class PictureInside(FakeTransport):
    """A synchronous provider's answer is the picture itself."""

    def __init__(self, picture: bytes) -> None:
        super().__init__()
        self._picture = picture

    async def send(self, call: Call, *, spool: Path | None = None) -> Reply:
        await super().send(call)
        reply = Reply(status=200, body=self._picture)
        assert spool is not None
        write_spool(spool, reply)
        return reply


@run
async def test_the_size_that_was_asked_for_is_echoed_and_not_measured(
    box: Sandbox, open_arrow: Opener, tmp_path: Path
):
    """Pain 13: ratios were coerced in silence, and the record repeated the wish."""
    async with open_arrow() as arrow:
        await fund(arrow)
        wish = ask("cloudflare, replicate, fal", generation_ratio="3:2")
        done = await arrow.generate_and_wait(SCHNELL, wish, account="acct")
        assert "cloudflare" not in done.chain  # it can only make squares, so it is not asked
        assert done.files[0].width is not None
        assert done.files[0].height is not None
        assert done.files[0].width / done.files[0].height == pytest.approx(1.5, rel=0.05)

    answer = f.Completed(outputs=(f.Output(index=0),))
    square = FakeProvider(submits=[answer], sync=True)
    keep = FolderArtifacts(tmp_path / "kept")
    picture = PictureInside(makers.picture("PNG", 64, 64))
    async with faked(tmp_path, square, transport=picture, artifacts=keep) as arrow:
        coerced = await arrow.generate_and_wait("m", {"generation_ratio": "16:9"}, account="acct")
    assert (coerced.files[0].width, coerced.files[0].height) == (64, 64)


@run
async def test_one_refused_picture_loses_all_four(tmp_path: Path):
    """Pain 14: three of four are delivered, and three of four are paid."""
    four = tuple(f.Output(index=i, url=f"https://fake.example/{i}.png") for i in range(4))
    provider = FakeProvider(polls=[f.Succeeded(outputs=four)])
    artifacts = FakeArtifacts(fail=lambda url: ArtifactGone("removed") if "/2." in url else None)
    ledger = FakeLedger()
    parts = {"artifacts": artifacts, "holds": ledger, "normalizer": FakeNormalizer(["fake"], asked=4)}
    async with faked(tmp_path, provider, **parts) as arrow:
        done = await arrow.generate_and_wait("m", {}, account="acct")
    assert [file.index for file in done.files] == [0, 1, 3]
    assert ledger.settled == {done.id: ("charge", 30_000)}


@run
async def test_a_success_without_any_file_is_charged(tmp_path: Path):
    """Pain 12: nothing arrived, so nothing is paid, and the generation says that it failed."""
    artifacts, ledger = FakeArtifacts(fail=lambda url: ArtifactGone("404")), FakeLedger()
    async with faked(tmp_path, artifacts=artifacts, holds=ledger) as arrow:
        with pytest.raises(GenerationFailed) as caught:
            await arrow.generate_and_wait("m", {}, account="acct")
    assert ledger.settled == {caught.value.generation.id: ("release", 0)}
    assert json.dumps(str(caught.value))
