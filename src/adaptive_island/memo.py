"""Orders that were decided before and still hold.

Read without a lock, by model first and then by the rest of the question, so that a verdict on a model
forgets only what it may have changed. The request's costs are compared, not hashed: up to four cost
tables are kept per question. Everything is bounded, and nothing is kept for models nobody reported on.
"""

from __future__ import annotations

from typing import Any

from .order import Order

_TABLES = 4

Kept = tuple[float, float, dict[str, int] | None, Order]  # from, until, costs, order


class Memo:
    """`table[model][rest of the question]` is a short list of kept orders, the newest first."""

    def __init__(self, most: int) -> None:
        self.table: dict[str, dict[Any, list[Kept]]] = {}
        self._most = most
        self._size = 0

    def keep(
        self, model: str, key: Any, costs: dict[str, int] | None, order: Order, since: float, until: float
    ) -> None:
        """Keep an order until the moment at which it may change by itself."""
        if self._size >= self._most:
            self.clear()
        of_model = self.table.setdefault(model, {})
        older = [entry for entry in of_model.get(key, ()) if since < entry[1] and entry[2] != costs]
        of_model[key] = [(since, until, costs, order), *older[: _TABLES - 1]]
        self._size += 1

    def forget(self, model: str) -> None:
        """Forget what was kept for a model."""
        if self.table:
            self.table.pop(model, None)

    def clear(self) -> None:
        """Forget everything; a reader on its way keeps the table it has in hand."""
        self.table, self._size = {}, 0
