"""Pixels from the words providers use for sizes: ratios, tiers, presets, `WxH`.

The tables are the providers' published ones; a word that none of them knows falls back to its arithmetic.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

Size = tuple[int, int]
LARGEST = 8192  # a side longer than this is cut: no picture of the sandbox may exhaust a laptop

# ByteDance's recommended pixels for Seedream (image generation API, "size")
_SEEDREAM_2K: dict[str, Size] = {
    "1:1": (2048, 2048), "4:3": (2304, 1728), "3:4": (1728, 2304), "16:9": (2848, 1600),
    "9:16": (1600, 2848), "3:2": (2496, 1664), "2:3": (1664, 2496), "21:9": (3136, 1344),
}  # fmt: skip
_TIERS = {"1K": 1024, "1.5K": 1536, "2K": 2048, "3K": 3072, "4K": 4096}

# ByteDance's pixels for Seedance 1.0 pro (video generation API, "ratio")
_SEEDANCE: dict[str, dict[str, Size]] = {
    "480p": {"16:9": (864, 480), "4:3": (736, 544), "1:1": (640, 640), "21:9": (960, 416)},
    "720p": {"16:9": (1248, 704), "4:3": (1120, 832), "1:1": (960, 960), "21:9": (1504, 640)},
    "1080p": {"16:9": (1920, 1088), "4:3": (1664, 1248), "1:1": (1440, 1440), "21:9": (2176, 928)},
}
# fal's ImageSize presets
PRESETS: dict[str, Size] = {
    "square_hd": (1024, 1024), "square": (512, 512),
    "portrait_4_3": (768, 1024), "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768), "landscape_16_9": (1024, 576),
    "auto": (2048, 2048), "auto_2K": (2048, 2048), "auto_3K": (3072, 3072), "auto_4K": (4096, 4096),
}  # fmt: skip


def ratio_of(text: object) -> tuple[int, int] | None:
    """`16:9` as numbers, None for words such as `adaptive` or `match_input_image`."""
    match = re.fullmatch(r"([1-9]\d{0,4}):([1-9]\d{0,4})", str(text))
    return (int(match[1]), int(match[2])) if match else None


def pixels_of(text: object) -> Size | None:
    """`2848x1600` and `1280*720` as numbers."""
    match = re.fullmatch(r"([1-9]\d{0,4})[xX*]([1-9]\d{0,4})", str(text))
    return capped(int(match[1]), int(match[2])) if match else None


def capped(width: int, height: int) -> Size:
    return max(1, min(width, LARGEST)), max(1, min(height, LARGEST))


def by_area(ratio: object, area: int, step: int) -> Size:
    """Sides of about `area` pixels in this ratio (1:1 if it is a word), each a multiple of `step`."""
    across, down = ratio_of(ratio) or (1, 1)
    width = math.sqrt(area * across / down)
    return capped(max(step, round(width / step) * step), max(step, round(area / width / step) * step))


def area_of(word: object) -> int:
    """Pixels of a size class: `0.25` and `2 MP` are megapixels, `2K` is a side; 1024 x 1024 for the rest."""
    text = str(word).strip()
    if text in _TIERS:
        return _TIERS[text] ** 2
    match = re.fullmatch(r"(\d{1,2}(?:\.\d{1,5})?)(?: ?MP)?", text)
    return max(4096, round(float(match[1]) * 1024 * 1024)) if match else 1024 * 1024


def picture(value: Mapping[str, Any]) -> Size:
    """A picture's size from whichever words its request uses: sides, `WxH`, a tier, and a ratio."""
    sides = (value.get("width"), value.get("height"))
    if all(isinstance(side, int) and not isinstance(side, bool) for side in sides):
        return capped(*sides)  # type: ignore[arg-type]
    words = [value.get(name) for name in ("size", "image_size", "resolution", "megapixels")]
    for word in words:
        if (size := pixels_of(word)) is not None:
            return size
    area = next((area_of(word) for word in words if word is not None), 1024 * 1024)
    return by_area(value.get("aspect_ratio"), area, 64 if area <= 1024 * 1024 else 16)


def seedream(tier: str, ratio: object) -> Size:
    """A Seedream picture: `2K` and `16:9` is 2848 x 1600."""
    side = _TIERS.get(tier, 2048)
    base = _SEEDREAM_2K.get(str(ratio))
    if base is None:
        return by_area(ratio, side * side, 16)
    return capped(base[0] * side // 2048, base[1] * side // 2048)


def seedance(resolution: str, ratio: object) -> Size:
    """A Seedance clip: `480p` and `16:9` is 864 x 480."""
    table = _SEEDANCE.get(resolution, _SEEDANCE["720p"])
    across, down = ratio_of(ratio) or (16, 9)
    if (size := table.get(f"{across}:{down}")) is not None:
        return size
    if (size := table.get(f"{down}:{across}")) is not None:
        return size[1], size[0]
    return by_area(ratio, table["1:1"][0] ** 2, 16)


def frame(resolution: str, ratio: object) -> Size:
    """A clip whose short side is the resolution: `720p` and `9:16` is 720 x 1280. Sides are even."""
    match = re.match(r"(\d{1,5})", resolution)
    short = {"4k": 2160}.get(resolution.lower(), int(match[1]) if match else 720)
    across, down = ratio_of(ratio) or (16, 9)
    long = round(short * max(across, down) / min(across, down) / 2) * 2
    return capped(long, short) if across >= down else capped(short, long)
