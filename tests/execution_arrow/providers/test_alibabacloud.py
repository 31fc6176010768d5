"""What is Alibaba Cloud's own: a header that makes tasks, tasks that half succeed, errors with 200."""

from __future__ import annotations

from typing import Any

import pytest

from execution_arrow.facts import (
    Accepted,
    CancelAcknowledged,
    Canceled,
    CancelRefused,
    Completed,
    Failed,
    Fault,
    Missing,
    PollFailed,
    Refused,
    Running,
    Succeeded,
)
from execution_arrow.providers import shipped
from tests.execution_arrow.providers import samples as s

ALIBABA = shipped()["alibabacloud"]
HOST = s.context("http://h/api/v1")
TASK = "f3d1c2b0-0000-4000-8000-000000000001"
RESULT = "https://dashscope-result-sgp.oss-ap-southeast-1.aliyuncs.com/x"


def poll(case: str) -> Any:
    return ALIBABA.read_poll(s.job(s.WAN, TASK), s.answered("alibabacloud", case), HOST)


def test_one_header_makes_a_task_of_it() -> None:
    assert ALIBABA.is_sync(s.QWEN)
    assert not ALIBABA.is_sync(s.WAN)
    other_case = s.payload("alibabacloud", "/x", {}, headers={"x-dashscope-async": "enable"})
    assert not ALIBABA.is_sync(other_case)
    accepted = ALIBABA.read_submit(s.WAN, s.answered("alibabacloud", "submit_wan2.5-t2v-preview"))
    assert accepted == Accepted(job=TASK)


def test_results_of_a_synchronous_call_are_addresses_in_messages() -> None:
    done = ALIBABA.read_submit(s.QWEN, s.answered("alibabacloud", "sync_qwen-image-edit"))
    assert isinstance(done, Completed)
    assert [str(output.url).partition("?")[0] for output in done.outputs] == [f"{RESULT}.png"]


def test_statuses() -> None:
    assert poll("poll_pending") == poll("poll_running") == Running()
    assert poll("poll_canceled") == Canceled()
    assert poll("poll_unknown") == Missing()
    clip = poll("poll_succeeded_video")
    assert isinstance(clip, Succeeded)
    assert [str(output.url).partition("?")[0] for output in clip.outputs] == [f"{RESULT}.mp4"]
    failed = poll("poll_failed")
    assert isinstance(failed, Failed)
    assert (failed.fault, failed.moderation) == (Fault.CALLER, True)
    broke = s.reply({"output": {"task_id": TASK, "task_status": "FAILED", "code": "InternalError.Timeout"}})
    assert ALIBABA.read_poll(s.job(s.WAN, TASK), broke, HOST) == Failed(
        fault=Fault.PROVIDER, code="InternalError.Timeout"
    )
    other = s.reply({"output": {"task_id": "other", "task_status": "RUNNING"}})
    assert isinstance(ALIBABA.read_poll(s.job(s.WAN, TASK), other, HOST), PollFailed)


def test_a_task_that_half_succeeded_has_fewer_outputs() -> None:
    """One of two pictures was made: that one is ours, and that one is billed."""
    told = poll("poll_succeeded_image")
    assert isinstance(told, Succeeded)
    assert [output.index for output in told.outputs] == [0]


def test_results_of_newer_tasks_lie_in_messages_too() -> None:
    content = [{"type": "image", "image": f"{RESULT}.png"}, {"text": "a word"}]
    output = {"task_id": TASK, "task_status": "SUCCEEDED", "choices": [{"message": {"content": content}}]}
    told = ALIBABA.read_poll(s.job(s.WAN, TASK), s.reply({"output": output}), HOST)
    assert isinstance(told, Succeeded)
    assert [output.url for output in told.outputs] == [f"{RESULT}.png"]


@pytest.mark.parametrize(
    ("code", "fault", "moderation"),
    [("DataInspectionFailed", Fault.CALLER, True), ("Throttling.RateQuota", Fault.HERE, False)],
)
def test_an_error_may_be_said_with_200(code: str, fault: Fault, moderation: bool) -> None:
    for payload in (s.QWEN, s.WAN):
        fact = ALIBABA.read_submit(payload, s.reply({"code": code, "message": "no", "request_id": "r"}))
        assert isinstance(fact, Refused)
        assert (fact.fault, fact.moderation) == (fault, moderation)


def test_a_model_that_is_not_called_this_way_is_the_routes_fault() -> None:
    body = {"code": "AccessDenied", "message": "current user api does not support synchronous calls."}
    fact = ALIBABA.read_submit(s.QWEN, s.reply(body, 403))
    assert isinstance(fact, Refused)
    assert fact.fault is Fault.PROVIDER


def test_only_waiting_tasks_are_canceled() -> None:
    job = s.job(s.WAN, TASK)
    assert ALIBABA.read_cancel(job, s.answered("alibabacloud", "cancel")) == CancelAcknowledged()
    refused = ALIBABA.read_cancel(job, s.answered("alibabacloud", "cancel_rejected"))
    assert isinstance(refused, CancelRefused)
    assert not refused.final  # it may still be running: polling decides
    assert ALIBABA.build_cancel(s.job(s.QWEN, TASK), HOST) is None
