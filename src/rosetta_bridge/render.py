"""The interpreter: the specification of what a mapping means.

It never stops at the first obstacle. Everything a provider cannot do is collected as (field, reason), so
"eligible" is nothing but "no reasons", and `explain` is complete. A body is handed out only when there are
none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from .language.contract import Contract
from .language.expressions import (
    Body,
    Expr,
    Items,
    Literal,
    ModelName,
    Numbered,
    Object,
    Ref,
    Switch,
    Text,
    Unsupported,
)
from .language.fields import ABSENT, among, same
from .language.mapping import Route


class _Omitted:
    """The value of `$omit` and of what disappeared: the key goes, the list item that holds it stays."""

    def __repr__(self) -> str:
        return "omitted"


OMITTED: Final = _Omitted()
Reasons = list[tuple[str, str]]
Trace = list[tuple[Switch, Expr]]


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a route makes of a request; `arguments` and `body` mean nothing unless `reasons` is empty."""

    arguments: Any
    body: Any
    dropped: dict[str, str]
    fetches: tuple[dict[str, str], ...]
    reasons: tuple[tuple[str, str], ...]


def render_route(
    route: Route,
    contract: Contract,
    values: Mapping[str, Any],
    given: frozenset[str],
    trace: Trace | None = None,
) -> Rendered:
    """Render one route, which the caller has chosen by `when`. `trace` collects the table cells used."""
    run = _Run(values, route.model, trace)
    run.reasons += limit_reasons(route, values)
    dropped = _drop(route, contract, values, given, run.reasons)
    arguments = run.evaluate(route.body)
    if arguments is ABSENT or arguments is OMITTED:
        arguments = {}
    run.arguments = arguments
    body, reasons = run.evaluate(route.wrap), tuple(dict.fromkeys(run.reasons))
    return Rendered(arguments, body, dropped, fetched(arguments), reasons)


def evaluate(expr: Expr, values: Mapping[str, Any], model: str, in_item: bool) -> tuple[Any, bool]:
    """What one expression is for these values, and whether the provider can do it."""
    run = _Run(values, model)
    found = run.evaluate(expr, in_item)
    return found, not run.reasons


def limit_reasons(route: Route, values: Mapping[str, Any]) -> Reasons:
    """Reasons that do not come from the body: `accepts`, list limits, `refuses`."""
    reasons: Reasons = []
    for name, accept in route.accepts.items():
        if (value := values.get(name, ABSENT)) is not ABSENT and (why := accept.refusal(value)) is not None:
            reasons.append((name, why))
    for name, limit in route.item_limits.items():
        if len(values.get(name, ())) > limit:
            reasons.append((name, f"at most {limit} here, not {len(values[name])}"))
    for rule in route.refuses:
        if rule.fires(values):
            reasons.append((rule.fields[0], rule.because))
    return reasons


def _drop(
    route: Route, contract: Contract, values: Mapping[str, Any], given: frozenset[str], reasons: Reasons
) -> dict[str, str]:
    """What is dropped of what the caller gave. A binding field may go only when its value is the default."""
    dropped: dict[str, str] = {}
    for name, because in route.drops.items():
        if (value := values.get(name, ABSENT)) is ABSENT:
            continue
        field = contract.fields[name]
        if field.strength == "hint" or (field.has_default and same(value, field.default)):
            if name in given:
                dropped[name] = because
        else:
            reasons.append((name, f"cannot be honoured here: {because}"))
    return dropped


