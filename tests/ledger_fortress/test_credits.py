"""Amounts: exact, bounded, and never a float."""

import copy
import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_fortress import Credits
from ledger_fortress.credits import LIMIT, micros_of

micros = st.integers(0, LIMIT)


@given(micros)
def test_what_is_written_is_read_again(amount: int) -> None:
    """Text, Decimal and Credits say the same amount, to the last micro-credit."""
    credits_ = Credits.micro(amount)
    assert credits_.micros == amount
    assert Credits(str(credits_)) == Credits(credits_.decimal) == Credits(credits_) == credits_
    assert micros_of(str(credits_), zero=True) == amount
    assert pickle.loads(pickle.dumps(credits_)) == copy.deepcopy(credits_) == credits_
    assert len(str(credits_).partition(".")[2]) == 6


@given(micros, micros)
def test_arithmetic_is_that_of_whole_numbers(a: int, b: int) -> None:
    left, right = Credits.micro(a), Credits.micro(b)
    assert (left < right, left <= right, left > right, left >= right) == (a < b, a <= b, a > b, a >= b)
    assert (left == right, hash(left) == hash(right)) == (a == b, a == b)
    if a + b <= LIMIT:
        assert (left + right).micros == a + b
    if a >= b:
        assert (left - right).micros == a - b


def test_five_is_five_credits() -> None:
    """An int means credits; micro-credits are said as such."""
    assert Credits(5) == Credits("5") == Credits(Decimal(5)) == Credits.micro(5_000_000)
    assert str(Credits("0.052")) == "0.052000"
    assert repr(Credits.micro(40_000)) == "Credits('0.040000')"
    assert 3 * Credits("0.1") == Credits("0.1") * 3 == Credits("0.3")
    assert Credits(Decimal("0.0400000")) == Credits("0.04")


@pytest.mark.parametrize("wrong", [1.0, 0.1, True, None, b"1", [1], float("nan")])
def test_what_is_no_amount(wrong: Any) -> None:
    with pytest.raises(TypeError, match="Decimal, str or int"):
        Credits(wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (-1, "negative"),
        ("-1", "not an amount"),
        ("+1", "not an amount"),
        (" 1", "not an amount"),
        ("1.", "not an amount"),
        (".5", "not an amount"),
        ("1e3", "not an amount"),
        ("", "not an amount"),
        ("NaN", "not an amount"),
        ("٣", "not an amount"),
        ("0.0000001", "decimals"),
        ("1.1234567", "decimals"),
        (Decimal("NaN"), "not an amount"),
        (Decimal("Infinity"), "not an amount"),
        (Decimal("-0.5"), "negative"),
        (Decimal("0.0000001"), "six decimals"),
        (Decimal("1E+60"), "2\\^53"),
        (Decimal("0." + "3" * 40), "six decimals"),
        ("9007199254.740992", "2\\^53 - 1"),
        (9_007_199_255, "2\\^53 - 1"),
        ("9" * 30, "not an amount"),
    ],
)
def test_amounts_that_are_none(wrong: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Credits(wrong)


def test_micro_takes_whole_numbers_alone() -> None:
    for wrong in (1.0, True, "1", Decimal(1)):
        with pytest.raises(TypeError, match="int"):
            Credits.micro(wrong)  # type: ignore[arg-type]
    for beyond in (-1, LIMIT + 1):
        with pytest.raises(ValueError, match=r"negative|limit"):
            Credits.micro(beyond)


def test_credits_are_values() -> None:
    amount = Credits(1)
    with pytest.raises(AttributeError, match="frozen"):
        amount.micros = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="frozen"):
        del amount.micros
    with pytest.raises(TypeError):
        amount + 1  # type: ignore[operator]
    with pytest.raises(TypeError):
        amount / 2  # type: ignore[operator]
    with pytest.raises(ValueError, match="negative"):
        amount - Credits(2)
    assert amount != 1
    assert not Credits(0)


def test_zero_has_to_be_allowed() -> None:
    assert micros_of(0, zero=True) == 0
    with pytest.raises(ValueError, match="more than 0"):
        micros_of("0.000000")
