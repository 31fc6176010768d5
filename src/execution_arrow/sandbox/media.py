"""Real files of the size asked for: a lighthouse over a sea, with the prompt as a caption.

Pictures are drawn with Pillow, clips encoded with PyAV (H.264 where the build has it). The palette depends
on prompt and seed, so that several results of a demonstration can be told apart. What is smooth (sky, glow,
beams) is drawn small and enlarged; what is sharp (tower, text) is drawn at full size.
"""

from __future__ import annotations

import bisect
import io
import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from execution_arrow.errors import MissingExtra
from execution_arrow.sandbox.faults import chance
from execution_arrow.sandbox.work import Output

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "mp4": "video/mp4"}
#: sky above, sky at the horizon, sea at the horizon, sea below, light
_PALETTES = (
    ("#0b1436", "#4a5fa8", "#2b3f7a", "#060a1e", "#ffe9a8"),
    ("#2a1b4a", "#ff8a5c", "#b5516a", "#1a1030", "#fff0b8"),
    ("#0e3b52", "#f6c177", "#3f7f8c", "#08222f", "#fff6d0"),
    ("#3b5f8a", "#dfeaf2", "#5f93a8", "#173a4f", "#ffffff"),
    ("#1c1030", "#d94f70", "#7a2f5c", "#0d0618", "#ffd9a0"),
    ("#08313a", "#7fd1b9", "#2c7a7b", "#041a20", "#f7ffe0"),
)


@lru_cache(maxsize=64)
def render(output: Output, prompt: str, note: str, seed: int) -> bytes:
    """The file itself. `note` is the small line below the prompt. The same arguments give the same bytes.

    Raises `errors.MissingExtra` when Pillow or, for a clip, PyAV is not installed.
    """
    if output.kind == "video":
        return _clip(output, prompt, note, seed)
    scene = _scene(output.width, output.height, prompt, note, seed)
    buffer = io.BytesIO()
    options: dict[str, Any] = {
        "png": {"compress_level": 1}, "jpeg": {"quality": 88}, "webp": {"quality": 82, "method": 0}
    }[output.format]  # fmt: skip
    scene.save(buffer, output.format.upper(), **options)
    return buffer.getvalue()


# --- the picture ----------------------------------------------------------------------------------------


def _scene(width: int, height: int, prompt: str, note: str, seed: int) -> Picture:
    picture = _backdrop(width, height, prompt, seed)
    _tower(picture, prompt, seed)
    _caption(picture, prompt, note)
    return picture


