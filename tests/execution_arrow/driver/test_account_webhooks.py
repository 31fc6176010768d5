"""Callbacks per account (OpenAI's) name a job, and no attempt: who is believed, and what comes too early."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import AsyncArrow, Generation, Policy, Status
from execution_arrow import facts as f
from execution_arrow.errors import MissingCredentials, StoreUnavailable
from execution_arrow.ports import Secret
from execution_arrow.providers._callbacks import openai_event
from execution_arrow.providers.base import Events, Refusal
from execution_arrow.signing import sign_standard
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing import FakeProvider, fake_parts
from execution_arrow.testing.fakes import ONE_FILE, FakeCredentials
from execution_arrow.webhooks import EARLY_FOR, LARGEST_EVENT, WebhookReply
from tests.execution_arrow.driver.test_driver import QUICK, REQUEST, run

OURS, THEIRS = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"


class Keys(FakeCredentials):
    """Each customer has a project of its own; the team's is that of nobody in particular."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {"": OURS, "acct": OURS, "other": THEIRS}

    def reference(self, provider: str, account: str) -> str:
        return account

    def get(self, provider: str, reference: str) -> Secret:
        if not provider.endswith("/webhooks"):
            return Secret("fake")
        if reference not in self.secrets:
            raise MissingCredentials("one", "OPENAI_WEBHOOK_SECRET")
        return Secret(self.secrets[reference])


@dataclass
class World:
    """One generation at a provider that is polled in an hour: only a callback is in time."""

    arrow: AsyncArrow
    keys: Keys
    generation: Generation

    async def job(self) -> str:
        while not (found := await self.arrow.get(self.generation.id)).attempts[0].job:
            await asyncio.sleep(0.01)
        return found.attempts[0].job or ""

    async def call(
        self, job: Any, *, secret: str | None = OURS, at: float = 0.0, made: float = 0.0, **said: Any
    ) -> tuple[int, str]:
        now = self.arrow._parts.clock.now()
        event = {"id": "evt_1", "object": "event", "type": "video.completed", "created_at": int(now + made),
                 "data": {"id": job}, **said}  # fmt: skip
        body = json.dumps(event).encode()
        headers = sign_standard([secret], "wh_1", int(now + at), body) if secret else {}
        return told(await self.arrow.handle_webhook("one", "events", headers, body))


def told(reply: WebhookReply) -> tuple[int, str]:
    return reply.status, reply.reason.value


@asynccontextmanager
async def world(
    tmp_path: Path, *submits: f.SubmitFact, lookups: Sequence[f.LookupFact] = (), account: str = "acct"
) -> Any:
    keys = Keys()
    one = FakeProvider(
        "one", submits=submits, polls=[ONE_FILE], lookups=lookups, poll_every=1000.0,
        callbacks=Events(read=openai_event), lookup="suggestive" if lookups else None,
    )  # fmt: skip
    parts = fake_parts({"one": one}, tmp_path, store=MemoryStore(), credentials=keys)
    policy = Policy(on_unknown="wait")
    async with AsyncArrow(parts, policy=policy, worker=True, limits=QUICK, public_url="https://x.y") as arrow:
        generation = await arrow.generate("m", REQUEST, account=account)
        while not (await arrow.get(generation.id)).attempts:
            await asyncio.sleep(0.01)
        yield World(arrow, keys, generation)


@run
async def test_a_signed_event_is_found_by_its_job_and_makes_us_look(tmp_path: Path):
    async with world(tmp_path) as w:
        job = await w.job()
        assert await w.call(job) == (200, "accepted")
        assert (await w.arrow.wait(w.generation.id, timeout=10)).status is Status.SUCCEEDED
        assert await w.call(job) == (200, "ended")


@run
async def test_forged_stale_foreign_and_malformed_events_change_nothing_and_say_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async with world(tmp_path) as w:
        job = await w.job()
        refused = [
            (401, "forged", {"secret": THEIRS}),
            (401, "forged", {"secret": None}),
            (401, "stale", {"at": -400.0}),
            (401, "stale", {"at": 400.0}),
            (401, "forged", {"secret": THEIRS, "job": "video_none"}),  # nobody learns which jobs there are
            (401, "stale", {"at": -400.0, "job": "video_none"}),
            (
                404,
                "unknown_job",
                {"job": "video_none", "made": -EARLY_FOR - 1},
            ),  # somebody else's project work
            (400, "malformed", {"job": None}),
            (400, "malformed", {"job": ["video_1"]}),
            (400, "malformed", {"created_at": "now"}),
            *((400, "malformed", {"job": "none", "created_at": at}) for at in (10**400, 1e999, -1, nan)),
            (400, "malformed", {"object": "list", "type": 7}),
            (200, "ignored", {"type": "response.completed"}),
        ]
        for status, reason, how in refused:
            assert await w.call(**{"job": job, **how}) == (status, reason), how
        assert told(await w.arrow.handle_webhook("one", "events", {}, b"<html>")) == (401, "forged")
        assert told(await w.arrow.handle_webhook("one", "x", {}, b" " * LARGEST_EVENT + b"{}"))[0] == 413
        strangers = [record for record in caplog.records if "webhook_" in record.message]
        assert len(strangers) == 4  # those that know a job of ours: nobody else can fill the log
        w.keys.secrets.clear()
        for _ in range(3):
            assert await w.call(job) == (404, "no_callbacks")
        assert sum("OPENAI_WEBHOOK_SECRET" in record.message for record in caplog.records) == 1
        await asyncio.sleep(0.2)
        assert (await w.arrow.get(w.generation.id)).attempts[0].state == "live"


@run
async def test_a_repeated_event_is_one_fact(tmp_path: Path):
    async with world(tmp_path) as w:
        job = await w.job()
        first, *others = [await w.call(job) for _ in range(3)]
        assert first == (200, "accepted")
        assert set(others) <= {(200, "repeated"), (200, "ended")}


@run
async def test_an_event_before_the_answer_to_the_submit_is_asked_for_again_and_not_lost(tmp_path: Path):
    """The lookup says whose the job is. Until then the event cannot be taken, and is not acknowledged."""
    late = f.LookupNone(conclusive=False)
    found = f.LookupFound(job="video_1")
    async with world(tmp_path, f.Ambiguous(message="reset"), lookups=[late, found]) as w:
        assert await w.call("video_1") == (503, "early")
        assert await w.job() == "video_1"
        assert await w.call("video_1") == (200, "accepted")  # the provider's next try
        done = await w.arrow.wait(w.generation.id, timeout=10)
        assert [(a.job, a.outcome.value) for a in done.attempts] == [("video_1", "used")]


@run
async def test_a_customers_own_project_vouches_for_that_customers_jobs_alone(tmp_path: Path):
    async with world(tmp_path, account="other") as w:
        job = await w.job()
        assert await w.call(job, secret=OURS) == (401, "forged")
        assert await w.call(job, secret=THEIRS) == (200, "accepted")


@run
async def test_a_store_that_is_away_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with world(tmp_path) as w:
        job = await w.job()

        def away(provider: str, job: str) -> list[str]:
            raise StoreUnavailable("away", maybe_applied=False)

        monkeypatch.setattr(w.arrow._parts.store, "of_job", away)
        assert await w.call(job) == (503, "unavailable")


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b'{"type": "video.completed", "data": []}', b"\xff\xfe", b"[" * 9999]
)
def test_whatever_a_stranger_sends_is_read(body: bytes):
    assert openai_event(body) is Refusal.MALFORMED
