"""A whole file ends well, and no file that was cut anywhere does."""

from __future__ import annotations

import io
import random

import pytest

from execution_arrow.artifacts.endings import ends_well
from execution_arrow.media import WEBM, Kind, sniff
from tests.execution_arrow.artifacts.makers import clip, picture

WHOLE = {
    "png": picture("PNG", 200, 100),
    "jpeg": picture("JPEG", 200, 100, exif=True),
    "gif": picture("GIF", 200, 100),
    "webp": picture("WEBP", 200, 100),
    "avif": picture("AVIF", 200, 100),
    "mp4": clip("mp4", "mpeg4"),
    "fast mp4": clip("mp4", "mpeg4", movflags="faststart"),
    "mov": clip("mov", "mpeg4"),
}


def _kind(data: bytes) -> Kind:
    kind = sniff(data[:64])
    assert kind is not None
    return kind


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_whole_and_cut(data: bytes) -> None:
    kind = _kind(data)
    assert ends_well(io.BytesIO(data), kind)
    draw = random.Random(len(data))
    for length in {len(data) - 1, len(data) // 2, *(draw.randrange(64, len(data)) for _ in range(100))}:
        assert not ends_well(io.BytesIO(data[:length]), kind), length


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_damaged_files_get_an_answer(data: bytes) -> None:
    """Whatever the bytes, it answers, and it ends."""
    draw, kind = random.Random(7), _kind(data)
    for _ in range(300):
        bad = bytearray(data[: draw.randrange(len(data))])
        for _ in range(min(len(bad), 8)):
            bad[draw.randrange(min(len(bad), 200))] = draw.choice((0, 1, 8, 127, 255))
        assert ends_well(io.BytesIO(bad), kind) in (True, False)


def test_webm_does_not_mark_its_end() -> None:
    assert ends_well(io.BytesIO(b"\x1a\x45\xdf\xa3"), WEBM)
