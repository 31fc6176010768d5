"""Hints: what a change may mean to somebody who waits.

Nobody relies on a hint; it only saves looking. Four things are worth waking somebody for: a row that may be
claimed, a fact for whoever owns its row, the end of a generation, and a delivery that may be taken.
`hints_of` reads them off a batch that was applied, the same for every store; how they travel to other
processes is each store's affair.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from execution_arrow.stores import base
from execution_arrow.stores.base import ANYTHING, Hear, Hint, Op, Result
from execution_arrow.stores.outgoing import Posted, Publish, Replay

logger = logging.getLogger("execution_arrow")

LONGEST: Final = 7_900  # bytes of one message: PostgreSQL takes 8,000 per notification
KINDS: Final = ("free", "fact", "end", "post", "any")
ENDED: Final = ("succeeded", "failed", "canceled")


def hints_of(ops: Iterable[Op], results: Iterable[Result]) -> list[Hint]:
    """What others may want to know of a batch that was performed."""
    hints: list[Hint] = []
    for op, result in zip(ops, results, strict=True):
        match op:
            case base.Commit():  # by far the most
                if isinstance(result, base.Committed):
                    if op.status in ENDED:
                        hints.append(Hint("end", op.id))
                    if result.posts:
                        hints.append(Hint("post"))
            case base.Create():
                if op.owner is None and op.next_at is not None and isinstance(result, base.Created):
                    hints.append(Hint("free", op.id))
            case base.Append():
                if isinstance(result, base.Done) and result.new:
                    hints.append(Hint("fact", op.fact.generation))
            case Replay() | Publish():
                if isinstance(result, Posted) and result.count:
                    hints.append(Hint("post"))
            case base.Release():
                hints.extend(Hint("free", name) for name, next_at in op.rows if next_at is not None)
            case base.Disown() | base.Beat(seconds=0):
                hints.append(Hint("free"))
    return hints


def payload_of(hints: Iterable[Hint]) -> str:
    """Hints as one notification: `kind:generation` with blanks between, or `any:` when they are too many."""
    text = " ".join(dict.fromkeys(f"{hint.kind}:{hint.generation}" for hint in hints))
    return text if len(text.encode()) <= LONGEST else "any:"


def hints_in(payload: str) -> list[Hint]:
    """What `payload_of` wrote; what another version wrote may mean anything."""
    hints = []
    for word in payload.split():
        kind, _, generation = word.partition(":")
        hints.append(Hint(kind, generation) if kind in KINDS else ANYTHING)  # type: ignore[arg-type]
    return hints


class Bell:
    """Those in this process who want to hear of one store's changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hearers: list[Hear] = []

    def __bool__(self) -> bool:
        return bool(self._hearers)

    def add(self, hear: Hear) -> Callable[[], None]:
        """Returns what removes it again; removing twice is harmless."""
        with self._lock:
            self._hearers.append(hear)

        def remove() -> None:
            with self._lock:
                if hear in self._hearers:
                    self._hearers.remove(hear)

        return remove

    def ring(self, hints: Sequence[Hint]) -> None:
        """Tell everybody. A hearer that raises (its loop may be closed) hears nothing, the others do."""
        if not hints:
            return
        for hear in list(self._hearers):
            try:
                hear(hints)
            except Exception:  # noqa: BLE001
                logger.debug("a hint was not heard", exc_info=True)
