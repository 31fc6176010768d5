"""Reading what waits in a store's inbox, also what this version has no word for.

A fact of a newer version stays where it is and waits for a worker that can read it. The generation goes on
without it: a row that was refused for its sake would be free, with something to fold, and so be claimed
again the moment it is handed back, for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from cachetools import LRUCache

from execution_arrow.driver.session import Heard, from_inbox
from execution_arrow.stores.base import Inboxed

logger = logging.getLogger("execution_arrow")

_said: LRUCache[tuple[str, int], bool] = LRUCache(maxsize=1024)  # what has been warned of in this process


def readable(items: Iterable[Inboxed]) -> list[Heard]:
    """Those that this version can read; of each of the others a warning is logged once."""
    heard = []
    for item in items:
        try:
            heard.append(from_inbox(item))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is that fact's alone
            if (name := (item.generation, item.seq)) not in _said:
                _said[name] = True
                logger.warning("unreadable fact=%d generation=%s error=%s", item.seq, item.generation, error)
    return heard
