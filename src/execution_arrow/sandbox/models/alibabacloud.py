"""Model Studio's models: what stands in `input` and in `parameters`, and how each is called.

From the models' help pages and the requests of dashscope 2.0.2. `family` names the path below
`services/aigc`, `also` a second one: most picture models are called in one way only, some in both.
The client adds three words of its own (`extend_prompt`, `function`, `is_async`), which are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from execution_arrow.sandbox.inputs import FLAG, TEXT, Model, Schema, links, one_of, whole

#: paths whose calls become tasks, and paths whose calls are answered; one is both
TASKS = (
    "text2image/image-synthesis",
    "image2image/image-synthesis",
    "image-generation/generation",
    "video-generation/video-synthesis",
    "image2video/video-synthesis",
)
ANSWERS = ("multimodal-generation/generation",)

_SIZE: Schema = {"type": "string", "pattern": r"^[1-9][0-9]{2,3}\*[1-9][0-9]{2,3}$"}
_SEED = whole(0, 2_147_483_647)
_STILL = {
    "size": _SIZE,
    "n": whole(1, 6),
    "seed": _SEED,
    "prompt_extend": FLAG,
    "watermark": FLAG,
    "negative_prompt": {"type": "string", "maxLength": 500},
    "is_async": FLAG,
    "thinking_mode": FLAG,
    "enable_sequential": FLAG,
}
_MESSAGES: Schema = {
    "type": "array",
    "minItems": 1,
    "maxItems": 1,
    "items": {
        "type": "object",
        "required": ["role", "content"],
        "properties": {"role": one_of("user"), "content": {"type": "array", "minItems": 1}},
        "additionalProperties": False,
    },
}
_MOVING = {
    "size": _SIZE,
    "resolution": one_of("480P", "720P", "1080P"),
    "ratio": one_of("16:9", "9:16", "1:1", "4:3", "3:4", "adaptive"),
    "duration": whole(-1, 15),
    "prompt_extend": FLAG,
    "audio": FLAG,
    "seed": _SEED,
    "watermark": FLAG,
    "shot_type": one_of("single", "multi"),
}
_FRAMES = ("img_url", "first_frame_url", "last_frame_url", "audio_url", "template")


def _model(
    kind: str,
    path: str,
    inputs: Mapping[str, Schema],
    parameters: Mapping[str, Schema],
    *required: str,
    **defaults: Any,
) -> Model:
    given: Schema = {
        "type": "object",
        "properties": dict(inputs),
        "required": list(required),
        "additionalProperties": False,
    }
    knobs: Schema = {"type": "object", "properties": dict(parameters), "additionalProperties": False}
    return Model(
        kind=kind,
        family=path,
        properties={"model": TEXT, "input": given, "parameters": knobs},
        required=("model", "input"),
        defaults=defaults,
    )


def _messages(size: str, path: str = ANSWERS[0], **defaults: Any) -> Model:
    return _model("image", path, {"messages": _MESSAGES}, _STILL, "messages", size=size, **defaults)


def _prompted(size: str, longest: int, path: str = TASKS[0], *required: str) -> Model:
    prompt: Schema = {"type": "string", "minLength": 1, "maxLength": longest}
    inputs = {"prompt": prompt, "negative_prompt": TEXT, "images": links(3)}
    return _model("image", path, inputs, _STILL, "prompt", *required, size=size, n=4)


def _clip(path: str = TASKS[3], *required: str, **defaults: Any) -> Model:
    inputs: dict[str, Schema] = {
        "prompt": {"type": "string", "maxLength": 2000},
        "negative_prompt": {"type": "string", "maxLength": 500},
        **dict.fromkeys(_FRAMES, TEXT),
        "media": {"type": "array", "items": {"type": "object", "required": ["type", "url"]}},
        "extend_prompt": FLAG,
        "function": TEXT,
    }
    return _model(
        "video", path, inputs, _MOVING, *required, **{"resolution": "720P", "duration": 5, **defaults}
    )


ALIBABACLOUD: Mapping[str, Model] = {
    "wan2.2-t2i-flash": _prompted("1024*1024", 800),
    "wan2.2-t2i-plus": _prompted("1024*1024", 800),
    "wan2.5-t2i-preview": _prompted("1280*1280", 2000),
    "wan2.5-i2i-preview": _prompted("1280*1280", 2000, TASKS[1], "images"),
    "wan2.6-t2i": _messages("1280*1280", n=4),
    "wan2.6-image": _messages("1280*1280", TASKS[2], n=4),
    "wan2.7-image": _messages("2048*2048", n=4),
    "wan2.7-image-pro": _messages("2048*2048", n=4),
    "qwen-image": _messages("1664*928"),
    "qwen-image-plus": _messages("1664*928"),
    "qwen-image-max": _messages("1664*928"),
    "qwen-image-2.0": _messages("1328*1328"),
    "qwen-image-2.0-pro": _messages("1328*1328"),
    "qwen-image-edit": _messages("1024*1024"),
    "qwen-image-edit-plus": _messages("1024*1024"),
    "qwen-image-edit-max": _messages("1024*1024"),
    "z-image-turbo": _messages("1024*1536"),
    "wan2.5-t2v-preview": _clip(TASKS[3], "prompt", size="1920*1080"),
    "wan2.6-t2v": _clip(TASKS[3], "prompt", size="1920*1080"),
    "wan2.5-i2v-preview": _clip(TASKS[3], "img_url", resolution="1080P"),
    "wan2.6-i2v": _clip(TASKS[3], "img_url", resolution="1080P"),
    "wan2.2-kf2v-flash": _clip(TASKS[4], "first_frame_url", "last_frame_url"),
    "wan2.7-t2v": _clip(TASKS[3], resolution="1080P"),
    "wan2.7-i2v": _clip(TASKS[3], "media", resolution="1080P"),
    "wan3.0-video": _clip(TASKS[3], resolution="1080P"),
    "wan3.0-video-prime": _clip(TASKS[3], resolution="1080P"),
    "happyhorse-1.0-t2v": _clip(TASKS[3], "prompt"),
    "happyhorse-1.0-i2v": _clip(TASKS[3], "media"),
}
#: a second path by which a model is called, beside its `family`
ALSO: Mapping[str, str] = {
    "qwen-image": TASKS[0],
    "qwen-image-plus": TASKS[0],
    "wan2.6-t2i": TASKS[2],
    "wan2.7-image": TASKS[2],
    "wan2.7-image-pro": TASKS[2],
}
