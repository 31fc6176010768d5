"""The local providers over real sockets, asked by plain httpx."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from execution_arrow.sandbox import Fault, Sandbox, State, Timing
from tests.execution_arrow.sandbox.wires import CLOUDFLARE, FAL, IMAGES, JOBS, REPLICATE, VIDEOS, WIRES

QUICK = Timing(queue=0.02, image=0.08, video=0.1)


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(timing=QUICK) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: Sandbox) -> Iterator[Sandbox]:
    yield shared
    shared.heal()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=10) as client:
        yield client


def newest(sandbox: Sandbox, provider: str):
    return sandbox.jobs(provider)[-1]


def wait_for_bill(sandbox: Sandbox, job: str, seconds: float = 5.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for bill in sandbox.bills():
            if bill.job == job:
                return bill
        time.sleep(0.01)
    raise AssertionError(f"no bill for {job}")


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


# --- the sunny way --------------------------------------------------------------------------------------


def poll(sandbox: Sandbox, client: httpx.Client, name: str, submitted: dict) -> dict:
    """Follow a job in its provider's own way until it has ended; returns the last answer."""
    wire = WIRES[name]
    base = sandbox.base_url(wire.provider)
    task = submitted["output"]["task_id"] if wire.provider == "alibabacloud" else ""
    url, live = {
        "replicate": (submitted.get("urls", {}).get("get"), ("starting", "processing")),
        "fal": (submitted.get("status_url"), ("IN_QUEUE", "IN_PROGRESS")),
        "byteplus-videos": (f"{base}{VIDEOS.path}/{submitted.get('id')}", ("queued", "running")),
        "openai-videos": (f"{base}/videos/{submitted.get('id')}", ("queued", "in_progress")),
        "alibabacloud-videos": (f"{base}/tasks/{task}", ("PENDING", "RUNNING")),
        "bfl": (submitted.get("polling_url"), ("Pending",)),
        "runway": (f"{base}/v1/tasks/{submitted.get('id')}", ("PENDING", "RUNNING")),
    }[name]
    until = time.monotonic() + 10
    while time.monotonic() < until:
        answer = wire.get(client, url).json()
        if wire.provider == "alibabacloud":
            answer["status"] = answer["output"]["task_status"]
        if answer["status"] not in live:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"{name} never ended")


def test_replicate_makes_what_was_asked_for(sandbox, client):
    ended = poll(sandbox, client, "replicate", REPLICATE.submit(sandbox, client).json())
    assert ended["status"] == "succeeded"
    assert picture(client.get(ended["output"][0]).content).size == (2848, 1600)


def test_fal_makes_what_was_asked_for(sandbox, client):
    submitted = FAL.submit(sandbox, client).json()
    poll(sandbox, client, "fal", submitted)
    result = FAL.get(client, submitted["response_url"]).json()
    made = result["images"][0]
    assert (made["width"], made["height"]) == picture(client.get(made["url"]).content).size == (2848, 1600)


def test_byteplus_makes_pictures_in_the_answer(sandbox, client):
    made = IMAGES.submit(sandbox, client).json()["data"][0]
    assert made["size"] == "2848x1600"
    assert picture(client.get(made["url"]).content).size == (2848, 1600)


def test_byteplus_makes_pictures_inline(sandbox, client):
    made = IMAGES.submit(sandbox, client, size="2560x1440", response_format="b64_json").json()["data"][0]
    assert picture(base64.b64decode(made["b64_json"])).size == (2560, 1440)


def test_byteplus_makes_clips_by_task(sandbox, client):
    ended = poll(sandbox, client, "byteplus-videos", VIDEOS.submit(sandbox, client).json())
    answer = client.get(ended["content"]["video_url"])
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.content[4:8] == b"ftyp"
    assert ended["usage"]["completion_tokens"] == 864 * 480 * 24 * 2 // 1024


def test_cloudflare_answers_with_base64(sandbox, client):
    answer = CLOUDFLARE.submit(sandbox, client).json()
    assert answer["success"] is True
    assert picture(base64.b64decode(answer["result"]["image"])).size == (1024, 1024)


