"""BFL's endpoints: the input of the API's own OpenAPI document. Null counts as absent.

Pictures are URLs or base64 where the document says so, and base64 alone elsewhere: see `sandbox.bfl`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from execution_arrow.sandbox.inputs import FLAG, SEED, TEXT, Model, Schema, number, one_of, whole

Fields = Mapping[str, Schema]

_COMMON: Fields = {
    "prompt": TEXT,
    "seed": SEED,
    "output_format": one_of("jpeg", "png", "webp"),
    "webhook_url": {"type": "string", "minLength": 1, "maxLength": 2083, "pattern": "^https?://"},
    "webhook_secret": TEXT,
}
_SIDE: Schema = {**whole(256, 1440), "multipleOf": 32}
_SIDES: Fields = {"width": _SIDE, "height": _SIDE}
_LARGE: Fields = {"width": whole(0, 8192), "height": whole(0, 8192)}
_REPHRASED: Fields = {"prompt_upsampling": FLAG}
_RATIO: Fields = {"aspect_ratio": {"type": "string", "pattern": "^[0-9]{1,3}:[0-9]{1,3}$"}}


def _inputs(most: int) -> Fields:
    return {"input_image": TEXT, **{f"input_image_{number}": TEXT for number in range(2, most + 1)}}


def _model(tolerance: int, fields: Fields, *required: str, family: str = "", **defaults: Any) -> Model:
    known = {**_COMMON, "safety_tolerance": whole(0, tolerance), **fields}
    words = {"output_format": "jpeg", **defaults}
    return Model(many=False, family=family, properties=known, required=required, defaults=words)


_FLUX_2, _FLUX_2_KLEIN = {**_LARGE, **_inputs(8)}, {**_LARGE, **_inputs(4)}
_FLEX = {"guidance": number(1.5, 10), "steps": whole(1, 50), "input_image_blob_path": TEXT, **_REPHRASED}
_KONTEXT = {**_inputs(4), **_RATIO, **_REPHRASED}
_FLUX_1 = {"image_prompt": TEXT, **_SIDES, **_REPHRASED}
_ULTRA = {"raw": FLAG, "image_prompt": TEXT, "image_prompt_strength": number(0, 1), **_RATIO, **_REPHRASED}
_DEV = {**_FLUX_1, "steps": whole(1, 50), "guidance": number(1.5, 5)}
_FILL = {"image": TEXT, "mask": TEXT, "steps": whole(15, 50), "guidance": number(1.5, 100), **_REPHRASED}

BFL: Mapping[str, Model] = {
    "flux-2-pro": _model(5, _FLUX_2, "prompt"),
    "flux-2-max": _model(5, _FLUX_2, "prompt"),
    "flux-2-flex": _model(5, {**_FLUX_2, **_FLEX}, "prompt"),
    "flux-2-klein-4b": _model(5, _FLUX_2_KLEIN, "prompt"),
    "flux-2-klein-9b": _model(5, _FLUX_2_KLEIN, "prompt"),
    "flux-pro-1.1": _model(6, _FLUX_1, width=1024, height=768),
    "flux-pro-1.1-ultra": _model(6, _ULTRA, family="ultra", aspect_ratio="16:9"),
    "flux-dev": _model(6, _DEV, width=1024, height=768),
    "flux-kontext-pro": _model(6, _KONTEXT, "prompt", output_format="png"),
    "flux-kontext-max": _model(6, _KONTEXT, "prompt", output_format="png"),
    "flux-pro-1.0-fill": _model(6, _FILL, "image"),
    # Known by name: the client has them, their input is not in the document that was read.
    **{f"flux-pro-1.0-{name}": Model(many=False) for name in ("expand", "canny", "depth")},
}
