"""What a provider bills: additive parts, each a count times a unit price, exact in micro-credits.

A part counts requests, images, seconds, inputs or megapixels; `times` names the fields whose product is the
count (a list counts its items), `beyond` is what is free, `unit` how many pixels a megapixel has (the
provider's own rule, 1,000,000 or 1,048,576; begun megapixels count whole). Sums are rounded up to a whole
micro-credit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING, Any, Final

from .errors import did_you_mean
from .language.contract import read_date
from .language.expressions import SIZE, Expr, Literal, Omit, Ref, Switch, walk
from .language.fields import ABSENT, among
from .language.yaml12 import Path

if TYPE_CHECKING:
    from .language.parsing import Parser

MAX_USD: Final = 10_000
_USD = re.compile(r"[0-9]{1,5}(\.[0-9]{1,12})?\Z")

PER: Final = ("request", "image", "second", "input", "megapixel")
KINDS: Final = ("exact", "upper_bound", "approximate")
MAX_MICROS: Final = 2**53 - 1
_LEVELS: Final = ("sdk", "openapi", "docs", "secondary")
_CREDIT = 1_000_000
_EXACT: Final = Context(prec=100)  # ours: an application may have set any precision for its own thread


@dataclass(frozen=True, slots=True)
class Part:
    per: str
    usd: Expr  # cells are Decimal
    times: tuple[str, ...] = ()
    size: Expr | None = None
    beyond: int = 0
    unit: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    parts: tuple[Part, ...]
    evidence: str
    date: str
    kind: str


def price_micros(price: Price, values: Mapping[str, Any]) -> int | None:
    """The whole sum in micro-credits, rounded up; None when a table has no price for these values."""
    total = Decimal(0)
    for part in price.parts:
        usd = lookup(part.usd, values)
        if not isinstance(usd, Decimal):
            return None
        count = Decimal(1)
        if part.size is not None:
            size = lookup(part.size, values)
            sides = SIZE.match(size) if isinstance(size, str) else None
            if sides is None:
                return None
            count = Decimal(max(0, -(-int(sides[1]) * int(sides[2]) // part.unit) - part.beyond))
        factors: list[Any] = [values.get(name, ABSENT) for name in part.times]
        numbers = [0 if f is ABSENT else len(f) if isinstance(f, list | tuple) else f for f in factors]
        for index, number in enumerate(numbers):
            free = part.beyond if index == 0 and part.size is None else 0
            left = max(Decimal(0), _EXACT.subtract(Decimal(str(number)), free))
            count = _EXACT.multiply(count, left)
        total = _EXACT.add(total, _EXACT.multiply(usd, count))
    micros = int(_EXACT.multiply(total, _CREDIT).to_integral_value(ROUND_CEILING))
    return micros if micros <= MAX_MICROS else None


def lookup(expr: Expr, values: Mapping[str, Any]) -> Any:
    """The cell of a table of constants; ABSENT where there is none."""
    while isinstance(expr, Switch):
        value, row = values.get(expr.field, ABSENT), None
        if value is ABSENT:
            row = expr.absent
        else:
            row = next((cell for key, cell in expr.rows if among(value, (key,))), expr.present or expr.other)
        if row is None:
            return ABSENT
        expr = row
    return expr.value if isinstance(expr, Literal) else ABSENT


def read_price(data: Any, parser: Parser, day: str) -> Price | None:
    report = parser.report
    if not report.keys(data, ("evidence", "date", "source", "kind", "parts"), ("price",)):
        return None
    evidence, kind, raw = data.get("evidence"), data.get("kind", "exact"), data.get("parts")
    if evidence not in _LEVELS:
        report(("price", "evidence"), f"unknown evidence {evidence!r}", did_you_mean(str(evidence), _LEVELS))
    if kind not in KINDS:
        report(("price", "kind"), f"unknown kind {kind!r}", did_you_mean(str(kind), KINDS))
    if "date" in data:
        day = read_date(data["date"], ("price", "date"), report)
    if not isinstance(raw, list) or not raw:
        report(("price", "parts"), "a price needs parts")
        return None
    parts = [_part(spec, ("price", "parts", index), parser) for index, spec in enumerate(raw)]
    return Price(tuple(part for part in parts if part is not None), str(evidence), day, str(kind))


def _part(spec: Any, path: Path, parser: Parser) -> Part | None:
    report = parser.report
    if not report.keys(spec, ("per", "times", "usd", "size", "beyond", "unit"), path):
        return None
    per, beyond, unit = spec.get("per"), spec.get("beyond", 0), spec.get("unit", 0)
    if per not in PER:
        report((*path, "per"), f"unknown `per` {per!r}", did_you_mean(str(per), PER))
    for key, number in (("beyond", beyond), ("unit", unit)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            report((*path, key), f"{key} must be a count, found {number!r}")
            return None
    if "usd" not in spec:
        report(path, "a part needs `usd`", 'usd: "0.04"')
        return None
    size = parser.parse(spec["size"], (*path, "size")) if "size" in spec else None
    if per == "megapixel" and (size is None or unit == 0):
        report(
            path,
            "a megapixel price needs `size` and `unit`",
            "size: $size, unit: 1000000 or 1048576, as the provider counts",
        )
        return None
    times = _times(spec.get("times", []), (*path, "times"), parser)
    if per in ("image", "second", "input") and not times:
        report(path, f"a price per {per} needs `times`", "the field that counts them")
    return Part(
        str(per),
        _decimals(parser.parse(spec["usd"], (*path, "usd")), (*path, "usd"), parser),
        times,
        size,
        beyond,
        unit,
    )


def _times(raw: Any, path: Path, parser: Parser) -> tuple[str, ...]:
    names = []
    for item in raw if isinstance(raw, list) else [raw]:
        ref = parser.parse(item, path)
        if not isinstance(ref, Ref) or ref.pick or ref.fetch:
            if not isinstance(ref, Omit):
                parser.report(path, f"`times` names fields, not {item!r}", "times: $generation_output_number")
            continue
        field = parser.contract.fields[ref.field]
        if not field.is_list and (
            field.type not in ("integer", "number") or not (field.required or field.has_default)
        ):
            parser.report(
                path, f"{ref.field} is no count: it must be a list, or a number that is always there"
            )
        names.append(ref.field)
    return tuple(names)


def _decimals(expr: Expr, path: Path, parser: Parser) -> Expr:
    """The same table with `Decimal` cells."""
    match expr:
        case Literal(value):
            if not (isinstance(value, str) and _USD.match(value) and (usd := Decimal(value)) <= MAX_USD):
                told = f"usd is a decimal in quotes, found {value!r:.60}"
                parser.report(path, told, f'as in "0.04", at most {MAX_USD}; floats are not exact')
                return Omit()
            return Literal(usd)
        case Switch():

            def cell(inner: Expr | None) -> Expr | None:
                return None if inner is None else _decimals(inner, path, parser)

            rows = tuple((key, _decimals(inner, path, parser)) for key, inner in expr.rows)
            return Switch(
                expr.field, rows, cell(expr.absent), cell(expr.present), cell(expr.other), expr.path
            )
        case Omit():
            return expr
        case _:
            parser.report(path, "usd is a decimal in quotes or a table of them")
            return Omit()


def price_fields(price: Price) -> set[str]:
    """The fields that a price depends on."""
    names = {name for part in price.parts for name in part.times}
    for part in price.parts:
        for expr in (part.usd, part.size):
            names |= {e.field for e in walk(expr) if isinstance(e, Switch)} if expr is not None else set()
    return names
