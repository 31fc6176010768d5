"""Worlds that do not come to rest: when to give one up, and what to say of it.

A machine with a mistake in it may do the same thing for ever at one moment of its time, or within one step of
the event loop. Neither may take a run with it: a world that exceeds its bounds (`Knobs.most_*`) is `Stuck`, a
failure like every other, which its seed plays again. Steps are counted, so that the same seed always stops at
the same one; processor time and memory are the last line, for what never gives the loop its turn back.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SHOWN = 3  # of what repeats
LOOK = 0.25  # seconds of processor time between two looks at the last line


class Stuck(Exception):
    """Nothing can run any more, or too much has run: the simulated system will never come to an end."""

    def __init__(self, why: str) -> None:
        super().__init__(f"16: this world does not come to rest: {why}")


class Exhausted(KeyboardInterrupt):
    """The last line. Of a kind that neither a task nor the product swallows."""


class Watch:
    """Counts what happens at one moment, by process and by what a task is waiting in."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def clear(self) -> None:
        if self._seen:
            self._seen.clear()

    def note(self, process: str, callback: Any) -> None:
        self._seen[f"{process} {_name(callback)}"] += 1

    def told(self) -> str:
        return "; ".join(f"{name} ({count} times)" for name, count in self._seen.most_common(_SHOWN))


def _name(callback: Any) -> str:
    """A task by the coroutines that it is in, and the generation that it is about."""
    task = getattr(callback, "__self__", None)
    if not isinstance(task, asyncio.Task):
        return getattr(callback, "__qualname__", repr(callback))
    chain: list[str] = []
    about, coroutine = "", task.get_coro()
    while coroutine is not None and getattr(coroutine, "cr_frame", None) is not None:
        chain.append(coroutine.__qualname__)
        if (session := coroutine.cr_frame.f_locals.get("session")) is not None and not about:
            about = session.run.spec.id
        coroutine = coroutine.cr_await
    return f"{about} in {' > '.join(chain)}".strip()


@contextmanager
def bounded(seconds: float, megabytes: int) -> Iterator[None]:
    """Raise `Exhausted` once the block has used so much processor time, or so much more memory.

    In the main thread alone, where signals arrive.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    began, had = _used_time(), _resident()

    def look(_: int, frame: FrameType | None) -> None:
        used, grown = _used_time() - began, _resident() - had
        if used > seconds or grown > megabytes:
            raise Exhausted(
                f"{used:.0f} s of processor time, {grown:.0f} MB of memory, now in {_where(frame)}"
            )

    before = signal.signal(signal.SIGPROF, look)
    every = min(LOOK, seconds)
    signal.setitimer(signal.ITIMER_PROF, every, every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def _used_time() -> float:
    return sum(os.times()[:2])


def _resident() -> float:
    """Megabytes, where the system tells; else 0."""
    try:
        with open("/proc/self/statm", encoding="ascii") as told:
            return int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


def _where(frame: FrameType | None) -> str:
    names = []
    while frame is not None and len(names) < 2 * _SHOWN:
        names.append(frame.f_code.co_qualname)
        frame = frame.f_back
    return " < ".join(names)
