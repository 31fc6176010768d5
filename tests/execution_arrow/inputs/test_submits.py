"""Files of a request on their way into the one paid call, and results that lie behind the provider's key."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import Status
from execution_arrow import facts as f
from execution_arrow.errors import InputGone, InputRetry
from execution_arrow.facts import Output, Succeeded
from execution_arrow.ports import InputFile, Prepared
from execution_arrow.providers.base import Call, Context, Job
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing import (
    FakeArtifacts,
    FakeLedger,
    FakeNormalizer,
    FakeProvider,
    FakeRouter,
    FakeTransport,
)
from tests.execution_arrow.driver.test_driver import arrow_of, generate, run

URL = "https://files.example/in.png"
MARKER = {"$fetch": URL, "as": "base64"}


class Asking(FakeNormalizer):
    """Every provider wants the bytes of one file."""

    def prepare(self, model: str, request: Mapping[str, Any]) -> Prepared:
        made = super().prepare(model, request)
        quotes = (
            replace(quote, payload=replace(quote.payload, body={"image": MARKER}, fetches=(URL,)))
            for quote in made.quotes
        )
        return replace(made, quotes=tuple(quotes))


class Sending(FakeProvider):
    """Sends what the payload holds."""

    def build_submit(self, payload: Any, context: Context) -> Call:
        assert payload.fetches == ()
        assert threading.current_thread() is not threading.main_thread()  # where these tests have their loop
        return replace(
            super().build_submit(payload, context), json={"attempt": context.attempt, **payload.body}
        )


class FakeInputs:
    """Hands out one file; `trouble` says what happens instead, call by call."""

    def __init__(self, *trouble: Exception | Callable[[], None]) -> None:
        self.trouble, self.asked, self.held, self.closed = list(trouble), 0, 0, False

    @asynccontextmanager
    async def fetch(self, urls: Sequence[str]) -> AsyncIterator[dict[str, InputFile]]:
        self.asked += 1
        trouble = self.trouble.pop(0) if self.trouble else None
        if isinstance(trouble, Exception):
            raise trouble
        if trouble is not None:
            trouble()
        self.held += 1
        try:
            yield {url: InputFile(data=b"bytes", media_type="image/png") for url in urls}
        finally:
            self.held -= 1

    async def aclose(self) -> None:
        self.closed = True


def parts(inputs: FakeInputs, *names: str) -> dict[str, Any]:
    return {"inputs": inputs, "normalizer": Asking(names or ("fake",)), "transport": FakeTransport()}


@run
async def test_the_bytes_are_in_the_call_and_never_in_the_row(tmp_path: Path):
    inputs, store, held = FakeInputs(), MemoryStore(), []
    ports = parts(inputs)
    ports["transport"].fail = lambda call: held.append((call.method, inputs.held))
    async with arrow_of(tmp_path, Sending(), store=store, **ports) as arrow:
        done = await generate(arrow)
        row = store.load(done.id)
    assert done.status is Status.SUCCEEDED
    sent = [call.json["image"] for call in ports["transport"].calls if call.method == "POST"]
    assert sent == ["Ynl0ZXM="]
    assert row is not None
    assert "Ynl0ZXM=" not in row.spec + row.state
    assert json.loads(row.spec)["routes"]["fake"]["payload"]["body"] == {"image": MARKER}
    assert inputs.closed
    assert set(held) == {("POST", 1), ("GET", 0)}  # room in memory is kept for the call and no longer


@run
async def test_an_answer_stands_whatever_letting_go_of_the_files_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """The call is paid by then: its answer must not be lost for a temporary file that cannot be removed."""

    class Sticky(FakeInputs):
        @asynccontextmanager
        async def fetch(self, urls: Sequence[str]) -> AsyncIterator[dict[str, InputFile]]:
            async with super().fetch(urls) as files:
                yield files
            raise OSError("the temporary file is busy")

    ports = parts(Sticky(), "one", "two")
    async with arrow_of(tmp_path, Sending("one"), Sending("two"), **ports) as arrow:
        done = await generate(arrow)
    assert (done.status, [attempt.outcome for attempt in done.attempts]) == (Status.SUCCEEDED, ["used"])
    assert len([call for call in ports["transport"].calls if call.method == "POST"]) == 1
    assert "the temporary file is busy" in caplog.text


@pytest.mark.parametrize(
    ("reason", "code"),
    [("input_gone", "BSE2009"), ("input_too_large", "BSE2007"), ("input_not_media", "BSE2004")],
)
@run
async def test_a_file_that_cannot_be_had_is_the_callers_and_nobody_elses(
    tmp_path: Path, reason: str, code: str
):
    """Nothing is paid, nobody else is asked, and no provider is thought the worse of."""
    inputs, router, ledger = FakeInputs(InputGone("input file 1: 404", reason)), FakeRouter(), FakeLedger()
    ports = parts(inputs, "one", "two")
    async with arrow_of(
        tmp_path, Sending("one"), Sending("two"), router=router, holds=ledger, **ports
    ) as arrow:
        started = await arrow.generate("m", {}, account="acct")
        done = await arrow.wait(started.id, timeout=20)
    assert (done.status, done.error_code) == (Status.FAILED, code)
    assert ports["transport"].calls == []
    assert [attempt.provider for attempt in done.attempts] == ["one"]
    assert [verdict.fault for verdict in router.verdicts] == ["caller"]
    assert [verb for verb, *_ in ledger.settled.values()] == ["release"]


@run
async def test_a_file_that_comes_later_is_asked_for_again_and_sent_once(tmp_path: Path):
    inputs, router = FakeInputs(InputRetry("input file 1: 503")), FakeRouter()
    ports = parts(inputs)
    async with arrow_of(tmp_path, Sending(), router=router, **ports) as arrow:
        done = await generate(arrow)
    assert done.status is Status.SUCCEEDED
    assert inputs.asked == 2
    assert len(ports["transport"].submits()) == 1
    assert "provider" not in [verdict.fault for verdict in router.verdicts]


@run
async def test_what_was_called_off_while_its_files_were_fetched_is_not_sent(tmp_path: Path):
    """A slow file server must not turn a worker whose time is over into one that still pays."""
    ports = parts(FakeInputs(lambda: arrow._lease.stop_acting()))
    arrow = arrow_of(tmp_path, Sending(), **ports)
    async with arrow:
        await arrow.generate("m", {}, account="acct")
        await arrow.aclose(grace=5.0)
    assert ports["transport"].calls == []


class Keyed(FakeProvider):
    """Its results lie at the provider and need the key."""

    def __init__(self, url: str) -> None:
        super().__init__(polls=[Succeeded(outputs=(Output(index=0, url=url, keyed=True),))] * 9)

    def build_poll(self, job: Job, context: Context) -> Call:
        key = {"authorization": f"Bearer {context.secret.reveal()}", "accept": "application/json"}
        return replace(super().build_poll(job, context), headers=key)


class Copying(FakeArtifacts):
    """Remembers which headers came with which address."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, Mapping[str, str] | None]] = []

    async def copy(
        self, url: str, *, index: int, kind: str, headers: Mapping[str, str] | None = None
    ) -> f.Stored:
        self.seen.append((url, headers))
        return await super().copy(url, index=index, kind=kind)


@run
async def test_a_keyed_result_is_fetched_with_the_headers_of_a_poll(tmp_path: Path):
    artifacts = Copying()
    async with arrow_of(tmp_path, Keyed("https://fake.example/j/content"), artifacts=artifacts) as arrow:
        done = await generate(arrow)
    assert done.status is Status.SUCCEEDED
    assert artifacts.seen == [("https://fake.example/j/content", {"authorization": "Bearer fake"})]


@pytest.mark.parametrize(
    "url", ["https://evil.example/j", "http://fake.example/j", "https://fake.example:8443/j"]
)
@run
async def test_the_key_is_not_shown_to_another_host(tmp_path: Path, url: str):
    artifacts = Copying()
    async with arrow_of(tmp_path, Keyed(url), artifacts=artifacts) as arrow:
        started = await arrow.generate("m", {}, account="acct")
        done = await arrow.wait(started.id, timeout=20)
    assert done.status is Status.FAILED
    assert artifacts.seen == []
