"""Runway's official client (runwayml) against the sandbox: all the way, and into every trouble."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from execution_arrow.sandbox import Fault, Sandbox, State, Timing

runwayml = pytest.importorskip("runwayml")
CLIP = {"model": "gen4.5", "prompt_text": "waves", "ratio": "1280:720", "duration": 2}
PICTURE = {"model": "gen4_image", "prompt_text": "a lighthouse", "ratio": "1080:1440"}


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(seed=3, timing=Timing(queue=0.02, image=0.05, video=0.08)) as running:
        yield running


@pytest.fixture
def client(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As its documentation shows it: address and key from the environment; retries off unless a test asks."""
    for name, value in box.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("runwayml.lib.polling.POLL_TIME", 0.02)
    monkeypatch.setattr("runwayml.lib.polling.POLL_JITTER", 0.0)
    yield runwayml.RunwayML(max_retries=0)
    box.heal()


def bill(box: Sandbox, task: str) -> Any:
    return next(bill for bill in box.bills("runway") if bill.job == task)


def test_a_picture_of_the_size_asked_for(box: Sandbox, client: Any) -> None:
    made = client.text_to_image.create(**PICTURE).wait_for_task_output()
    assert made.status == "SUCCEEDED"
    assert Image.open(io.BytesIO(httpx.get(made.output[0]).content)).size == (1080, 1440)
    assert bill(box, made.id).amount == 80_000
    assert made.cost.credits == 8


def test_a_clip_from_a_frame(box: Sandbox, client: Any) -> None:
    frame = [{"uri": "https://pictures.example/f.png", "position": "first"}]
    task = client.image_to_video.create(**CLIP, prompt_image=frame)
    done = client.tasks.retrieve(task.id).wait_for_task_output()
    assert done.output[0].partition("?")[0].endswith("0.mp4")


def test_states_on_the_way(box: Sandbox, client: Any) -> None:
    box.fault("runway", Fault("queued", times=1, seconds=30))
    waiting = client.text_to_video.create(**CLIP)
    assert client.tasks.retrieve(waiting.id).status == "THROTTLED"
    box.fault("runway", Fault("never_finishes", times=1))
    running, seen = client.text_to_video.create(**CLIP), set()
    while "RUNNING" not in seen:
        seen.add(client.tasks.retrieve(running.id).status)
    assert seen <= {"PENDING", "RUNNING"}


def test_cancel_before_it_begins_is_free_and_stays_readable(box: Sandbox, client: Any) -> None:
    box.fault("runway", Fault("queued", times=1, seconds=30))
    task = client.text_to_video.create(**CLIP)
    client.tasks.delete(task.id)
    seen = client.tasks.retrieve(task.id)
    assert (seen.status, seen.cost.credits) == ("CANCELLED", 0)
    assert bill(box, task.id).amount == 0


def test_cancel_while_it_runs_is_not_refunded(box: Sandbox, client: Any) -> None:
    box.fault("runway", Fault("never_finishes", times=1))
    task = client.text_to_video.create(**CLIP)
    while client.tasks.retrieve(task.id).status != "RUNNING":
        pass
    client.tasks.delete(task.id)
    assert client.tasks.retrieve(task.id).cost.credits == 24
    assert bill(box, task.id).state is State.CANCELED


def test_delete_of_a_finished_task_erases_it(box: Sandbox, client: Any) -> None:
    done = client.text_to_image.create(**PICTURE).wait_for_task_output()
    client.tasks.delete(done.id)
    with pytest.raises(runwayml.NotFoundError):
        client.tasks.retrieve(done.id)
    assert bill(box, done.id).amount == 80_000


@pytest.mark.parametrize(
    ("kind", "code", "credits"),
    [("job_fails", "INTERNAL.BAD_OUTPUT.CODE01", 0), ("moderation", "SAFETY.INPUT.TEXT", 24)],
)
def test_a_task_that_fails_says_why_and_what_it_cost(
    box: Sandbox, client: Any, kind: str, code: str, credits: int
) -> None:
    from runwayml.lib.polling import TaskFailedError

    box.fault("runway", Fault(kind, times=1))
    with pytest.raises(TaskFailedError) as caught:
        client.text_to_video.create(**CLIP).wait_for_task_output()
    ended = caught.value.task_details
    assert (ended.failure_code, ended.cost.credits) == (code, credits)
    assert bill(box, ended.id).amount == credits * 10_000


@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [("rate_limited", "RateLimitError", 429), ("server_error", "InternalServerError", 500),
     ("no_credit", "BadRequestError", 400)],
)  # fmt: skip
def test_refusals(box: Sandbox, client: Any, kind: str, error: str, status: int) -> None:
    box.fault("runway", Fault(kind, times=1))
    before = len(box.jobs("runway"))
    with pytest.raises(getattr(runwayml, error)) as caught:
        client.text_to_video.create(**CLIP)
    assert caught.value.status_code == status
    assert len(box.jobs("runway")) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ratio": "960:960"}, "ratio"),
        ({"duration": 11}, "duration"),
        ({"model": "gen4_turbo"}, "model"),
        ({"extra_body": {"promptTxt": "x"}}, "promptTxt"),
        ({"extra_headers": {"X-Runway-Version": "2023-01-01"}}, "X-Runway-Version"),
    ],
)
def test_bad_requests_name_their_field(box: Sandbox, client: Any, change: dict[str, Any], says: str) -> None:
    with pytest.raises(runwayml.BadRequestError, match=says):
        client.text_to_video.create(**{**CLIP, **change})


def test_addresses_that_runway_does_not_fetch(client: Any) -> None:
    for url in (
        "http://pictures.example/f.png",
        "https://127.0.0.1/f.png",
        "https://x.example/" + "a" * 2050,
    ):
        with pytest.raises(runwayml.BadRequestError, match="promptImage"):
            client.image_to_video.create(**CLIP, prompt_image=url)


def test_by_default_the_official_client_posts_again(box: Sandbox, client: Any) -> None:
    """A lost answer makes a second task, and may make a third; ours are never sent again."""
    assert runwayml.RunwayML().max_retries == 2
    box.fault("runway", Fault("lost_reply", times=1))
    before = len(box.jobs("runway"))
    runwayml.RunwayML().text_to_image.create(**PICTURE)
    assert len(box.jobs("runway")) - before == 2


def test_purse(client: Any) -> None:
    assert client.organization.retrieve().credit_balance > 0
