"""From a generation to its webhooks, over every shipped store, and from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import AsyncArrow
from execution_arrow import facts as f
from execution_arrow.cli import main
from execution_arrow.delivery import WebhookPolicy, verify_webhook
from execution_arrow.errors import StoreUnavailable
from execution_arrow.facts import Fault
from execution_arrow.stores.base import JobStore, Op, Result
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.stores.postgres import PostgresStore
from execution_arrow.stores.redis import RedisStore
from execution_arrow.stores.sqlite import SqliteStore
from execution_arrow.testing import FakeProvider, fake_parts
from tests.execution_arrow.delivery.kit import KEYS, LOCAL, Received, receiving, run
from tests.ledger_fortress.redis.servers import redis_server
from tests.services import postgres_server

KEY = {"EXECUTION_ARROW_WEBHOOK_KEY": "k" * 40}


@pytest.fixture(params=["memory", "sqlite", "postgresql", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "sqlite":
        yield SqliteStore(tmp_path / "arrow.db")
    elif request.param == "redis":
        server = redis_server()
        with server.client() as client:
            client.flushall()
        yield RedisStore(server.url, accept_duplicate_submits=True)
    else:
        with postgres_server().schema() as url:
            yield PostgresStore(url, migrate=True)


class Keys:
    """The webhook key from the environment, a made-up one for the provider."""

    reference = staticmethod(lambda provider, account: "env:X")
    settings = staticmethod(lambda provider, reference: {})

    @staticmethod
    def get(provider: str, reference: str) -> Any:
        return KEYS.get(provider, reference if provider == "webhooks" else "env:MINE")


def arrow_over(store: JobStore, folder: Path, provider: FakeProvider) -> AsyncArrow:
    parts = fake_parts({"fake": provider}, folder, store=store, credentials=Keys())
    return AsyncArrow(parts, worker=True, webhooks=WebhookPolicy(egress=LOCAL))


def told(got: list[Received]) -> list[dict[str, Any]]:
    return [json.loads(one.body)["webhook_data"] for one in got]


@run
async def test_a_generation_is_told_from_its_start_to_its_end(store: JobStore, tmp_path: Path) -> None:
    async with receiving() as receiver, arrow_over(store, tmp_path, FakeProvider()) as arrow:
        endpoint = await arrow.webhooks.add(f"{receiver.url}/hook", account="acct")
        await arrow.webhooks.add(f"{receiver.url}/other", account="other")
        done = await arrow.generate_and_wait(
            "m", {"generation_prompt": "secret plans"}, account="acct", timeout=30
        )
        await receiver.until(lambda: len(receiver.got) == 2)
        secret = (await arrow.webhooks.secret(endpoint.id)).reveal()
        events = [verify_webhook(one.headers, one.body, secret)["webhook_event"] for one in receiver.got]
        assert events == ["generation.started", "generation.completed"]
        started, completed = told(receiver.got)
        assert started["generation_status"] == "processing"
        assert completed == {
            "account_id": "acct", "model_identifier": "m", "generation_provider_initialize": "fake",
            "generation_provider_used": "fake", "generation_status": "succeeded",
            "generation_prediction_id": done.attempts[0].job, "generation_id": done.id,
            "generation_output_file": [done.files[0].key], "credits_settled": True,
        }  # fmt: skip
        assert b"secret plans" not in receiver.got[1].body
        while {d.state for d in await arrow.webhooks.deliveries(generation=done.id)} != {"delivered"}:
            await receiver.changed.wait()


@run
async def test_a_failed_one_says_why_and_that_the_credits_came_back(tmp_path: Path) -> None:
    refused = f.Refused(fault=Fault.CALLER, code="nsfw", message="not this", moderation=True)
    async with (
        receiving() as receiver,
        arrow_over(MemoryStore(), tmp_path, FakeProvider(submits=[refused])) as arrow,
    ):
        await arrow.webhooks.add(receiver.url, events=["generation.failed"])
        await arrow.generate("m", {}, account="acct")
        await receiver.until(lambda: len(receiver.got) == 1)
        (failed,) = told(receiver.got)
        assert failed["generation_error_code"] == "BSE2006"
        assert (failed["generation_error"], failed["credits_refunded"]) == ("not this", True)
        assert "generation_output_file" not in failed


@run
async def test_an_arrow_ends_with_its_store_away_and_a_webhook_under_way(tmp_path: Path) -> None:
    class Away(MemoryStore):
        away = False

        def apply(self, ops: Sequence[Op]) -> list[Result]:
            if self.away:
                raise StoreUnavailable("gone", maybe_applied=False)
            return super().apply(ops)

    store = Away()
    async with receiving() as receiver, arrow_over(store, tmp_path, FakeProvider()) as arrow:
        endpoint = await arrow.webhooks.add(f"{receiver.url}/slow")
        await arrow.webhooks.test(endpoint.id)
        await receiver.until(lambda: receiver.open == 1)
        store.away = True
        await arrow.aclose(grace=0.05)
        assert not arrow._courier._tasks


def test_the_command_line_adds_shows_and_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(*words: str) -> list[str]:
        assert main(["webhooks", *words, "--data", str(tmp_path)]) == 0
        return capsys.readouterr().out.splitlines()

    monkeypatch.delenv("EXECUTION_ARROW_WEBHOOK_KEY", raising=False)
    assert main(["webhooks", "add", "https://shop.example/h", "--data", str(tmp_path)]) == 1
    assert "EXECUTION_ARROW_WEBHOOK_KEY" in capsys.readouterr().err
    monkeypatch.setenv("EXECUTION_ARROW_WEBHOOK_KEY", KEY["EXECUTION_ARROW_WEBHOOK_KEY"])
    shown, secret = say("add", "https://127.0.0.1/h", "--account", "acct_1", "--event", "webhook.test")
    name = shown.split()[0]
    assert secret.startswith("whsec_")
    assert say("secret", name) == [secret]
    assert json.loads(say("list", "--json")[0])["url"] == "https://127.0.0.1/h"
    assert say("test", name) == ["sent: 1"]
    assert say("deliver") == ["tried: 1"]
    assert "webhook.test" in say("log")[0]
    assert say("dead") == []
    say("disable", name)
    (dead,) = say("dead", "--json")
    assert json.loads(dead)["endpoint"] == name
    assert main(["webhooks", "replay", name, "--data", str(tmp_path)]) == 1
    capsys.readouterr()
    say("enable", name)
    assert say("replay", name) == ["replayed: 1"]
    assert say("rotate", name)[1] != secret
    assert say("remove", name) == [f"removed: {name}"]
    assert main(["webhooks", "secret", "--data", str(tmp_path)]) == 1
    assert "needs an endpoint" in capsys.readouterr().err
