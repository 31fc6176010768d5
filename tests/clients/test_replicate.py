"""Replicate's official client against the sandbox: if it cannot tell the difference, ours need not either."""

from __future__ import annotations

import io
from collections.abc import Iterator

import httpx
import pytest

from execution_arrow.sandbox import Fault, Sandbox, Timing

replicate = pytest.importorskip("replicate")
from PIL import Image  # noqa: E402
from replicate.exceptions import ModelError, ReplicateError  # noqa: E402

MODEL = "black-forest-labs/flux-schnell"
INPUT = {"prompt": "a seal on a rock", "aspect_ratio": "16:9", "num_outputs": 2, "output_format": "png"}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(timing=Timing(queue=0.02, image=0.1, video=0.1)) as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> object:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.02")
    return replicate.Client()


def picture(url: str) -> Image.Image:
    return Image.open(io.BytesIO(httpx.get(url).content))


def test_submit_poll_and_fetch(sandbox, client):
    prediction = client.models.predictions.create(MODEL, INPUT)
    assert prediction.status == "starting"
    assert prediction.output is None
    prediction.wait()
    assert prediction.status == "succeeded"
    assert [picture(url).size for url in prediction.output] == [(1344, 768)] * 2
    assert prediction.metrics["predict_time"] > 0
    assert [(bill.job, bill.amount) for bill in sandbox.bills()] == [(prediction.id, 6_000)]


def test_submit_by_version_name(client):
    assert client.predictions.create(version=MODEL, input=INPUT).model == MODEL


def test_run_waits_in_the_submit(sandbox, client):
    urls = client.run(MODEL, INPUT)  # the client makes file objects of https: links only
    assert picture(urls[0]).format == "PNG"
    assert [call.on for call in sandbox.calls("replicate")] == ["submit"]


def test_a_wait_that_runs_out_is_followed_by_polls(sandbox, client):
    """The client takes any status but `starting` as finished, so an expired wait must say `starting`."""
    sandbox.fault("replicate", Fault("slow", seconds=1.5))
    files = client.run(MODEL, INPUT, wait=1)
    assert len(files) == 2
    assert [call.on for call in sandbox.calls("replicate")][:2] == ["submit", "poll"]


def test_a_clip(client):
    prediction = client.models.predictions.create(
        "bytedance/seedance-1-pro", {"prompt": "waves", "duration": 2, "resolution": "480p"}
    )
    prediction.wait()
    assert prediction.output.endswith(".mp4")


def test_cancel(sandbox, client):
    sandbox.fault("replicate", "never_finishes")
    prediction = client.models.predictions.create(MODEL, INPUT)
    prediction.cancel()
    prediction.reload()
    assert prediction.status == "canceled"
    assert prediction.completed_at


def test_cancel_of_a_finished_prediction_changes_nothing(client):
    prediction = client.models.predictions.create(MODEL, INPUT)
    prediction.wait()
    prediction.cancel()
    assert prediction.status == "succeeded"


def test_list(client):
    made = [client.models.predictions.create(MODEL, INPUT).id for _ in range(3)]
    assert [prediction.id for prediction in client.predictions.list()] == made[::-1]


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ("rate_limited", 429, "Request was throttled"),
        ("server_error", 500, "went wrong"),
        ("no_credit", 402, "insufficient credit"),
    ],
)
def test_refusals_reach_the_caller_once(sandbox, client, fault, status, text):
    sandbox.fault("replicate", Fault(fault, times=1))
    with pytest.raises(ReplicateError, match=text) as caught:
        client.models.predictions.create(MODEL, INPUT)
    assert caught.value.status == status
    assert len(sandbox.calls("replicate")) == 1
    assert sandbox.jobs() == ()


def test_a_throttled_poll_is_repeated_by_the_client(sandbox, client):
    prediction = client.models.predictions.create(MODEL, INPUT)
    sandbox.fault("replicate", Fault("rate_limited", times=1, on="poll"))
    prediction.reload()
    assert [call.status for call in sandbox.calls("replicate")] == [201, 429, 200]


@pytest.mark.parametrize(("fault", "text"), [("job_fails", "E1001"), ("moderation", "NSFW")])
def test_a_failed_job_is_a_model_error(sandbox, client, fault, text):
    sandbox.fault("replicate", fault)
    with pytest.raises(ModelError, match=text) as caught:
        client.run(MODEL, INPUT)
    assert caught.value.prediction.status == "failed"
    assert [bill.amount for bill in sandbox.bills()] == [0]


def test_a_lost_reply_is_a_job_all_the_same(sandbox, client):
    sandbox.fault("replicate", Fault("lost_reply", times=1))
    with pytest.raises(httpx.TransportError):
        client.models.predictions.create(MODEL, INPUT)
    assert len(list(client.predictions.list())) == 1


@pytest.mark.parametrize(
    ("model", "value", "status"),
    [
        ("nobody/nothing", INPUT, 404),
        (MODEL, {}, 422),
        (MODEL, {**INPUT, "cfg_scale": 3}, 422),
        (MODEL, {**INPUT, "num_outputs": 9}, 422),
    ],
)
def test_bad_input(sandbox, client, model, value, status):
    with pytest.raises(ReplicateError) as caught:
        client.models.predictions.create(model, value)
    assert caught.value.status == status
    assert sandbox.jobs() == ()


def test_no_token(sandbox, monkeypatch):
    monkeypatch.delenv("REPLICATE_API_TOKEN", raising=False)
    with pytest.raises(ReplicateError, match="token"):
        replicate.Client(base_url=sandbox.base_url("replicate")).predictions.list()


def test_a_file_is_uploaded_first(client, sandbox):
    """The client sends an open file to `/v1/files` and names what it is told."""
    given = {"prompt": "a seal", "image_input": [io.BytesIO(b"\x89PNG\r\n\x1a\n")]}
    made = client.predictions.create(model="bytedance/seedream-4.5", input=given)
    (named,) = sandbox.jobs("replicate")[-1].order.native["input"]["image_input"]
    assert named.startswith(f"{sandbox.base_url('replicate')}/v1/files/")
    assert made.status == "starting"
