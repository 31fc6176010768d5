"""Payloads, contexts and recorded exchanges for the provider tests.

In `recordings/` every `request` is what the official client of that provider really sent to a local
recorder (keys masked); every `response` was written from the official schemas, so it only shows shapes.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from execution_arrow.ports import Payload, Secret
from execution_arrow.providers.base import Context, Job, Reply

KEY = "the-key-that-must-not-leak"


@cache
def _recordings(provider: str) -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "recordings" / f"{provider}.json").read_text())


def requested(provider: str, case: str, number: int = 0) -> dict[str, Any]:
    """What the official client sent."""
    return _recordings(provider)[case]["exchanges"][number]["request"]


def answered(provider: str, case: str, number: int = 0) -> Reply:
    """What the recorder answered."""
    response = _recordings(provider)[case]["exchanges"][number]["response"]
    return reply(response["body"], response["status"], response["headers"])


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status=status, headers=headers or {}, body=content)


def payload(provider: str, path: str, body: Any, model: str = "m", **more: Any) -> Payload:
    values = {"route": "text", "method": "POST", "encoding": "json", **more}
    return Payload(provider=provider, path=path, model=model, body=body, **values)


def context(base_url: str, **more: Any) -> Context:
    return Context(base_url=base_url, secret=Secret(KEY), attempt="att_1", **more)


REPLICATE = payload(
    "replicate",
    "/v1/models/black-forest-labs/flux-schnell/predictions",
    {"input": {"prompt": "a seal", "aspect_ratio": "16:9", "num_outputs": 1}},
    model="black-forest-labs/flux-schnell",
)
FAL = payload(
    "fal",
    "/fal-ai/flux/schnell",
    {"prompt": "a seal", "image_size": "landscape_16_9", "num_images": 1},
    model="fal-ai/flux/schnell",
)
PICTURES = payload(
    "byteplus",
    "/images/generations",
    {"model": "seedream-4-5-251128", "prompt": "x"},
    model="seedream-4-5-251128",
)
CLIP = payload("byteplus", "/contents/generations/tasks", {"model": "seedance-1-0-pro-250528", "content": []})
HOSTED = payload(
    "cloudflare",
    "/ai/run/@cf/black-forest-labs/flux-1-schnell",
    {"prompt": "a seal", "steps": 4},
    model="@cf/black-forest-labs/flux-1-schnell",
)

GPT_IMAGE = payload(
    "openai",
    "/images/generations",
    {"model": "gpt-image-2", "prompt": "a seal", "n": 1, "size": "1536x864"},
    model="gpt-image-2",
)
SORA = payload(
    "openai",
    "/videos",
    {"model": "sora-2", "prompt": "waves", "seconds": "4", "size": "1280x720"},
    model="sora-2",
)
QWEN = payload(
    "alibabacloud",
    "/services/aigc/multimodal-generation/generation",
    {
        "model": "qwen-image-plus",
        "input": {"messages": [{"role": "user", "content": [{"text": "a seal"}]}]},
        "parameters": {"n": 1, "size": "1664*928"},
    },
    model="qwen-image-plus",
)
WAN = payload(
    "alibabacloud",
    "/services/aigc/video-generation/video-synthesis",
    {
        "model": "wan2.5-t2v-preview",
        "input": {"prompt": "waves"},
        "parameters": {"size": "832*480", "duration": 5},
    },
    model="wan2.5-t2v-preview",
    headers={"X-DashScope-Async": "enable"},
)
FLUX = payload(
    "bfl",
    "/v1/flux-pro-1.1",
    {"prompt": "a seal", "width": 1024, "height": 768, "output_format": "jpeg"},
    model="flux-pro-1.1",
)
GEN4 = payload(
    "runway",
    "/v1/text_to_image",
    {"model": "gen4_image", "promptText": "a seal", "ratio": "1920:1080"},
    model="gen4_image",
    headers={"X-Runway-Version": "2024-11-06"},
)
GEN45 = payload(
    "runway",
    "/v1/text_to_video",
    {"model": "gen4.5", "promptText": "waves", "ratio": "1280:720", "duration": 2},
    model="gen4.5",
    headers={"X-Runway-Version": "2024-11-06"},
)

PAYLOADS = {
    "alibabacloud": [QWEN, WAN],
    "bfl": [FLUX],
    "byteplus": [PICTURES, CLIP],
    "cloudflare": [HOSTED],
    "fal": [FAL],
    "openai": [GPT_IMAGE, SORA],
    "replicate": [REPLICATE],
    "runway": [GEN4, GEN45],
}


def job(of: Payload, id: str = "job-1", **urls: str) -> Job:
    return Job(id=id, urls=urls, payload=of)
