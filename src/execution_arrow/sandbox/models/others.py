"""Models known by name, kind and shape of result only: they take any input, which is not checked.

Names as in November 2026. A leading `1 ` marks those whose result is a single URL (Replicate).
"""

from __future__ import annotations

from collections.abc import Mapping

from execution_arrow.sandbox.inputs import Model

_REPLICATE = """
image: black-forest-labs/flux-dev, 1 black-forest-labs/flux-1.1-pro, 1 black-forest-labs/flux-1.1-pro-ultra,
  1 black-forest-labs/flux-2-dev, 1 black-forest-labs/flux-2-flex, 1 black-forest-labs/flux-2-max,
  1 black-forest-labs/flux-kontext-pro, 1 black-forest-labs/flux-kontext-max, bytedance/seedream-5-lite,
  1 google/nano-banana, 1 google/nano-banana-2, 1 google/nano-banana-pro, 1 luma/photon, openai/gpt-image-2,
  qwen/qwen-image, qwen/qwen-image-edit-plus, 1 recraft-ai/recraft-v3, 1 recraft-ai/recraft-v4,
  1 runwayml/gen4-image, stability-ai/stable-diffusion-3.5-large
video: 1 bytedance/seedance-1-pro-fast, 1 bytedance/seedance-1.5-pro, 1 kwaivgi/kling-v2.5-turbo-pro,
  1 kwaivgi/kling-v3-video, 1 minimax/hailuo-2.3, 1 runwayml/gen-4.5, 1 wan-video/wan-2.5-t2v-fast,
  1 wan-video/wan-2.7-t2v
"""
_FAL = """
image: fal-ai/bytedance/seedream/v5/lite/edit, fal-ai/bytedance/seedream/v5/lite/text-to-image, fal-ai/flux-2,
  fal-ai/flux-2/edit, fal-ai/flux-2-flex, fal-ai/flux-2-flex/edit, fal-ai/flux-2-max, fal-ai/flux-2-max/edit,
  fal-ai/flux-pro/kontext, fal-ai/flux-pro/kontext/multi, fal-ai/flux-pro/kontext/text-to-image,
  fal-ai/flux-pro/kontext/max, fal-ai/flux-pro/kontext/max/multi, fal-ai/flux-pro/kontext/max/text-to-image,
  fal-ai/flux-pro/v1.1, fal-ai/flux-pro/v1.1-ultra, fal-ai/flux/dev, fal-ai/flux/dev/image-to-image,
  fal-ai/luma-photon, fal-ai/nano-banana, fal-ai/nano-banana/edit, fal-ai/nano-banana-2,
  fal-ai/nano-banana-2/edit, fal-ai/nano-banana-pro, fal-ai/nano-banana-pro/edit, fal-ai/qwen-image,
  fal-ai/qwen-image-edit-plus, fal-ai/recraft/v3/text-to-image, fal-ai/recraft/v4/text-to-image,
  fal-ai/stable-diffusion-v35-large
video: fal-ai/bytedance/seedance/v1.5/pro/image-to-video, fal-ai/bytedance/seedance/v1.5/pro/text-to-video,
  fal-ai/bytedance/seedance/v1/lite/image-to-video, fal-ai/bytedance/seedance/v1/lite/text-to-video,
  fal-ai/bytedance/seedance/v1/pro/fast/image-to-video, fal-ai/bytedance/seedance/v1/pro/fast/text-to-video,
  fal-ai/kling-video/v2.5-turbo/pro/image-to-video, fal-ai/kling-video/v2.5-turbo/pro/text-to-video,
  fal-ai/kling-video/v3/pro/image-to-video, fal-ai/kling-video/v3/pro/text-to-video,
  fal-ai/kling-video/v3/standard/image-to-video, fal-ai/kling-video/v3/standard/text-to-video,
  fal-ai/minimax/hailuo-2.3/pro/image-to-video, fal-ai/minimax/hailuo-2.3/pro/text-to-video,
  fal-ai/minimax/hailuo-2.3/standard/image-to-video, fal-ai/minimax/hailuo-2.3/standard/text-to-video,
  fal-ai/veo3.1/fast/first-last-frame-to-video, fal-ai/veo3.1/lite, fal-ai/veo3.1/lite/image-to-video,
  fal-ai/veo3.1/lite/first-last-frame-to-video, fal-ai/wan/v2.7/text-to-video
"""


def _named(text: str) -> dict[str, Model]:
    models: dict[str, Model] = {}
    for paragraph in text.strip().replace("\n  ", " ").splitlines():
        kind, _, names = paragraph.partition(": ")
        for name in names.split(", "):
            bare = name.strip().removeprefix("1 ")
            family = next((word for word in ("seedream", "seedance") if word in bare), "")
            models[bare] = Model(kind=kind, many=kind == "image" and bare == name.strip(), family=family)
    return models


OTHERS: Mapping[str, Mapping[str, Model]] = {"replicate": _named(_REPLICATE), "fal": _named(_FAL)}
