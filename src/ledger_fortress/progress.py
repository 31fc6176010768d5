"""Telling how far a long piece of work is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias, TypeVar

_T = TypeVar("_T")
STEP: Final = 1_000

Progress: TypeAlias = Callable[[int], None]
"""Told how many rows are done, every thousand and at the end."""


class Counter:
    """Counts rows as they go by, and tells `progress`, if anybody wants to know."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._count = 0

    def over(self, rows: Iterable[_T]) -> Iterable[_T]:
        """The same rows, counted."""
        return rows if self._progress is None else self._counted(rows, self._progress)

    def done(self) -> None:
        """Tell the last count."""
        if self._progress is not None:
            self._progress(self._count)

    def _counted(self, rows: Iterable[_T], progress: Progress) -> Iterator[_T]:
        for row in rows:
            yield row
            self._count += 1
            if self._count % STEP == 0:
                progress(self._count)
