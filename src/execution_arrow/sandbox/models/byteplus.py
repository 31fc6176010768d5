"""BytePlus ModelArk's models: the fields of the SDK. Every optional field may be null."""

from __future__ import annotations

from collections.abc import Mapping

from execution_arrow.sandbox.inputs import (
    FLAG,
    TEXT,
    Model,
    Schema,
    links,
    nullable,
    number,
    one_of,
    whole,
)

_B_IMAGE = {
    "model": TEXT,
    "prompt": TEXT,
    "image": {"anyOf": [TEXT, {**links(14), "minItems": 1}]},
    "size": {"type": "string", "pattern": r"^([1-4]K|[0-9]{3,4}x[0-9]{3,4})$"},
    "seed": whole(-1, 2147483647),
    "guidance_scale": number(1, 10),
    "watermark": FLAG,
    "response_format": one_of("url", "b64_json"),
    "optimize_prompt": FLAG,
    "optimize_prompt_options": {"type": "object"},
    "stream": FLAG,
    "sequential_image_generation": one_of("auto", "disabled"),
    "sequential_image_generation_options": {
        "type": "object",
        "properties": {"max_images": whole(1, 15)},
        "additionalProperties": False,
    },
    "tools": {"type": "array"},
    "output_format": one_of("png", "jpeg"),
    "layer_decomposition": {},
}
_B_VIDEO = {
    "model": TEXT,
    "content": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["type"]}},
    "resolution": one_of("480p", "720p", "1080p"),
    "duration": whole(-1, 30),
    "frames": {"type": "integer"},
    "ratio": one_of("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive"),
    "camera_fixed": FLAG,
    "generate_audio": FLAG,
    "watermark": FLAG,
    "seed": whole(-1, 2**32 - 1),
    "return_last_frame": FLAG,
    "callback_url": TEXT,
    "service_tier": one_of("default", "flex"),
    "priority": {"type": "integer"},
    "execution_expires_after": whole(3600, 259200),
    "draft": FLAG,
    "safety_identifier": TEXT,
    "output_format": TEXT,
    "omni_reference_task_type": TEXT,
}


def _byteplus(kind: str, properties: Schema, defaults: Schema, *required: str) -> Model:
    checked = {
        name: nullable(schema) if name not in required else schema for name, schema in properties.items()
    }
    return Model(kind=kind, properties=checked, required=required, defaults=defaults)


def _b_image() -> Model:
    return _byteplus("image", _B_IMAGE, {"size": "2048x2048", "output_format": "jpeg"}, "model", "prompt")


def _b_video(resolution: str) -> Model:
    return _byteplus("video", _B_VIDEO, {"resolution": resolution, "duration": 5}, "model", "content")


BYTEPLUS: Mapping[str, Model] = {
    "seedream-3-0-t2i-250415": _b_image(),
    "seedream-4-0-250828": _b_image(),
    "seedream-4-5-251128": _b_image(),
    "seedream-5-0-260128": _b_image(),
    "seedream-5-0-lite-260128": _b_image(),
    "dola-seedream-5-0-pro-260628": _b_image(),
    "seedance-1-0-lite-t2v-250428": _b_video("720p"),
    "seedance-1-0-lite-i2v-250428": _b_video("720p"),
    "seedance-1-0-pro-250528": _b_video("1080p"),
    "seedance-1-0-pro-fast-251015": _b_video("1080p"),
    "seedance-1-5-pro-251215": _b_video("720p"),
    "dreamina-seedance-2-0-260128": _b_video("720p"),
    "dreamina-seedance-2-0-fast-260128": _b_video("720p"),
    "dreamina-seedance-2-0-mini-260615": _b_video("720p"),
}
