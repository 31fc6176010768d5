"""The one thread between an island and its store.

It goes round each second: what is new is handed over, what others reported comes back, published rankings
are read. No request waits for it. A store that is down, slow or full of garbage costs nothing but news; what
could not be told is told later, as long as it fits the outbox. The thread starts with the first attempt,
report or question, ends with `close`, and starts anew after a fork.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable

_running: weakref.WeakSet[Courier] = weakref.WeakSet()
LAST_ROUND = 1.0  # seconds that `close` waits for what is under way and for one more round


class Courier:
    """Calls `go_round` each `every` seconds from a daemon thread. It never raises."""

    def __init__(self, go_round: Callable[[], None], every: float) -> None:
        self._go_round = weakref.WeakMethod(go_round)  # an island that nobody holds on to ends its thread
        self._every = every
        self._pid = 0
        self._start_lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self) -> None:
        """See that the thread runs in this process; nothing after `close`."""
        if self._pid == os.getpid() or self._closed:
            return
        with self._start_lock:
            if self._pid == os.getpid() or self._closed:
                return
            self._stop = threading.Event()
            stop, turn, every = self._stop, self._go_round, self._every
            self._thread = threading.Thread(
                target=_run, args=(turn, stop, every), name="adaptive-island", daemon=True
            )
            self._thread.start()
            self._pid = os.getpid()
            _running.add(self)

    def close(self) -> bool:
        """One last round, for a second at most; whether nothing is under way any more. Closing twice is
        harmless."""
        with self._start_lock:
            thread, self._closed = self._thread, True
        if thread is None or self._pid != os.getpid():
            return True
        self._stop.set()
        thread.join(LAST_ROUND)
        return not thread.is_alive()

    def after_fork(self) -> None:
        """The parent's thread is not here; the next call starts one."""
        self._start_lock = threading.Lock()
        self._pid, self._thread = 0, None


def _run(turn: weakref.WeakMethod[Callable[[], None]], stop: threading.Event, every: float) -> None:
    while True:
        stopping = stop.wait(every)
        go_round = turn()
        if go_round is None:
            return
        go_round()
        del go_round
        if stopping:
            return


@atexit.register
def _close_all() -> None:
    for courier in list(_running):
        courier.close()
