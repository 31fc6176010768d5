"""The models each local provider knows and the input it takes for them.

Transcribed from the providers' own descriptions (Replicate's and fal's model pages and type files,
BytePlus' SDK and API page, Cloudflare's model JSON; November 2026) as JSON Schema, so that a request which
the real one would refuse is refused here. It is a second, independent transcription on purpose: it judges
the mapping catalogue and is not made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """`many`: whether the result is a list of URLs. `raw`: the media type of an answer in bytes (Cloudflare).

    `family` selects a table of sizes. `properties` None: nothing is known and nothing is checked.
    """

    kind: str = "image"
    many: bool = True
    family: str = ""
    raw: str | None = None
    properties: Schema | None = None
    required: tuple[str, ...] = ("prompt",)
    defaults: Mapping[str, Any] = field(default_factory=dict)


def one_of(*values: Any) -> Schema:
    return {"enum": list(values)}


def whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def number(low: float, high: float) -> Schema:
    return {"type": "number", "minimum": low, "maximum": high}


def links(most: int) -> Schema:
    return {"type": "array", "items": {"type": "string"}, "maxItems": most}


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
SEED: Schema = {"type": "integer"}
_RATIOS = ("1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9")
_WEBP = {"output_format": "webp"}

# --- replicate ------------------------------------------------------------------------------------------

_R_FORMAT = {"output_format": one_of("webp", "jpg", "png"), "output_quality": whole(0, 100)}
_R_SEEDREAM = {
    "prompt": TEXT, "aspect_ratio": one_of("match_input_image", *_RATIOS), "width": whole(1024, 4096),
    "height": whole(1024, 4096), "sequential_image_generation": one_of("disabled", "auto"),
    "max_images": whole(1, 15),
}  # fmt: skip
_R_VEO = {
    "prompt": TEXT, "image": TEXT, "last_frame": TEXT, "aspect_ratio": one_of("16:9", "9:16"),
    "duration": one_of(4, 6, 8), "resolution": one_of("720p", "1080p"), "negative_prompt": TEXT,
    "generate_audio": FLAG, "seed": SEED,
}  # fmt: skip
_R_VEO_DEFAULTS = {"duration": 8, "resolution": "1080p"}
REPLICATE: Mapping[str, Model] = {
    "black-forest-labs/flux-schnell": Model(
        family="megapixels", defaults=_WEBP,
        properties={
            "prompt": TEXT, "num_outputs": whole(1, 4), "num_inference_steps": whole(1, 4), "seed": SEED,
            "aspect_ratio": one_of("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"),
            "disable_safety_checker": FLAG, "go_fast": FLAG, "megapixels": one_of("1", "0.25"), **_R_FORMAT,
        },
    ),
    "black-forest-labs/flux-2-pro": Model(
        many=False, family="megapixels", defaults=_WEBP,
        properties={
            "prompt": TEXT, "input_images": links(8), "seed": SEED, "safety_tolerance": whole(1, 5),
            "aspect_ratio": one_of(
                "match_input_image", "custom", "1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3"
            ),
            "resolution": one_of("match_input_image", "0.5 MP", "1 MP", "2 MP", "4 MP"),
            "width": whole(256, 2048), "height": whole(256, 2048), **_R_FORMAT,
        },
    ),
    "bytedance/seedream-4": Model(
        family="seedream",
        properties={
            **_R_SEEDREAM, "image_input": links(10), "size": one_of("1K", "2K", "4K", "custom"), "enhance_prompt": FLAG
        },
    ),
    "bytedance/seedream-4.5": Model(
        family="seedream",
        properties={
            **_R_SEEDREAM, "image_input": links(14), "size": one_of("2K", "4K", "custom"), "disable_safety_checker": FLAG,
            "aspect_ratio": one_of("match_input_image", *_RATIOS, "4:5", "5:4", "9:21"),
        },
    ),
    "google/veo-3.1": Model(
        kind="video", many=False, defaults=_R_VEO_DEFAULTS, properties={**_R_VEO, "reference_images": links(3)}
    ),
    "google/veo-3.1-fast": Model(kind="video", many=False, defaults=_R_VEO_DEFAULTS, properties=_R_VEO),
    "bytedance/seedance-1-pro": Model(
        kind="video", many=False, family="seedance", defaults={"duration": 5, "resolution": "1080p"},
        properties={
            "prompt": TEXT, "image": TEXT, "last_frame_image": TEXT, "duration": whole(2, 12), "fps": one_of(24),
            "resolution": one_of("480p", "720p", "1080p"), "camera_fixed": FLAG, "seed": SEED,
            "aspect_ratio": one_of("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "9:21"),
        },
    ),
}  # fmt: skip

# --- fal (unknown names are ignored there) --------------------------------------------------------------

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
    **_F_COMMON, **_F_FORMAT, "image_size": _image_size("auto"), "safety_tolerance": one_of("1", "2", "3", "4", "5")
}  # fmt: skip
_F_VEO = {
    "prompt": TEXT, "aspect_ratio": one_of("auto", "16:9", "9:16"), "duration": one_of("4s", "6s", "8s"),
    "resolution": one_of("720p", "1080p", "4k"), "generate_audio": FLAG, "negative_prompt": TEXT, "seed": SEED,
    "auto_fix": FLAG, "safety_tolerance": one_of("1", "2", "3", "4", "5", "6"),
}  # fmt: skip
_F_VEO_DEFAULTS = {"duration": "8s", "resolution": "720p"}
_F_SEEDANCE = {
    **_F_COMMON, "aspect_ratio": one_of("21:9", "16:9", "4:3", "1:1", "3:4", "9:16", "9:21", "auto"),
    "resolution": one_of("480p", "720p", "1080p"), "duration": one_of(*(str(n) for n in range(2, 13))),
    "camera_fixed": FLAG,
}  # fmt: skip
_F_SEEDANCE_DEFAULTS = {"duration": "5", "resolution": "1080p"}
_EDIT: Schema = {"image_urls": links(10)}


def _fal_video(family: str, properties: Schema, defaults: Schema, *required: str) -> Model:
    urls = {name: links(10) if name.endswith("s") else TEXT for name in required}
    return Model(
        kind="video", many=False, family=family, defaults=defaults, properties={**properties, **urls},
        required=("prompt", *required),
    )  # fmt: skip


_SEEDREAM_DEFAULTS = {"image_size": "auto_2K", "output_format": "png"}
FAL: Mapping[str, Model] = {
    "fal-ai/flux/schnell": Model(
        defaults={"image_size": "landscape_4_3"},
        properties={
            **_F_COMMON, **_F_FORMAT, "image_size": _image_size(), "num_images": whole(1, 4),
            "num_inference_steps": whole(1, 12), "guidance_scale": number(1, 20),
            "acceleration": one_of("none", "regular", "high"),
        },
    ),
    "fal-ai/flux-2-pro": Model(defaults={"image_size": "landscape_4_3"}, properties=_F_FLUX_2),
    "fal-ai/flux-2-pro/edit": Model(
        defaults={"image_size": "square_hd"}, properties={**_F_FLUX_2, **_EDIT}, required=("prompt", "image_urls")
    ),
    "fal-ai/bytedance/seedream/v4/text-to-image": Model(
        defaults=_SEEDREAM_DEFAULTS,
        properties={**_F_SEEDREAM_4, "enhance_prompt_mode": one_of("standard", "fast")},
    ),
    "fal-ai/bytedance/seedream/v4/edit": Model(
        defaults=_SEEDREAM_DEFAULTS, properties={**_F_SEEDREAM_4, **_EDIT}, required=("prompt", "image_urls")
    ),
    "fal-ai/bytedance/seedream/v4.5/text-to-image": Model(defaults=_SEEDREAM_DEFAULTS, properties=_F_SEEDREAM_45),
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
    "fal-ai/bytedance/seedance/v1/pro/text-to-video": _fal_video("seedance", _F_SEEDANCE, _F_SEEDANCE_DEFAULTS),
    "fal-ai/bytedance/seedance/v1/pro/image-to-video": _fal_video(
        "seedance", {**_F_SEEDANCE, "end_image_url": TEXT}, _F_SEEDANCE_DEFAULTS, "image_url"
    ),
}  # fmt: skip

# --- byteplus (every field may be null) -----------------------------------------------------------------

_B_IMAGE = {
    "model": TEXT, "prompt": TEXT, "image": {"anyOf": [TEXT, {**links(14), "minItems": 1}]},
    "size": {"type": "string", "pattern": r"^([1-4]K|[0-9]{3,4}x[0-9]{3,4})$"}, "seed": whole(-1, 2147483647),
    "guidance_scale": number(1, 10), "watermark": FLAG, "response_format": one_of("url", "b64_json"),
    "optimize_prompt": FLAG, "optimize_prompt_options": {"type": "object"}, "stream": FLAG,
    "sequential_image_generation": one_of("auto", "disabled"),
    "sequential_image_generation_options": {
        "type": "object", "properties": {"max_images": whole(1, 15)}, "additionalProperties": False
    },
    "tools": {"type": "array"}, "output_format": one_of("png", "jpeg"), "layer_decomposition": {},
}  # fmt: skip
_B_VIDEO = {
    "model": TEXT, "content": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["type"]}},
    "resolution": one_of("480p", "720p", "1080p"), "duration": whole(-1, 30), "frames": {"type": "integer"},
    "ratio": one_of("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive"), "camera_fixed": FLAG,
    "generate_audio": FLAG, "watermark": FLAG, "seed": whole(-1, 2**32 - 1), "return_last_frame": FLAG,
    "callback_url": TEXT, "service_tier": one_of("default", "flex"), "priority": {"type": "integer"},
    "execution_expires_after": whole(3600, 259200), "draft": FLAG, "safety_identifier": TEXT,
    "output_format": TEXT, "omni_reference_task_type": TEXT,
}  # fmt: skip


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
    "seedance-1-0-lite-t2v-250428": _b_video("720p"),
    "seedance-1-0-pro-250528": _b_video("1080p"),
    "seedance-1-0-pro-fast-251015": _b_video("1080p"),
    "seedance-1-5-pro-251215": _b_video("720p"),
}

# --- cloudflare -----------------------------------------------------------------------------------------

CLOUDFLARE: Mapping[str, Model] = {
    "@cf/black-forest-labs/flux-1-schnell": Model(
        properties={"prompt": {"type": "string", "minLength": 1, "maxLength": 2048}, "steps": whole(1, 8)},
        defaults={"width": 1024, "height": 1024},
    ),
    "@cf/leonardo/lucid-origin": Model(
        properties={
            "prompt": {"type": "string", "minLength": 1}, "guidance": number(0, 10), "seed": SEED,
            "width": whole(0, 2500), "height": whole(0, 2500), "num_steps": whole(1, 40), "steps": whole(1, 40),
        },
        defaults={"width": 1120, "height": 1120},
    ),
    "@cf/leonardo/phoenix-1.0": Model(
        raw="image/jpeg", defaults={"width": 1024, "height": 1024},
        properties={
            "prompt": {"type": "string", "minLength": 1}, "guidance": number(2, 10), "seed": SEED,
            "width": whole(0, 2048), "height": whole(0, 2048), "num_steps": whole(1, 50), "negative_prompt": TEXT,
        },
    ),
    "@cf/bytedance/stable-diffusion-xl-lightning": Model(
        raw="image/png", defaults={"width": 1024, "height": 1024},
        properties={
            "prompt": {"type": "string", "minLength": 1}, "negative_prompt": TEXT, "width": whole(256, 2048),
            "height": whole(256, 2048), "num_steps": whole(1, 20), "guidance": number(0, 100), "seed": SEED,
            "strength": number(0, 1), "image": {"type": "array"}, "image_b64": TEXT, "mask": {"type": "array"},
        },
    ),
}  # fmt: skip

MODELS: Mapping[str, Mapping[str, Model]] = {
    "replicate": REPLICATE, "fal": FAL, "byteplus": BYTEPLUS, "cloudflare": CLOUDFLARE
}  # fmt: skip