def test_cloudflare_answers_with_bytes_and_takes_encoded_slashes(sandbox, client):
    url = f"{sandbox.base_url('cloudflare')}/accounts/0/ai/run/@cf%2Fleonardo%2Fphoenix-1.0"
    answer = client.post(
        url, headers={"authorization": "Bearer t"}, json={"prompt": "x", "width": 640, "height": 384}
    )
    assert answer.headers["content-type"] == "image/jpeg"
    assert picture(answer.content).size == (640, 384)


# --- faults ---------------------------------------------------------------------------------------------

REFUSED = {
    "replicate": {"rate_limited": 429, "server_error": 500, "no_credit": 402},
    "fal": {"rate_limited": 429, "server_error": 500, "no_credit": 403},
    "byteplus-images": {"rate_limited": 429, "server_error": 500, "no_credit": 403},
    "byteplus-videos": {"rate_limited": 429, "server_error": 500, "no_credit": 403},
    "cloudflare": {"rate_limited": 429, "server_error": 500, "no_credit": 429},
    "openai-images": {"rate_limited": 429, "server_error": 500, "no_credit": 429},
    "openai-videos": {"rate_limited": 429, "server_error": 500, "no_credit": 429},
    "alibabacloud-images": {"rate_limited": 429, "server_error": 500, "no_credit": 400},
    "alibabacloud-videos": {"rate_limited": 429, "server_error": 500, "no_credit": 400},
    "bfl": {"rate_limited": 429, "server_error": 500, "no_credit": 402},
    "runway": {"rate_limited": 429, "server_error": 500, "no_credit": 400},
}


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("kind", ["rate_limited", "server_error", "no_credit"])
def test_refusals_accept_nothing(sandbox, client, name, kind):
    wire, before = WIRES[name], len(sandbox.jobs())
    sandbox.fault(wire.provider, Fault(kind, times=1, seconds=3))
    answer = wire.submit(sandbox, client)
    assert answer.status_code == REFUSED[name][kind]
    assert answer.headers.get("retry-after") == ("3" if kind == "rate_limited" else None)
    assert len(sandbox.jobs()) == before
    assert sandbox.calls(wire.provider)[-1].fault == kind


@pytest.mark.parametrize("name", WIRES)
def test_down_is_connection_refused_and_heals_on_the_same_port(sandbox, name):
    wire = WIRES[name]
    with httpx.Client(timeout=10) as client:
        address = sandbox.base_url(wire.provider)
        wire.submit(sandbox, client)  # leaves an open connection, which the outage must close too
        sandbox.fault(wire.provider, "down")
        with pytest.raises(httpx.ConnectError):
            wire.submit(sandbox, client)
        sandbox.heal(wire.provider)
        assert sandbox.base_url(wire.provider) == address
        assert wire.submit(sandbox, client).is_success


def test_results_outlive_their_provider(sandbox, client):
    """Files come from another host than the API, so an outage does not take them away."""
    url = IMAGES.submit(sandbox, client, size="1K").json()["data"][0]["url"]
    sandbox.fault("byteplus", "down")
    assert client.get(url).status_code == 200


