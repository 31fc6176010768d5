"""Workers AI's hosted models: the input of their JSON descriptions."""

from __future__ import annotations

from collections.abc import Mapping

from execution_arrow.sandbox.inputs import (
    SEED,
    TEXT,
    Model,
    number,
    one_of,
    whole,
)

_DIFFUSION = Model(
    raw="image/png",
    defaults={"width": 1024, "height": 1024},
    properties={
        "prompt": {"type": "string", "minLength": 1},
        "negative_prompt": TEXT,
        "width": whole(256, 2048),
        "height": whole(256, 2048),
        "num_steps": whole(1, 20),
        "guidance": number(0, 100),
        "seed": SEED,
        "strength": number(0, 1),
        "image": {"type": "array"},
        "image_b64": TEXT,
        "mask": {"type": "array"},
    },
)
CLOUDFLARE: Mapping[str, Model] = {
    "@cf/black-forest-labs/flux-1-schnell": Model(
        properties={"prompt": {"type": "string", "minLength": 1, "maxLength": 2048}, "steps": whole(1, 8)},
        defaults={"width": 1024, "height": 1024},
    ),
    **dict.fromkeys(
        (f"@cf/black-forest-labs/flux-2-{size}" for size in ("dev", "klein-4b", "klein-9b")),
        Model(
            form=True,
            properties={
                "prompt": {"type": "string", "minLength": 1},
                "steps": whole(1, 50),
                "seed": SEED,
                "width": whole(256, 1920),
                "height": whole(256, 1920),
                **{f"input_image_{number}": one_of("file") for number in range(4)},
            },
            defaults={"width": 1024, "height": 1024},
        ),
    ),
    "@cf/leonardo/lucid-origin": Model(
        properties={
            "prompt": {"type": "string", "minLength": 1},
            "guidance": number(0, 10),
            "seed": SEED,
            "width": whole(0, 2500),
            "height": whole(0, 2500),
            "num_steps": whole(1, 40),
            "steps": whole(1, 40),
        },
        defaults={"width": 1120, "height": 1120},
    ),
    "@cf/leonardo/phoenix-1.0": Model(
        raw="image/jpeg",
        defaults={"width": 1024, "height": 1024},
        properties={
            "prompt": {"type": "string", "minLength": 1},
            "guidance": number(2, 10),
            "seed": SEED,
            "width": whole(0, 2048),
            "height": whole(0, 2048),
            "num_steps": whole(1, 50),
            "negative_prompt": TEXT,
        },
    ),
    "@cf/bytedance/stable-diffusion-xl-lightning": _DIFFUSION,
    "@cf/stabilityai/stable-diffusion-xl-base-1.0": _DIFFUSION,
}