class _Run:
    """One evaluation. `index` is the position inside the lists that `.each` walks."""

    __slots__ = ("arguments", "index", "model", "reasons", "trace", "trail", "values")

    def __init__(self, values: Mapping[str, Any], model: str, trace: Trace | None = None) -> None:
        self.values, self.model, self.trace = values, model, trace
        self.reasons: Reasons = []
        self.index = 0
        self.trail: list[tuple[str, Any]] = []
        self.arguments: Any = ABSENT

    def evaluate(self, expr: Expr, in_item: bool = False) -> Any:
        """The value, ABSENT (a source is absent) or OMITTED (this key). `in_item`: absence takes the item."""
        match expr:
            case Literal(value):
                return value
            case Ref():
                return self._ref(expr)
            case Switch():
                return self._switch(expr, in_item)
            case Object(entries):
                return self._object(entries, in_item)
            case Items():
                return self._items(expr)
            case Text(parts):
                return self._text(parts)
            case ModelName():
                return self.model
            case Body():
                return self.arguments
            case Unsupported():
                self._unsupported()
        return OMITTED

    def _ref(self, ref: Ref) -> Any:
        value = self.values.get(ref.field, ABSENT)
        if (
            value is ABSENT
        ):  # a list that follows another may be absent: its key goes, the driver's item stays
            return OMITTED if ref.pick == "each" else ABSENT
        match ref.pick:
            case "first":
                value = value[0]
            case "second":
                value = value[1] if len(value) > 1 else ABSENT
            case "rest":
                value = value[1:] or ABSENT
            case "each":  # a follower may be shorter: its key is left out, the item stays
                value = value[self.index] if self.index < len(value) else OMITTED
        if value is ABSENT or value is OMITTED:
            return value
        if ref.fetch:
            many = isinstance(value, list)
            return [_marker(url, ref.fetch) for url in value] if many else _marker(str(value), ref.fetch)
        return list(value) if isinstance(value, list) else value

    def _text(self, parts: tuple[Expr, ...]) -> Any:
        pieces = []
        for part in parts:
            value = self.evaluate(part)
            if value is ABSENT or value is OMITTED:
                return value
            pieces.append(as_text(value))
        return "".join(pieces)

    def _switch(self, switch: Switch, in_item: bool) -> Any:
        value = self.values.get(switch.field, ABSENT)
        cell = choose(switch, value)
        if cell is None:
            if value is ABSENT:
                return ABSENT
            cell = Unsupported()  # only where `accepts` has already said no; never a silent default
        elif self.trace is not None:
            self.trace.append((switch, cell))
        self.trail.append((switch.field, value))
        result = self.evaluate(cell, in_item)
        self.trail.pop()
        return result

    def _unsupported(self) -> None:
        if not self.trail:
            self.reasons.append(("", "not supported"))
            return
        *context, (field, value) = self.trail
        told = "".join(f" with {name} {_word(v)}" for name, v in context)
        self.reasons.append((field, f"{_word(value)} is not supported{told}"))

    def _object(self, entries: tuple[tuple[str | Numbered, Expr], ...], in_item: bool) -> Any:
        result: dict[str, Any] = {}
        for key, expr in entries:
            value = self.evaluate(expr, in_item)
            if isinstance(key, Numbered):
                if isinstance(value, list):  # a longer list is refused by the route's item limits
                    result.update({f"{key.name}_{key.start + i}": v for i, v in enumerate(value)})
            elif value is ABSENT and in_item:
                return ABSENT
            elif value is not ABSENT and value is not OMITTED:
                result[key] = value
        if entries and not result:
            return OMITTED
        return result

    def _items(self, items: Items) -> Any:
        result: list[Any] = []
        for item, each in zip(items.items, items.each, strict=True):
            result.extend(v for v in self._repeat(item, each) if v is not ABSENT and v is not OMITTED)
        return result if result or not items.items else OMITTED

    def _repeat(self, item: Expr, each: tuple[str, ...]) -> list[Any]:
        if not each:
            return [self.evaluate(item, True)]
        driver, *followers = each
        count = len(self.values.get(driver, ()))
        for follower in followers:
            if len(self.values.get(follower, ())) > count:
                self.reasons.append((follower, f"has more items than {driver}"))
        outer, results = self.index, []
        for self.index in range(count):
            results.append(self.evaluate(item, True))
        self.index = outer
        return results


def _marker(url: str, how: str) -> dict[str, str]:
    return {"$fetch": url, "as": how}


def fetched(body: Any) -> tuple[dict[str, str], ...]:
    """Copies of the fetch markers in a body, in order. Nobody can forge one: public values are no maps."""
    if isinstance(body, dict):
        if "$fetch" in body:
            return (dict(body),)
        body = list(body.values())
    return tuple(marker for part in body for marker in fetched(part)) if isinstance(body, list) else ()


def choose(switch: Switch, value: Any) -> Expr | None:
    """The cell for a value (ABSENT for none); None when the table has none."""
    if value is ABSENT:
        return switch.absent
    for key, cell in switch.rows:
        if among(value, (key,)):
            return cell
    return switch.present or switch.other


def as_text(value: Any) -> str:
    """How a value reads inside a text: `true`, `5` (also for 5.0), `0.5`, `0.00001`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else format(Decimal(str(value)), "f")
    return str(value)


def _word(value: Any) -> str:
    return "absent" if value is ABSENT else "a list" if isinstance(value, list) else as_text(value)[:60]
