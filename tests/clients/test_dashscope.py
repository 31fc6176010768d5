"""Alibaba Cloud's official client against the sandbox (`dashscope_child.py` runs it)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients import scenarios


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return scenarios.seen("dashscope_child", "dashscope", tmp_path_factory)


def test_a_task_from_submit_to_its_file(seen):
    states, *file = seen["clip"]
    assert (states[0], states[-1], file) == ("PENDING", "SUCCEEDED", ["ftyp", 1])
    assert seen["pictures"] == [[640, 480]] * 2


def test_files_are_put_into_the_temporary_store(seen):
    assert seen["clip_from_files"] == "SUCCEEDED"
    assert seen["a_file_for_another_model"] == [400, "InvalidParameter"]


def test_a_result_in_the_answer(seen):
    assert seen["picture_in_the_answer"] == [1664, 928]


def test_only_what_waits_is_canceled(seen):
    assert seen["cancel_while_pending"] == [200, "CANCELED", [0]]
    assert seen["cancel_while_running"] == [400, "UnsupportedOperation"]


def test_tasks_that_do_not_exist(seen):
    assert seen["unknown_task"] == [200, "UNKNOWN"]
    assert seen["listed"] == 200


def test_refusals(seen):
    assert seen["refusals"] == {
        "rate_limited": [429, "Throttling.RateQuota"],
        "server_error": [500, "InternalError"],
        "no_credit": [400, "Arrearage"],
    }
    assert seen["bad_input"] == [
        [404, "ModelNotFound"], [400, "InvalidParameter"], [404, "ModelNotFound"],
    ]  # fmt: skip


def test_failures(seen):
    assert seen["failures"] == {
        "job_fails": ["FAILED", "InternalError.Algo", 500, "InternalError.Algo"],
        "moderation": ["FAILED", "DataInspectionFailed", 400, "DataInspectionFailed"],
    }


def test_the_official_client_posts_again_and_pays_twice(seen):
    assert len(seen["lost_reply"]) == 2
    assert all(amount > 0 for amount in seen["lost_reply"])
