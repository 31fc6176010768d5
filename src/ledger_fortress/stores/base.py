"""What stores share: the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]
"""Seconds since 1970, like `time.time`."""


def now_micros(clock: Clock | None) -> int:
    """The clock in microseconds since 1970."""
    return time.time_ns() // 1_000 if clock is None else round(clock() * 1_000_000)
