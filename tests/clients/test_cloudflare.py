"""Cloudflare's official client against the sandbox (`cloudflare_child.py` runs it)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients import scenarios


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return scenarios.seen("cloudflare_child", "cloudflare", tmp_path_factory)


def test_pictures_in_and_without_an_envelope(seen):
    assert seen["picture"] == [1024, 1024]
    assert seen["picture_from_a_form"] == [768, 512]
    assert seen["picture_without_an_envelope"] == ["image/jpeg", [640, 384]]


def test_refusals(seen):
    assert seen["throttled"] == [429, 3040]
    assert seen["server_error"] == [500]
    assert [error[0] for error in seen["bad_input"]] == [400, 400]
    assert seen["bad_input"][0][1] == 5007


def test_failures(seen):
    assert seen["failures"] == [[408, 3007], [400, 8007]]


def test_the_official_client_posts_again_and_pays_twice(seen):
    assert seen["empty_purse_is_asked_again_all_the_same"] == [429, 200]
    assert len(seen["lost_reply"]) == 2
    assert all(amount > 0 for amount in seen["lost_reply"])
