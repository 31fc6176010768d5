"""What the PostgreSQL store asks in one statement, alone or in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger_fortress.entries import Entry, Notice
from ledger_fortress.state import Checkpoint, Hold

from .postgres_clock import ServerClock
from .postgres_rows import Row, columns, hold_of, notices_name, texts


class Questions:
    """Reads and small writes of one statement; `_ask` and `_change` run it."""

    _clock: ServerClock

    def _ask(self, name: str, *values: Any) -> list[Row]:
        """Run a statement that reads."""
        raise NotImplementedError

    def _change(self, name: str, *values: Any) -> list[Row]:
        """Run a statement that writes, and commit it where that is ours to do."""
        raise NotImplementedError

    def _said(self) -> int:
        return int(self._ask("now")[0][0]) if self._clock.asks else 0

    def trust_clock(self) -> bool:
        return self._clock.trust(self._said())

    def entries(self, account: str, after: int, limit: int) -> list[Entry]:
        return list(map(Entry._make, self._ask("entries_after", account, after, limit)))

    def open_holds(self, account: str | None) -> list[Hold]:
        rows = self._ask("open_holds") if account is None else self._ask("open_holds_of", account)
        return list(map(hold_of, rows))

    def accounts(self, after: str, limit: int) -> list[str]:
        return [row[0] for row in self._ask("accounts_after", after, limit)]

    def due(self, limit: int) -> list[str]:
        now = self._clock.now(self._said())
        return [row[0] for row in self._ask("due_accounts", now, limit)]

    def notices(self, account: str | None, kinds: tuple[str, ...], pending: bool, limit: int) -> list[Notice]:
        values: list[Any] = [] if account is None else [account]
        if kinds:
            values.append(texts(kinds))
        conditions = "_of" * (account is not None), "_kinds" * bool(kinds), "_pending" * pending
        return list(map(Notice._make, self._ask(notices_name(*conditions), *values, limit)))

    def acknowledge(self, marks: Sequence[tuple[str, int, int]]) -> int:
        return len(self._change("acknowledge", *columns("tnn", marks))) if marks else 0

    def checkpoints(self, after: int, limit: int) -> list[Checkpoint]:
        return list(map(Checkpoint._make, self._ask("checkpoints_after", after, limit)))

    def last_checkpoint(self) -> Checkpoint | None:
        rows = self._ask("last_checkpoint")
        return Checkpoint._make(rows[0]) if rows else None

    def add_checkpoint(self, checkpoint: Checkpoint) -> bool:
        return bool(self._change("add_checkpoint", *checkpoint))
