"""Models known by name, kind and shape of result only: they take any input, which is not checked.

Names as in November 2026. A leading `1 ` marks those whose result is a single URL (Replicate).
"""

from __future__ import annotations

from collections.abc import Mapping

from execution_arrow.sandbox.inputs import Model

_REPLICATE = """
image: 1 black-forest-labs/flux-1.1-pro, 1 black-forest-labs/flux-1.1-pro-ultra,
  1 black-forest-labs/flux-2-dev, 1 black-forest-labs/flux-2-flex, 1 black-forest-labs/flux-2-max,
  black-forest-labs/flux-dev, 1 black-forest-labs/flux-fill-pro, 1 black-forest-labs/flux-kontext-max,
  1 black-forest-labs/flux-kontext-pro, bytedance/sdxl-lightning-4step, bytedance/seedream-5-lite,
  1 google/nano-banana, 1 google/nano-banana-2, 1 google/nano-banana-pro, 1 luma/photon,
  1 luma/photon-flash, minimax/image-01, nvidia/sana, openai/gpt-image-2, qwen/qwen-image,
  qwen/qwen-image-edit-plus, 1 recraft-ai/recraft-v3, 1 recraft-ai/recraft-v4, 1 recraft-ai/recraft-v4-pro,
  1 recraft-ai/recraft-v4-pro-svg, 1 recraft-ai/recraft-v4-svg, 1 runwayml/gen4-image,
  stability-ai/stable-diffusion-3.5-large, stability-ai/stable-diffusion-3.5-medium,
  tencent/hunyuan-image-3, 1 xai/grok-imagine-image, 1 xai/grok-imagine-image-2
video: 1 bytedance/seedance-1-pro-fast, 1 bytedance/seedance-1.5-pro, 1 kwaivgi/kling-v2.5-turbo-pro,
  1 kwaivgi/kling-v3-video, 1 minimax/hailuo-2.3, 1 pixverse/pixverse-v6, 1 runwayml/gen-4.5,
  1 wan-video/wan-2.5-t2v-fast, 1 wan-video/wan-2.7-t2v, 1 xai/grok-imagine-video-1.5
"""
_FAL = """
image: bria/fibo/generate, bria/text-to-image/3.2, fal-ai/bytedance/seedream/v3/text-to-image,
  fal-ai/bytedance/seedream/v5/lite/edit,
  fal-ai/bytedance/seedream/v5/lite/text-to-image, fal-ai/fast-lightning-sdxl,
  fal-ai/fast-lightning-sdxl/image-to-image, fal-ai/fast-sdxl, fal-ai/fast-sdxl/image-to-image,
  fal-ai/flux-2, fal-ai/flux-2-flex, fal-ai/flux-2-flex/edit, fal-ai/flux-2-max, fal-ai/flux-2-max/edit,
  fal-ai/flux-2/edit, fal-ai/flux-2/klein/4b/edit, fal-ai/flux-2/klein/9b, fal-ai/flux-2/klein/9b/edit,
  fal-ai/flux-pro/kontext, fal-ai/flux-pro/kontext/max, fal-ai/flux-pro/kontext/max/multi,
  fal-ai/flux-pro/kontext/max/text-to-image, fal-ai/flux-pro/kontext/multi,
  fal-ai/flux-pro/kontext/text-to-image, fal-ai/flux-pro/v1.1, fal-ai/flux-pro/v1.1-ultra,
  fal-ai/flux-pro/v1/fill, fal-ai/flux/dev, fal-ai/flux/dev/image-to-image, fal-ai/hidream-i1-full,
  fal-ai/hunyuan-image/v3/instruct/edit, fal-ai/hunyuan-image/v3/text-to-image, fal-ai/ideogram/v3,
  fal-ai/ideogram/v3/remix, fal-ai/kling-image/o3/image-to-image, fal-ai/kling-image/o3/text-to-image,
  fal-ai/kling-image/v3/image-to-image, fal-ai/kling-image/v3/text-to-image, fal-ai/luma-photon,
  fal-ai/luma-photon/flash, fal-ai/minimax/image-01, fal-ai/minimax/image-01/subject-reference,
  fal-ai/nano-banana, fal-ai/nano-banana-2, fal-ai/nano-banana-2/edit, fal-ai/nano-banana-pro,
  fal-ai/nano-banana-pro/edit, fal-ai/nano-banana/edit, fal-ai/qwen-image, fal-ai/qwen-image-2/edit,
  fal-ai/qwen-image-2/pro/edit, fal-ai/qwen-image-2/pro/text-to-image, fal-ai/qwen-image-2/text-to-image,
  fal-ai/qwen-image-edit, fal-ai/qwen-image-edit-plus, fal-ai/qwen-image-max/edit,
  fal-ai/qwen-image-max/text-to-image, fal-ai/recraft/v3/text-to-image, fal-ai/recraft/v4/pro/text-to-image,
  fal-ai/recraft/v4/pro/text-to-vector, fal-ai/recraft/v4/text-to-image, fal-ai/recraft/v4/text-to-vector,
  fal-ai/sana, fal-ai/sana/sprint, fal-ai/stable-diffusion-v35-large, fal-ai/stable-diffusion-v35-medium,
  fal-ai/wan-25-preview/image-to-image, fal-ai/wan-25-preview/text-to-image,
  fal-ai/wan/v2.2-a14b/image-to-image, fal-ai/wan/v2.2-a14b/text-to-image, fal-ai/wan/v2.7/edit,
  fal-ai/wan/v2.7/pro/edit, fal-ai/wan/v2.7/pro/text-to-image, fal-ai/wan/v2.7/text-to-image,
  fal-ai/z-image/turbo, fal-ai/z-image/turbo/image-to-image, wan/v2.6/image-to-image,
  wan/v2.6/text-to-image, xai/grok-imagine-image, xai/grok-imagine-image/edit
video: fal-ai/bytedance/seedance/v1.5/pro/image-to-video, fal-ai/bytedance/seedance/v1.5/pro/text-to-video,
  fal-ai/bytedance/seedance/v1/lite/image-to-video, fal-ai/bytedance/seedance/v1/lite/text-to-video,
  fal-ai/bytedance/seedance/v1/pro/fast/image-to-video, fal-ai/bytedance/seedance/v1/pro/fast/text-to-video,
  fal-ai/hunyuan-video-v1.5/image-to-video, fal-ai/hunyuan-video-v1.5/text-to-video,
  fal-ai/kling-video/o1/image-to-video, fal-ai/kling-video/o1/reference-to-video,
  fal-ai/kling-video/o3/pro/image-to-video, fal-ai/kling-video/o3/pro/reference-to-video,
  fal-ai/kling-video/o3/pro/text-to-video, fal-ai/kling-video/o3/standard/image-to-video,
  fal-ai/kling-video/o3/standard/reference-to-video, fal-ai/kling-video/o3/standard/text-to-video,
  fal-ai/kling-video/v2.1/master/image-to-video, fal-ai/kling-video/v2.1/master/text-to-video,
  fal-ai/kling-video/v2.1/standard/image-to-video, fal-ai/kling-video/v2.5-turbo/pro/image-to-video,
  fal-ai/kling-video/v2.5-turbo/pro/text-to-video, fal-ai/kling-video/v2.6/pro/image-to-video,
  fal-ai/kling-video/v2.6/pro/text-to-video, fal-ai/kling-video/v3/pro/image-to-video,
  fal-ai/kling-video/v3/pro/text-to-video, fal-ai/kling-video/v3/standard/image-to-video,
  fal-ai/kling-video/v3/standard/text-to-video, fal-ai/ltx-2.3/image-to-video, fal-ai/ltx-2.3/text-to-video,
  fal-ai/ltx-2/image-to-video, fal-ai/ltx-2/text-to-video, fal-ai/luma-dream-machine/ray-2,
  fal-ai/luma-dream-machine/ray-2-flash, fal-ai/luma-dream-machine/ray-2-flash/image-to-video,
  fal-ai/luma-dream-machine/ray-2/image-to-video, fal-ai/minimax/hailuo-02/pro/image-to-video,
  fal-ai/minimax/hailuo-02/pro/text-to-video, fal-ai/minimax/hailuo-02/standard/image-to-video,
  fal-ai/minimax/hailuo-02/standard/text-to-video, fal-ai/minimax/hailuo-2.3-fast/pro/image-to-video,
  fal-ai/minimax/hailuo-2.3-fast/standard/image-to-video, fal-ai/minimax/hailuo-2.3/pro/image-to-video,
  fal-ai/minimax/hailuo-2.3/pro/text-to-video, fal-ai/minimax/hailuo-2.3/standard/image-to-video,
  fal-ai/minimax/hailuo-2.3/standard/text-to-video, fal-ai/pika/v2.2/image-to-video,
  fal-ai/pika/v2.2/text-to-video, fal-ai/pixverse/v5.6/image-to-video, fal-ai/pixverse/v5.6/text-to-video,
  fal-ai/pixverse/v5.6/transition, fal-ai/pixverse/v5/image-to-video, fal-ai/pixverse/v5/text-to-video,
  fal-ai/pixverse/v5/transition, fal-ai/pixverse/v6/image-to-video, fal-ai/pixverse/v6/text-to-video,
  fal-ai/pixverse/v6/transition, fal-ai/veo3.1/fast/first-last-frame-to-video, fal-ai/veo3.1/lite,
  fal-ai/veo3.1/lite/first-last-frame-to-video, fal-ai/veo3.1/lite/image-to-video,
  fal-ai/vidu/q2/image-to-video/pro, fal-ai/vidu/q2/text-to-video, fal-ai/vidu/q3/image-to-video,
  fal-ai/vidu/q3/image-to-video/turbo, fal-ai/vidu/q3/text-to-video, fal-ai/vidu/q3/text-to-video/turbo,
  fal-ai/wan-25-preview/image-to-video, fal-ai/wan-25-preview/text-to-video,
  fal-ai/wan/v2.2-14b/animate/move, fal-ai/wan/v2.2-14b/animate/replace, fal-ai/wan/v2.7/edit-video,
  fal-ai/wan/v2.7/image-to-video, fal-ai/wan/v2.7/reference-to-video, fal-ai/wan/v2.7/text-to-video,
  moonvalley/marey/i2v, moonvalley/marey/t2v, wan/v2.6/image-to-video, wan/v2.6/reference-to-video,
  wan/v2.6/text-to-video, xai/grok-imagine-video/image-to-video, xai/grok-imagine-video/reference-to-video,
  xai/grok-imagine-video/text-to-video
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
