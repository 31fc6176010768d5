"""The impure odds and ends of an island: clock, dice, names, locks across fork."""

from __future__ import annotations

import math
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Protocol


def clocks(
    given: Callable[[], float] | None, set_back: Callable[[], None]
) -> tuple[Callable[[], float], Callable[[], float]]:
    """The clock and the ticks of an island: the given clock, made steady, or else unix seconds as of now
    carried on by the monotonic clock (a step of the wall clock moves nothing) and that clock itself."""
    if given is not None:
        return Steady(given, set_back).now, given
    monotonic = time.monotonic
    start = time.time() - monotonic()
    return lambda: start + monotonic(), monotonic


class Steady:
    """A clock that always answers: with its last good time where the clock itself is broken. `set_back` is
    called when it was set back by more than a second."""

    def __init__(self, clock: Callable[[], float], set_back: Callable[[], None]) -> None:
        self._clock, self._set_back = clock, set_back
        self.last = 0.0

    def now(self) -> float:
        """Unix seconds."""
        last = self.last
        try:
            now = float(self._clock())
        except Exception:  # noqa: BLE001
            return last
        if last <= now < math.inf:  # nearly always
            self.last = now
        elif math.isfinite(now):
            if now < last - 1.0:
                self._set_back()
            self.last = now
        return self.last


def random_source(seed: int | None) -> Callable[[], float]:
    """Numbers from 0 up to 1, the same for the same seed."""
    return random.Random(seed).random


class Names:
    """Names for attempts: unique across processes by a random prefix, and cheap."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Start over with another prefix (after a fork, or twins would give the same names)."""
        self._prefix = f"att_{os.urandom(9).hex()}_"
        self._next = count(1).__next__

    def next(self) -> str:
        """A name that nobody else gives."""
        return f"{self._prefix}{self._next()}"


Lock = threading.Lock


class Forked(Protocol):
    """Something that must not share its locks and its names with the process it was copied from, and must not
    be copied in the middle of a change."""

    def fork_locks(self) -> Sequence[Lock]:
        """What is held by whoever changes something, in the order in which to take it."""
        ...

    def after_fork(self) -> None:
        """Called in the child before anything else uses it."""
        ...


PATIENCE = 1.0  # seconds; a lock that is not free by then is not waited for: a fork must come to its end
_alive: weakref.WeakSet[Any] = weakref.WeakSet()
_held: list[Lock] = []  # while a fork is made


def _hold_all() -> None:
    for one in list(_alive):
        _held.extend(lock for lock in one.fork_locks() if lock.acquire(timeout=PATIENCE))


def _release_all() -> None:
    while _held:
        _held.pop().release()


def _renew_all() -> None:
    _held.clear()
    for one in list(_alive):
        one.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_all, after_in_parent=_release_all, after_in_child=_renew_all)


def guard_fork(one: Forked) -> None:
    """Have the object's locks taken for forks, and `after_fork` called in the child, as long as it lives."""
    _alive.add(one)


def lock() -> Lock:
    """A lock that one thread holds for microseconds."""
    return threading.Lock()
