"""What a file really is, read from its first bytes: kind, size in pixels, length of a clip.

A provider's announcement is a claim and a file name is decoration, so what is stored is what the bytes say.
The parsers read headers only, look at a bounded number of bytes and boxes, and answer "unknown" for anything
they do not understand: they never raise for a damaged file. They are ours because no light, well-kept library
reads both pictures and clips (Pillow and PyAV weigh tens of megabytes and run decoders over foreign bytes).

Formats: PNG (W3C PNG 3), JPEG (ITU T.81 annex B), GIF89a, WebP (RFC 9649), AVIF and MP4/MOV (ISO/IEC
14496-12), WebM (RFC 8794, RFC 9559).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

_LOOK = 1 << 20  # how far into a picture its size is looked for (JPEG may carry large metadata first)
_MOOV = 16 << 20  # largest index of a clip that is read into memory
_BOXES = 1000  # most boxes or elements looked at in one level


@dataclass(frozen=True, slots=True)
class Kind:
    """A recognised format."""

    media_type: str
    extension: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a header says; None where it does not say, or says nonsense."""

    width: int | None = None
    height: int | None = None
    seconds: float | None = None


PNG = Kind("image/png", "png")
JPEG = Kind("image/jpeg", "jpg")
GIF = Kind("image/gif", "gif")
WEBP = Kind("image/webp", "webp")
AVIF = Kind("image/avif", "avif")
MP4 = Kind("video/mp4", "mp4")
MOV = Kind("video/quicktime", "mov")
WEBM = Kind("video/webm", "webm")

_BRANDS = {b"avif": AVIF, b"avis": AVIF, b"qt  ": MOV}
# Brands of pictures in the same container that we do not take (HEIC, plain HEIF): they are not clips.
_OTHER_PICTURES = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"jxl ", b"crx ")


def sniff(head: bytes) -> Kind | None:
    """Recognise a format by its first 64 bytes, or return None."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp":
        return _brand(head)
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head:
        return WEBM
    return None


def _brand(head: bytes) -> Kind | None:
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    if brands[0] not in _BRANDS and brands[0] in _OTHER_PICTURES:
        return AVIF if b"avif" in brands else None
    return _BRANDS.get(brands[0], MP4)


def inspect(file: BinaryIO, kind: Kind) -> Facts:
    """Read the size (and length) of a recognised file. Unknown values are None."""
    try:
        facts = _READERS[kind.media_type](file)
    except (struct.error, IndexError, ValueError, OverflowError):
        return Facts()
    width, height = facts.width, facts.height
    if not width or not height or max(width, height) > 1_000_000:
        width = height = None
    seconds = facts.seconds if facts.seconds is not None and 0 < facts.seconds < 1e7 else None
    return Facts(width, height, seconds)


def _png(file: BinaryIO) -> Facts:
    file.seek(16)
    return Facts(*struct.unpack(">II", file.read(8)))


def _gif(file: BinaryIO) -> Facts:
    file.seek(6)
    return Facts(*struct.unpack("<HH", file.read(4)))


def _jpeg(file: BinaryIO) -> Facts:
    file.seek(0)
    data = file.read(_LOOK)
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return Facts()
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Facts(width, height)
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a length
            at += 2
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return Facts()


def _webp(file: BinaryIO) -> Facts:
    file.seek(12)
    data = file.read(18)
    form = data[:4]
    if form == b"VP8X":
        return Facts(1 + int.from_bytes(data[12:15], "little"), 1 + int.from_bytes(data[15:18], "little"))
    if form == b"VP8L" and data[8] == 0x2F:
        bits = int.from_bytes(data[9:13], "little")
        return Facts(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if form == b"VP8 " and data[11:14] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 14)
        return Facts(width & 0x3FFF, height & 0x3FFF)
    return Facts()


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start of content, end) of the ISO boxes between two offsets."""
    for _ in range(_BOXES):
        if start + 8 > end:
            return
        size, form = struct.unpack_from(">I4s", data, start)
        inside = start + 8
        if size == 1:
            size, inside = struct.unpack_from(">Q", data, inside)[0], inside + 8
        stop = end if size == 0 else start + size
        if stop < inside or stop > end:
            return
        yield form, inside, stop
        start = stop