def _backdrop(width: int, height: int, prompt: str, seed: int, turn: float | None = None) -> Picture:
    image, draw, filters = _pillow()
    scale = min(1.0, 720 / max(width, height))
    w, h = max(2, round(width * scale)), max(2, round(height * scale))
    top, low, near, deep, light = _palette(prompt, seed)
    horizon = max(1, round(h * 0.62))
    small = image.new("RGB", (w, h))
    small.paste(_gradient(top, low, w, horizon), (0, 0))
    small.paste(_gradient(near, deep, w, h - horizon), (0, horizon))
    glow = image.new("L", (w, h), 0)
    pen = draw.Draw(glow)
    sun_x, sun_r = round(w * (0.2 + 0.5 * chance("sun", prompt, seed))), h * 0.09
    pen.ellipse((sun_x - sun_r, horizon - sun_r * 1.6, sun_x + sun_r, horizon + sun_r * 0.4), fill=150)
    for row in range(horizon, h, max(1, h // 90)):  # the sun's path and ripples on the water
        depth = (row - horizon) / max(1, h - horizon)
        spread = w * (0.02 + 0.10 * depth) * (0.6 + 0.8 * chance("ripple", prompt, seed, row))
        pen.line((sun_x - spread, row, sun_x + spread, row), fill=round(90 * (1 - depth * 0.7)))
    x, y = _lamp(w, h)
    angle = (0.35 + chance("beam", prompt, seed)) if turn is None else turn
    for side in (0.0, math.pi):
        reach, half = max(w, h), 0.06
        tips = [
            (x + reach * math.cos(angle + side + bend), y + 0.35 * reach * math.sin(angle + side + bend))
            for bend in (-half, half)
        ]
        pen.polygon([(x, y), *tips], fill=110)
    pen.ellipse((x - h * 0.03, y - h * 0.03, x + h * 0.03, y + h * 0.03), fill=255)
    glow = glow.filter(filters.GaussianBlur(max(1.0, h * 0.012)))
    small.paste(image.new("RGB", (w, h), light), (0, 0), glow)
    whole: Picture = small.resize((width, height), image.Resampling.BICUBIC)
    return whole


def _tower(picture: Picture, prompt: str, seed: int) -> None:
    _, draw, _ = _pillow()
    width, height = picture.size
    pen, unit = draw.Draw(picture), height / 100
    x, lamp = _lamp(width, height)
    base, rock = height * 0.70, _palette(prompt, seed)[3]
    shore = [
        (x - 34 * unit, base + 9 * unit),
        (x - 20 * unit, base + 1 * unit),
        (x - 9 * unit, base - 3 * unit),
    ]
    shore += [
        (x + 8 * unit, base - 2 * unit),
        (x + 24 * unit, base + 3 * unit),
        (x + 40 * unit, base + 9 * unit),
    ]
    pen.polygon(shore, fill=rock)

    def band(start: float, end: float, colour: str) -> None:
        rows = [lamp + 3 * unit + (base - lamp - 3 * unit) * part for part in (start, end)]
        halves = [(2.2 + 2.6 * part) * unit for part in (start, end)]
        pen.polygon(
            [
                (x - halves[0], rows[0]),
                (x + halves[0], rows[0]),
                (x + halves[1], rows[1]),
                (x - halves[1], rows[1]),
            ],
            fill=colour,
        )

    for index in range(5):
        band(index / 5, (index + 1) / 5, "#f4efe6" if index % 2 == 0 else "#b23a3a")
    pen.rectangle((x - 3.2 * unit, lamp + 2.2 * unit, x + 3.2 * unit, lamp + 3.2 * unit), fill="#22262e")
    pen.rectangle((x - 1.6 * unit, lamp - 1.8 * unit, x + 1.6 * unit, lamp + 2.2 * unit), fill="#fff3c4")
    pen.polygon(
        [(x - 2.4 * unit, lamp - 1.8 * unit), (x + 2.4 * unit, lamp - 1.8 * unit), (x, lamp - 5 * unit)],
        fill="#22262e",
    )


def _caption(picture: Picture, prompt: str, note: str) -> None:
    from PIL import ImageDraw, ImageFont

    width, height = picture.size
    size = max(9, round(min(width, height) / 26))
    large, small = ImageFont.load_default(size), ImageFont.load_default(max(8, round(size * 0.6)))
    pen = ImageDraw.Draw(picture)
    margin, lines = size, _wrapped(prompt, large, width - 2 * size)
    at = height - margin - size * 0.8 - len(lines) * size * 1.2
    for line in lines:
        pen.text(
            (margin, at),
            line,
            font=large,
            fill="#ffffff",
            stroke_width=max(1, size // 18),
            stroke_fill="#00000080",
        )
        at += size * 1.2
    pen.text((margin, at + size * 0.1), _cut(note, small, width - 2 * margin), font=small, fill="#e6e6e6")


def _wrapped(text: str, font: Any, room: float, most: int = 2) -> list[str]:
    """At most `most` lines, broken at spaces where there are any."""
    text = " ".join(text.split())
    lines: list[str] = []
    while text and len(lines) < most - 1:
        count = _fitting(text, font, room)
        if count < len(text):
            count = text.rfind(" ", 0, count + 1) if " " in text[: count + 1] else count
        lines.append(text[:count])
        text = text[count:].lstrip()
    return [*lines, _cut(text, font, room)] if text else lines


def _cut(text: str, font: Any, room: float) -> str:
    count = _fitting(text, font, room)
    return text if count == len(text) else text[: max(0, count - 3)].rstrip() + "..."


def _fitting(text: str, font: Any, room: float) -> int:
    """How many leading characters fit. A prompt may be a novel, so never more than 240 are measured."""
    lengths = range(1, min(len(text), 240) + 1)
    return bisect.bisect_right(lengths, room, key=lambda count: font.getlength(text[:count])) if text else 0


def _lamp(width: int, height: int) -> tuple[float, float]:
    return width * 0.68, height * 0.30


def _palette(prompt: str, seed: int) -> tuple[str, str, str, str, str]:
    return _PALETTES[int(chance("palette", prompt, seed) * len(_PALETTES))]


def _gradient(above: str, below: str, width: int, height: int) -> Picture:
    from PIL import Image, ImageOps

    return ImageOps.colorize(Image.linear_gradient("L").resize((width, max(1, height))), above, below)


def _pillow() -> tuple[Any, Any, Any]:
    try:
        from PIL import Image, ImageDraw, ImageFilter
    except ImportError as missing:
        raise MissingExtra("drawing the sandbox's pictures", "sandbox") from missing
    return Image, ImageDraw, ImageFilter


# --- the clip -------------------------------------------------------------------------------------------

_HOLD = 3  # frames for which the beam stands still: drawing costs more than encoding


def _clip(output: Output, prompt: str, note: str, seed: int) -> bytes:
    _pillow()
    av = _pyav()
    width, height = output.width // 2 * 2, output.height // 2 * 2
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream: Any = container.add_stream(_codec(av), rate=output.fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        stream.options = {"preset": "ultrafast", "crf": "30", "tune": "zerolatency"}
        total = max(1, round(output.seconds * output.fps))
        frames = _frames(av, width, height, prompt, note, seed)
        frame = frames(0.0)
        for number in range(total):
            if number and number % _HOLD == 0:
                frame = frames(2 * math.pi * number / max(total, 24))
            frame.pts, frame.time_base = number, Fraction(1, output.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _frames(av: Any, width: int, height: int, prompt: str, note: str, seed: int) -> Callable[[float], Any]:
    """A function from the beam's angle to a frame; what does not move is drawn once."""
    image, _, _ = _pillow()
    front = image.new("RGBA", (width, height))
    _tower(front, prompt, seed)
    _caption(front, prompt, note)

    def frame(turn: float) -> Any:
        picture = _backdrop(width, height, prompt, seed, turn)
        picture.paste(front, (0, 0), front)
        return av.VideoFrame.from_image(picture).reformat(format="yuv420p")

    return frame


def _pyav() -> Any:
    try:
        import av
    except ImportError as missing:
        raise MissingExtra("encoding the sandbox's clips", "sandbox") from missing
    return av


def _codec(av: Any) -> str:
    return "libx264" if "libx264" in av.codecs_available else "mpeg4"
