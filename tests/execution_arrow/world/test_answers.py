"""Whatever a server answers, through the whole driver: no worker dies of it, and junk is never a success.

The provider modules, the machine, the driver, the ledger and the artifact folder are the product's own. What
comes back, at every call of a generation's life, is drawn: wrong types, words from other states, HTML with
200, statuses that go backwards, deep nesting, broken UTF-8, NaN, or an exception no port may raise. Results,
where any are announced, are drawn too, and none of them is a picture: so no generation may succeed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from execution_arrow import AsyncArrow, Status
from execution_arrow import facts as f
from execution_arrow.artifacts.folder import FolderArtifacts
from execution_arrow.errors import ArtifactRetry, MaybeSentError, NotSentError
from execution_arrow.providers.base import Call, Reply
from execution_arrow.spool import write_spool
from tests.execution_arrow.providers.test_fuzz import replies
from tests.execution_arrow.world.hand import SHORT, HandClock, live, parts

N = int(os.environ.get("N") or 1)
# By a word of their addresses; Replicate's name other providers' models.
HOSTS = {
    "api.replicate": "replicate", "fal.run": "fal", "cloudflare": "cloudflare", "bfl.ai": "bfl",
    "runwayml": "runway", "openai.com": "openai", "aliyuncs": "alibabacloud", "bytepluses": "byteplus",
}  # fmt: skip
ORDERS = {
    "bfl/flux-schnell": ("replicate", "fal", "cloudflare"),
    "bytedance/seedream-4.5": ("byteplus", "replicate", "fal"),
    "bytedance/seedance-1-pro": ("byteplus", "replicate", "fal"),
    "bfl/flux-1.1-pro": ("bfl", "replicate", "fal"),
    "google/veo-3.1": ("runway", "replicate", "fal"),
    "openai/gpt-image-2": ("openai", "replicate", "runway"),
    "wan/2.7-t2v": ("alibabacloud", "replicate", "fal"),
}
OK = 200
# Answers that are right, so that lives go on beyond the submit and meet junk later.
RIGHT: dict[tuple[str, str], list[Any]] = {
    ("replicate", "POST"): [{"id": "job1", "status": "starting"}],
    ("replicate", "GET"): [
        {"id": "job1", "status": "processing"},
        {"id": "job1", "status": "succeeded", "output": ["https://x.example/a.png"]},
        {"id": "job1", "status": "succeeded", "output": "data:image/png;base64,iVBORw0KGgo="},
        {"id": "job1", "status": "succeeded", "output": None},
        {"id": "job1", "status": "failed", "error": "NSFW"},
        {"results": [{"id": "job1"}]},
    ],
    ("fal", "POST"): [{"request_id": "job1", "status": "IN_QUEUE"}],
    ("fal", "GET"): [
        {"status": "IN_PROGRESS", "request_id": "job1"},
        {"status": "COMPLETED", "request_id": "job1"},
        {"images": [{"url": "https://x.example/a.png"}]},
    ],
    ("byteplus", "POST"): [{"id": "job1"}, {"data": [{"url": "https://x.example/a.png"}]}],
    ("byteplus", "GET"): [
        {"id": "job1", "status": "running"},
        {"id": "job1", "status": "succeeded", "content": {"video_url": "https://x.example/a.mp4"}},
    ],
    ("bfl", "POST"): [
        {"id": "job1", "polling_url": "https://api.us1.bfl.ai/v1/get_result?id=job1", "cost": 4.0},
        {"id": "job1", "polling_url": "https://elsewhere.example/", "cost": "four"},
    ],
    ("bfl", "GET"): [
        {"id": "job1", "status": "Pending"},
        {"id": "job1", "status": "Ready", "result": {"sample": "https://x.example/a.png"}},
        {"id": "job1", "status": "Content Moderated"},
        {"id": "job1", "status": "Task not found"},
    ],
    ("runway", "POST"): [{"id": "job1", "estimatedCost": {"credits": 1}}],
    ("runway", "GET"): [
        {"id": "job1", "status": "THROTTLED"},
        {"id": "job1", "status": "SUCCEEDED", "output": ["https://x.example/a.mp4"], "cost": {"credits": 1}},
        {"id": "job1", "status": "FAILED", "failureCode": "SAFETY.INPUT.TEXT", "cost": {"credits": 1}},
        {"id": "job1", "status": "CANCELLED", "cost": {"credits": -1}},
    ],
    ("openai", "POST"): [
        {"data": [{"b64_json": "iVBORw0KGgo="}]},
        {"data": [{"url": "https://x.example/a.png"}, {"b64_json": None}]},
    ],
    ("alibabacloud", "POST"): [{"output": {"task_id": "job1", "task_status": "PENDING"}}],
    ("alibabacloud", "GET"): [
        {"output": {"task_id": "job1", "task_status": "RUNNING"}},
        {"output": {"task_id": "job1", "task_status": "SUCCEEDED", "video_url": "https://x.example/a.mp4"}},
        {"output": {"task_id": "job1", "task_status": "SUCCEEDED", "results": [{"code": "InternalError"}]}},
        {"output": {"task_id": "job1", "task_status": "UNKNOWN"}},
        {"output": {"task_id": "job1", "task_status": "FAILED", "code": "DataInspectionFailed"}},
    ],
    ("cloudflare", "POST"): [
        {"success": True, "result": {"image": "iVBORw0KGgo="}},
        {"success": True, "result": {"image": "data:image/png;base64,iVBORw0KGgo="}},
    ],
}
broken = st.sampled_from(
    [
        NotSentError("no"),
        MaybeSentError("reset"),
        TimeoutError(),
        RuntimeError("?"),
        RecursionError(),
        OSError(28),
    ]
)
answers = st.lists(st.one_of(replies, st.integers(0, 9), broken), max_size=14)
files = st.lists(
    st.sampled_from(
        [
            b"",
            b"<!doctype html>" * 9,
            b'{"error": "expired"}',
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff\xd9" * 30,
            b"GIF89a" + b"\x00" * 3,
            b"RIFF\xff\xff\xff\xffWEBP",
            b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42",
            b"\x00" * 200,
        ]
    ),
    max_size=5,
)


class Hostile:
    """Answers what was drawn: a reply, an exception, or (a number) one that would be right."""

    def __init__(self, drawn: list[Any]) -> None:
        self._drawn = iter(drawn)
        self.submits: list[str] = []

    async def send(self, call: Call, *, spool: Path | None = None) -> Reply:
        provider = next((name for word, name in HOSTS.items() if word in call.url), "")
        if call.method == "POST" and not call.url.endswith("/cancel"):
            self.submits.append(call.headers["x-client-request-id"])
        found = next(self._drawn, Reply(status=502, body=b"<html>"))
        if isinstance(found, BaseException):
            raise found
        if isinstance(found, int):
            right = RIGHT.get((provider, call.method), [{}])
            found = Reply(status=OK, body=json.dumps(right[found % len(right)]).encode())
        if spool is not None:
            try:
                write_spool(spool, found)
            except UnicodeEncodeError as error:
                raise MaybeSentError("not kept") from error
        return found

    async def aclose(self) -> None:
        pass


class NotAPicture(FolderArtifacts):
    """What lies at an announced address was drawn as well; data in the answer is taken as it is."""

    def __init__(self, folder: Path, drawn: list[bytes]) -> None:
        super().__init__(folder)
        self._files = iter(drawn)

    async def copy(self, url: str, *, index: int, kind: str, headers: Any = None) -> f.Stored:
        if url.startswith("data:"):
            return await super().copy(url, index=index, kind=kind)
        found = next(self._files, None)
        if found is None:
            raise ArtifactRetry("the server is away")
        return await self.put(found, index=index, kind=kind)


@settings(max_examples=60 * N, deadline=None)
@given(st.sampled_from(sorted(ORDERS)), st.permutations((0, 1, 2)), answers, files)
@example("bfl/flux-schnell", [2, 0, 1], [0, 1], [])  # a picture that is the first eight bytes of one
@example("bfl/flux-schnell", [0, 1, 2], [0, 2], [])
@example("bfl/flux-schnell", [1, 0, 2], [0, 1, 2], [b"\x89PNG\r\n\x1a\n"])
@example("bfl/flux-1.1-pro", [0, 1, 2], [0, 0, 3, 3, 1], [b"\x89PNG\r\n\x1a\n"])
@example("google/veo-3.1", [0, 1, 2], [0, 0, 3, 1], [])
@example("openai/gpt-image-2", [0, 1, 2], [0, 0, 1], [])
@example("wan/2.7-t2v", [0, 1, 2], [0, 0, 1, 3, 3, 3], [b"\0\0\0\x18ftypisom\0\0\0\0isommp42"])
@example("bytedance/seedance-1-pro", [0, 1, 2], [0, 1], [b"\0\0\0\x18ftypisom\0\0\0\0isommp42"])
def test_no_answer_kills_a_worker_and_none_that_is_junk_is_a_success(
    model: str, order: list[int], drawn: list[Any], bytes_: list[bytes]
) -> None:
    """The generation fails, by itself, with the credits back, and nobody was called twice for an attempt."""
    asyncio.run(asyncio.wait_for(_life(model, order, drawn, bytes_), 30))


async def _life(model: str, order: list[int], drawn: list[Any], bytes_: list[bytes]) -> None:
    transport, clock = Hostile(drawn), HandClock()
    with tempfile.TemporaryDirectory() as name, Complaints() as complaints:
        folder = Path(name)
        keep = NotAPicture(folder / "artifacts", bytes_)
        made = parts(folder, transport=transport, artifacts=keep, clock=clock)
        async with AsyncArrow(made, policy=SHORT) as arrow:
            await arrow.ledger.grant("acct", "50", key="start", create=True)
            wish = {
                "generation_prompt": "x",
                "generation_provider_order": ", ".join(ORDERS[model][i] for i in order),
            }
            if "veo" in model:
                wish |= {"generation_duration": 4}  # type: ignore[dict-item]
            if "seedance" in model:
                wish |= {"generation_duration": 5, "generation_resolution": "480p"}  # type: ignore[dict-item]
            started = await arrow.generate(model, wish, account="acct")
            done = await live(arrow, clock, started.id)
            balance = await arrow.ledger.balance("acct")
    assert done.status is Status.FAILED
    assert (done.charged, balance.held.micros, balance.available.micros) == (0, 0, 50_000_000)
    assert (
        len(set(transport.submits))
        == len(transport.submits)
        == sum(attempt.code != "not_buildable" for attempt in done.attempts)
    )
    assert not complaints.found


class Complaints(logging.Handler):
    """What only a mistake of ours would log: a turn that raised, a housekeeping that failed."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.getMessage().startswith("effect_failed"):  # drawn exceptions are said so
            self.found.append(record.getMessage())

    def __enter__(self) -> Complaints:
        logging.getLogger("execution_arrow").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("execution_arrow").removeHandler(self)


def test_the_hand_made_world_can_succeed() -> None:
    """The test above can fail: with a real picture in the answer, the same world ends in a success."""
    from tests.execution_arrow.artifacts.makers import picture

    async def use() -> None:
        with tempfile.TemporaryDirectory() as name:
            clock, folder = HandClock(), Path(name)
            keep = NotAPicture(folder / "artifacts", [picture("PNG")])
            made = parts(folder, transport=Hostile([0, 1]), artifacts=keep, clock=clock)
            async with AsyncArrow(made, policy=SHORT) as arrow:
                await arrow.ledger.grant("acct", "50", key="start", create=True)
                wish = {"generation_prompt": "x", "generation_provider_order": "replicate"}
                started = await arrow.generate("bfl/flux-schnell", wish, account="acct")
                assert (await live(arrow, clock, started.id)).status is Status.SUCCEEDED

    asyncio.run(use())