@pytest.mark.parametrize("name", WIRES)
def test_a_lost_reply_is_accepted_and_billed(sandbox, client, name):
    wire = WIRES[name]
    sandbox.fault(wire.provider, Fault("lost_reply", times=1))
    with pytest.raises(httpx.RemoteProtocolError):
        wire.submit(sandbox, client)
    job = newest(sandbox, wire.provider)
    assert job.fault == "lost_reply"
    assert wait_for_bill(sandbox, job.id).amount > 0
    assert sandbox.calls(wire.provider)[-1].status is None


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("kind", ["job_fails", "moderation"])
def test_a_job_that_fails(sandbox, client, name, kind):
    wire = JOBS[name]
    sandbox.fault(wire.provider, Fault(kind, times=1))
    submitted = wire.submit(sandbox, client).json()
    ended = poll(sandbox, client, name, submitted)
    words = {
        ("replicate", "job_fails"): ("failed", "E1001"),
        ("replicate", "moderation"): ("failed", "NSFW"),
        ("fal", "job_fails"): ("COMPLETED", "runner_server_error"),
        ("fal", "moderation"): ("COMPLETED", "content_policy_violation"),
        ("byteplus-videos", "job_fails"): ("failed", "InternalServiceError"),
        ("byteplus-videos", "moderation"): ("failed", "OutputVideoSensitiveContentDetected"),
        ("openai-videos", "job_fails"): ("failed", "video_generation_failed"),
        ("openai-videos", "moderation"): ("failed", "moderation_blocked"),
        ("alibabacloud-videos", "job_fails"): ("FAILED", "InternalError.Algo"),
        ("alibabacloud-videos", "moderation"): ("FAILED", "DataInspectionFailed"),
        ("bfl", "job_fails"): ("Error", "Error"),
        ("bfl", "moderation"): (ended["status"], " Moderated"),
        ("runway", "job_fails"): ("FAILED", "INTERNAL.BAD_OUTPUT"),
        ("runway", "moderation"): ("FAILED", "SAFETY.INPUT"),
    }[name, kind]
    assert ended["status"] == words[0]
    assert words[1] in str(ended)
    if name == "fal":
        result = wire.get(client, submitted["response_url"])
        assert result.status_code == (500 if kind == "job_fails" else 422)


@pytest.mark.parametrize(
    ("name", "kind", "status", "words"),
    [
        ("byteplus-images", "moderation", 400, "InputTextSensitiveContentDetected"),
        ("byteplus-images", "job_fails", 200, "InternalServiceError"),
        ("openai-images", "moderation", 400, "moderation_blocked"),
        ("openai-images", "job_fails", 500, "image_generation_failed"),
        ("alibabacloud-images", "moderation", 400, "DataInspectionFailed"),
        ("alibabacloud-images", "job_fails", 500, "InternalError.Algo"),
        ("cloudflare", "moderation", 400, "NSFW"),
        ("cloudflare", "job_fails", 408, "3007"),
    ],
)
def test_a_synchronous_job_that_fails(sandbox, client, name, kind, status, words):
    wire = WIRES[name]
    sandbox.fault(wire.provider, Fault(kind, times=1))
    answer = wire.submit(sandbox, client)
    assert answer.status_code == status
    assert words in answer.text
    assert wait_for_bill(sandbox, newest(sandbox, wire.provider).id).amount == 0


def test_success_without_a_result(sandbox, client):
    """In every provider's own shape: an empty list, null, no URL, an empty envelope, no bytes."""
    for provider in ("replicate", "fal", "byteplus", "cloudflare"):
        sandbox.fault(provider, "no_output")
    assert poll(sandbox, client, "replicate", REPLICATE.submit(sandbox, client).json())["output"] == []
    submitted = FAL.submit(sandbox, client).json()
    poll(sandbox, client, "fal", submitted)
    assert FAL.get(client, submitted["response_url"]).json()["images"] == []
    assert IMAGES.submit(sandbox, client).json()["data"] == []
    assert poll(sandbox, client, "byteplus-videos", VIDEOS.submit(sandbox, client).json())["content"] == {}
    assert CLOUDFLARE.submit(sandbox, client).json()["result"] == {}
    assert all(job.state(time.time()) is State.SUCCEEDED for job in sandbox.jobs()[-2:])


def test_a_caller_who_gives_up_is_billed_all_the_same(sandbox):
    sandbox.fault("byteplus", Fault("slow", times=1, seconds=0.4))
    with httpx.Client(timeout=0.2) as impatient, pytest.raises(httpx.ReadTimeout):
        IMAGES.submit(sandbox, impatient)
    assert wait_for_bill(sandbox, newest(sandbox, "byteplus").id).amount == 40_000


def test_never_finishing_keeps_a_synchronous_caller_waiting(sandbox):
    sandbox.fault("cloudflare", Fault("never_finishes", times=1))
    with httpx.Client(timeout=0.3) as impatient, pytest.raises(httpx.ReadTimeout):
        CLOUDFLARE.submit(sandbox, impatient)
    assert newest(sandbox, "cloudflare").state(time.time() + 1e6) is State.RUNNING


