"""Clocks and names for real use: wall time, UUIDv7 ids, unguessable tokens."""

from __future__ import annotations

import os
import secrets
import time

_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        """Seconds that only count, the machine's sleep included where it can tell: a lease ends meanwhile."""
        return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


class SystemNames:
    """Ids sort by time (UUIDv7, RFC 9562); a token has 192 random bits."""

    def generation(self) -> str:
        return "gen_" + uuid7()

    def attempt(self) -> str:
        return "att_" + uuid7()

    def token(self) -> str:
        return secrets.token_urlsafe(24)


def uuid7() -> str:
    """A UUID of version 7: 48 bits of milliseconds, then randomness."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
