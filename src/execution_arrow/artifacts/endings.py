"""Whether a file ends as its format says.

A transfer with a length, or in chunks, says itself when it was cut short. One that ends when the connection
closes does not, and half a picture has a perfectly good header; only the file can tell. Asked of such
transfers alone, because a few programs append bytes of their own and a reader forgives them.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from execution_arrow.media import AVIF, GIF, JPEG, MOV, MP4, PNG, WEBP, Kind

_TAIL = 4096  # how far before the end its mark is looked for
_BOXES = 100_000  # a clip in fragments has two for each of them
_MARKS = {PNG: b"IEND\xaeB`\x82", JPEG: b"\xff\xd9"}


def ends_well(file: BinaryIO, kind: Kind) -> bool:
    """Say whether the end of the file is there. WebM does not mark its end, so it always passes."""
    end = file.seek(0, 2)
    if kind in _MARKS:
        file.seek(max(0, end - _TAIL))
        return _MARKS[kind] in file.read(_TAIL)
    if kind == GIF:  # its mark is too short to be looked for: it has to be the last thing
        file.seek(max(0, end - _TAIL))
        return file.read(_TAIL).rstrip(b"\0").endswith(b"\0;")
    if kind == WEBP:  # RFC 9649: the length of what follows, eight bytes from the start
        file.seek(4)
        return end >= 12 and int.from_bytes(file.read(4), "little") + 8 <= end
    return _boxes_reach(file, end) if kind in (MP4, MOV, AVIF) else True


def _boxes_reach(file: BinaryIO, end: int) -> bool:
    """ISO/IEC 14496-12: boxes lie one behind the other, and a length of 0 means "to the end"."""
    at, described = 0, False
    for _ in range(_BOXES):
        if at == end:
            return described
        file.seek(at)
        head = file.read(16).ljust(16, b"\0")
        size, form, large = struct.unpack(">I4sQ", head)
        described = described or form in (b"moov", b"meta")
        if size == 0:
            return described and at + 8 <= end
        stop = at + (large if size == 1 else size)
        if stop < at + 8 or stop > end:
            return False
        at = stop
    return False