def test_a_delayed_answer_is_about_a_job_that_was_taken_at_once(sandbox, client):
    sandbox.fault("replicate", Fault("delay", times=1, seconds=0.3))
    begun = time.time()
    assert REPLICATE.submit(sandbox, client).status_code == 201
    assert time.time() - begun >= 0.3
    assert newest(sandbox, "replicate").created - begun < 0.2


def test_faults_of_a_poll(sandbox, client):
    submitted = REPLICATE.submit(sandbox, client).json()
    sandbox.fault("replicate", Fault("lost_reply", on="poll", times=1))
    with pytest.raises(httpx.RemoteProtocolError):
        REPLICATE.get(client, submitted["urls"]["get"])
    assert REPLICATE.get(client, submitted["urls"]["get"]).status_code == 200


@pytest.mark.parametrize("name", [name for name in JOBS if name not in ("openai-videos", "bfl")])
def test_cancel_of_a_late_job_is_acknowledged_and_ignored(sandbox, client, name):
    wire = JOBS[name]
    sandbox.fault(wire.provider, Fault("late", times=1, seconds=0.3))
    submitted = wire.submit(sandbox, client).json()
    task = submitted["output"]["task_id"] if wire.provider == "alibabacloud" else ""
    method, url = {
        "replicate": ("POST", submitted.get("urls", {}).get("cancel")),
        "fal": ("PUT", submitted.get("cancel_url")),
        "byteplus-videos": ("DELETE", f"{sandbox.base_url('byteplus')}{VIDEOS.path}/{submitted.get('id')}"),
        "alibabacloud-videos": ("POST", f"{sandbox.base_url('alibabacloud')}/tasks/{task}/cancel"),
        "runway": ("DELETE", f"{sandbox.base_url('runway')}/v1/tasks/{submitted.get('id')}"),
    }[name]
    headers = {"authorization": wire.authorization, **wire.headers}
    assert client.request(method, url, headers=headers).is_success
    ended = poll(sandbox, client, name, submitted)
    assert ended["status"] in ("succeeded", "COMPLETED", "SUCCEEDED")
    assert wait_for_bill(sandbox, newest(sandbox, wire.provider).id).amount > 0


# --- one port, many callers -----------------------------------------------------------------------------


def test_one_port_for_all(client):
    with Sandbox(timing=QUICK, separate=False) as sandbox:
        assert sandbox.base_url("fal") == f"{sandbox.url}/fal"
        submitted = FAL.submit(sandbox, client).json()
        assert submitted["status_url"].startswith(f"{sandbox.url}/fal/fal-ai/bytedance/requests/")
        assert poll(sandbox, client, "fal", submitted)["status"] == "COMPLETED"
        assert CLOUDFLARE.submit(sandbox, client).is_success
        sandbox.fault("fal", "down")
        with pytest.raises(httpx.TransportError):
            FAL.submit(sandbox, client)
        assert IMAGES.submit(sandbox, client, size="1K").is_success  # the others stay up


def test_a_fixed_port_that_is_taken_is_an_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"), Sandbox(port=taken.getsockname()[1]):
            pass


def test_begins_with_an_outage(client):
    with Sandbox(faults={"replicate": ["down"]}) as sandbox:
        with pytest.raises(httpx.ConnectError):
            REPLICATE.submit(sandbox, client)
        sandbox.heal()
        assert REPLICATE.submit(sandbox, client).status_code == 201


def test_async_use():
    async def use() -> int:
        async with Sandbox(timing=QUICK) as sandbox, httpx.AsyncClient() as client:
            answers = await asyncio.gather(
                *(
                    client.post(
                        sandbox.base_url("replicate") + REPLICATE.path,
                        headers={"authorization": "Bearer x"},
                        json=REPLICATE.body,
                    )
                    for _ in range(50)
                )
            )
            assert len({answer.json()["id"] for answer in answers}) == 50
            return len(sandbox.calls())

    assert asyncio.run(use()) == 50


