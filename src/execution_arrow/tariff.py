"""What an account pays. Cost is what a provider bills us; price is the team's own decision.

A tariff answers with one price per eligible provider, in micro-credits. It is asked once, when a generation
is created; the answer is frozen into the row. No price means no dispatch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Protocol

from execution_arrow.errors import NoPrice

_EXACT = Context(prec=60)  # of our own: money must not depend on the application's precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is to be priced. `costs` holds every eligible provider; None where its bill is not known."""

    model: str
    kind: str
    values: Mapping[str, Any]
    work: str
    asked: int
    costs: Mapping[str, int | None]


class Tariff(Protocol):
    def prices(self, ask: Ask) -> Mapping[str, int]:
        """A price for every provider in `ask.costs`. Raises `errors.NoPrice`."""
        ...


@dataclass(frozen=True, slots=True)
class DearestCost:
    """The default: the same price whoever serves, the dearest known cost, times `margin` (rounded up)."""

    margin: Decimal = Decimal(1)

    def prices(self, ask: Ask) -> Mapping[str, int]:
        known = [cost for cost in ask.costs.values() if cost is not None]
        if not known:
            raise NoPrice(
                f"no provider's cost is known for {ask.model} ({ask.work or 'this request'}), so it has no "
                "price: open the Arrow with a tariff that knows one, such as FixedPrices"
            )
        exact = _EXACT.multiply(Decimal(max(known)), self.margin)
        price = int(exact) + (exact != int(exact))
        return dict.fromkeys(ask.costs, price)


@dataclass(frozen=True, slots=True)
class FixedPrices:
    """Micro-credits per output by model id; other models go to `otherwise`."""

    per_output: Mapping[str, int]
    otherwise: Tariff = DearestCost()

    def prices(self, ask: Ask) -> Mapping[str, int]:
        price = self.per_output.get(ask.model)
        if price is None:
            return self.otherwise.prices(ask)
        return dict.fromkeys(ask.costs, price * ask.asked)
