"""One valid submit per provider, and how to follow it: what the tests of this folder have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from execution_arrow.sandbox import Sandbox


@dataclass(frozen=True)
class Wire:
    """`path` and `body` of a submit, and the credential the provider wants."""

    provider: str
    path: str
    body: Mapping[str, Any]
    authorization: str = "Bearer key"
    model: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def submit(self, sandbox: Sandbox, client: httpx.Client, **changes: Any) -> httpx.Response:
        return client.post(
            sandbox.base_url(self.provider) + self.path,
            headers={"authorization": self.authorization, **self.headers},
            json={**self.body, **changes},
        )

    def get(self, client: httpx.Client, url: str) -> httpx.Response:
        return client.get(url, headers={"authorization": self.authorization, **self.headers})


REPLICATE = Wire(
    "replicate",
    "/v1/models/bytedance/seedream-4.5/predictions",
    {"input": {"prompt": "a lighthouse", "size": "2K", "aspect_ratio": "16:9"}},
    model="bytedance/seedream-4.5",
)
FAL = Wire(
    "fal",
    "/fal-ai/bytedance/seedream/v4.5/text-to-image",
    {"prompt": "a lighthouse", "image_size": {"width": 2848, "height": 1600}},
    authorization="Key id:secret",
    model="fal-ai/bytedance/seedream/v4.5/text-to-image",
)
IMAGES = Wire(
    "byteplus",
    "/images/generations",
    {"model": "seedream-4-5-251128", "prompt": "a lighthouse", "size": "2848x1600", "watermark": False},
    model="seedream-4-5-251128",
)
VIDEOS = Wire(
    "byteplus",
    "/contents/generations/tasks",
    {
        "model": "seedance-1-0-pro-250528",
        "content": [{"type": "text", "text": "waves"}],
        "duration": 2,
        "resolution": "480p",
    },
    model="seedance-1-0-pro-250528",
)
CLOUDFLARE = Wire(
    "cloudflare",
    "/accounts/0/ai/run/@cf/black-forest-labs/flux-1-schnell",
    {"prompt": "a lighthouse", "steps": 4},
    model="@cf/black-forest-labs/flux-1-schnell",
)
GPT_IMAGE = Wire(
    "openai",
    "/images/generations",
    {"model": "gpt-image-2", "prompt": "a lighthouse", "size": "1536x864"},
    model="gpt-image-2",
)
SORA = Wire(
    "openai",
    "/videos",
    {"model": "sora-2", "prompt": "waves", "seconds": "4", "size": "720x1280"},
    model="sora-2",
)
QWEN = Wire(
    "alibabacloud",
    "/services/aigc/multimodal-generation/generation",
    {
        "model": "qwen-image-plus",
        "input": {"messages": [{"role": "user", "content": [{"text": "a lighthouse"}]}]},
        "parameters": {"size": "1664*928"},
    },
    model="qwen-image-plus",
)
WAN = Wire(
    "alibabacloud",
    "/services/aigc/video-generation/video-synthesis",
    {
        "model": "wan2.5-t2v-preview",
        "input": {"prompt": "waves"},
        "parameters": {"size": "832*480", "duration": 5},
    },
    headers={"X-DashScope-Async": "enable"},
    model="wan2.5-t2v-preview",
)
FLUX = Wire(
    "bfl",
    "/v1/flux-pro-1.1",
    {"prompt": "a lighthouse", "width": 640, "height": 384},
    authorization="",
    headers={"X-Key": "key"},
    model="flux-pro-1.1",
)
GEN = Wire(
    "runway",
    "/v1/text_to_video",
    {"model": "gen4.5", "promptText": "waves", "ratio": "1280:720", "duration": 2},
    headers={"X-Runway-Version": "2024-11-06"},
    model="gen4.5",
)
WIRES = {
    "replicate": REPLICATE,
    "fal": FAL,
    "byteplus-images": IMAGES,
    "byteplus-videos": VIDEOS,
    "cloudflare": CLOUDFLARE,
    "openai-images": GPT_IMAGE,
    "openai-videos": SORA,
    "alibabacloud-images": QWEN,
    "alibabacloud-videos": WAN,
    "bfl": FLUX,
    "runway": GEN,
}
JOBS = {
    name: WIRES[name]
    for name in (
        "replicate",
        "fal",
        "byteplus-videos",
        "openai-videos",
        "alibabacloud-videos",
        "bfl",
        "runway",
    )
}
