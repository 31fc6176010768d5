"""Prices and amounts: exact, whatever the application has done to the decimal context."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_arrow.errors import NoPrice
from execution_arrow.record import credits
from execution_arrow.tariff import Ask, DearestCost, FixedPrices


def ask(**costs: int | None) -> Ask:
    return Ask(model="lab/m", kind="image", values={}, work="", asked=3, costs=costs)


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
