"""Rows that cannot be read: said, and left alone for a while, for whoever can.

One of a newer version is due again soon, because while a fleet is updated others can read it; any other is
left for an hour. A free row with a waiting fact is due whatever its time: handed back it would be claimed
again at once, for ever. So such a one is kept in our name, until its time has come, our lease ends or
`Lease.tidy` finds it: it is looked at every few seconds at most.
"""

from __future__ import annotations

import logging
from collections.abc import Container

from cachetools import LRUCache

from execution_arrow.machine.codec import NewerRow
from execution_arrow.ports import Clock
from execution_arrow.stores.base import Row

logger = logging.getLogger("execution_arrow")

_NEWER, _UNREADABLE = 30.0, 3600.0  # seconds


class Aside:
    """The unreadable rows of one driver. What is kept here is lost with the process; its lease ends, too."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._back: dict[str, tuple[float, float]] = {}  # when to hand it back, and when it is due then
        self._said: LRUCache[str, bool] = LRUCache(maxsize=1024)

    def put(self, row: Row, error: Exception) -> None:
        now, newer = self._clock.now(), isinstance(error, NewerRow)
        if row.id not in self._said:
            self._said[row.id] = True
            if newer:
                logger.warning("newer_row generation=%s error=%s", row.id, error)
            else:
                logger.error("unreadable generation=%s: left alone for an hour", row.id, exc_info=error)
        due = now + (_NEWER if newer else _UNREADABLE)
        self._back[row.id] = (due if row.inbox else now, due)

    def handed_back(self, driven: Container[str]) -> list[tuple[str, float | None]]:
        """The rows whose time in our name is over, and when they need somebody.

        Not those that are `driven` by now: whoever could not read a row once may have read it since.
        """
        now = self._clock.now()
        over = {name: due for name, (back, due) in self._back.items() if back <= now}
        for name in over:
            del self._back[name]
        return [(name, due) for name, due in over.items() if name not in driven]
