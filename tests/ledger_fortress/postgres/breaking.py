"""Statements of the PostgreSQL store that can be counted and acted on, one round trip each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from ledger_fortress.stores.postgres_rows import Session


class Watch:
    """Counts the statements of this process's sessions and calls `act` before or after the chosen one."""

    def __init__(self, stop_at: int, after: bool, act: Callable[[Session], None] | None) -> None:
        self.seen: list[str] = []
        self._stop_at, self._after, self._act = stop_at, after, act
        self._run = Session.run

    def run(self, session: Session, name: str, *values: Any) -> Any:
        self.seen.append(name)
        here = len(self.seen) == self._stop_at and self._act is not None
        if here and not self._after:
            self._act(session)  # type: ignore[misc]
        cursor = self._run(session, name, *values)
        if here and self._after:
            self._act(session)  # type: ignore[misc]
        return cursor


@contextmanager
def watching(
    stop_at: int = 0, after: bool = False, act: Callable[[Session], None] | None = None, piped: bool = False
) -> Iterator[Watch]:
    """Watch every statement. Unless `piped`, each is a round trip of its own and has been executed."""
    watch = Watch(stop_at, after, act)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "run", lambda session, name, *values: watch.run(session, name, *values))
        if not piped:
            patch.setattr(Session, "pipeline", lambda session: nullcontext())
        yield watch