def test_nothing_is_left_running():
    before = threading.active_count()
    with Sandbox():
        assert threading.active_count() > before
    assert threading.active_count() == before


@pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
def test_half_a_surrogate_pair_is_a_prompt_like_another(sandbox, client, wire):
    """JSON can carry it. A job that is taken and then not answered would be a fault nobody asked for."""
    strange = '"' + chr(92) + 'ud800"'
    body = json.dumps(wire.body).replace('"waves"', strange).replace('"a lighthouse"', strange)
    assert strange in body
    headers = {"authorization": wire.authorization, "content-type": "application/json", **wire.headers}
    answer = client.post(sandbox.base_url(wire.provider) + wire.path, content=body, headers=headers)
    assert answer.status_code < 300
    assert client.get(sandbox.url).status_code == 200
    assert client.get(f"{sandbox.url}/book.json").json()


@pytest.mark.parametrize("name", ["prefer", "cancel-after"])
@pytest.mark.parametrize("digits", [11, 5000])
def test_absurd_durations_are_no_durations(sandbox, client, name, digits):
    number = "9" * digits
    headers = {name: f"wait={number}" if name == "prefer" else f"{number}h"}
    url = sandbox.base_url("replicate") + REPLICATE.path
    answer = client.post(url, json=REPLICATE.body, headers={"authorization": "Bearer x", **headers})
    assert answer.status_code == 201


def test_a_start_that_fails_leaves_nothing_running(tmp_path):
    before = threading.active_count()
    with pytest.raises(FileNotFoundError):
        Sandbox(tls=(str(tmp_path / "cert"), str(tmp_path / "key"))).start()
    assert threading.active_count() == before


def test_closing_does_not_wait_for_a_long_clip(monkeypatch):
    """A clip that takes a minute to draw must not hold up the end of a test, nor leave the server behind."""
    others = set(threading.enumerate())
    drawing, enough = threading.Event(), threading.Event()

    def draw(*_: object) -> bytes:
        drawing.set()
        enough.wait(20)
        return b""

    monkeypatch.setattr("execution_arrow.sandbox.files.render", draw)
    sandbox = Sandbox(timing=Timing(queue=0, image=0.01, video=0))
    sandbox.start()
    url = sandbox.base_url("cloudflare") + CLOUDFLARE.path

    def ask() -> None:
        with pytest.raises(httpx.TransportError):
            httpx.post(url, json=CLOUDFLARE.body, headers={"authorization": "Bearer x"}, timeout=20)

    asking = threading.Thread(target=ask)
    asking.start()
    assert drawing.wait(5)
    begun = time.monotonic()
    try:
        sandbox.close()
        assert time.monotonic() - begun < 5
        assert "sandbox" not in {thread.name for thread in set(threading.enumerate()) - others}
    finally:
        enough.set()
        asking.join(5)


def test_the_page_and_the_book(sandbox, client):
    IMAGES.submit(sandbox, client, size="1K", prompt="<b>bold</b>")
    page = client.get(sandbox.url)
    assert page.headers["content-type"].startswith("text/html")
    assert "&lt;b&gt;bold" in page.text
    assert "<b>bold" not in page.text
    book = client.get(f"{sandbox.url}/book.json").json()
    assert [bill["job"] for bill in book["bills"]] == [bill.job for bill in sandbox.bills()]
    assert len(book["calls"]) == len(sandbox.calls())
    assert client.get(f"{sandbox.url}/nowhere").status_code == 404


def test_calls_carry_the_callers_reference(sandbox, client):
    client.post(
        sandbox.base_url("fal") + FAL.path + "?fal_webhook=http%3A%2F%2F127.0.0.1%3A9%2Fhook%3Ftoken%3Dt7",
        headers={"authorization": FAL.authorization, "x-client-request-id": "att_1"},
        json=FAL.body,
    )
    call = sandbox.calls("fal")[-1]
    assert (call.on, call.reference, call.webhook) == ("submit", "att_1", "http://127.0.0.1:9/hook?token=t7")
    assert wait_for_bill(sandbox, str(call.job)).reference == "att_1"
