"""An event loop whose time is a number, and processes that can be stopped and killed between two steps.

Nothing waits: when nobody can run, the clock jumps to the next timer. Every callback belongs to a *process*
(a value of the context in which it was scheduled, so a task's children are its process's too). The callbacks
of a paused process are kept until it goes on, as a stopped machine keeps them; those of a dead one are thrown
away, so that no `finally` of it ever runs: that is what makes a crash honest.

There is no thread and no socket. What is given to an executor runs at once, in place.

A world in which the same thing happens again and again at one moment would never come to its next one: after
so many steps it is `Stuck`, with the names of what repeats (see `restless`).
"""

from __future__ import annotations

import asyncio
import heapq
import random
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

from tests.simulation.restless import Stuck, Watch

T = TypeVar("T")

START = 1_800_000_000.0  # unix seconds of the simulated world's first moment


class Process:
    """What can be paused and killed. The world itself is one that never is."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stopped = self.dead = False  # stopped for a while, or for good
        self.resumed = 0.0  # unix seconds when it went on after its last stop
        self.held = 0.0  # seconds spent paused in ways that a monotonic clock does not count
        self.parked: list[Ready] = []
        self.context: Context = copy_context()
        self.context.run(CURRENT.set, self)

    @property
    def paused(self) -> bool:
        return self.stopped and not self.dead

    def __repr__(self) -> str:
        return self.name


CURRENT: ContextVar[Process] = ContextVar("CURRENT")
WORLD = Process("world")


class Handle:
    """A callback that can be canceled; also a timer when `at` is set."""

    __slots__ = ("_at", "args", "callback", "context")

    def __init__(self, callback: Callable[..., Any] | None, args: Any, context: Context, at: float = 0.0):
        self.callback, self.args, self.context, self._at = callback, args, context, at

    def cancel(self) -> None:
        self.callback = self.args = None

    def cancelled(self) -> bool:
        return self.callback is None

    def when(self) -> float:
        return self._at


# What can run: context, callback, arguments. Who may still cancel it has its `Handle` in the second place.
Ready = tuple[Context, Any, Any]


class VirtualLoop(asyncio.AbstractEventLoop):
    """`shuffle` is the share of steps before which the order of what is ready is turned a little."""

    def __init__(self, rng: random.Random, *, shuffle: float = 0.0) -> None:
        self._rng, self._shuffle = rng, shuffle
        self._now = 0.0
        self._ready: deque[Ready] = deque()
        self._timers: list[tuple[float, int, Handle]] = []  # the second is the order of asking
        self._order = 0
        self._running = False
        self.steps = 0
        self._reached, self._watch = 0, Watch()  # the steps before this moment; what happens at it
        self.failures: list[dict[str, Any]] = []
        self._spawned: list[asyncio.Task[Any]] = []  # nothing is collected, and so runs, in the middle

    # --- what asyncio asks of a loop ---

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        if context is not None:  # asyncio's own, of futures and tasks: they never cancel what they asked for
            self._ready.append((context, callback, args))
            return None
        handle = Handle(callback, args, copy_context())
        self._ready.append((handle.context, handle, None))
        return handle

    call_soon_threadsafe = call_soon

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        handle = Handle(callback, args, context if context is not None else copy_context(), when)
        self._order += 1
        heapq.heappush(self._timers, (when, self._order, handle))
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> Any:
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if "destroyed" not in context.get("message", ""):  # the tasks of the dead are
            self.failures.append(context)

    # --- processes ---

    def spawn(self, process: Process, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something inside a process."""
        task: asyncio.Task[T] = self.create_task(work, context=process.context.copy())
        self._spawned.append(task)
        return task

    def kill(self, process: Process) -> None:
        process.stopped = process.dead = True
        process.parked.clear()

    def pause(self, process: Process) -> None:
        process.stopped = True

    def resume(self, process: Process) -> None:
        """Let a paused one go on; the dead stay dead."""
        process.stopped = process.dead
        process.resumed = START + self._now
        self._ready.extend(process.parked)
        process.parked.clear()

    # --- running ---

    def run(self, work: Coroutine[Any, Any, T], *, most: int, at_once: int) -> T:
        """Run until `work` has ended, at most `most` steps, and `at_once` at one moment. Raises `Stuck`."""
        events._set_running_loop(self)
        self._running = True
        try:
            task = self.spawn(WORLD, work)
            while not task.done():
                if self.steps - self._reached > at_once // 2:
                    self._suspect(at_once)
                if self.steps > most:
                    raise Stuck(f"no end after {self.steps} steps, {self._now:.0f} s of its time")
                self._turn()
            return task.result()
        finally:
            self._running = False
            events._set_running_loop(None)

    def _suspect(self, at_once: int) -> None:
        """Much has happened at this moment: note what happens next, and give up when that is too much."""
        if self.steps - self._reached > at_once:
            raise Stuck(
                f"{self.steps - self._reached} steps at {self._now:.3f} s and no end: {self._watch.told()}"
            )
        for context, callback, args in self._ready:
            self._watch.note(context[CURRENT].name, callback if args is not None else callback.callback)

    def _turn(self) -> None:
        """Let the clock go on if nobody can run, then run everybody who can now."""
        ready, timers = self._ready, self._timers
        if not ready:
            if not timers:
                raise Stuck("nothing is left that could happen")
            if timers[0][0] > self._now:
                self._now, self._reached = timers[0][0], self.steps
                self._watch.clear()
        now = self._now
        while timers and timers[0][0] <= now:
            handle = heapq.heappop(timers)[2]
            if handle.callback is not None:
                ready.append((handle.context, handle, None))
        if self._shuffle and len(ready) > 1:
            self._run_shuffled(len(ready))
            return
        next_one = ready.popleft
        for _ in range(len(ready)):
            self._perform(next_one())

    def _run_shuffled(self, count: int) -> None:
        ready, draw = self._ready, self._rng.random
        for _ in range(count):
            if len(ready) > 1 and draw() < self._shuffle:
                ready.rotate(self._rng.randrange(len(ready)))
            self._perform(ready.popleft())

    def _perform(self, one: Ready) -> None:
        context, callback, args = one
        if args is None:
            callback, args = callback.callback, callback.args
            if callback is None:  # it was canceled
                return
        process = context[CURRENT]
        if process.stopped:
            if not process.dead:
                process.parked.append(one)
            return
        self.steps += 1
        try:
            context.run(callback, *args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.failures.append({"message": "a callback failed", "exception": error})
