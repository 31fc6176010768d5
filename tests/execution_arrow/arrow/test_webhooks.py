"""The sandbox calls back over real sockets, signed as the real providers sign; nobody polls in time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from execution_arrow import AsyncArrow, Policy, Status
from execution_arrow.credentials import EnvironmentCredentials
from execution_arrow.ports import Prepared, Quote
from execution_arrow.providers import shipped
from execution_arrow.providers.byteplus import BytePlus
from execution_arrow.providers.fal import Fal
from execution_arrow.providers.openai import OpenAI
from execution_arrow.providers.replicate import Replicate
from execution_arrow.sandbox import Fault, Sandbox
from execution_arrow.wiring import default_parts
from tests.execution_arrow.arrow.conftest import Opener, options
from tests.execution_arrow.arrow.test_generations import SCHNELL, SEEDREAM, fund, outcomes, run
from tests.execution_arrow.providers.samples import SORA

CLASSES = {"byteplus": BytePlus, "fal": Fal, "replicate": Replicate}


def seldom(name: str) -> Any:
    """The shipped provider, polled once a minute: only a callback can be in time."""
    provider = CLASSES[name]()
    provider.semantics = replace(provider.semantics, poll_every=60.0, lookup=None)  # type: ignore[misc]
    return provider


PROVIDERS = {**shipped(), **{name: seldom(name) for name in CLASSES}}


class Door:
    """A web server as a team would have one: each POST to /hooks/<provider>/<token> goes to the Arrow."""

    def __init__(self) -> None:
        self.arrow: AsyncArrow | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.answers: list[tuple[str, int, str]] = []
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                _, _, provider, token = self.path.split("/")
                body = self.rfile.read(int(self.headers["content-length"]))
                assert door.arrow is not None
                assert door.loop is not None
                verb = door.arrow.handle_webhook(provider, token, dict(self.headers), body)
                reply = asyncio.run_coroutine_threadsafe(verb, door.loop).result(10)
                door.answers.append((provider, reply.status, reply.reason.value))
                self.send_response(reply.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks"


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    with serving(made.server):
        yield made


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("model", "provider", "more", "reason"),
    [
        (SCHNELL, "replicate", {}, "accepted"),
        (SEEDREAM, "fal", {"generation_ratio": "16:9"}, "accepted"),
        (
            "bytedance/seedance-1-pro",
            "byteplus",
            {"generation_duration": 5, "generation_resolution": "480p"},
            "asked",
        ),
    ],
)
@run
async def test_a_callback_brings_the_result(
    box: Sandbox, open_arrow: Opener, door: Door, model: str, provider: str, more: dict[str, Any], reason: str
):
    async with open_arrow(public_url=door.url, providers=PROVIDERS) as arrow:
        door.arrow, door.loop = arrow, asyncio.get_running_loop()
        await fund(arrow)
        request = {"generation_prompt": "called back", **more, "generation_provider_order": provider}
        done = await arrow.generate_and_wait(model, request, account="acct", timeout=40)
        assert (done.status, outcomes(done)) == (Status.SUCCEEDED, [(provider, "used")])
        assert (provider, 202 if reason == "asked" else 200, reason) in door.answers
        assert done.charged > 0


@run
async def test_a_lost_reply_is_found_by_the_callback(box: Sandbox, open_arrow: Opener, door: Door):
    """fal has no list of jobs: the callback is the only way to learn of a job whose reply was lost."""
    box.fault("fal", Fault("lost_reply", times=1))
    policy = Policy(on_unknown="wait")
    async with open_arrow(public_url=door.url, providers=PROVIDERS, policy=policy) as arrow:
        door.arrow, door.loop = arrow, asyncio.get_running_loop()
        await fund(arrow)
        request = {"generation_prompt": "lost and found", "generation_provider_order": "fal, replicate"}
        done = await arrow.generate_and_wait(SEEDREAM, request, account="acct", timeout=40)
        assert outcomes(done) == [("fal", "used")]
        assert done.possible_waste == 0


class Clips:
    """OpenAI's clips have no model in the catalogue any more; a team may have one of its own."""

    def prepare(self, model: str, request: Mapping[str, Any]) -> Prepared:
        payload = replace(SORA, body={**SORA.body, "prompt": request["prompt"]})
        quote = Quote(payload=payload, cost=400_000, price=400_000)
        return Prepared(
            model=model, kind="video", values=request, order="fastest", work="", asked=1, quotes=(quote,),
            catalog_digest="own",
        )  # fmt: skip


@pytest.mark.parametrize("lost", [False, True])
@run
async def test_an_event_of_openais_project_brings_the_clip(
    box: Sandbox, tmp_path: Path, door: Door, lost: bool
):
    """One that comes before we know the job is refused, and comes again when the lookup has found it."""
    if lost:
        box.fault("openai", Fault("lost_reply", times=1))
    async with httpx.AsyncClient(trust_env=False) as client:
        wanted = {"url": f"{door.url}/openai/events", "name": "n", "event_types": ["video.completed"]}
        bearer = {"authorization": f"Bearer {box.environment()['OPENAI_API_KEY']}"}
        made = await client.post(f"{box.base_url('openai')}/webhook_endpoints", json=wanted, headers=bearer)
    seldom = OpenAI()
    seldom.semantics = replace(seldom.semantics, poll_every=60.0)  # type: ignore[misc]
    keys = {**box.environment(), "OPENAI_WEBHOOK_SECRET": made.json()["signing_secret"]}
    point = {**options(box), "credentials": EnvironmentCredentials(keys), "providers": {"openai": seldom}}
    urls = point.pop("base_urls")
    parts = replace(default_parts(tmp_path / "data", **point), normalizer=Clips())
    async with AsyncArrow(parts, base_urls=urls, worker=True, policy=Policy(on_unknown="wait")) as arrow:
        door.arrow, door.loop = arrow, asyncio.get_running_loop()
        await fund(arrow)
        done = await arrow.generate_and_wait("own/clip", {"prompt": f"{lost}"}, account="acct", timeout=40)
        assert outcomes(done) == [("openai", "used")]
        assert ("openai", 200, "accepted") in door.answers
