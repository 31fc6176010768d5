"""The money table: decimals of a currency, exact rates, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_fortress.stripe import Rate
from ledger_fortress.stripe.currencies import THREE_DECIMAL, ZERO_DECIMAL, micros_per_minor, rate_table


@pytest.mark.parametrize(
    ("currency", "rate", "minor", "credits"),
    [
        ("usd", 1, 2_500, "25"),
        ("usd", "1.08", 1, "0.0108"),
        ("eur", Decimal("1.1"), 1_000, "11"),
        ("jpy", "0.0065", 1_000, "6.5"),  # a zero-decimal currency: 1000 is 1,000 yen, not ten
        ("kwd", "3.25", 5_120, "16.64"),  # a three-decimal currency: 5120 is 5.120 dinar
        ("isk", "0.0072", 500, "0.036"),  # two decimals in Stripe's API though the króna has none
        ("idr", "0.0001", 15_000_000, "15"),
        ("ugx", Rate("0.0003", exponent=0), 500, "0.15"),
        ("ugx", Rate("0.0003", exponent=2), 500, "0.0015"),
    ],
)
def test_what_an_amount_is_worth(currency: str, rate: Any, minor: int, credits: str) -> None:
    assert micros_per_minor(currency, rate) * minor == Decimal(credits) * 1_000_000


@pytest.mark.parametrize(
    ("currency", "rate", "words"),
    [
        ("usd", "1.00001", "at most 4 decimals"),
        ("kwd", "3.2501", "at most 3 decimals"),
        ("usd", 0, "above 0"),
        ("usd", "-1", "above 0"),
        ("usd", "NaN", "above 0"),
        ("usd", "one", "not a number"),
        ("USD", 1, "as Stripe does"),
        ("dollar", 1, "as Stripe does"),
        ("ugx", 1, "say which"),
        ("usd", Rate(1, exponent=9), "exponent"),
    ],
)
def test_rates_that_are_refused(currency: str, rate: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rate_table({currency: rate})


def test_a_float_is_no_rate() -> None:
    with pytest.raises(TypeError, match="not float"):
        rate_table({"usd": 1.08})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="not bool"):
        rate_table({"usd": True})
    with pytest.raises(ValueError, match="at least one"):
        rate_table({})


@given(st.sampled_from(sorted(ZERO_DECIMAL | THREE_DECIMAL | {"usd"})), st.lists(st.integers(0, 10**6)))
def test_parts_add_up_to_the_whole(currency: str, parts: list[int]) -> None:
    """No rounding: what is refunded in pieces is what would have been refunded at once."""
    rate = micros_per_minor(currency, "1.234")
    assert sum(part * rate for part in parts) == sum(parts) * rate
