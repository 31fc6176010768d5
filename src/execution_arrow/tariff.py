"""What an account pays. Cost is what a provider bills us; price is the team's own decision.

A tariff answers with one price per eligible provider, in micro-credits. It is asked once, when a generation
is created; the answer is frozen into the row. No price means no dispatch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any, Literal, Protocol

from execution_arrow.errors import NoPrice

MOST = 2**53 - 1  # micro-credits; what a ledger takes
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


def settled_prices(tariff: Tariff, ask: Ask) -> Mapping[str, int]:
    """The tariff's answer, if it is one: whole micro-credits for every provider. Raises `NoPrice`."""
    prices = tariff.prices(ask)
    for provider in ask.costs:
        price = prices.get(provider)
        if type(price) is not int or not 0 <= price <= MOST:
            raise NoPrice(
                f"{type(tariff).__name__} has no price for {ask.model} at {provider}: {price!r} is not a "
                "whole number of micro-credits; a tariff prices every provider it is asked about"
            )
    return prices


def _check_margin(margin: Decimal) -> None:
    if not isinstance(margin, Decimal):
        raise TypeError(f"a margin is a Decimal, not {margin!r}: money is exact")
    if not (margin.is_finite() and margin >= 0):
        raise ValueError(f"a margin must be 0 or more, not {margin!r}")


def _check_amount(name: str, amount: int) -> None:
    if type(amount) is not int:
        raise TypeError(f"{name} must be a whole number of micro-credits, not {amount!r}")
    if not 0 <= amount <= MOST:
        raise ValueError(f"{name} must be 0 to {MOST} micro-credits, not {amount!r}")


@dataclass(frozen=True, slots=True)
class DearestCost:
    """The default: the same price whoever serves, the dearest known cost, times `margin` (rounded up)."""

    margin: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        _check_margin(self.margin)

    def prices(self, ask: Ask) -> Mapping[str, int]:
        return dict.fromkeys(ask.costs, _up(_dearest(ask), self.margin))


@dataclass(frozen=True, slots=True)
class CostPlus:
    """Each provider's own cost, times `margin` (rounded up), plus `fee` micro-credits.

    What the account pays then depends on who serves; the dearest quote is held. A provider whose cost is not
    known is priced as the dearest one whose cost is.
    """

    margin: Decimal = Decimal(1)
    fee: int = 0

    def __post_init__(self) -> None:
        _check_margin(self.margin)
        _check_amount("CostPlus.fee", self.fee)

    def prices(self, ask: Ask) -> Mapping[str, int]:
        dearest = _dearest(ask)
        return {
            provider: _up(dearest if cost is None else cost, self.margin) + self.fee
            for provider, cost in ask.costs.items()
        }


@dataclass(frozen=True, slots=True)
class FixedPrices:
    """Micro-credits per output by model id; other models go to `otherwise`."""

    per_output: Mapping[str, int]
    otherwise: Tariff = DearestCost()

    def __post_init__(self) -> None:
        for model, price in self.per_output.items():
            _check_amount(f"FixedPrices[{model!r}]", price)

    def prices(self, ask: Ask) -> Mapping[str, int]:
        price = self.per_output.get(ask.model)
        if price is None:
            return self.otherwise.prices(ask)
        return dict.fromkeys(ask.costs, price * ask.asked)


@dataclass(frozen=True, slots=True)
class Price:
    """One row of a table: `amount` micro-credits per output, second of each output, or request.

    `when` names fields of the request, defaults included, and the values that they must have.
    """

    amount: int
    per: Literal["output", "second", "request"] = "output"
    when: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_amount("Price.amount", self.amount)
        if self.per not in ("output", "second", "request"):
            raise ValueError(f"Price.per must be 'output', 'second' or 'request', not {self.per!r}")

    def fits(self, values: Mapping[str, Any]) -> bool:
        return all(values.get(name) == wanted for name, wanted in self.when.items())

    def of(self, ask: Ask) -> int:
        """Raises `NoPrice` for a price per second of a request without a length."""
        if self.per == "request":
            return self.amount
        if self.per == "output":
            return self.amount * ask.asked
        seconds = ask.values.get("generation_duration")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float | Decimal) or not seconds > 0:
            raise NoPrice(f"{ask.model} is priced by the second, and this request has no generation_duration")
        return _up(self.amount * ask.asked, Decimal(str(seconds)))


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by model and dimensions, the first row that fits; other models go to `otherwise`.

        PriceTable({"bytedance/seedance-1-pro": [
            Price(60_000, per="second", when={"generation_resolution": "1080p"}),
            Price(25_000, per="second"),
        ]})

    A model that is in the table and that no row fits has no price: it is refused, not guessed.
    """

    rows: Mapping[str, Sequence[Price]]
    otherwise: Tariff = DearestCost()

    def prices(self, ask: Ask) -> Mapping[str, int]:
        if ask.model not in self.rows:
            return self.otherwise.prices(ask)
        for row in self.rows[ask.model]:
            if row.fits(ask.values):
                return dict.fromkeys(ask.costs, row.of(ask))
        asked = {name for row in self.rows[ask.model] for name in row.when}
        found = ", ".join(f"{name}={ask.values.get(name)!r}" for name in sorted(asked))
        raise NoPrice(
            f"the price table has no row for {ask.model} with {found}: add one, or one without `when`"
        )


def _dearest(ask: Ask) -> int:
    known = [cost for cost in ask.costs.values() if cost is not None]
    if not known:
        raise NoPrice(
            f"no provider's cost is known for {ask.model} ({ask.work or 'this request'}), so it has no "
            "price: open the Arrow with a tariff that knows one, such as FixedPrices"
        )
    return max(known)


def _up(amount: int, factor: Decimal) -> int:
    """A product, rounded up to a whole micro-credit."""
    exact = _EXACT.multiply(Decimal(amount), factor)
    return int(exact) + (exact != int(exact))
