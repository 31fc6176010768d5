"""Amounts of money.

One credit is 1,000,000 micro-credits, and everything inside the ledger is a whole number of them. Amounts
meet people as `Credits`, `Decimal`, `str` or `int`, which all mean *credits*: ``5``, ``"5"`` and
``Decimal(5)`` are the same five credits, never five micro-credits. A float is refused with `TypeError`,
because 0.1 + 0.2 is not 0.3 and nobody can say afterwards which of the two was meant.

The bound is 2^53 - 1 micro-credits (about nine billion credits): the largest range in which every JSON
reader, every spreadsheet and Lua inside Redis still counts in whole numbers.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, Final, TypeAlias

MICRO: Final = 1_000_000
LIMIT: Final = 2**53 - 1

_WRITTEN = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,40}))?")
_LIMIT_TEXT = "9007199254.740991 credits (2^53 - 1 micro-credits)"


class Credits:
    """A non-negative amount of credits, exact to one micro-credit and frozen.

    `Credits("0.052")`, `Credits(Decimal("0.052"))` and `Credits.micro(52_000)` are equal. `str()` always
    shows six decimals. Adding, subtracting, comparing and multiplying by a whole number are exact; a result
    below zero or above the limit raises `ValueError`. There is no division: say how to round instead.
    """

    __slots__ = ("micros",)
    micros: int

    def __init__(self, amount: CreditsLike = 0) -> None:
        object.__setattr__(self, "micros", _read(amount))

    @classmethod
    def micro(cls, micros: int) -> Credits:
        """The amount of so many micro-credits. Raises `TypeError` for anything but an `int`."""
        if type(micros) is not int:
            raise TypeError(f"micro-credits are an int, not {type(micros).__name__}")
        self = object.__new__(cls)
        object.__setattr__(self, "micros", _bounded(micros, micros))
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Credits are frozen; cannot set {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Credits are frozen; cannot delete {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return Credits.micro, (self.micros,)

    def __str__(self) -> str:
        return f"{self.micros // MICRO}.{self.micros % MICRO:06d}"

    def __repr__(self) -> str:
        return f"Credits('{self}')"

    def __bool__(self) -> bool:
        return self.micros != 0

    def __hash__(self) -> int:
        return hash((Credits, self.micros))

    def __eq__(self, other: object) -> bool:
        return self.micros == other.micros if isinstance(other, Credits) else NotImplemented

    def __lt__(self, other: Credits) -> bool:
        return self.micros < other.micros if isinstance(other, Credits) else NotImplemented

    def __le__(self, other: Credits) -> bool:
        return self.micros <= other.micros if isinstance(other, Credits) else NotImplemented

    def __gt__(self, other: Credits) -> bool:
        return self.micros > other.micros if isinstance(other, Credits) else NotImplemented

    def __ge__(self, other: Credits) -> bool:
        return self.micros >= other.micros if isinstance(other, Credits) else NotImplemented

    def __add__(self, other: Credits) -> Credits:
        return Credits.micro(self.micros + other.micros) if isinstance(other, Credits) else NotImplemented

    def __sub__(self, other: Credits) -> Credits:
        return Credits.micro(self.micros - other.micros) if isinstance(other, Credits) else NotImplemented

    def __mul__(self, times: int) -> Credits:
        return Credits.micro(self.micros * times) if type(times) is int else NotImplemented

    __rmul__ = __mul__

    @property
    def decimal(self) -> Decimal:
        """The same amount as a `Decimal` with six places."""
        return Decimal(str(self))


CreditsLike: TypeAlias = Credits | Decimal | str | int


def micros_of(amount: CreditsLike, *, what: str = "amount", zero: bool = False) -> int:
    """The micro-credits of an amount of credits, refusing zero unless `zero` says that it has a meaning."""
    micros = amount.micros if type(amount) is Credits else _read(amount)
    if micros == 0 and not zero:
        raise ValueError(f"{what} must be more than 0")
    return micros


def _read(amount: object) -> int:
    if isinstance(amount, Credits):
        return amount.micros
    if isinstance(amount, bool) or not isinstance(amount, int | str | Decimal):
        raise TypeError(
            f"an amount is Credits, Decimal, str or int (all in credits), not {type(amount).__name__}"
            + ("; write it as a string, for example '0.052'" if isinstance(amount, float) else "")
        )
    if isinstance(amount, int):
        return _bounded(amount * MICRO, amount)
    return _bounded(_read_decimal(amount) if isinstance(amount, Decimal) else _read_text(amount), amount)


def _read_text(text: str) -> int:
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an amount; write digits and at most six decimals, like '12.50'")
    whole, fraction = match[1], match[2] or ""
    if len(fraction) > 6:
        raise ValueError(f"{text!r} has {len(fraction)} decimals; a credit has six (micro-credits)")
    return int(whole) * MICRO + int(fraction.ljust(6, "0"))


def _read_decimal(amount: Decimal) -> int:
    if not amount.is_finite():
        raise ValueError(f"{amount} is not an amount")
    try:
        with localcontext() as context:
            context.prec = 60
            micros = amount.scaleb(6)
            if micros == micros.to_integral_value() and abs(micros) < Decimal(2**63):
                return int(micros)
    except InvalidOperation:
        pass
    raise ValueError(f"{amount} needs more than six decimals or is beyond {_LIMIT_TEXT}")


def _bounded(micros: int, said: object) -> int:
    if micros < 0:
        raise ValueError(f"an amount cannot be negative, got {said}")
    if micros > LIMIT:
        raise ValueError(f"{said} is beyond the limit of {_LIMIT_TEXT}")
    return micros
