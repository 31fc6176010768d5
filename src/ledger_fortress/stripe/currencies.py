"""What a Stripe amount is worth in credits.

Stripe counts in a currency's smallest unit, and how many of them make one whole unit depends on the
currency: 100 for most, 1 for the yen, 1,000 for the Kuwaiti dinar. A reader who divides everything by 100
gives a hundredth of what a yen has bought and ten times what a dinar has. So a currency has to be named in
the rate table, or its payments are rejected, and a rate has to make a whole number of micro-credits of the
smallest unit, so that nothing is ever rounded: parts of a payment always add up to it.

The exponents are those of https://docs.stripe.com/currencies (zero-decimal and three-decimal currencies).
ISK has two decimals in Stripe's API although its amounts are whole króna:
https://support.stripe.com/questions/deprecation-of-fractional-isk-charges-and-refunds. UGX is listed there as
a zero-decimal currency and has also been sent with two decimals: its exponent must be given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

from ledger_fortress.credits import LIMIT, MICRO

ZERO_DECIMAL: Final = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf")
)
THREE_DECIMAL: Final = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
AMBIGUOUS: Final = frozenset({"ugx"})


@dataclass(frozen=True, slots=True)
class Rate:
    """Credits for one whole unit of a currency (one dollar, one yen), and its number of decimals in Stripe.

    `exponent` None takes Stripe's. Raises TypeError for a float, ValueError for a rate that is not above
    zero or that would have to be rounded.
    """

    credits: Decimal | str | int
    exponent: int | None = None


RateLike: TypeAlias = Rate | Decimal | str | int


def exponent_of(currency: str) -> int:
    """How many decimals Stripe's amounts of a currency have. Raises ValueError where Stripe is ambiguous."""
    if currency in AMBIGUOUS:
        raise ValueError(
            f"{currency}: Stripe sends it with no or with two decimals, depending on the API: "
            "say which, Rate(credits, exponent=0) or Rate(credits, exponent=2)"
        )
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def micros_per_minor(currency: str, rate: RateLike) -> int:
    """Micro-credits for one smallest unit of the currency."""
    given = rate if isinstance(rate, Rate) else Rate(rate)
    if len(currency) != 3 or not currency.isascii() or not currency.islower():
        raise ValueError(f"{currency!r} is no currency; write it as Stripe does, for example 'usd'")
    exponent = exponent_of(currency) if given.exponent is None else given.exponent
    if type(exponent) is not int or not 0 <= exponent <= 4:
        raise ValueError(f"{currency}: an exponent is a whole number from 0 to 4, got {exponent!r}")
    credits_ = given.credits
    if isinstance(credits_, bool) or not isinstance(credits_, Decimal | str | int):
        raise TypeError(f"{currency}: a rate is a Decimal, str or int, not {type(credits_).__name__}")
    try:
        micros = Decimal(credits_) * MICRO / 10**exponent
    except InvalidOperation:
        raise ValueError(f"{currency}: {credits_!r} is not a number of credits") from None
    if not micros.is_finite() or micros <= 0 or micros > LIMIT:
        raise ValueError(f"{currency}: a rate is above 0 credits per unit, got {credits_}")
    if micros != micros.to_integral_value():
        raise ValueError(
            f"{currency}: at {credits_} credits per unit the smallest unit is a fraction of a micro-credit; "
            f"write at most {6 - exponent} decimals"
        )
    return int(micros)


def rate_table(rates: Mapping[str, RateLike]) -> dict[str, int]:
    """Micro-credits per smallest unit, by currency."""
    if not rates:
        raise ValueError("name at least one currency, for example rates={'usd': 1}")
    return {currency: micros_per_minor(currency, rate) for currency, rate in rates.items()}
