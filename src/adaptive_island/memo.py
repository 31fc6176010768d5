"""Orders that were decided before and still hold.

Read without a lock, by the whole question but its costs, which are compared and not hashed: up to four
cost tables are kept per question, each pointing to the one before. A verdict on a model forgets what was
kept for it. Everything is bounded, and nothing is kept for models nobody reported on.
"""

from __future__ import annotations

from typing import Any

from .circuits import ANY
from .order import Order

_TABLES = 4

Kept = tuple[float, dict[str, int] | None, Order, Any]  # until, costs, order, the Kept before it or None


class Memo:
    """`table[question]` is what was kept last for it; a question is a tuple that begins with the model."""

    def __init__(self, most: int) -> None:
        self.table: dict[Any, Kept] = {}
        self._by_model: dict[str, list[Any]] = {}
        self._most = most

    def keep(
        self, question: Any, costs: dict[str, int] | None, order: Order, now: float, until: float
    ) -> None:
        """Keep an order until the moment at which it may change by itself."""
        older = self.table.get(question)
        if older is None:
            if len(self.table) >= self._most:
                self.clear()
            self._by_model.setdefault(question[0], []).append(question)
        self.table[question] = (until, costs, order, _still(older, costs, now, _TABLES - 1))

    def forget(self, *models: str) -> None:
        """Forget what was kept for these models; `*` is all of them."""
        if self._by_model:
            if ANY in models:
                self.clear()
            for model in models:
                for question in self._by_model.pop(model, ()):
                    self.table.pop(question, None)

    def clear(self) -> None:
        """Forget everything."""
        self.table.clear()
        self._by_model.clear()


def _still(kept: Kept | None, costs: dict[str, int] | None, now: float, most: int) -> Kept | None:
    """Of what was kept for a question, at most so many that hold, for other costs."""
    while kept is not None:
        until, paid, order, older = kept
        if now < until and paid != costs and most:
            return (until, paid, order, _still(older, costs, now, most - 1))
        kept = older
    return None
