"""The same request and the same payload by one function written by hand, for one model and one provider.

Frozen: it is the equal of `benchmarks/bridge/catalog/bench/media`, route by route and body by body. It is
what a careful team writes without a library: plain Python, the limits as constants, the first thing that is
wrong raised as a `ValueError`. Its URL check is the lighter one of `bridge_pydantic.py`.
"""

import re
from typing import Any

FIELDS = frozenset(
    {
        "generation_prompt",
        "generation_negative_prompt",
        "generation_ratio",
        "generation_resolution",
        "generation_duration",
        "generation_output_number",
        "generation_input_file",
        "generation_seed",
        "generation_guidance",
        "generation_generate_audio",
        "generation_moderation",
        "generation_output_format",
        "generation_provider_order",
    }
)
RATIOS = frozenset({"1:1", "4:3", "3:4", "16:9", "9:16"})
RESOLUTIONS = frozenset({"720p", "1080p"})
DURATIONS = frozenset({5, 10})
FORMATS = frozenset({"mp4", "webm"})
ORDERS = frozenset({"fastest", "cheapest", "reliable", "balanced"})
SIZES = {
    ("720p", "1:1"): (720, 720),
    ("720p", "4:3"): (960, 720),
    ("720p", "3:4"): (720, 960),
    ("720p", "16:9"): (1280, 720),
    ("720p", "9:16"): (720, 1280),
    ("1080p", "1:1"): (1080, 1080),
    ("1080p", "4:3"): (1440, 1080),
    ("1080p", "3:4"): (1080, 1440),
    ("1080p", "16:9"): (1920, 1080),
    ("1080p", "9:16"): (1080, 1920),
}
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
URL = re.compile(r"https://[a-z0-9.-]+\.[a-z]{2,63}(/[!-~]*)?")


def text(value: Any, name: str, shortest: int, longest: int) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text")
    if not shortest <= len(value) <= longest:
        raise ValueError(f"{name} must have {shortest} to {longest} characters")
    if CONTROL.search(value):
        raise ValueError(f"{name} holds control characters")
    return value


def one_of(value: Any, name: str, values: frozenset[str]) -> str:
    if not isinstance(value, str) or value not in values:
        raise ValueError(f"{name} must be one of {', '.join(sorted(values))}")
    return value


def whole(value: Any, name: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} must be a whole number")
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}")
    return value


def flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false")
    return value


def urls(value: Any, name: str, most: int) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise ValueError(f"{name} must be a list of 1 to {most} URLs")
    for item in value:
        if not isinstance(item, str) or len(item) > 2048 or not URL.fullmatch(item):
            raise ValueError(f"{name} holds something that is no https URL")
    return list(value)


def validate_and_map(data: dict[str, Any]) -> dict[str, Any]:
    """The body of the provider's endpoint for text or for images."""
    if not isinstance(data, dict):
        raise ValueError("a request is an object")
    for name in data:
        if name not in FIELDS:
            raise ValueError(f"unknown field {name}")
    if "generation_prompt" not in data:
        raise ValueError("generation_prompt is required")
    one_of(data.get("generation_provider_order", "fastest"), "generation_provider_order", ORDERS)
    ratio = one_of(data.get("generation_ratio", "16:9"), "generation_ratio", RATIOS)
    resolution = one_of(data.get("generation_resolution", "720p"), "generation_resolution", RESOLUTIONS)
    duration = data.get("generation_duration", 5)
    if not isinstance(duration, int) or isinstance(duration, bool) or duration not in DURATIONS:
        raise ValueError("generation_duration must be 5 or 10")
    width, height = SIZES[resolution, ratio]
    body: dict[str, Any] = {"prompt": text(data["generation_prompt"], "generation_prompt", 1, 4000)}
    if "generation_negative_prompt" in data:
        negative = text(data["generation_negative_prompt"], "generation_negative_prompt", 0, 2000)
        body["negative_prompt"] = negative
    body["video_size"] = {"width": width, "height": height}
    body["duration"] = f"{duration}s"
    body["num_videos"] = whole(data.get("generation_output_number", 1), "generation_output_number", 1, 4)
    if "generation_seed" in data:
        body["seed"] = whole(data["generation_seed"], "generation_seed", 0, 2147483647)
    if "generation_guidance" in data:
        guidance = data["generation_guidance"]
        if not isinstance(guidance, int | float) or isinstance(guidance, bool) or not 0 <= guidance <= 20:
            raise ValueError("generation_guidance must be a number between 0 and 20")
        body["guidance_scale"] = guidance
    body["generate_audio"] = flag(data.get("generation_generate_audio", False), "generation_generate_audio")
    strict = flag(data.get("generation_moderation", True), "generation_moderation")
    body["safety_tolerance"] = "1" if strict else "5"
    body["output_format"] = one_of(
        data.get("generation_output_format", "mp4"), "generation_output_format", FORMATS
    )
    if "generation_input_file" in data:
        body["image_urls"] = urls(data["generation_input_file"], "generation_input_file", 4)
    return body
