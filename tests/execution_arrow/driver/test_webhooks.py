"""Callbacks against a whole Arrow of fakes: who is believed, who makes us ask, and who changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import Arrow, AsyncArrow, Generation, Policy, Status
from execution_arrow import facts as f
from execution_arrow.errors import StoreUnavailable
from execution_arrow.machine.codec import load_run, load_spec
from execution_arrow.machine.state import Attempt
from execution_arrow.ports import Payload
from execution_arrow.providers.base import Call, Callback, Context, Refusal, Reply
from execution_arrow.signing import Signature, check_standard, sign_standard
from execution_arrow.stores.base import Append, Op, Result
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing import FakeProvider, FakeTransport, fake_parts
from execution_arrow.testing.fakes import ONE_FILE
from execution_arrow.webhooks import LARGEST, WebhookReason, WebhookReply
from tests.execution_arrow.driver.test_driver import QUICK, REQUEST, run

OLD, NEW = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"


@dataclass
class Signed:
    """Standard Webhooks over `{"job": ..., "done": bool}`. `keys` is what the provider tells when asked."""

    keys: tuple[str, ...] = (OLD,)
    asked: int = 0

    def build_keys(self, context: Context) -> Call | None:
        self.asked += 1
        return Call(method="GET", url=f"{context.base_url}/keys")

    def read_keys(self, reply: Reply) -> tuple[str, ...]:
        return self.keys

    def read(
        self, payload: Payload, headers: Mapping[str, str], body: bytes, keys: Sequence[str], now: float
    ) -> Callback | Refusal:
        signature = check_standard(headers, body, keys, now)
        if signature in (Signature.FORGED, Signature.STALE):
            return Refusal(signature.value)
        try:
            said = json.loads(body)
            job, done = said["job"], said.get("done")
        except (ValueError, KeyError, TypeError):
            return Refusal.MALFORMED
        sure = signature is Signature.VALID
        return Callback(job=job, sure=sure, told=ONE_FILE if done and sure else None)


@dataclass
class World:
    """One generation at a provider that stays silent: only callbacks move it."""

    arrow: AsyncArrow
    store: MemoryStore
    callbacks: Signed
    transport: FakeTransport
    generation: Generation
    alerts: list[str] = field(default_factory=list)

    @property
    def attempt(self) -> Attempt:
        row = self.store.load(self.generation.id)
        assert row is not None
        return load_run(load_spec(row.spec), row.state).attempts[0]

    @property
    def token(self) -> str:
        return f"{self.generation.id}.{self.attempt.token}"

    @property
    def job(self) -> str:
        return f"job-{self.attempt.id}"

    async def call(
        self,
        *,
        secret: str | None = OLD,
        token: str = "",
        provider: str = "one",
        at: float = 0.0,
        **said: Any,
    ) -> WebhookReply:
        body = json.dumps({"job": self.job, **said}).encode()
        now = int(self.arrow._parts.clock.now() + at)
        headers = sign_standard([secret], "m", now, body) if secret else {}
        return await self.arrow.handle_webhook(provider, token or self.token, headers, body)

    def changed(self) -> tuple[int, Any]:
        row = self.store.load(self.generation.id)
        assert row is not None
        return row.version, row.state


@asynccontextmanager
async def world(tmp_path: Path, *submits: f.SubmitFact, store: MemoryStore | None = None, **more: Any) -> Any:
    callbacks, transport, kept = Signed(), FakeTransport(), store or MemoryStore()
    silent = [f.Running()] * 10_000
    one = FakeProvider(
        "one", submits=submits, polls=silent, callbacks=callbacks, webhook="signed", poll_every=1000.0
    )
    two = FakeProvider("two", polls=silent, callbacks=Signed(), webhook="signed")
    three = FakeProvider("three")
    parts = fake_parts({"one": one, "two": two, "three": three}, tmp_path, store=kept, transport=transport)
    policy = more.pop("policy", Policy(on_unknown="wait"))
    async with AsyncArrow(
        parts, policy=policy, worker=True, limits=QUICK, public_url="https://we.example/hooks"
    ) as arrow:
        generation = await arrow.generate("m", REQUEST, account="acct")
        made = World(arrow, kept, callbacks, transport, generation)
        wanted = "live" if not submits else "unknown"
        while not (g := await arrow.get(generation.id)).attempts or g.attempts[0].state != wanted:
            await asyncio.sleep(0.01)
        yield made


@run
async def test_a_signed_callback_ends_a_generation_that_nobody_polls(tmp_path: Path):
    async with world(tmp_path) as w:
        assert await w.call(done=True) == WebhookReply(200, WebhookReason.ACCEPTED)
        assert (await w.arrow.wait(w.generation.id, timeout=10)).status is Status.SUCCEEDED
        assert await w.call(done=True) == WebhookReply(200, WebhookReason.ENDED)


@run
async def test_a_signed_callback_ends_the_doubt_about_a_submit(tmp_path: Path):
    """The answer was lost, the provider cannot be asked for it, and calls back all the same."""
    async with world(tmp_path, f.Ambiguous(message="read timeout")) as w:
        assert (await w.call(done=True)).reason is WebhookReason.ACCEPTED
        done = await w.arrow.wait(w.generation.id, timeout=10)
        assert [(a.provider, a.outcome.value) for a in done.attempts] == [("one", "used")]


@run
async def test_any_process_takes_a_callback_and_the_owner_folds_it(tmp_path: Path):
    async with world(tmp_path) as w:
        other = AsyncArrow(w.arrow._parts, limits=QUICK)
        async with other:
            reply = await World(other, w.store, w.callbacks, w.transport, w.generation).call(done=True)
            assert reply.status == 200
        assert (await w.arrow.wait(w.generation.id, timeout=10)).status is Status.SUCCEEDED


@run
async def test_an_unsigned_callback_is_not_believed_and_makes_us_ask(tmp_path: Path):
    async with world(tmp_path, f.Ambiguous()) as w:
        assert await w.call(secret=None, done=True) == WebhookReply(202, WebhookReason.ASKED)
        while w.attempt.job is None:
            await asyncio.sleep(0.01)
        assert any(call.url.endswith(f"/jobs/{w.job}") for call in w.transport.calls)
        assert (w.attempt.state, (await w.arrow.get(w.generation.id)).status) == ("live", "processing")


@run
async def test_an_unsigned_callback_for_a_live_job_is_a_poll_each_time_it_says_something_new(tmp_path: Path):
    async with world(tmp_path) as w:
        for number in (1, 2):
            assert (await w.call(secret=None, step=number)).reason is WebhookReason.ASKED
            while sum(call.url.endswith(f"/jobs/{w.job}") for call in w.transport.calls) < number:
                await asyncio.sleep(0.01)
        assert (await w.call(secret=None, step=2)).reason is WebhookReason.REPEATED


@run
async def test_what_changes_nothing_says_why(tmp_path: Path):
    async with world(tmp_path) as w:
        before = w.changed()
        attempt_token = w.attempt.token
        refused = [
            (404, "unknown_provider", {"provider": "nobody"}),
            (404, "no_callbacks", {"provider": "three"}),
            (404, "unknown_token", {"token": "gen_none.x"}),
            (404, "unknown_token", {"token": attempt_token}),
            (404, "unknown_token", {"token": f"{w.generation.id}."}),
            (404, "unknown_token", {"token": f"{w.generation.id}.{attempt_token[:-1]}"}),
            (404, "unknown_token", {"token": f"{w.generation.id}.\ud800"}),
            (404, "unknown_token", {"provider": "two"}),  # another provider knows this token
            (401, "forged", {"secret": NEW}),
            (401, "stale", {"at": -400.0}),
            (401, "stale", {"at": 400.0}),
            (409, "foreign", {"secret": None, "job": "another"}),
            (409, "foreign", {"job": "another", "done": True}),  # signed: recorded, alerted, never used
        ]
        for status, reason, how in refused:
            reply = await w.call(**how)
            assert (reply.status, reply.reason.value) == (status, reason), how
        for body, status in ((b"<html>", 400), (b"x" * (LARGEST + 1), 413)):
            assert (await w.arrow.handle_webhook("one", w.token, {}, body)).status == status
        await asyncio.sleep(0.2)
        assert w.attempt.state == "live"
        assert w.changed()[1] == before[1]  # the anomaly was told, and nothing else came of it


@run
@pytest.mark.parametrize("name", ["gen\ud800", "gen\0", "g" * 10_000])
async def test_a_token_that_no_store_can_look_for_is_an_unknown_one(tmp_path: Path, name: str):
    """Anybody may send it: neither the store nor the log is to hear of it, and nobody should call again."""
    async with world(tmp_path) as w:
        w.store.load = None  # type: ignore[method-assign, assignment]
        said = await w.arrow.handle_webhook("one", f"{name}.secret", {}, b"{}")
        del w.store.load
    assert said == WebhookReply(404, WebhookReason.UNKNOWN_TOKEN)


@run
async def test_a_signed_callback_for_a_job_of_another_attempt_is_never_used(tmp_path: Path):
    """Somebody sends us, for an attempt in doubt, what another attempt's provider has signed."""
    async with world(tmp_path) as first:
        second = await first.arrow.generate("m", REQUEST, account="acct")
        while not (await first.arrow.get(second.id)).attempts:
            await asyncio.sleep(0.01)
        w = World(first.arrow, first.store, first.callbacks, first.transport, second)
        while w.attempt.job is None:
            await asyncio.sleep(0.01)
        assert (await w.call(job=first.job, done=True)).reason is WebhookReason.FOREIGN
        await asyncio.sleep(0.1)
        assert (await first.arrow.get(second.id)).status is Status.PROCESSING


