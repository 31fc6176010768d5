"""fal's endpoints: the input of the type files of its own client. Unknown names are ignored there."""

from __future__ import annotations

from collections.abc import Mapping

from execution_arrow.sandbox.inputs import (
    FLAG,
    SEED,
    TEXT,
    Model,
    Schema,
    links,
    number,
    one_of,
    whole,
)

_PRESETS = ("square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9")


def _image_size(*more: str) -> Schema:
    sides = {"width": whole(1, 14142), "height": whole(1, 14142)}
    return {
        "anyOf": [one_of(*_PRESETS, *more), {"type": "object", "properties": sides, "required": list(sides)}]
    }


_F_COMMON = {"prompt": TEXT, "seed": SEED, "enable_safety_checker": FLAG, "sync_mode": FLAG}
_F_FORMAT = {"output_format": one_of("jpeg", "png")}
_F_SEEDREAM = {**_F_COMMON, "num_images": whole(1, 6), "max_images": whole(1, 6)}
_F_SEEDREAM_4 = {**_F_SEEDREAM, "image_size": _image_size("auto", "auto_2K", "auto_4K")}
_F_SEEDREAM_45 = {**_F_SEEDREAM, "image_size": _image_size("auto_2K", "auto_4K")}
_F_FLUX_2 = {
    **_F_COMMON,
    **_F_FORMAT,
    "image_size": _image_size("auto"),
    "safety_tolerance": one_of("1", "2", "3", "4", "5"),
}
_F_VEO = {
    "prompt": TEXT,
    "aspect_ratio": one_of("auto", "16:9", "9:16"),
    "duration": one_of("4s", "6s", "8s"),
    "resolution": one_of("720p", "1080p", "4k"),
    "generate_audio": FLAG,
    "negative_prompt": TEXT,
    "seed": SEED,
    "auto_fix": FLAG,
    "safety_tolerance": one_of("1", "2", "3", "4", "5", "6"),
}
_F_VEO_DEFAULTS = {"duration": "8s", "resolution": "720p"}
_F_SEEDANCE = {
    **_F_COMMON,
    "aspect_ratio": one_of("21:9", "16:9", "4:3", "1:1", "3:4", "9:16", "9:21", "auto"),
    "resolution": one_of("480p", "720p", "1080p"),
    "duration": one_of(*(str(n) for n in range(2, 13))),
    "camera_fixed": FLAG,
}
_F_SEEDANCE_DEFAULTS = {"duration": "5", "resolution": "1080p"}
_EDIT: Schema = {"image_urls": links(10)}


def _fal_video(family: str, properties: Schema, defaults: Schema, *required: str) -> Model:
    urls = {name: links(10) if name.endswith("s") else TEXT for name in required}
    return Model(
        kind="video",
        many=False,
        family=family,
        defaults=defaults,
        properties={**properties, **urls},
        required=("prompt", *required),
    )


_SEEDREAM_DEFAULTS = {"image_size": "auto_2K", "output_format": "png"}
FAL: Mapping[str, Model] = {
    "fal-ai/flux/schnell": Model(
        defaults={"image_size": "landscape_4_3"},
        properties={
            **_F_COMMON,
            **_F_FORMAT,
            "image_size": _image_size(),
            "num_images": whole(1, 4),
            "num_inference_steps": whole(1, 12),
            "guidance_scale": number(1, 20),
            "acceleration": one_of("none", "regular", "high"),
        },
    ),
    "fal-ai/flux-2-pro": Model(defaults={"image_size": "landscape_4_3"}, properties=_F_FLUX_2),
    "fal-ai/flux-2-pro/edit": Model(
        defaults={"image_size": "square_hd"},
        properties={**_F_FLUX_2, **_EDIT},
        required=("prompt", "image_urls"),
    ),
    "fal-ai/bytedance/seedream/v4/text-to-image": Model(
        defaults=_SEEDREAM_DEFAULTS,
        properties={**_F_SEEDREAM_4, "enhance_prompt_mode": one_of("standard", "fast")},
    ),
    "fal-ai/bytedance/seedream/v4/edit": Model(
        defaults=_SEEDREAM_DEFAULTS, properties={**_F_SEEDREAM_4, **_EDIT}, required=("prompt", "image_urls")
    ),
    "fal-ai/bytedance/seedream/v4.5/text-to-image": Model(
        defaults=_SEEDREAM_DEFAULTS, properties=_F_SEEDREAM_45
    ),
    "fal-ai/bytedance/seedream/v4.5/edit": Model(
        defaults=_SEEDREAM_DEFAULTS, properties={**_F_SEEDREAM_45, **_EDIT}, required=("prompt", "image_urls")
    ),
    "fal-ai/veo3.1": _fal_video("", _F_VEO, _F_VEO_DEFAULTS),
    "fal-ai/veo3.1/fast": _fal_video("", _F_VEO, _F_VEO_DEFAULTS),
    "fal-ai/veo3.1/image-to-video": _fal_video("", _F_VEO, _F_VEO_DEFAULTS, "image_url"),
    "fal-ai/veo3.1/fast/image-to-video": _fal_video("", _F_VEO, _F_VEO_DEFAULTS, "image_url"),
    "fal-ai/veo3.1/first-last-frame-to-video": _fal_video(
        "", _F_VEO, _F_VEO_DEFAULTS, "first_frame_url", "last_frame_url"
    ),
    "fal-ai/veo3.1/reference-to-video": _fal_video("", _F_VEO, _F_VEO_DEFAULTS, "image_urls"),
    "fal-ai/bytedance/seedance/v1/pro/text-to-video": _fal_video(
        "seedance", _F_SEEDANCE, _F_SEEDANCE_DEFAULTS
    ),
    "fal-ai/bytedance/seedance/v1/pro/image-to-video": _fal_video(
        "seedance", {**_F_SEEDANCE, "end_image_url": TEXT}, _F_SEEDANCE_DEFAULTS, "image_url"
    ),
}
