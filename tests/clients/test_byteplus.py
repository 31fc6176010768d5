"""BytePlus' official client against the sandbox (`byteplus_child.py` runs it)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients import scenarios


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return scenarios.seen("byteplus_child", "byteplussdkarkruntime", tmp_path_factory)


def test_a_picture_in_the_answer(seen):
    assert seen["picture"] == [[1024, 1024], 1]


def test_a_task_from_submit_to_its_file(seen):
    assert seen["clip"] == ["succeeded", "ftyp", True]


def test_one_verb_cancels_refuses_or_erases(seen):
    assert seen["cancel_while_queued"] == ["cancelled", [0]]
    assert seen["cancel_while_running"] == [409, "InvalidAction.RunningTaskDeletion"]
    assert seen["delete_erases_what_has_ended"] == [404, "ResourceNotFound"]


def test_refusals(seen):
    assert seen["refusals"] == {
        "rate_limited": [429, "RateLimitExceeded.EndpointRPMExceeded"],
        "server_error": [500, "InternalServiceError"],
        "no_credit": [403, "AccountOverdueError"],
    }


def test_failures(seen):
    assert seen["failed_clips"] == [
        ["failed", "InternalServiceError"], ["failed", "OutputVideoSensitiveContentDetected"],
    ]  # fmt: skip
    assert seen["moderated_picture"] == [400, "InputTextSensitiveContentDetected"]


def test_the_official_client_posts_again_and_pays_twice(seen):
    assert seen["server_error_is_posted_again"] == [500, 200]
    assert len(seen["lost_reply"]) == 2
    assert all(amount > 0 for amount in seen["lost_reply"])
