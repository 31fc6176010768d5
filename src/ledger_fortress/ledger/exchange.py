"""A whole ledger out of the store and into another one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from ledger_fortress.exporting import digest_of, export_lines
from ledger_fortress.importing import Imported, import_lines
from ledger_fortress.progress import Progress
from ledger_fortress.protocol import LedgerStore

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Writable(Protocol):
    """Something that takes text, such as an open file."""

    def write(self, text: str, /) -> Any: ...


class Exchange:
    """What `Ledger` can do with files. It takes as long as the ledger is large, and holds nobody up."""

    _store: LedgerStore

    if TYPE_CHECKING:

        @staticmethod
        def _guard() -> None: ...

    def export(self, file: Writable, account: str | None = None, *, progress: Progress | None = None) -> None:
        """Write one account or everything to `file` as JSON Lines, of one consistent picture.

        `progress` is told how many rows are done.
        """
        self._guard()
        for line in export_lines(self._store, account, progress):
            file.write(line)

    def import_lines(self, lines: Iterable[str], *, progress: Progress | None = None) -> Imported:
        """Bring the accounts of an export into this ledger; the digest is the same afterwards.

        Everything is audited on the way, and an account appears when the whole file was found right. Accounts
        that are here already are compared and left as they are. Raises `BadExport`, or what the store raises:
        then no account has appeared, and the same import may be repeated.
        """
        self._guard()
        return import_lines(self._store, lines, progress)

    def digest(self, account: str | None = None) -> str:
        """64 hex digits over all that is stored, of one account or everything: equal for equal ledgers."""
        self._guard()
        return digest_of(self._store, account)


class AsyncExchange:
    """The same, awaited; files are written and lines are read in a thread of the ledger's own."""

    if TYPE_CHECKING:
        _ledger: Any

        async def _call(self, verb: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T: ...

    async def export(
        self, file: Writable, account: str | None = None, *, progress: Progress | None = None
    ) -> None:
        """See `Ledger.export`."""
        await self._call(self._ledger.export, file, account, progress=progress)

    async def import_lines(self, lines: Iterable[str], *, progress: Progress | None = None) -> Imported:
        """See `Ledger.import_lines`."""
        done: Imported = await self._call(self._ledger.import_lines, lines, progress=progress)
        return done

    async def digest(self, account: str | None = None) -> str:
        """See `Ledger.digest`."""
        found: str = await self._call(self._ledger.digest, account)
        return found
