"""What a team would write without a mapping language: a strict pydantic model, and one function per provider.

Frozen: it is the equal of `benchmarks/bridge/catalog/bench/media` and says the same payload. Validation is
pydantic's own, in Rust wherever pydantic has it (enums, ranges, lengths, patterns, unknown fields). Its URL
check is the lighter of the two: a pattern for plain https URLs, without the private names that ours refuses.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Url = Annotated[str, Field(max_length=2048, pattern=r"^https://[a-z0-9.-]+\.[a-z]{2,63}(/[!-~]*)?$")]
Text = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"


class MediaRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    generation_prompt: Annotated[str, Field(min_length=1, max_length=4000, pattern=Text)]
    generation_negative_prompt: Annotated[str, Field(max_length=2000, pattern=Text)] | None = None
    generation_ratio: Literal["1:1", "4:3", "3:4", "16:9", "9:16"] = "16:9"
    generation_resolution: Literal["720p", "1080p"] = "720p"
    generation_duration: Literal[5, 10] = 5
    generation_output_number: Annotated[int, Field(ge=1, le=4)] = 1
    generation_input_file: Annotated[list[Url], Field(min_length=1, max_length=4)] | None = None
    generation_seed: Annotated[int, Field(ge=0, le=2147483647)] | None = None
    generation_guidance: Annotated[float, Field(ge=0, le=20)] | None = None
    generation_generate_audio: bool = False
    generation_moderation: bool = True
    generation_output_format: Literal["mp4", "webm"] = "mp4"
    generation_provider_order: str = "fastest"


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


def fal(request: MediaRequest) -> dict[str, Any]:
    """The body of the endpoint for text or for images."""
    width, height = SIZES[request.generation_resolution, request.generation_ratio]
    body: dict[str, Any] = {"prompt": request.generation_prompt}
    if request.generation_negative_prompt is not None:
        body["negative_prompt"] = request.generation_negative_prompt
    body["video_size"] = {"width": width, "height": height}
    body["duration"] = f"{request.generation_duration}s"
    body["num_videos"] = request.generation_output_number
    if request.generation_seed is not None:
        body["seed"] = request.generation_seed
    if request.generation_guidance is not None:
        body["guidance_scale"] = request.generation_guidance
    body["generate_audio"] = request.generation_generate_audio
    body["safety_tolerance"] = "1" if request.generation_moderation else "5"
    body["output_format"] = request.generation_output_format
    if request.generation_input_file is not None:
        body["image_urls"] = list(request.generation_input_file)
    return body


def validate_and_map(data: dict[str, Any]) -> dict[str, Any]:
    return fal(MediaRequest.model_validate(data))
