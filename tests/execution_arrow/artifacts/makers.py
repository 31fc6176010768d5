"""Real pictures and clips, encoded by Pillow and PyAV."""

from __future__ import annotations

import io
import tempfile
from functools import cache
from pathlib import Path

import av
import pillow_avif  # noqa: F401 - Pillow before 11.3 writes AVIF with this
from PIL import Image


@cache
def picture(form: str, width: int = 64, height: int = 48, **options: bool) -> bytes:
    image = Image.effect_noise((width, height), 60).convert("RGBA" if options.pop("alpha", False) else "RGB")
    if options.pop("exif", False):
        exif = Image.Exif()
        exif[0x010E] = "x" * 30_000
        options["exif"] = exif  # type: ignore[assignment]
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


@cache
def clip(
    form: str, codec: str, width: int = 64, height: int = 48, frames: int = 24, movflags: str = ""
) -> bytes:
    options = {"movflags": movflags} if movflags else {}
    with tempfile.TemporaryDirectory() as folder:  # `faststart` opens the file a second time
        path = Path(folder) / "clip"
        with av.open(str(path), "w", format=form, options=options) as container:
            stream = container.add_stream(codec, rate=24)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for number in range(frames):
                colour = (number * 9 % 256, 80, 120)
                frame = av.VideoFrame.from_image(Image.new("RGB", (width, height), colour))
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path.read_bytes()
