"""Prices and amounts: exact, whatever the application has done to the decimal context."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_arrow.errors import NoPrice
from execution_arrow.record import credits
from execution_arrow.tariff import (
    MOST,
    Ask,
    CostPlus,
    DearestCost,
    FixedPrices,
    Price,
    PriceTable,
    settled_prices,
)


def ask(values: dict[str, Any] | None = None, **costs: int | None) -> Ask:
    return Ask(model="lab/m", kind="image", values=values or {}, work="", asked=3, costs=costs)


@given(micros=st.integers(0, 2**53 - 1), precision=st.integers(1, 30))
def test_amounts_are_exact_under_any_precision(micros: int, precision: int):
    with localcontext() as context:
        context.prec = precision
        shown = credits(micros)
    assert shown.as_tuple().exponent == -6
    assert int(str(shown).replace(".", "")) == micros


@given(cost=st.integers(1, 2**53 - 1), precision=st.integers(1, 30))
def test_a_margin_is_exact_and_rounds_up(cost: int, precision: int):
    with localcontext() as context:
        context.prec = precision
        prices = DearestCost(margin=Decimal("1.15")).prices(ask(a=cost, b=cost // 2))
    assert prices == dict.fromkeys("ab", -(-cost * 115 // 100))


def test_the_dearest_known_cost_is_the_price_for_all():
    assert DearestCost().prices(ask(a=30, b=None, c=40)) == {"a": 40, "b": 40, "c": 40}


def test_no_known_cost_is_no_price_and_says_what_to_do():
    with pytest.raises(NoPrice, match="FixedPrices"):
        DearestCost().prices(ask(a=None))


def test_fixed_prices_are_per_output_and_leave_the_rest_to_another_tariff():
    tariff = FixedPrices({"lab/m": 50})
    assert tariff.prices(ask(a=None)) == {"a": 150}
    assert tariff.prices(Ask(model="lab/n", kind="image", values={}, work="", asked=1, costs={"a": 7})) == {
        "a": 7
    }


def test_cost_plus_prices_each_provider_by_its_own_cost():
    tariff = CostPlus(margin=Decimal("1.1"), fee=5)
    assert tariff.prices(ask(a=101, b=200, c=None)) == {"a": 117, "b": 225, "c": 225}
    with pytest.raises(NoPrice):
        tariff.prices(ask(a=None))


TABLE = PriceTable(
    {
        "lab/m": [
            Price(60, per="second", when={"generation_resolution": "1080p"}),
            Price(
                500, per="request", when={"generation_resolution": "720p", "generation_generate_audio": True}
            ),
            Price(100, when={"generation_resolution": "720p"}),
        ]
    }
)


@pytest.mark.parametrize(
    ("values", "price"),
    [
        ({"generation_resolution": "1080p", "generation_duration": 5}, 900),
        ({"generation_resolution": "1080p", "generation_duration": Decimal("2.51")}, 452),
        ({"generation_resolution": "720p", "generation_generate_audio": True}, 500),
        ({"generation_resolution": "720p", "generation_generate_audio": False}, 300),
    ],
)
def test_a_table_prices_by_dimensions_the_first_row_that_fits(values: dict[str, Any], price: int):
    assert TABLE.prices(ask(values, a=None, b=7)) == {"a": price, "b": price}


def test_a_table_guesses_nothing():
    with pytest.raises(NoPrice, match="generation_resolution='480p'"):
        TABLE.prices(ask({"generation_resolution": "480p"}, a=1))
    with pytest.raises(NoPrice, match="generation_duration"):
        TABLE.prices(ask({"generation_resolution": "1080p"}, a=1))
    other = Ask(model="lab/n", kind="image", values={}, work="", asked=1, costs={"a": 7})
    assert TABLE.prices(other) == {"a": 7}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Price(0.5),  # type: ignore[arg-type]
        lambda: Price(True),
        lambda: FixedPrices({"m": 1.5}),  # type: ignore[dict-item]
        lambda: CostPlus(margin=1.1),  # type: ignore[arg-type]
        lambda: CostPlus(fee=0.1),  # type: ignore[arg-type]
        lambda: DearestCost(margin=2),  # type: ignore[arg-type]
    ],
)
def test_a_price_that_is_not_exact_is_a_type_error(make: Any):
    with pytest.raises(TypeError):
        make()


def test_a_price_out_of_range_is_a_value_error():
    for make in (lambda: Price(-1), lambda: Price(MOST + 1), lambda: CostPlus(margin=Decimal("-1"))):
        with pytest.raises(ValueError, match="must be"):
            make()
    with pytest.raises(ValueError, match=r"Price\.per"):
        Price(1, per="minute")  # type: ignore[arg-type]


class Sloppy:
    def __init__(self, prices: dict[str, Any]) -> None:
        self._prices = prices

    def prices(self, ask: Ask) -> dict[str, Any]:
        return self._prices


@pytest.mark.parametrize("prices", [{}, {"a": None}, {"a": 1.0}, {"a": -1}, {"a": True}, {"a": MOST + 1}])
def test_a_tariff_without_a_usable_answer_is_no_price(prices: dict[str, Any]):
    with pytest.raises(NoPrice, match="Sloppy has no price for lab/m at a"):
        settled_prices(Sloppy(prices), ask(a=1))
