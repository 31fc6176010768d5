"""OpenAI's official client against the sandbox (`openai_child.py` runs it)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients import scenarios


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return scenarios.seen("openai_child", "openai", tmp_path_factory)


def test_pictures_and_edits(seen):
    assert seen["pictures"] == [[768, 512]] * 2
    assert seen["edit_as_a_form"] == [[1024, 1024], 2]


def test_a_clip_from_submit_to_deletion(seen):
    assert seen["clip"] == ["completed", "ftyp", True, True, 404]


def test_there_is_no_cancel(seen):
    assert seen["delete_while_it_runs"] == [400, [400_000]]


def test_refusals(seen):
    throttled, broke, blocked = seen["throttled"], seen["no_credit"], seen["moderation"]
    assert (throttled["status"], throttled["code"]) == (429, "rate_limit_exceeded")
    assert (broke["status"], broke["code"]) == (429, "insufficient_quota")
    assert (blocked["kind"], blocked["code"]) == ("BadRequestError", "moderation_blocked")
    assert [error["status"] for error in seen["bad_input"]] == [400, 404]


def test_failures(seen):
    assert (seen["failed_picture"]["status"], seen["failed_picture"]["code"]) == (
        500,
        "image_generation_failed",
    )
    assert seen["failed_clips"] == [["failed", "video_generation_failed"], ["failed", "moderation_blocked"]]


def test_the_official_client_posts_again_and_pays_twice(seen):
    assert seen["server_error_is_posted_again"] == [500, 200]
    assert len(seen["lost_reply"]) == 2
    assert all(amount > 0 for amount in seen["lost_reply"])
