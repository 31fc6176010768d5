"""What every operation of the PostgreSQL store is made with: a batch under way, and what reads an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from execution_arrow.stores.base import Result
from execution_arrow.stores.postgres_pool import Connection, Cursor, run

Answer: TypeAlias = Callable[[], Result]


class Asking:
    """A transaction under way. `given` replaces the server's clock, which else was asked first (`time`)."""

    def __init__(self, connection: Connection, given: float | None, time: Cursor) -> None:
        self._connection, self.given, self._time = connection, given, time
        self._now = given

    def ask(self, name: str, **values: Any) -> Cursor:
        return run(self._connection, name, values)

    def now(self) -> float:
        """What the time is in this transaction, once it has been answered."""
        if self._now is None:
            self._now = float(first(self._time)[0])
        return self._now


def first(cursor: Cursor) -> tuple[Any, ...]:
    found = cursor.fetchone()
    assert found is not None
    return found
