"""When to look at which session again: many wake-up times on one timer of the event loop.

Times are wall-clock times, as they stand in the states. The timer looks at the clock at least once a minute
while anything is waited for, so that a wall clock which is set does not put anybody to sleep for long; where
nothing is waited for there is no timer at all.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Mapping

from execution_arrow.driver.session import Session
from execution_arrow.ports import Clock

_LONGEST = 60.0  # seconds between two looks at the clock
_SET_BACK = 5.0  # a clock that shows so many seconds less than before has been set
_ROOM = 64  # entries that may be out of date before the heap is made anew, beside one for each session


class Alarms:
    """`session.alarm` says when a session is woken; what the heap says otherwise is out of date.

    `sessions` are those that may be woken, by id; whoever is not in it any more sleeps on.
    """

    def __init__(
        self, clock: Clock, sessions: Mapping[str, Session], wake: Callable[[Session], None]
    ) -> None:
        self._clock, self._sessions, self._wake = clock, sessions, wake
        self._heap: list[tuple[float, str]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._armed = 0.0  # the wall-clock time that the timer is set to
        self._looked = 0.0  # the wall-clock time of the last look
        self._ended = False

    def set(self, session: Session, at: float | None) -> None:
        """Wake this session at `at` (None = not at all), and not when it was to be woken before."""
        if session.alarm == at or self._ended:
            return
        session.alarm = at
        if at is None:
            return
        heapq.heappush(self._heap, (at, session.run.spec.id))
        if len(self._heap) > 2 * len(self._sessions) + _ROOM:
            waiting = ((s.alarm, key) for key, s in self._sessions.items())
            self._heap = [(alarm, key) for alarm, key in waiting if alarm is not None]
            heapq.heapify(self._heap)
        if self._timer is None or at < self._armed:
            self._arm(at)

    def end(self) -> None:
        """Wake nobody any more, not even those whose last turn ends from now on."""
        self._ended = True
        self.stop()

    def stop(self) -> None:
        """Wake nobody who waits now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._heap.clear()

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed = at
        self._looked = self._clock.now()
        delay = min(max(at - self._looked, 0.0), _LONGEST)
        self._timer = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._clock.now()
        if now < self._looked - _SET_BACK:
            self._wake_all()
        while self._heap:
            at, generation_id = self._heap[0]
            session = self._sessions.get(generation_id)
            current = session is not None and session.alarm == at
            if current and at > now:
                self._arm(at)
                return
            heapq.heappop(self._heap)
            if session is not None and current:
                session.alarm = None
                self._wake(session)

    def _wake_all(self) -> None:
        """Times that were agreed under another clock mean nothing: everybody looks what there is to do."""
        self._heap.clear()
        for session in list(self._sessions.values()):
            session.alarm = None
            self._wake(session)
