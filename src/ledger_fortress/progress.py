"""Telling how far a long piece of work is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias, TypeVar

from .entries import Entry, Note, Notice
from .protocol import Scan
from .state import Account, Hold, Member

_T = TypeVar("_T")
STEP: Final = 1_000

Progress: TypeAlias = Callable[[int], None]
"""Told how many rows are done, every thousand and at the end."""


def counted(rows: Iterable[_T], progress: Progress | None) -> Iterator[_T]:
    """The rows, while `progress` is told how many have gone by."""
    count = 0
    for count, row in enumerate(rows, 1):
        yield row
        if progress is not None and count % STEP == 0:
            progress(count)
    if progress is not None:
        progress(count)


class CountedScan:
    """A picture of a ledger whose entries are counted as they are read."""

    def __init__(self, scan: Scan, progress: Progress | None) -> None:
        self._scan = scan
        self._progress = progress

    def entries(self) -> Iterable[Entry]:
        return counted(self._scan.entries(), self._progress)

    def accounts(self) -> Iterable[Account]:
        return self._scan.accounts()

    def holds(self) -> Iterable[Hold]:
        return self._scan.holds()

    def notes(self) -> Iterable[Note]:
        return self._scan.notes()

    def members(self) -> Iterable[Member]:
        return self._scan.members()

    def notices(self) -> Iterable[Notice]:
        return self._scan.notices()
