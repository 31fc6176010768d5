"""A ledger inside its caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from ledger_fortress.answers import Answer
from ledger_fortress.commands import Item
from ledger_fortress.engine import run
from ledger_fortress.protocol import Failure

from . import Ledger, making


class JoinedLedger(Ledger):
    """Made by `Ledger.within`. Each call goes straight to the caller's connection, alone and once."""

    def _run(self, items: Sequence[Item]) -> list[Answer | Failure]:
        self._guard()
        return run(self._store, [making.with_salt(item) for item in items], self._policy)
