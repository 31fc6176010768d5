"""What the SQL stores have in common: one connection, opened when it is needed, used by one thread at a time
and thrown away after any error; and how the attempt log is read."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from adaptive_island.attempt import Attempt
from adaptive_island.errors import StoreTrouble

from .rows import row_attempt

PRUNE_EVERY = 600.0
PRUNE_MOST = 50_000  # old attempts at a time: others wait meanwhile
_PAGE = 1_000


class _Connection(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Connection)


class SqlStore(Generic[C]):
    """The connection of a store. `where` is how the store may be shown."""

    _trouble: ClassVar[type[Exception]]

    def __init__(self, where: str) -> None:
        self.where = where
        self._lock = threading.Lock()
        self._connection: C | None = None
        self._left: list[C] = []  # a parent's connections, in a child: kept, never closed

    def log(self, after: float = 0.0) -> Iterator[Attempt]:
        """See `Counters`."""
        at, id = after, "\U0010ffff"
        while True:
            with self._transaction(writing=False) as db:
                rows = self._page(db, (at, id, _PAGE))
            if not rows:
                return
            for row in rows:
                yield row_attempt(row)
            at, id = rows[-1][-1], rows[-1][0]

    def after_fork(self) -> None:
        """See `Counters`."""
        self._lock = threading.Lock()
        if self._connection is not None:
            self._left.append(self._connection)
            self._connection = None

    def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        with self._lock:
            self._drop()

    @contextmanager
    def _transaction(self, *, writing: bool = True) -> Iterator[C]:
        with self._lock:
            try:
                db = self._connection = self._connection or self._open()
                with self._begun(db, writing):
                    yield db
            except self._trouble as error:
                self._drop()
                text = str(error).strip().partition("\n")[0]
                raise StoreTrouble(f"{self.where}: {text}") from error

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> C:
        raise NotImplementedError

    def _begun(self, db: C, writing: bool) -> AbstractContextManager[object]:
        """A transaction that commits at its end, and is rolled back by an exception."""
        raise NotImplementedError

    def _page(self, db: C, values: tuple[float, str, int]) -> Sequence[Sequence[Any]]:
        """Rows of the log after (at, id), at most so many, in that order."""
        raise NotImplementedError
