"""What an operator hears: signals, the log, OpenTelemetry; and what nobody may read anywhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from execution_arrow import AsyncArrow, Outcome, Status
from execution_arrow import facts as f
from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.delivery import WebhookPolicy
from execution_arrow.facts import Fault
from execution_arrow.otel import Telemetry
from execution_arrow.signals import (
    Alert,
    AttemptEnded,
    AttemptStarted,
    EndpointDisabled,
    GenerationEnded,
    GenerationStarted,
    Signal,
    WebhookTried,
)
from execution_arrow.stores.sqlite import SqliteStore
from execution_arrow.testing import FakeProvider, fake_parts
from tests.execution_arrow.delivery.kit import LOCAL, receiving, run
from tests.execution_arrow.transport.kit import answer

DOWN = f.Refused(fault=Fault.PROVIDER, code="http_503", message="we are down")


def arrow_of(tmp_path: Path, on_event: Any, *providers: FakeProvider, **more: Any) -> AsyncArrow:
    named = {provider.semantics.name: provider for provider in providers}
    options = {name: more.pop(name) for name in ("worker", "webhooks") if name in more}
    return AsyncArrow(fake_parts(named, tmp_path, **more), on_event=on_event, **options)


async def one_that_fails_over(tmp_path: Path, on_event: Any) -> str:
    down, up = FakeProvider("down", submits=[DOWN] * 9), FakeProvider("up")
    async with arrow_of(tmp_path, on_event, down, up) as arrow:
        done = await arrow.generate_and_wait("m", {"generation_prompt": "p"}, account="acct", timeout=30)
        return done.id


@run
async def test_a_generation_is_told_from_its_start_to_its_end(tmp_path: Path) -> None:
    heard: list[Signal] = []
    name = await one_that_fails_over(tmp_path, heard.append)
    started, *between, ended = heard
    assert isinstance(started, GenerationStarted)
    assert (started.generation, started.chain, started.account) == (name, ("down", "up"), "acct")
    assert [(type(s), s.provider) for s in between if isinstance(s, AttemptStarted | AttemptEnded)] == [
        (AttemptStarted, "down"), (AttemptEnded, "down"), (AttemptStarted, "up"), (AttemptEnded, "up"),
    ]  # fmt: skip
    outcomes = {s.provider: (s.outcome, s.code) for s in between if isinstance(s, AttemptEnded)}
    assert outcomes == {"down": (Outcome.FAILED, "http_503"), "up": (Outcome.USED, "")}
    assert isinstance(ended, GenerationEnded)
    assert (ended.status, ended.provider, ended.attempts) == (Status.SUCCEEDED, "up", 2)
    assert ended.seconds >= 0 < ended.charged


@run
async def test_a_listener_that_raises_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def listener(signal: Signal) -> None:
        raise RuntimeError("no disk")

    await one_that_fails_over(tmp_path, listener)
    assert "on_event_failed signal=GenerationEnded" in caplog.text


@run
async def test_odd_facts_are_alerts(tmp_path: Path) -> None:
    heard: list[Signal] = []
    twice = [f.Accepted(job="same"), f.Accepted(job="same")]
    async with arrow_of(tmp_path, heard.append, FakeProvider("up", submits=twice)) as arrow:
        await arrow.generate_and_wait("m", {}, account="acct", timeout=30)
        await arrow.generate("m", {}, account="acct")
        await arrow.advance((await arrow.list())[0].id)
    assert {s.name for s in heard if isinstance(s, Alert)} == {"duplicate_job"}


@run
async def test_by_default_ends_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "execution_arrow")
    name = await one_that_fails_over(tmp_path, None)
    (line,) = [record.getMessage() for record in caplog.records if "GenerationEnded" in record.getMessage()]
    assert name in line


@pytest.fixture
def telemetry() -> Iterator[tuple[Telemetry, InMemorySpanExporter, InMemoryMetricReader]]:
    spans, reader, tracers = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    meters = MeterProvider([reader])
    yield Telemetry(tracers, meters), spans, reader
    meters.shutdown()


def measured(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    data: Any = reader.get_metrics_data()
    return {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


@run
async def test_spans_and_metrics_are_what_happened(tmp_path: Path, telemetry: Any) -> None:
    listener, spans, reader = telemetry
    name = await one_that_fails_over(tmp_path, listener)
    finished = spans.get_finished_spans()
    by_name = sorted((s.name, s.attributes.get("execution_arrow.provider")) for s in finished)
    assert by_name == [
        ("execution_arrow attempt", "down"), ("execution_arrow attempt", "up"),
        ("execution_arrow generation", "up"),
    ]  # fmt: skip
    assert len({s.context.trace_id for s in finished}) == 1
    assert {s.attributes["execution_arrow.generation"] for s in finished} == {name}
    failed = [s for s in finished if not s.status.is_ok and s.status.status_code.name == "ERROR"]
    assert [s.attributes["execution_arrow.provider"] for s in failed] == ["down"]
    assert all(s.start_time <= s.end_time for s in finished)
    found = measured(reader)
    (ended,) = found["execution_arrow.generations"]
    assert (ended.value, dict(ended.attributes)) == (1, {"model": "m", "status": "succeeded"})
    attempts = {
        (p.attributes["provider"], p.attributes["outcome"]): p.value
        for p in found["execution_arrow.attempts"]
    }
    assert attempts == {("down", "failed"): 1, ("up", "used"): 1}
    assert found["execution_arrow.charged"][0].value == 0.04
    assert {"execution_arrow.generation.duration", "execution_arrow.cost"} <= set(found)


@run
async def test_webhooks_are_measured(tmp_path: Path, telemetry: Any) -> None:
    listener, _, reader = telemetry
    heard: list[Signal] = []

    def both(signal: Signal) -> None:
        heard.append(signal)
        listener(signal)

    keys = EnvironmentCredentials({"EXECUTION_ARROW_WEBHOOK_KEY": "k" * 40})
    async with (
        receiving(answer(b"", "410 Gone")) as receiver,
        arrow_of(
            tmp_path, both, FakeProvider(), credentials=keys, webhooks=WebhookPolicy(egress=LOCAL)
        ) as arrow,
    ):
        endpoint = await arrow.webhooks.add(receiver.url)
        await arrow.webhooks.test(endpoint.id)
        await arrow.webhooks.deliver()
    assert [type(s) for s in heard] == [WebhookTried, EndpointDisabled]
    found = measured(reader)
    assert found["execution_arrow.webhooks"][0].attributes == {"state": "dead", "event": "webhook.test"}
    assert found["execution_arrow.webhooks.disabled"][0].attributes == {"why": "gone"}


@run
async def test_no_secret_is_in_logs_signals_reprs_or_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every key that an Arrow is given, looked for in everything that it writes, says or shows."""
    caplog.set_level(logging.DEBUG)
    provider_key, webhook_key = "prov-key-0123456789", "hook-key-" + "x" * 32
    keys = EnvironmentCredentials({"FAKE_KEY": provider_key, "EXECUTION_ARROW_WEBHOOK_KEY": webhook_key,
                                   "UP_API_KEY": provider_key, "DOWN_API_KEY": provider_key})  # fmt: skip
    heard: list[Signal] = []
    down = f.Refused(fault=Fault.ACCOUNT, code="unauthorized", message="no")
    store = SqliteStore(tmp_path / "arrow.db")
    providers = FakeProvider("down", submits=[down] * 9), FakeProvider("up")
    policy = WebhookPolicy(egress=LOCAL)
    async with (
        receiving(answer(b"", "500 No")) as receiver,
        arrow_of(tmp_path, heard.append, *providers, store=store, credentials=keys, webhooks=policy) as arrow,
    ):
        endpoint = await arrow.webhooks.add(receiver.url)
        secret = (await arrow.webhooks.secret(endpoint.id)).reveal()
        done = await arrow.generate_and_wait("m", {"generation_prompt": "private"}, account="a", timeout=30)
        await arrow.webhooks.deliver()
        shown = [
            repr((done, heard, keys, policy, await arrow.webhooks.list(), await arrow.webhooks.deliveries())),
            caplog.text,
            *(path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()),
        ]
    assert "up" in shown[0]
    assert done.id in shown[2] or any(done.id in text for text in shown[2:])
    for key in (provider_key, webhook_key, secret):
        assert not [text[:80] for text in shown if key in text], "a key is shown"
    assert "private" not in caplog.text
    assert "private" not in repr(heard)
