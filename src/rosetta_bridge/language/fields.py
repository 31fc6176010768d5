"""Public fields of a model: what a value may be, and which values are worth telling apart.

The static checks reason over an *abstract domain*: a finite list of sample values that stands for all that
a mapping can tell apart (absent, each listed value, each number a table names, one and two items of a
list). Samples are real values, so the same functions that run in production decide about them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

TYPES: Final = ("string", "enum", "integer", "number", "boolean", "url", "url_list", "string_list")
LISTS: Final = ("url_list", "string_list")
ORDER_FIELD: Final = "generation_provider_order"
ORDERS: Final = ("fastest", "cheapest", "reliable", "balanced")
PROVIDERS: Final = ("alibabacloud", "bfl", "byteplus", "cloudflare", "fal", "openai", "replicate", "runway")
MAX_INTEGER: Final = 2**53 - 1
SAMPLE_URL: Final = "https://example.com/file-{}"


class _Absent:
    """The value of a field that the request does not have."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "absent"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Field:
    """One public field. Lengths count characters, `max_items` list items; None: no limit of that kind."""

    name: str
    type: str
    strength: str = "binding"
    required: bool = False
    has_default: bool = False
    default: Any = None
    values: tuple[Any, ...] | None = None
    min: int | float | None = None
    max: int | float | None = None
    step: int | float | None = None
    min_length: int | None = None
    max_length: int | None = None
    max_items: int | None = None
    description: str = ""

    @property
    def is_list(self) -> bool:
        return self.type in LISTS

    @property
    def is_url(self) -> bool:
        return self.type in ("url", "url_list")

    def finite(self) -> tuple[Any, ...] | None:
        """All values when there are few enough to list (at most 64), else None."""
        if self.values is not None:
            return self.values
        if self.type == "boolean":
            return (True, False)
        if self.type == "integer" and self.min is not None and self.max is not None:
            step = int(self.step or 1)
            if (self.max - self.min) // step < 64:
                return tuple(range(int(self.min), int(self.max) + 1, step))
        return None

    def samples(self, named: Iterable[Any] = ()) -> tuple[Any, ...]:
        """Values worth telling apart when a mapping names the values in `named`; without "absent"."""
        if self.is_list:
            most = self.max_items or 3
            return tuple(tuple(SAMPLE_URL.format(i) for i in range(n)) for n in (1, 2) if n <= most)
        if self.type == "url":
            return (SAMPLE_URL.format(0),)
        if self.type == "string":
            return ("x" * max(1, self.min_length or 0),)
        if (all_values := self.finite()) is not None:
            return all_values
        ends = [v for v in (self.min, self.max) if v is not None]
        listed = [v for v in named if isinstance(v, int | float) and not isinstance(v, bool)]
        other = next(v for v in range(int(self.min or 0), MAX_INTEGER) if v not in listed and v not in ends)
        inside = [v for v in [*listed, *ends, other] if self.within(v)]
        return tuple(dict.fromkeys(inside))

    def within(self, value: Any) -> bool:
        """Whether a number lies in the public range."""
        return not (
            (self.min is not None and value < self.min) or (self.max is not None and value > self.max)
        )


def on_step(value: int | float, step: int | float, start: int | float | None) -> bool:
    """Whether a number is a whole number of steps from `start`, in decimal: 0.3 is three steps of 0.1."""
    return (Fraction(str(value)) - Fraction(str(start or 0))) % Fraction(str(step)) == 0


def same(a: Any, b: Any) -> bool:
    """Equality that tells `true` from `1`."""
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def among(value: Any, options: Iterable[Any]) -> bool:
    boolean = isinstance(value, bool)
    for option in options:  # noqa: SIM110 - asked very often; half the time of `any`
        if option == value and isinstance(option, bool) == boolean:
            return True
    return False