def _descend(data: bytes, path: tuple[bytes, ...], start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the extent of every box at a path of box types."""
    for form, inside, stop in _boxes(data, start, end):
        if form != path[0]:
            continue
        if len(path) == 1:
            yield inside, stop
        else:  # `meta` is a full box: four bytes of version and flags come first
            yield from _descend(data, path[1:], inside + (4 if form == b"meta" else 0), stop)


def _avif(file: BinaryIO) -> Facts:
    file.seek(0)
    data = file.read(_LOOK)
    sizes = [
        struct.unpack_from(">II", data, inside + 4)
        for inside, stop in _descend(data, (b"meta", b"iprp", b"ipco", b"ispe"), 0, len(data))
        if stop - inside >= 12
    ]
    return Facts(*max(sizes, key=lambda size: size[0] * size[1])) if sizes else Facts()


def _moov(file: BinaryIO) -> bytes:
    """The index box of a clip, wherever it lies in the file."""
    file.seek(0, 2)
    end, at = file.tell(), 0
    for _ in range(_BOXES):
        if at + 16 > end:
            break
        file.seek(at)
        head = file.read(16)
        size, form = struct.unpack_from(">I4s", head)
        inside = at + 8
        if size == 1:
            size, inside = struct.unpack_from(">Q", head, 8)[0], at + 16
        stop = end if size == 0 else at + size
        if form == b"moov":
            file.seek(inside)
            return file.read(min(stop - inside, _MOOV)) if stop > inside else b""
        if stop <= at:
            break
        at = stop
    return b""


def _mp4(file: BinaryIO) -> Facts:
    moov = _moov(file)
    seconds = None
    for inside, _stop in _descend(moov, (b"mvhd",), 0, len(moov)):
        version = moov[inside]
        scale, length = struct.unpack_from(
            ">IQ" if version == 1 else ">II", moov, inside + (20 if version == 1 else 12)
        )
        seconds = length / scale if scale else None
    sizes = [(0, 0)]
    for inside, stop in _descend(moov, (b"trak", b"tkhd"), 0, len(moov)):
        width, height = struct.unpack_from(">II", moov, stop - 8)  # 16.16 fixed point, the last two fields
        if stop - inside >= 80:
            sizes.append((width >> 16, height >> 16))
    return Facts(*max(sizes, key=lambda size: size[0] * size[1]), seconds)


_SEGMENT, _INFO, _SCALE, _DURATION = 0x18538067, 0x1549A966, 0x2AD7B1, 0x4489
_TRACKS, _TRACK, _VIDEO, _WIDTH, _HEIGHT = 0x1654AE6B, 0xAE, 0xE0, 0xB0, 0xBA
_CLUSTER = 0x1F43B675


def _elements(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (id, start of content, end) of EBML elements; one of unknown size reaches to the end."""
    for _ in range(_BOXES):
        if start + 2 > end or data[start] == 0:
            return
        width = 9 - data[start].bit_length()
        name = int.from_bytes(data[start : start + width], "big")
        start += width
        if start >= end or data[start] == 0:
            return
        length = 9 - data[start].bit_length()
        size = int.from_bytes(data[start : start + length], "big") & ((1 << 7 * length) - 1)
        start += length
        stop = end if size == (1 << 7 * length) - 1 else min(start + size, end)
        if name == _CLUSTER:  # pictures begin: the headers are behind us
            return
        yield name, start, stop
        start = stop


def _values(data: bytes, path: tuple[int, ...], start: int, end: int) -> Iterator[bytes]:
    for name, inside, stop in _elements(data, start, end):
        if name == path[0]:
            if len(path) == 1:
                yield data[inside:stop]
            else:
                yield from _values(data, path[1:], inside, stop)


def _webm(file: BinaryIO) -> Facts:
    file.seek(0)
    data = file.read(_LOOK)

    def number(*path: int) -> int | None:
        value = next(_values(data, path, 0, len(data)), None)
        return None if value is None else int.from_bytes(value[:8], "big")

    length = next(_values(data, (_SEGMENT, _INFO, _DURATION), 0, len(data)), b"")
    scale = number(_SEGMENT, _INFO, _SCALE) or 1_000_000  # nanoseconds per tick
    form = {4: ">f", 8: ">d"}.get(len(length))
    seconds = struct.unpack(form, length)[0] * scale / 1e9 if form else None
    video = (_SEGMENT, _TRACKS, _TRACK, _VIDEO)
    return Facts(number(*video, _WIDTH), number(*video, _HEIGHT), seconds)


_READERS: dict[str, Callable[[BinaryIO], Facts]] = {
    PNG.media_type: _png,
    JPEG.media_type: _jpeg,
    GIF.media_type: _gif,
    WEBP.media_type: _webp,
    AVIF.media_type: _avif,
    MP4.media_type: _mp4,
    MOV.media_type: _mp4,
    WEBM.media_type: _webm,
}