@run
async def test_keys_that_changed_are_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with world(tmp_path) as w:
        assert (await w.call(secret=NEW)).reason is WebhookReason.FORGED
        assert (await w.call(secret=NEW)).reason is WebhookReason.FORGED
        assert w.callbacks.asked == 1  # a forger does not make us ask again and again
        w.callbacks.keys = (NEW,)
        monkeypatch.setattr("execution_arrow.webhooks.KEYS_PAUSE", 0.0)
        assert (await w.call(secret=NEW, done=True)).reason is WebhookReason.ACCEPTED
        assert w.callbacks.asked == 2


@run
async def test_without_keys_the_provider_is_asked_instead(tmp_path: Path):
    async with world(tmp_path) as w:
        w.callbacks.keys = ()
        assert await w.call(done=True) == WebhookReply(202, WebhookReason.ASKED)


class Away(MemoryStore):
    away = False

    def apply(self, ops: Sequence[Op]) -> list[Result]:
        if self.away and any(isinstance(op, Append) for op in ops):
            raise StoreUnavailable("away", maybe_applied=False)
        return super().apply(ops)


@run
async def test_a_store_that_is_away_asks_the_provider_to_call_again(tmp_path: Path):
    store = Away()
    async with world(tmp_path, store=store) as w:
        store.away = True
        assert await w.call(done=True) == WebhookReply(503, WebhookReason.UNAVAILABLE)
        store.away = False
        assert (await w.call(done=True)).reason is WebhookReason.ACCEPTED
        assert (await w.arrow.wait(w.generation.id, timeout=10)).status is Status.SUCCEEDED


def test_the_blocking_face_takes_callbacks_too(tmp_path: Path):
    parts = fake_parts({"one": FakeProvider("one", callbacks=Signed())}, tmp_path)
    with Arrow(lambda: AsyncArrow(parts, limits=QUICK)) as arrow:
        reply = arrow.handle_webhook("one", "gen_x.y", {}, b"{}")
    assert (reply.status, reply.reason) == (404, WebhookReason.UNKNOWN_TOKEN)
