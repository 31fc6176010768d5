"""Headers of real files say what the encoders were told; damaged ones say nothing, quietly."""

from __future__ import annotations

import io
import os
import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from execution_arrow.media import AVIF, GIF, JPEG, MOV, MP4, PNG, WEBM, WEBP, Facts, Kind, inspect, sniff
from tests.execution_arrow.artifacts.makers import clip, picture

N = int(os.environ.get("N", "1"))

PICTURES: list[tuple[str, Kind, dict[str, Any]]] = [
    ("PNG", PNG, {}),
    ("PNG", PNG, {"alpha": True}),
    ("JPEG", JPEG, {}),
    ("JPEG", JPEG, {"progressive": True}),
    ("JPEG", JPEG, {"exif": True}),
    ("GIF", GIF, {}),
    ("WEBP", WEBP, {}),
    ("WEBP", WEBP, {"lossless": True}),
    ("WEBP", WEBP, {"alpha": True}),
    ("WEBP", WEBP, {"exif": True}),
    ("AVIF", AVIF, {}),
]
CLIPS = [
    ("mp4", "mpeg4", MP4, ""),
    ("mp4", "mpeg4", MP4, "faststart"),
    ("mp4", "mpeg4", MP4, "frag_keyframe+empty_moov"),
    ("mov", "mpeg4", MOV, ""),
    ("webm", "libvpx", WEBM, ""),
]


@pytest.mark.parametrize(
    ("form", "kind", "options"), PICTURES, ids=[f"{f}-{'-'.join(o)}" for f, _, o in PICTURES]
)
@pytest.mark.parametrize("size", [(64, 48), (1, 1), (301, 777)], ids=str)
def test_pictures(form: str, kind: Kind, options: dict[str, Any], size: tuple[int, int]) -> None:
    data = picture(form, *size, **options)
    assert sniff(data[:64]) == kind
    assert inspect(io.BytesIO(data), kind) == Facts(*size)


@pytest.mark.parametrize(("form", "codec", "kind", "flags"), CLIPS, ids=[f"{c[0]}-{c[3]}" for c in CLIPS])
@pytest.mark.parametrize(("size", "frames"), [((64, 48), 24), ((160, 96), 30)], ids=str)
def test_clips(form: str, codec: str, kind: Kind, flags: str, size: tuple[int, int], frames: int) -> None:
    data = clip(form, codec, *size, frames, flags)
    assert sniff(data[:64]) == kind
    facts = inspect(io.BytesIO(data), kind)
    assert (facts.width, facts.height) == size
    if "empty_moov" in flags:  # a fragmented file does not know its length yet
        assert facts.seconds is None
    else:
        assert facts.seconds == pytest.approx(frames / 24, abs=0.1)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"<!doctype html>",
        b'{"error": "expired"}',
        b"%PDF-1.7",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"BM\0\0\0\0",
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
        b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01matroska",
        b"PK\x03\x04",
    ],
    ids=repr,
)
def test_what_we_do_not_take(head: bytes) -> None:
    assert sniff(head) is None


def test_brands_of_the_iso_container() -> None:
    def head(major: bytes, *others: bytes) -> bytes:
        return struct.pack(">I4s4sI", 16 + 4 * len(others), b"ftyp", major, 0) + b"".join(others)

    assert sniff(head(b"isom", b"iso2", b"mp41")) == MP4
    assert sniff(head(b"M4V ")) == MP4
    assert sniff(head(b"mif1", b"avif")) == AVIF
    assert sniff(head(b"avis")) == AVIF
    assert sniff(head(b"qt  ")) == MOV
    assert sniff(head(b"mif1", b"heic")) is None


def test_headers_in_unusual_order_or_with_spare_bits() -> None:
    """A Huffman table before the frame header is no frame header; WebP's two scale bits are no size."""
    table = b"\xff\xc4" + (2 + 19).to_bytes(2, "big") + bytes(19)
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 480, 640) + bytes(10)
    assert inspect(io.BytesIO(b"\xff\xd8" + table + frame), JPEG) == Facts(640, 480)
    lossy = (
        b"RIFF\0\0\0\0WEBPVP8 " + bytes(7) + b"\x9d\x01\x2a" + struct.pack("<HH", 640 | 0x4000, 480 | 0x8000)
    )
    assert inspect(io.BytesIO(lossy), WEBP) == Facts(640, 480)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (2_000_000, 5)])
def test_impossible_sizes_are_unknown(size: tuple[int, int]) -> None:
    header = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + struct.pack(">II", *size)
    assert inspect(io.BytesIO(header), PNG) == Facts()


SAMPLES = [(picture(f, **o), k) for f, k, o in PICTURES]
SAMPLES += [(clip(f, c, movflags=m), k) for f, c, k, m in CLIPS]


@settings(max_examples=200 * N, deadline=None)
@given(st.sampled_from(SAMPLES), st.data())
def test_damaged_files_never_raise(sample: tuple[bytes, Kind], data: st.DataObject) -> None:
    raw, kind = bytearray(sample[0]), sample[1]
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, min(len(raw), 2000) - 1))] = data.draw(
            st.sampled_from([0, 1, 8, 127, 128, 255])
        )
    cut = data.draw(st.none() | st.integers(0, len(raw)))
    facts = inspect(io.BytesIO(bytes(raw[:cut])), kind)
    assert (facts.width is None) == (facts.height is None)
    assert facts.width is None or 0 < facts.width <= 1_000_000
    assert facts.seconds is None or 0 < facts.seconds < 1e7


@settings(max_examples=200 * N, deadline=None)
@given(st.sampled_from([PNG, JPEG, GIF, WEBP, AVIF, MP4, MOV, WEBM]), st.binary(max_size=300))
@example(MP4, b"\0\0\0\x01moov" + b"\xff" * 8)
@example(WEBM, b"\x1a\x45\xdf\xa3\xff" + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" * 30)
@example(JPEG, b"\xff\xd8" + b"\xff" * 200)
@example(AVIF, b"\0\0\0\x08meta" * 30)
def test_junk_never_raises(kind: Kind, data: bytes) -> None:
    inspect(io.BytesIO(data), kind)
    sniff(data[:64])
