"""Files are what they say: opened with Pillow and PyAV, by size, format and length."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from PIL import Image

from execution_arrow.sandbox import sizes
from execution_arrow.sandbox.media import render
from execution_arrow.sandbox.work import Output

av = pytest.importorskip("av")


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("size", [(2848, 1600), (577, 1023), (1, 1), (40, 3000)])
def test_pictures(form, size):
    data = render(Output(kind="image", width=size[0], height=size[1], format=form), "a lighthouse", "note", 7)
    picture = Image.open(io.BytesIO(data))
    picture.load()
    assert (picture.size, picture.format) == (size, form.upper())


@pytest.mark.parametrize(("width", "height", "seconds", "fps"), [(864, 480, 2.0, 24), (120, 214, 1.5, 12)])
def test_clips(width, height, seconds, fps):
    output = Output(kind="video", width=width, height=height, format="mp4", seconds=seconds, fps=fps)
    with av.open(io.BytesIO(render(output, "waves", "note", 7))) as clip:
        (stream,) = clip.streams.video
        frames = sum(1 for _ in clip.decode(video=0))
        assert (stream.width, stream.height) == (width, height)
        assert frames == round(seconds * fps)
        assert float(stream.duration * stream.time_base) == pytest.approx(seconds, abs=1 / fps)


def test_the_same_order_gives_the_same_bytes_and_another_prompt_another_picture():
    output = Output(kind="image", width=320, height=200, format="png")
    first = render(output, "a lighthouse", "note", 7)
    render.cache_clear()
    assert render(output, "a lighthouse", "note", 7) == first
    assert render(output, "a harbour", "note", 7) != first


@pytest.mark.parametrize("prompt", ["", "   ", "w" * 5000, "many words " * 300, "ünïcode 灯台 🗼", "a\nb\tc"])
def test_any_prompt_can_be_a_caption(prompt):
    data = render(Output(kind="image", width=200, height=120, format="jpeg"), prompt, prompt, 1)
    assert Image.open(io.BytesIO(data)).size == (200, 120)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (sizes.seedream("2K", "16:9"), (2848, 1600)),
        (sizes.seedream("4K", "1:1"), (4096, 4096)),
        (sizes.seedream("1K", "9:16"), (800, 1424)),
        (sizes.seedream("2K", "match_input_image"), (2048, 2048)),
        (sizes.seedance("480p", "16:9"), (864, 480)),
        (sizes.seedance("1080p", "9:16"), (1088, 1920)),
        (sizes.seedance("720p", "adaptive"), (1248, 704)),
        (sizes.frame("720p", "9:16"), (720, 1280)),
        (sizes.frame("1080p", "16:9"), (1920, 1080)),
        (sizes.frame("4k", "16:9"), (3840, 2160)),
        (sizes.by_area("16:9", 1024 * 1024, 64), (1344, 768)),
        (sizes.by_area("9:21", 1024 * 1024, 64), (640, 1536)),
        (sizes.pixels_of("1280*720"), (1280, 720)),
        (sizes.pixels_of("2K"), None),
        (sizes.capped(99999, 0), (8192, 1)),
    ],
)
def test_sizes(made, expected):
    assert made == expected


BLOCKED = """
import sys
sys.modules[{module!r}] = None
from execution_arrow.errors import MissingExtra
from execution_arrow.sandbox import Sandbox
from execution_arrow.sandbox.media import render
from execution_arrow.sandbox.work import Output
try:
    {action}
except MissingExtra as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("module", "action"),
    [
        ("uvicorn", "Sandbox().start()"),
        ("PIL", "render(Output(kind='image', width=8, height=8, format='png'), '', '', 0)"),
        ("av", "render(Output(kind='video', width=8, height=8, format='mp4', seconds=1), '', '', 0)"),
    ],
)
def test_a_missing_extra_says_what_to_install(module, action):
    code = BLOCKED.format(module=module, action=action)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'babysea-primitives[sandbox]'" in done.stdout


def test_importing_the_sandbox_loads_no_extra():
    extras = {"uvicorn", "PIL", "av", "httpx", "jsonschema"}
    code = f"import sys, execution_arrow.sandbox; print(sorted({extras} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
