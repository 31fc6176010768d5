"""What the official clients really sent, beside what we send for the same wish: every difference has a
reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from rosetta_bridge import Catalog

FOLDER = Path(__file__).parent / "recorded"
FILES = sorted(FOLDER.glob("*.json"))


def differences(theirs: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Dotted paths at which two JSON values differ; null means left out, as some clients spell it."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            yield from differences(theirs.get(key), ours.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for index, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from differences(one, other, f"{path}.{index}".lstrip("."))
    elif theirs != ours or isinstance(theirs, bool) != isinstance(ours, bool):
        yield path


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_differs_from_the_official_client_only_with_a_reason(file: Path) -> None:
    case = json.loads(file.read_text(encoding="utf-8"))
    model = Catalog.shipped(include="secondary")[case["model"]]
    payload = model.render(model.normalize(case["request"]), case["provider"])
    assert set(differences(case["recorded"]["body"], payload.body)) == set(case["differences"])
    assert all(case["differences"].values()), "a difference needs its reason"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_same_endpoint(file: Path) -> None:
    """Theirs may have a base path (version, account) before ours and percent-encode slashes."""
    case = json.loads(file.read_text(encoding="utf-8"))
    model = Catalog.shipped(include="secondary")[case["model"]]
    payload = model.render(model.normalize(case["request"]), case["provider"])
    assert payload.method == case["recorded"]["method"]
    assert unquote(urlsplit(case["recorded"]["path"]).path).endswith(payload.path)


RETIRED = "the model is retired"
TRANSPORT = "records the sender: the request itself is the one of another recording, or names no real model"
NOT_COMPARED = {
    "alibabacloud__submit_qwen-image-async": "the older endpoint; ours is the multimodal one",
    "alibabacloud__submit_wan2.2-kf2v": "wan2.2-kf2v-flash is not in the catalogue",
    "alibabacloud__submit_wan2.2-t2i": "a hosted tier, maybe not the weights of wan/2.2-image",
    "alibabacloud__submit_wan2.6-image-async": "wan2.6-image is not in the catalogue",
    "alibabacloud__sync_qwen-image-plus": "qwen-image-plus is not in the catalogue",
    "bfl__submit_flux-2-pro_webhook": TRANSPORT,
    "bfl__submit_webhook_via_blackforest": TRANSPORT,
    "cloudflare__run_flux_2_dev_multipart_via_client_post": "not in the catalogue: its type says 'a form'",
    "cloudflare__run_queue_request_flag": TRANSPORT,
    "cloudflare__run_universal_endpoint_via_client_post": "google/veo-3.1-fast has no route at Cloudflare",
    "fal__run_sync": TRANSPORT,
    "fal__submit_plain_http_by_patching_QUEUE_URL_FORMAT": TRANSPORT,
    "fal__submit_priority_hint_start_timeout": TRANSPORT,
    "fal__subscribe_full_cycle": TRANSPORT,
    "openai__images_edit_multipart_mask": RETIRED,
    "openai__images_edit_multipart_two_images": RETIRED,
    "openai__images_generate_dalle3_legacy": RETIRED,
    "openai__images_generate_gpt_image_1_5": RETIRED,
    "openai__images_generate_stream": "pictures are not streamed",
    "openai__videos_create": RETIRED,
    "openai__videos_create_input_reference_file": RETIRED,
    "openai__videos_create_input_reference_url_via_extra_body": RETIRED,
    "openai__videos_create_json_body": RETIRED,
    "replicate__run_failed_moderation": TRANSPORT,
    "replicate__run_sync_prefer_wait": TRANSPORT,
    "replicate__run_sync_wait_10_then_poll": TRANSPORT,
    "replicate__submit_by_version": TRANSPORT,
    "replicate__submit_cancel_after_header": TRANSPORT,
    "replicate__submit_deployment": TRANSPORT,
    "replicate__submit_file_as_data_url": TRANSPORT,
    "replicate__submit_file_uploaded_first": TRANSPORT,
    "replicate__submit_slow_34s_no_wait": TRANSPORT,
    "replicate__v2beta_submit": TRANSPORT,
    "runway__submit_gen4_aleph_untyped": RETIRED,
    "runway__submit_image_upscale_magnific": "enlarging is no generation, and not in the catalogue",
    "runway__submit_video_upscale_magnific": "enlarging is no generation, and not in the catalogue",
}
"""What the clients were recorded to submit beside the files here, each with the reason that none is here."""


def test_every_provider_is_compared() -> None:
    compared = {json.loads(f.read_text(encoding="utf-8"))["provider"] for f in FILES}
    assert compared == set(Catalog.shipped().providers())


def test_a_recording_is_compared_or_has_its_reason_not_both() -> None:
    assert {file.stem for file in FILES} & set(NOT_COMPARED) == set()
    assert {name.split("__")[0] for name in NOT_COMPARED} <= set(Catalog.shipped().providers())
