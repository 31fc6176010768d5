"""Providers to choose from, and regimes: ways in which they change over three days."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

FAILURE_MEDIAN, FAILURE_SPREAD = 1.5, 0.5


@dataclass(frozen=True)
class Provider:
    """Chance of success, median and log spread of the seconds of a success, dollars, seconds of a failure."""

    name: str
    success: float
    median: float
    spread: float
    dollars: float
    failure: float = FAILURE_MEDIAN * math.exp(FAILURE_SPREAD**2 / 2)


ALL = {
    p.name: p
    for p in (
        Provider("a", 0.985, 6, 0.35, 0.030),
        Provider("b", 0.970, 9, 0.40, 0.030),
        Provider("c", 0.950, 14, 0.50, 0.028),
        Provider("d", 0.900, 5, 0.60, 0.034),
        Provider("e", 0.970, 20, 0.40, 0.028),
        Provider("f", 0.930, 8, 0.50, 0.032),
        Provider("g", 0.960, 12, 0.40, 0.029),
        Provider("h", 0.880, 7, 0.60, 0.027),
    )
}
SETS = {3: "abe", 5: "abcde", 8: "abcdefgh"}

Change = Callable[[Provider, float], Provider]


@dataclass(frozen=True)
class Work:
    """A class of requests: its share, and what it does to the seconds of a success. With `for_all` unset the
    last provider may not be asked for it."""

    name: str = ""
    share: float = 1.0
    factor: float = 1.0
    for_all: bool = True


@dataclass(frozen=True)
class Regime:
    """How providers change by the hour, and the classes of work."""

    change: Change
    works: tuple[Work, ...] = (Work(),)


def _between(hours: float, start: float, end: float) -> bool:
    return start <= hours < end


def _s2(p: Provider, h: float) -> Provider:
    """a is down for two hours."""
    return replace(p, success=0.02, failure=1.0) if p.name == "a" and _between(h, 30, 32) else p


def _s3(p: Provider, h: float) -> Provider:
    """a browns out: fails often and late, and is slow."""
    bad = p.name == "a" and _between(h, 30, 36)
    return replace(p, success=0.60, median=3 * p.median, failure=30.0) if bad else p


def _s4(p: Provider, h: float) -> Provider:
    """a is six times slower for twelve hours."""
    return replace(p, median=6 * p.median) if p.name == "a" and _between(h, 28, 40) else p


def _s5(p: Provider, h: float) -> Provider:
    """a costs four times as much from hour 30 on."""
    return replace(p, dollars=4 * p.dollars) if p.name == "a" and h >= 30 else p


def _s6(p: Provider, h: float) -> Provider:
    """a starts badly and becomes the best."""
    return replace(p, success=0.30) if p.name == "a" and h < 20 else p


def _s7(p: Provider, h: float) -> Provider:
    """e becomes the best, at half the price."""
    better = p.name == "e" and h >= 12
    return replace(p, success=0.995, median=4.0, dollars=p.dollars / 2) if better else p


def _s8(p: Provider, h: float) -> Provider:
    """a flaps: ten minutes down, ten minutes up, for six hours."""
    down = p.name == "a" and _between(h, 30, 36) and (h * 60) % 20 < 10
    return replace(p, success=0.02) if down else p


def _s9(p: Provider, h: float) -> Provider:
    """All fail two times out of three for half an hour."""
    return replace(p, success=0.35) if _between(h, 30, 30.5) else p


def _s10(last: str) -> Change:
    return lambda p, _h: replace(p, success=0.985, median=4.5, spread=0.35) if p.name == last else p


_CHANGES: dict[str, Change] = {
    "S1": lambda p, _h: p,
    "S2": _s2,
    "S3": _s3,
    "S4": _s4,
    "S5": _s5,
    "S6": _s6,
    "S7": _s7,
    "S8": _s8,
    "S9": _s9,
}
_TWO = (Work("picture", share=0.7, for_all=False), Work("clip", share=0.3, factor=6.0))
REGIMES = (*_CHANGES, "S10")


def regime(name: str, names: str) -> Regime:
    """A regime over these providers."""
    return Regime(_s10(names[-1]), _TWO) if name == "S10" else Regime(_CHANGES[name])
