"""What a native schema cannot see: bodies that are valid and still say something else than the caller did.

A schema knows that a width is a number, not that it belongs to a portrait; that images are a list, not that
only the first was sent. Both come to light when a body is held against its request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rosetta_bridge.language.contract import Contract
from rosetta_bridge.language.expressions import Expr, Items, Literal, Object, Ref, Switch
from rosetta_bridge.language.mapping import Route

RATIO_FIELD: Final = "generation_ratio"
STRICTNESS_FIELD: Final = "generation_moderation"
STRICTEST_FIRST: Final = {  # native filters, from strict to lax: lower numbers, and `auto` before `low`
    "safety_tolerance": (*range(10), *map(str, range(10))),
    "moderation": ("auto", "low"),
    "publicFigureThreshold": ("auto", "low"),
}
TOLERANCE: Final = 0.05
_RATIO = re.compile(r"([0-9]+(?:\.[0-9]+)?):([0-9]+(?:\.[0-9]+)?)\Z")
_SIDES = re.compile(r"([1-9][0-9]{2,4})[xX*:]([1-9][0-9]{2,4})\Z")


def wrong_sides(body: Any, values: Mapping[str, Any]) -> Iterator[str]:
    """Sizes in a body that have not the ratio that was asked for."""
    asked = values.get(RATIO_FIELD)
    found = _RATIO.match(asked) if isinstance(asked, str) else None
    if found is None:
        return
    wanted = float(found[1]) / float(found[2])
    for width, height in _sizes(body):
        if abs(width / height / wanted - 1) > TOLERANCE:
            yield f"{width} x {height} is not {asked}"


def _sizes(node: Any) -> Iterator[tuple[int, int]]:
    if isinstance(node, dict):
        width, height = node.get("width"), node.get("height")
        if isinstance(width, int) and isinstance(height, int) and height:
            yield width, height
        for inner in node.values():
            yield from _sizes(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _sizes(inner)
    elif isinstance(node, str) and (sides := _SIDES.match(node)):
        yield int(sides[1]), int(sides[2])


def cut_lists(route: Route, contract: Contract, schema: Mapping[str, Any]) -> Iterator[str]:
    """Public lists of which only the first item is sent, into a native list that has room for more."""
    for key, value in route.body.entries:
        native = schema.get("properties", {}).get(key, {})
        if not isinstance(value, Items) or native.get("type") != "array" or native.get("maxItems") == 1:
            continue
        for name in {ref for item in value.items for ref in _firsts(item)}:
            accept = route.accepts.get(name)
            said = accept is not None and (accept.none or accept.max_items == 1)
            if (contract.fields[name].max_items or 2) > 1 and route.item_limits.get(name) == 1 and not said:
                yield f"{key} takes a list, and of {name} only the first is sent: use .each, or max_items: 1"


def _firsts(item: Any) -> Iterator[str]:
    if isinstance(item, Ref) and item.pick == "first":
        yield item.field
    elif isinstance(item, Object):
        for _, inner in item.entries:
            yield from _firsts(inner)


def turned_tables(route: Route) -> Iterator[str]:
    """Tables whose cells say the opposite of their rows, though every cell is a native word."""
    for expr in route.parts:
        if isinstance(expr, Switch):
            yield from _exchanged(expr)
        elif isinstance(expr, Object):
            for key, value in expr.entries:
                order = STRICTEST_FIRST.get(key if isinstance(key, str) else "")
                if order is not None and isinstance(value, Switch) and value.field == STRICTNESS_FIELD:
                    yield from _reversed(str(key), value, order)


def _exchanged(switch: Switch) -> Iterator[str]:
    """A row must not get the word that is another row's own name, as in `png: jpeg` or `"off": true`."""
    words = {_word(row): _word(cell.value) for row, cell in switch.rows if isinstance(cell, Literal)}
    for row, cell in words.items():
        if cell != row and cell in words:
            yield f"the row {row} of {switch.field} is given {cell}, which is another row's name"


def _word(value: Any) -> str:
    word = str(value).lower()
    return {"jpeg": "jpg", "false": "off", "disabled": "off"}.get(word, word)


def _reversed(key: str, switch: Switch, order: tuple[Any, ...]) -> Iterator[str]:
    cells: dict[Any, Expr] = dict(switch.rows)
    strict, lax = (cells[row].value if isinstance(cells.get(row), Literal) else None for row in (True, False))  # type: ignore[union-attr]
    if strict in order and lax in order and order.index(strict) > order.index(lax):
        yield f"{key} is {strict} for the strictest filter and {lax} for the most permissive: turned round"
