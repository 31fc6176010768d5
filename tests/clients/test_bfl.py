"""BFL's official client (blackforest) against the sandbox: all the way, and into every trouble.

Its own poller knows neither moderation nor errors, so the tests ask as it asks and look themselves. What it
cannot say (FLUX.2, callbacks, base64 beside a prompt) is asked with its session.
"""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from PIL import Image

from execution_arrow.sandbox import Fault, Sandbox, Timing
from execution_arrow.signing import Signature, check_bfl

blackforest = pytest.importorskip("blackforest")
WISH = {"prompt": "a lighthouse", "width": 1024, "height": 768, "output_format": "png"}


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(seed=3, timing=Timing(queue=0.02, image=0.05)) as running:
        yield running


@pytest.fixture
def client(box: Sandbox) -> Iterator[Any]:
    yield blackforest.BFLClient(box.environment()["BFL_API_KEY"], base_url=box.base_url("bfl"))
    box.heal()


def ended(client: Any, job: str) -> dict[str, Any]:
    """Ask as the client asks, at the address that it remembers, until the job has ended."""
    for _ in range(500):
        answer: dict[str, Any] = client._request("GET", client._get_polling_endpoint(job))
        if answer["status"] != "Pending":
            return answer
        time.sleep(0.01)
    raise AssertionError("the job did not end")


def error(client: Any, **wish: Any) -> Any:
    with pytest.raises(blackforest.client.BFLError) as caught:
        client.generate("flux-pro-1.1", {**WISH, **wish})
    cause = caught.value.__cause__
    assert cause is not None
    return cause.response  # type: ignore[attr-defined]


def test_a_picture_of_the_size_asked_for(box: Sandbox, client: Any) -> None:
    job = client.generate("flux-pro-1.1", WISH)
    assert str(job.polling_url).startswith(f"{box.base_url('bfl')}/v1/get_result?id=")
    made = ended(client, job.id)
    picture = Image.open(io.BytesIO(httpx.get(made["result"]["sample"]).content))
    assert (picture.size, picture.format) == ((1024, 768), "PNG")
    assert [bill.amount for bill in box.bills("bfl") if bill.job == job.id] == [40_000]


def test_the_clients_own_poller(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from blackforest.types.general.client_config import ClientConfig

    made = client.generate("flux-dev", WISH, ClientConfig(sync=True, polling_interval=0.1))
    assert httpx.get(made.result["sample"]).status_code == 200
    assert "Polling task" in capsys.readouterr().out


def test_without_the_address_it_asks_at_the_base(box: Sandbox, client: Any) -> None:
    job = client.generate("flux-pro-1.1", WISH)
    client.clear_polling_urls()
    assert ended(client, job.id)["status"] == "Ready"


@pytest.mark.parametrize(
    ("model", "wish", "size"),
    [
        ("flux-pro-1.1-ultra", {"aspect_ratio": "1:1"}, (2048, 2048)),
        ("flux-kontext-pro", {"aspect_ratio": "16:9", "input_image": "https://x.example/a.png"}, (1360, 768)),
    ],
)
def test_models_that_are_told_a_shape(client: Any, model: str, wish: Any, size: tuple[int, int]) -> None:
    made = ended(client, client.generate(model, {"prompt": "a lighthouse", **wish}).id)
    assert Image.open(io.BytesIO(httpx.get(made["result"]["sample"]).content)).size == size


def test_files_of_the_client_are_base64_and_addresses_are_refused(
    box: Sandbox, client: Any, tmp_path: Path
) -> None:
    path = tmp_path / "in.png"
    Image.new("RGB", (64, 48), "red").save(path)
    text = base64.b64encode(path.read_bytes()).decode()
    assert ended(client, client.generate("flux-pro-1.0-fill", {"image": text, "mask": text}).id)["result"]
    for wrong in ("https://x.example/a.png", base64.b64encode(b"no picture at all").decode(), "???"):
        answer = client.session.post(f"{client.base_url}/v1/flux-pro-1.0-fill", json={"image": wrong})
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["body", "image"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [("job_fails", {"Error"}), ("moderation", {"Request Moderated", "Content Moderated"})],
)
def test_ends_without_a_picture_are_words_and_cost_nothing(
    box: Sandbox, client: Any, kind: str, words: set[str]
) -> None:
    box.fault("bfl", Fault(kind, times=2))
    seen = [ended(client, client.generate("flux-pro-1.1", WISH).id) for _ in range(2)]
    assert {answer["status"] for answer in seen} == words
    jobs = {answer["id"] for answer in seen}
    assert {bill.amount for bill in box.bills("bfl") if bill.job in jobs} == {0}


@pytest.mark.parametrize(
    ("kind", "status", "says"),
    [("rate_limited", 429, "too many active"), ("server_error", 500, ""), ("no_credit", 402, "credits")],
)
def test_refusals(box: Sandbox, client: Any, kind: str, status: int, says: str) -> None:
    box.fault("bfl", Fault(kind, times=1))
    before = len(box.jobs("bfl"))
    answer = error(client)
    assert answer.status_code == status
    assert says in answer.text
    assert len(box.jobs("bfl")) == before


def test_bad_requests_and_keys(box: Sandbox, client: Any) -> None:
    post = client.session.post
    wide = post(f"{client.base_url}/v1/flux-pro-1.1", json={"width": 1000})
    assert (wide.status_code, wide.json()["detail"][0]["loc"]) == (422, ["body", "width"])
    assert post(f"{client.base_url}/v1/flux-9", json={}).status_code == 404
    client.session.headers["X-Key"] = ""
    assert error(client).status_code == 403


def test_a_lost_answer_is_one_job(box: Sandbox, client: Any) -> None:
    """The client does not post again; it falls over its own error handling."""
    box.fault("bfl", Fault("lost_reply", times=1))
    before = len(box.jobs("bfl"))
    with pytest.raises((blackforest.client.BFLError, UnboundLocalError)):
        client.generate("flux-pro-1.1", WISH)
    assert len(box.jobs("bfl")) - before == 1


def test_nothing_knows_a_job_that_is_none(client: Any) -> None:
    assert client._request("GET", "/v1/get_result?id=nobody")["status"] == "Task not found"


def test_a_callback_is_signed_with_the_secret_of_the_submit(box: Sandbox, client: Any) -> None:
    heard: list[tuple[dict[str, str], bytes]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = Thread(target=server.handle_request, daemon=True)
        thread.start()
        hook = {"webhook_url": f"http://127.0.0.1:{server.server_port}/x", "webhook_secret": "s3cret"}
        answer = client.session.post(f"{client.base_url}/v1/flux-2-pro", json={"prompt": "x", **hook}).json()
        thread.join(20)
    assert "polling_url" not in answer
    headers, body = heard[0]
    assert check_bfl(headers, body, ["s3cret"]) is Signature.VALID
    assert check_bfl(headers, body, ["other"]) is Signature.FORGED
    told = json.loads(body)
    assert (told["id"], told["status"]) == (answer["id"], "Ready")
    assert told["result"]["sample"].startswith(box.url)
