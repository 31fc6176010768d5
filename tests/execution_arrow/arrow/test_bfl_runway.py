"""What BFL and Runway bring that others do not: bytes inside a request, signed callbacks, reported costs."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Coroutine, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from PIL import Image

from execution_arrow import Generation, GenerationFailed, Policy, Status
from execution_arrow.egress import EgressPolicy
from execution_arrow.sandbox import Fault, Sandbox
from execution_arrow.testing import hurried
from rosetta_bridge import Catalog
from tests.execution_arrow.arrow.conftest import Opener

FILL = {
    "generation_prompt": "a hat",
    "generation_provider_order": "bfl",
}
GEN = {"generation_prompt": "waves", "generation_duration": 2, "generation_provider_order": "runway"}


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 60))


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(file, "PNG")
    return file.getvalue()


class Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path in ("/in.png", "/mask.png")
        body = picture() if found else b"gone"
        self.send_response(200 if found else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of customers' pictures at a public name, which leads here."""

    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr("execution_arrow.egress._resolve", here)
    with HTTPServer(("127.0.0.1", 0), Files) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"pictures.example:{server.server_port}"
        server.shutdown()
        thread.join()


def fill(open_arrow: Opener, files: str, name: str) -> Generation:
    async def work() -> Generation:
        policy = EgressPolicy(allowed_hosts=frozenset({files}))
        catalog = Catalog.shipped(include="secondary")
        async with open_arrow(catalog=catalog, providers=hurried(), input_egress=policy) as arrow:
            await arrow.ledger.grant("acct", "5", key="g", create=True)
            wish = {
                "generation_input_file": [f"http://{files}/{name}"],
                "generation_mask_file": f"http://{files}/mask.png",
            }
            try:
                done = await arrow.generate_and_wait("bfl/flux-fill-pro", {**FILL, **wish}, account="acct")
            except GenerationFailed as error:
                done = error.generation
            row = arrow._parts.store.load(done.id)
            assert row is not None
            assert name in row.spec
            assert base64.b64encode(picture()).decode() not in row.spec + row.state
            return done

    return run(work())  # type: ignore[no-any-return]


def test_a_picture_that_bfl_wants_inside_the_request(box: Sandbox, open_arrow: Opener, files: str) -> None:
    done = fill(open_arrow, files, "in.png")
    assert done.status is Status.SUCCEEDED
    assert [(str(a.cost.normalize()), a.cost_source) for a in done.attempts if a.cost is not None] == [
        ("0.05", "reported")
    ]
    sent = box.jobs("bfl")[-1].order.native
    assert base64.b64decode(sent["image"]) == base64.b64decode(sent["mask"]) == picture()


def test_a_picture_that_is_gone_is_never_sent(box: Sandbox, open_arrow: Opener, files: str) -> None:
    before = len(box.calls("bfl"))
    done = fill(open_arrow, files, "gone.png")
    assert done.status is Status.FAILED
    assert done.charged == 0
    assert len(box.calls("bfl")) == before


@pytest.mark.parametrize(
    ("kind", "cost", "error"), [("moderation", "0.24", "BSE2006"), ("job_fails", "0", "BSE3003")]
)
def test_what_runway_says_an_end_cost_is_on_record(
    box: Sandbox, open_arrow: Opener, kind: str, cost: str, error: str
) -> None:
    """A moderated clip costs us as much as a good one; the customer pays for neither."""

    async def work() -> None:
        box.fault("runway", Fault(kind))
        policy = Policy(retries_here=0)
        async with open_arrow(
            providers=hurried(), catalog=Catalog.shipped(include="secondary"), policy=policy
        ) as arrow:
            await arrow.ledger.grant("acct", "5", key="g", create=True)
            with pytest.raises(GenerationFailed) as caught:
                await arrow.generate_and_wait("runway/gen-4.5", GEN, account="acct")
            done = caught.value.generation
            assert (done.error_code, str(done.charged.normalize())) == (error, "0")
            assert [str(a.cost.normalize()) for a in done.attempts if a.cost is not None] == [cost]
            assert (await arrow.ledger.balance("acct")).available.micros == 5_000_000

    run(work())


def test_a_signed_callback_of_bfl_ends_a_generation(box: Sandbox, open_arrow: Opener) -> None:
    """It is polled so seldom here that only the callback can have told the end."""

    async def work() -> None:
        providers = hurried(50.0)
        heard: list[Any] = []
        loop = asyncio.get_running_loop()

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                provider, token = self.path.split("/")[-2:]
                work = arrow.handle_webhook(provider, token, dict(self.headers), body)
                reply = asyncio.run_coroutine_threadsafe(work, loop).result(20)
                heard.append(reply.reason)
                self.send_response(reply.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Hook) as server:
            thread = Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                async with open_arrow(
                    providers=providers,
                    catalog=Catalog.shipped(include="secondary"),
                    public_url=f"http://127.0.0.1:{server.server_port}/hooks",
                ) as arrow:
                    await arrow.ledger.grant("acct", "5", key="g", create=True)
                    wish = {"generation_prompt": "a seal", "generation_provider_order": "bfl"}
                    done = await arrow.generate_and_wait("bfl/flux-1.1-pro", wish, account="acct", timeout=40)
            finally:
                server.shutdown()
                thread.join()
        assert done.status is Status.SUCCEEDED
        assert heard == ["accepted"]

    run(work())
