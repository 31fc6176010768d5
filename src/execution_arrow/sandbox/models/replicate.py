"""Replicate's models: the input of their version pages."""

from __future__ import annotations

from collections.abc import Mapping

from execution_arrow.sandbox.inputs import (
    FLAG,
    SEED,
    TEXT,
    Model,
    links,
    one_of,
    whole,
)

_RATIOS = ("1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9")
_WEBP = {"output_format": "webp"}


_R_FORMAT = {"output_format": one_of("webp", "jpg", "png"), "output_quality": whole(0, 100)}
_R_SEEDREAM = {
    "prompt": TEXT,
    "aspect_ratio": one_of("match_input_image", *_RATIOS),
    "width": whole(1024, 4096),
    "height": whole(1024, 4096),
    "sequential_image_generation": one_of("disabled", "auto"),
    "max_images": whole(1, 15),
}
_R_VEO = {
    "prompt": TEXT,
    "image": TEXT,
    "last_frame": TEXT,
    "aspect_ratio": one_of("16:9", "9:16"),
    "duration": one_of(4, 6, 8),
    "resolution": one_of("720p", "1080p"),
    "negative_prompt": TEXT,
    "generate_audio": FLAG,
    "seed": SEED,
}
_R_VEO_DEFAULTS = {"duration": 8, "resolution": "1080p"}
REPLICATE: Mapping[str, Model] = {
    "black-forest-labs/flux-schnell": Model(
        family="megapixels",
        defaults=_WEBP,
        properties={
            "prompt": TEXT,
            "num_outputs": whole(1, 4),
            "num_inference_steps": whole(1, 4),
            "seed": SEED,
            "aspect_ratio": one_of(
                "1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"
            ),
            "disable_safety_checker": FLAG,
            "go_fast": FLAG,
            "megapixels": one_of("1", "0.25"),
            **_R_FORMAT,
        },
    ),
    "black-forest-labs/flux-2-pro": Model(
        many=False,
        family="megapixels",
        defaults=_WEBP,
        properties={
            "prompt": TEXT,
            "input_images": links(8),
            "seed": SEED,
            "safety_tolerance": whole(1, 5),
            "aspect_ratio": one_of(
                "match_input_image", "custom", "1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3"
            ),
            "resolution": one_of("match_input_image", "0.5 MP", "1 MP", "2 MP", "4 MP"),
            "width": whole(256, 2048),
            "height": whole(256, 2048),
            **_R_FORMAT,
        },
    ),
    "bytedance/seedream-4": Model(
        family="seedream",
        properties={
            **_R_SEEDREAM,
            "image_input": links(10),
            "size": one_of("1K", "2K", "4K", "custom"),
            "enhance_prompt": FLAG,
        },
    ),
    "bytedance/seedream-4.5": Model(
        family="seedream",
        properties={
            **_R_SEEDREAM,
            "image_input": links(14),
            "size": one_of("2K", "4K", "custom"),
            "disable_safety_checker": FLAG,
            "aspect_ratio": one_of("match_input_image", *_RATIOS, "4:5", "5:4", "9:21"),
        },
    ),
    "google/veo-3.1": Model(
        kind="video",
        many=False,
        defaults=_R_VEO_DEFAULTS,
        properties={**_R_VEO, "reference_images": links(3)},
    ),
    "google/veo-3.1-fast": Model(kind="video", many=False, defaults=_R_VEO_DEFAULTS, properties=_R_VEO),
    "bytedance/seedance-1-pro": Model(
        kind="video",
        many=False,
        family="seedance",
        defaults={"duration": 5, "resolution": "1080p"},
        properties={
            "prompt": TEXT,
            "image": TEXT,
            "last_frame_image": TEXT,
            "duration": whole(2, 12),
            "fps": one_of(24),
            "resolution": one_of("480p", "720p", "1080p"),
            "camera_fixed": FLAG,
            "seed": SEED,
            "aspect_ratio": one_of("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "9:21"),
        },
    ),
}
