"""Provider modules, transport and artifact store against the sandbox, which was written without them.

Both sides were built from the providers' own documents by different hands, so that an agreement says
something. Real sockets, real pictures and clips; each fault of the sandbox meets each kind of provider.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from execution_arrow.artifacts.folder import FolderArtifacts
from execution_arrow.egress import EgressPolicy
from execution_arrow.errors import MaybeSentError, NotSentError
from execution_arrow.facts import (
    Accepted,
    Ambiguous,
    CancelAcknowledged,
    Canceled,
    CancelRefused,
    Completed,
    Failed,
    Fault,
    LookupFound,
    LookupNone,
    NotSent,
    PollFailed,
    Refused,
    Running,
    Stored,
    Succeeded,
)
from execution_arrow.ports import InputFile, Payload
from execution_arrow.providers import shipped
from execution_arrow.providers.base import Call, Follow, Job, Reply
from execution_arrow.sandbox import Fault as Trouble
from execution_arrow.sandbox import Sandbox, Timing
from execution_arrow.spool import read_spool
from execution_arrow.transport.httpx import HttpxTransport
from tests.execution_arrow.providers import samples as s

REPLICATE_CLIP = s.payload(
    "replicate",
    "/v1/models/google/veo-3.1/predictions",
    {"input": {"prompt": "waves", "duration": 4, "resolution": "720p"}},
    model="google/veo-3.1",
)
PICTURE = s.payload(
    "byteplus",
    "/images/generations",
    {"model": "seedream-4-5-251128", "prompt": "waves", "size": "2560x1440", "watermark": False},
    model="seedream-4-5-251128",
)
CLIP = s.payload(
    "byteplus",
    "/contents/generations/tasks",
    {
        "model": "seedance-1-0-pro-250528",
        "content": [{"type": "text", "text": "waves"}],
        "resolution": "480p",
        "ratio": "16:9",
        "duration": 2,
    },
    model="seedance-1-0-pro-250528",
)

EDIT = s.payload(
    "openai",
    "/images/edits",
    {
        "model": "gpt-image-2",
        "prompt": "a hat",
        "size": "1024x512",
        "output_format": "webp",
        "image[]": [InputFile(data=b"\x89PNG\r\n\x1a\n", media_type="image/png")],
    },
    model="gpt-image-2",
    encoding="multipart",
)
FLUX_2 = s.payload(
    "cloudflare",
    "/ai/run/@cf/black-forest-labs/flux-2-klein-4b",
    {
        "prompt": "waves",
        "width": 768,
        "height": 512,
        "input_image_0": InputFile(data=b"\x89PNG\r\n\x1a\n", media_type="image/png"),
    },
    model="@cf/black-forest-labs/flux-2-klein-4b",
    encoding="multipart",
)
WAN_PICTURE = s.payload(
    "alibabacloud",
    "/services/aigc/text2image/image-synthesis",
    {
        "model": "wan2.5-t2i-preview",
        "input": {"prompt": "waves"},
        "parameters": {"n": 1, "size": "1280*720"},
    },
    model="wan2.5-t2i-preview",
    headers={"X-DashScope-Async": "enable"},
)

Trace = list[Any]


class Walk:
    """One attempt, driven as simply as can be: submit, look up, poll, cancel when it takes long."""

    def __init__(self, sandbox: Sandbox, folder: Path, payload: Payload, kind: str = "image") -> None:
        self.provider, self.payload, self.kind = shipped()[payload.provider], payload, kind
        base = sandbox.base_url(payload.provider)
        self.context = s.context(base, settings={"account_id": "acc"}, deadline=30.0)
        self.spool, self.folder, self.trace = folder / "spool" / "att_1", folder, Trace()
        self.keeping = True

    async def __call__(self, *, patience: float = 20.0) -> Trace:
        """`patience` in seconds: for the answer to a submit, and for a job before it is canceled."""
        self.patience = patience
        self.transport = HttpxTransport()
        self.store = FolderArtifacts(self.folder, EgressPolicy(allow_loopback=True))
        try:
            fact = await self.submit()
            if isinstance(fact, Accepted | LookupFound):
                fact = await self.follow(Job(id=fact.job, urls=fact.urls, payload=self.payload))
            if isinstance(fact, Succeeded | Completed) and self.keeping:
                for output in fact.outputs:
                    self.trace.append(await self.keep(output))
        finally:
            await self.transport.aclose()
            await self.store.aclose()
        return self.trace

    async def submit(self) -> Any:
        sent = time.time()
        call = dataclasses.replace(
            self.provider.build_submit(self.payload, self.context), timeout=self.patience
        )
        try:
            reply = await self.transport.send(call, spool=self.spool)
            fact: Any = self.provider.read_submit(self.payload, reply)
        except NotSentError as error:
            fact = NotSent(message=str(error))
        except MaybeSentError as error:
            fact = Ambiguous(message=str(error))
        self.trace.append(fact)
        look = self.provider.build_lookup(self.payload, self.context)
        if isinstance(fact, Ambiguous) and look is not None:
            found = await self.transport.send(look)
            fact = self.provider.read_lookup(self.payload, found, sent_at=sent, bound=lambda job: False)
            self.trace.append(fact)
        return fact

    async def follow(self, job: Job) -> Any:
        self.job, fact = job, None
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            fact = await self.poll(job)
            if not isinstance(fact, Running | PollFailed):
                self.trace.append(fact)
                return fact
            await asyncio.sleep(0.03)
        cancel = self.provider.build_cancel(job, self.context)
        if cancel is None:
            return fact
        self.trace.append(self.provider.read_cancel(job, await self.transport.send(cancel)))
        await asyncio.sleep(0.1)
        self.trace.append(fact := await self.poll(job))
        return fact

    async def poll(self, job: Job) -> Any:
        fact = self.provider.read_poll(
            job, await self.ask(self.provider.build_poll(job, self.context)), self.context
        )
        return self.provider.read_result(job, await self.ask(fact.call)) if isinstance(fact, Follow) else fact

    async def ask(self, call: Call) -> Reply:
        return await self.transport.send(call)

    async def keep(self, output: Any) -> Stored:
        if output.keyed:
            keys = self.provider.build_poll(self.job, self.context).headers
            return await self.store.copy(output.url, index=output.index, kind=self.kind, headers=keys)
        if output.url is not None:
            return await self.store.copy(output.url, index=output.index, kind=self.kind)
        reply = read_spool(self.spool)
        assert reply is not None
        data = self.provider.inline_output(reply, output.index)
        return await self.store.put(data, index=output.index, kind=self.kind)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=5, timing=Timing(queue=0.02, image=0.05, video=0.1)) as running:
        yield running


def walk(
    sandbox: Sandbox,
    folder: Path,
    payload: Payload,
    trouble: str | None,
    kind: str = "image",
    keeping: bool = True,
) -> Trace:
    if trouble is not None:
        sandbox.fault(payload.provider, trouble if trouble == "down" else Trouble(trouble, times=1))
    # Two equal jobs within seconds could not be told apart by a lookup.
    prompt = {"prompt": f"waves {len(sandbox.calls())}"}
    if payload.provider == "replicate":
        payload = dataclasses.replace(payload, body={"input": {**payload.body["input"], **prompt}})
    elif payload is s.SORA:
        payload = dataclasses.replace(payload, body={**payload.body, **prompt})
    patience = 0.4 if trouble == "never_finishes" else 20.0
    try:
        one = Walk(sandbox, folder, payload, kind)
        one.keeping = keeping  # drawing a clip takes seconds, and what is not looked at need not be drawn
        return asyncio.run(one(patience=patience))
    finally:
        sandbox.heal()


RESULTS = [
    (s.REPLICATE, "image", "image/webp", 1.75, None),
    (REPLICATE_CLIP, "video", "video/mp4", 1280 / 720, 4.0),
    (s.FAL, "image", "image/jpeg", 1024 / 576, None),
    (PICTURE, "image", "image/jpeg", 2560 / 1440, None),
    (CLIP, "video", "video/mp4", 864 / 480, 2.0),
    (s.HOSTED, "image", "image/jpeg", 1.0, None),
    (FLUX_2, "image", "image/jpeg", 1.5, None),
    (s.GPT_IMAGE, "image", "image/png", 1536 / 864, None),
    (EDIT, "image", "image/webp", 2.0, None),
    (s.SORA, "video", "video/mp4", 1280 / 720, 4.0),
    (s.QWEN, "image", "image/png", 1664 / 928, None),
    (WAN_PICTURE, "image", "image/png", 1280 / 720, None),
    (s.WAN, "video", "video/mp4", 832 / 480, 5.0),
    (s.FLUX, "image", "image/jpeg", 1024 / 768, None),
    (s.GEN4, "image", "image/png", 1920 / 1080, None),
    (s.GEN45, "video", "video/mp4", 1280 / 720, 2.0),
]
SYNC = (PICTURE, s.HOSTED, s.GPT_IMAGE, s.QWEN)
JOBS = (s.REPLICATE, s.FAL, CLIP, s.SORA, s.WAN, s.FLUX, s.GEN45)
THROTTLED = {s.GEN45.provider: Fault.PROVIDER}  # the day's tasks are used up; elsewhere: come back


@pytest.mark.parametrize(
    ("payload", "kind", "media", "ratio", "seconds"), RESULTS, ids=[r[0].path for r in RESULTS]
)
def test_a_result_is_ours_in_the_end(
    sandbox: Sandbox,
    tmp_path: Path,
    payload: Payload,
    kind: str,
    media: str,
    ratio: float,
    seconds: float | None,
) -> None:
    stored = walk(sandbox, tmp_path, payload, None, kind)[-1]
    assert isinstance(stored, Stored)
    assert stored.media_type == media
    assert stored.width is not None
    assert stored.height is not None
    assert stored.width / stored.height == pytest.approx(ratio, abs=0.01)
    assert stored.seconds == (seconds and pytest.approx(seconds, abs=0.1))


OUTCOMES: list[tuple[Payload, str, list[Any]]] = [
    *((p, "down", [NotSent]) for p in (*SYNC, s.REPLICATE, s.FAL, s.SORA, s.WAN, s.FLUX, s.GEN45)),
    *((p, "rate_limited", [(Refused, THROTTLED.get(p.provider, Fault.HERE))]) for p in (*SYNC, *JOBS)),
    *((p, "no_credit", [(Refused, Fault.ACCOUNT)]) for p in (*SYNC, *JOBS)),
    *((p, "server_error", [Ambiguous, LookupNone]) for p in (s.REPLICATE, s.SORA)),
    *((p, "server_error", [Ambiguous]) for p in (s.FAL, CLIP, s.HOSTED, s.GPT_IMAGE, s.WAN, s.FLUX, s.GEN45)),
    *((p, "server_error", [(Refused, Fault.PROVIDER)]) for p in (PICTURE, s.QWEN)),
    (s.REPLICATE, "lost_reply", [Ambiguous, LookupFound, Succeeded, Stored]),
    (s.SORA, "lost_reply", [Ambiguous, LookupFound, Succeeded]),
    *((p, "lost_reply", [Ambiguous]) for p in (*SYNC, s.FAL, CLIP, s.WAN, s.FLUX, s.GEN45)),
    *((p, "job_fails", [Accepted, (Failed, Fault.PROVIDER)]) for p in JOBS),
    *((p, "job_fails", [(Refused, Fault.PROVIDER)]) for p in SYNC),
    *((p, "moderation", [Accepted, (Failed, Fault.CALLER)]) for p in JOBS),
    *((p, "moderation", [(Refused, Fault.CALLER)]) for p in SYNC),
    *((p, "never_finishes", [Accepted, CancelAcknowledged, Canceled]) for p in (s.REPLICATE, s.FAL, s.GEN45)),
    *((p, "never_finishes", [Accepted, CancelRefused, Running]) for p in (CLIP, s.WAN)),
    *((p, "never_finishes", [Accepted]) for p in (s.SORA, s.FLUX)),
    *((p, "never_finishes", [Ambiguous]) for p in (PICTURE, s.GPT_IMAGE, s.QWEN)),
    *((p, "no_output", [Accepted, Succeeded]) for p in (s.REPLICATE, s.FAL, CLIP, s.WAN, s.FLUX, s.GEN45)),
    *((p, "no_output", [Ambiguous]) for p in SYNC),
]


@pytest.mark.parametrize(
    ("payload", "trouble", "expected"),
    OUTCOMES,
    ids=[f"{t}-{p.provider}-{p.path[-6:]}" for p, t, _ in OUTCOMES],
)
def test_every_trouble_reads_as_what_it_is(
    sandbox: Sandbox, tmp_path: Path, payload: Payload, trouble: str, expected: list[Any]
) -> None:
    before = len(sandbox.jobs(payload.provider))
    trace = walk(sandbox, tmp_path, payload, trouble, keeping=Stored in expected)
    names = [type(fact) for fact in trace[: len(expected)]]
    assert names == [want[0] if isinstance(want, tuple) else want for want in expected], trace
    for fact, want in zip(trace, expected, strict=False):
        if isinstance(want, tuple):
            assert fact.fault is want[1]
            assert fact.moderation == (trouble == "moderation")
    if trouble == "rate_limited":
        assert trace[0].retry_after == 1.0
    assert len(sandbox.jobs(payload.provider)) - before <= 1  # however it went, one job at most
