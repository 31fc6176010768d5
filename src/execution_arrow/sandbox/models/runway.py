"""Runway's models: the parameters of runwayml 5.24.0, per endpoint, as a name may stand at several.

Models of other makers that Runway offers are known by name, endpoint and kind alone; their input is not
checked.
"""

from __future__ import annotations

from collections.abc import Mapping

from execution_arrow.sandbox.inputs import FLAG, TEXT, Model, Schema, one_of, whole

Fields = Mapping[str, Schema]

_SEED: Schema = whole(0, 4294967295)
_FIGURES: Schema = {
    "type": "object",
    "properties": {"publicFigureThreshold": one_of("auto", "low")},
    "additionalProperties": False,
}
_PROMPT: Schema = {"type": "string", "minLength": 1, "maxLength": 1000}
_SQUARES = one_of(
    "1024:1024", "1080:1080", "1168:880", "1360:768", "1440:1080", "1080:1440", "1808:768", "1920:1080",
    "1080:1920", "2112:912", "1280:720", "720:1280", "720:720", "960:720", "720:960", "1680:720",
)  # fmt: skip
_FRAMES = one_of("1280:720", "720:1280", "1104:832", "832:1104", "960:960", "1584:672")
_WIDE = one_of("1280:720", "720:1280", "1080:1920", "1920:1080")
_TEXT: Fields = {"promptText": _PROMPT, "contentModeration": _FIGURES}
_MASTER: Fields = {
    **_TEXT,
    "outputFormat": TEXT,
    "proresProfile": one_of("422 HQ", "422 LT", "422 Proxy", "422", "4444 XQ", "4444"),
}


def _list(item: Fields, required: tuple[str, ...], least: int, most: int) -> Schema:
    entry = {"type": "object", "properties": item, "required": required, "additionalProperties": False}
    return {"type": "array", "items": entry, "minItems": least, "maxItems": most}


def _references(least: int) -> Schema:
    return _list(
        {"uri": TEXT, "tag": {"type": "string", "minLength": 3, "maxLength": 16}}, ("uri",), least, 3
    )


def _frames(*positions: str) -> Schema:
    item = {"uri": TEXT, "position": one_of(*positions)}
    return {"anyOf": [TEXT, _list(item, tuple(item), 1, len(positions))]}


def _media(*kinds: str) -> Schema:
    known = {"type": one_of(*kinds), "uri": TEXT}
    return {"type": "object", "properties": known, "required": tuple(known), "additionalProperties": False}


def _model(kind: str, fields: Fields, *required: str, seconds: int = 5) -> Model:
    return Model(
        kind=kind,
        many=kind == "image",
        properties={"model": TEXT, "seed": _SEED, **fields},
        required=("model", *required),
        defaults={"duration": seconds},
    )


_PICTURE: Fields = {**_TEXT, "ratio": _SQUARES}
_GEN_4: Fields = {"promptImage": _frames("first"), "ratio": _FRAMES, "duration": whole(2, 10)}
_VEO: Fields = {
    "promptText": _PROMPT, "ratio": _WIDE, "duration": one_of(4, 6, 8), "audio": FLAG, "negativePrompt": TEXT
}  # fmt: skip
_ACT_TWO: Fields = {
    "character": _media("image", "video"), "reference": _media("video"), "ratio": _FRAMES,
    "bodyControl": FLAG, "expressionIntensity": whole(1, 5), "contentModeration": _FIGURES,
}  # fmt: skip
_ALEPH: Fields = {
    **_MASTER,
    "videoUri": TEXT,
    "ratio": TEXT,
    "targetAspectRatio": one_of("16:9", "1:1", "21:9", "2:3", "3:2", "3:4", "4:3", "9:16"),
    "keyframes": {"type": "array", "items": {"type": "object", "required": ["uri"]}},
}
_CLIPS = """gemini_omni_flash gemini_omni_flash_1.1 grok_imagine_1_5 grok_imagine_1_5_lite h3_max hailuo3
happyhorse_1_0 kling2.5_turbo_pro kling3.0_4k kling3.0_pro kling3.0_standard klingO3_4k klingO3_pro
klingO3_standard seedance2 seedance2_5 seedance2_fast seedance2_mini wan3 wan3_prime"""
_OTHERS = {
    "text_to_image": """bria_fibo_1_5 bria_fibo_edit_1_5 gemini_2.5_flash gemini_image3.1_flash
    gemini_image3.1_flash_lite gemini_image3_pro gpt_image_2 gpt_image_2_5_flare gpt_image_2_5_sunburst
    grok_imagine_image_2 ideogram_4_0 ideogram_4_5 muse_image nano_banana_2.1 recraft_v4_1_flash
    recraft_v4_1_vector seedream5_flash seedream5_lite seedream5_pro""",
    "text_to_video": _CLIPS,
    "image_to_video": _CLIPS,
    "video_to_video": "gemini_omni_flash gen4_aleph seedance2",
    "video_upscale": "magnific_video_upscaler_creative upscale_v1",
    "image_upscale": "magnific_precision_upscaler_v2",
}
_STILLS = ("text_to_image", "image_upscale")

#: by endpoint and name, as in `text_to_video/gen4.5`
RUNWAY: Mapping[str, Model] = {
    **{
        f"{endpoint}/{name}": Model(kind="image" if endpoint in _STILLS else "video")
        for endpoint, names in _OTHERS.items()
        for name in names.split()
    },
    "text_to_image/gen4_image": _model(
        "image", {**_PICTURE, "referenceImages": _references(0)}, "promptText", "ratio"
    ),
    "text_to_image/gen4_image_turbo": _model(
        "image", {**_PICTURE, "referenceImages": _references(1)}, "promptText", "ratio", "referenceImages"
    ),
    "image_to_video/gen4_turbo": _model("video", {**_TEXT, **_GEN_4}, "promptImage", "ratio", seconds=10),
    "text_to_video/gen4.5": _model(
        "video",
        {**_MASTER, "ratio": one_of("1280:720", "720:1280"), "duration": whole(2, 10)},
        *("promptText", "ratio", "duration"),
    ),
    "image_to_video/gen4.5": _model(
        "video", {**_MASTER, **_GEN_4}, "promptText", "promptImage", "ratio", "duration"
    ),
    **{
        f"text_to_video/{name}": _model("video", _VEO, "promptText", "ratio", seconds=8)
        for name in ("veo3", "veo3.1", "veo3.1_fast")
    },
    **{
        f"image_to_video/{name}": _model(
            "video", {**_VEO, "promptImage": _frames("first", "last")}, "promptImage", "ratio", seconds=8
        )
        for name in ("veo3", "veo3.1", "veo3.1_fast")
    },
    "character_performance/act_two": _model("video", _ACT_TWO, "character", "reference"),
    "video_to_video/aleph2": _model("video", _ALEPH, "videoUri"),
}
