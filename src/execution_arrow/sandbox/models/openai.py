"""OpenAI's models: the parameters of the SDK's types and the OpenAPI file, August 2026.

An edit has parameters of its own, and as JSON it names its pictures by address. Sizes of the newer picture
models are any multiples of 16, which is a rule and not a list. Retired models are not found.
"""

from __future__ import annotations

from collections.abc import Mapping

from execution_arrow.sandbox.inputs import FLAG, TEXT, Model, Schema, one_of, whole

_PROMPT: Schema = {"type": "string", "minLength": 1, "maxLength": 32_000}
_OLD = one_of("auto", "1024x1024", "1536x1024", "1024x1536")
_NEW: Schema = {"type": "string", "pattern": r"^(auto|[1-9][0-9]{1,3}x[1-9][0-9]{1,3})$"}
_PLACE: Schema = {
    "type": "object",
    "properties": {"image_url": TEXT, "file_id": TEXT},
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
_FILE: Schema = {"const": "file"}  # what a part of a form with a file counts as


def _image(size: Schema, *quality: str) -> dict[str, Schema]:
    return {
        "model": TEXT,
        "prompt": _PROMPT,
        "n": whole(1, 10),
        "size": size,
        "quality": one_of("auto", "low", "medium", "high", *quality),
        "background": one_of("auto", "opaque", "transparent"),
        "output_format": one_of("png", "jpeg", "webp"),
        "output_compression": whole(0, 100),
        "partial_images": whole(0, 3),
        "stream": FLAG,
        "safety_identifier": TEXT,
        "user": TEXT,
    }


def _pair(size: Schema, *quality: str, fidelity: bool = False) -> tuple[Model, Model]:
    """A model as `images/generations` takes it, and as `images/edits` does."""
    common, defaults = _image(size, *quality), {"output_format": "png", "size": "auto", "quality": "auto"}
    generate = {**common, "moderation": one_of("auto", "low")}
    edit: dict[str, Schema] = {
        **common,
        "images": {"type": "array", "items": _PLACE, "minItems": 1, "maxItems": 16},
        "mask": {"anyOf": [_PLACE, _FILE]},
        "image": _FILE,
        "image[]": {"type": "array", "items": _FILE, "minItems": 1, "maxItems": 16},
    }
    if fidelity:
        edit["input_fidelity"] = one_of("low", "high")
    return Model(properties=generate, defaults=defaults), Model(properties=edit, defaults=defaults)


_PAIRS: Mapping[str, tuple[Model, Model]] = {
    "gpt-image-1.5": _pair(_OLD, fidelity=True),
    "gpt-image-1-mini": _pair(_OLD, fidelity=True),
    "chatgpt-image-latest": _pair(_OLD, fidelity=True),
    "gpt-image-2": _pair(_NEW),
    "gpt-image-2-2026-04-21": _pair(_NEW),
    "gpt-image-2.5-sunburst": _pair(_NEW, "xhigh", "max"),
    "gpt-image-2.5-flare": _pair(_NEW, "xhigh", "max"),
    "gpt-image-2.6-sunburst": _pair(_NEW, "xhigh", "max"),
    "gpt-image-2.6-flare": _pair(_NEW, "xhigh", "max"),
}
_VIDEO = Model(
    kind="video",
    many=False,
    properties={
        "model": TEXT,
        "prompt": _PROMPT,
        "seconds": one_of("4", "8", "12"),
        "size": one_of("720x1280", "1280x720", "1024x1792", "1792x1024"),
        "input_reference": {"anyOf": [_PLACE, _FILE]},
        "input_reference[image_url]": TEXT,
    },
    defaults={"seconds": "4", "size": "720x1280"},
)
OPENAI: Mapping[str, Model] = {
    **{name: generate for name, (generate, _) in _PAIRS.items()},
    "sora-2": _VIDEO,
    "sora-2-pro": _VIDEO,
}
EDITS: Mapping[str, Model] = {name: edit for name, (_, edit) in _PAIRS.items()}
