"""Read off a model: the JSON Schema of its public request, and the derived limits of every route."""

from __future__ import annotations

from typing import Any

from .admit import DEFAULT_MAX_ITEMS
from .language.contract import Contract
from .language.expressions import Switch, Unsupported
from .language.fields import MAX_INTEGER, ORDER_FIELD, ORDERS, Field
from .language.mapping import Mapping, Route
from .urls import MAX_URL

_URL = {"type": "string", "format": "uri", "pattern": "^https?://", "maxLength": MAX_URL}


def request_schema(contract: Contract, providers: tuple[str, ...]) -> dict[str, Any]:
    """JSON Schema 2020-12 of what `normalize` takes; hostile URLs and control characters are judged there."""
    properties = {name: _property(field) for name, field in contract.fields.items()}
    names = "|".join(providers) or "$^"
    properties[ORDER_FIELD] = {
        "description": "fastest and its kin let the router choose; a comma list is the caller's own sequence",
        "anyOf": [
            {"enum": list(ORDERS)},
            {"type": "string", "pattern": rf"^\s*({names})\s*(,\s*({names})\s*)*$"},
        ],
        "default": "fastest",
    }
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": contract.id,
        "type": "object",
        "properties": properties,
        "required": [name for name, field in contract.fields.items() if field.required],
        "additionalProperties": False,
    }
    if contract.description:
        schema["description"] = contract.description
    together = {name: [n for n in group if n != name] for group in contract.together for name in group}
    if together:
        schema["dependentRequired"] = together
    pairs = [(a, b) for group in contract.exclusive for i, a in enumerate(group) for b in group[i + 1 :]]
    if pairs:
        schema["allOf"] = [{"not": {"required": list(pair)}} for pair in pairs]
    return schema


def _property(field: Field) -> dict[str, Any]:
    result: dict[str, Any] = {"description": field.description} if field.description else {}
    match field.type:
        case "enum":
            result |= {"type": "string", "enum": list(field.values or ())}
        case "integer":
            low, high = (
                (-MAX_INTEGER if field.min is None else field.min),
                (MAX_INTEGER if field.max is None else field.max),
            )
            result |= {"type": "integer"} | (
                {"enum": list(field.values)} if field.values else {"minimum": low, "maximum": high}
            )
        case "number":
            result |= {"type": "number"} | _present(minimum=field.min, maximum=field.max)
        case "boolean":
            result |= {"type": "boolean"}
        case "url":
            result |= _URL
        case "url_list" | "string_list":
            items = _URL if field.is_url else _text(field)
            result |= {
                "type": "array",
                "items": items,
                "minItems": 1,
                "maxItems": field.max_items or DEFAULT_MAX_ITEMS,
            }
        case _:
            result |= _text(field)
    if field.step is not None and not (field.min or 0) % field.step:
        result["multipleOf"] = field.step
    if field.has_default:
        result["default"] = field.default
    return result


def _text(field: Field) -> dict[str, Any]:
    text = {"type": "string"} | _present(minLength=field.min_length or None, maxLength=field.max_length)
    return text | ({"pattern": r"\S"} if field.min_length else {})


def _present(**pairs: Any) -> dict[str, Any]:
    return {key: value for key, value in pairs.items() if value is not None}


def limits(mapping: Mapping) -> dict[str, list[str]]:
    """Per route, in plain sorted lines, everything in which it takes less than the public contract."""
    return {route.name: sorted(set(_route_limits(route))) for route in mapping.routes}


def _route_limits(route: Route) -> list[str]:
    lines = [f"when {condition}" for condition in route.when]
    for name, accept in route.accepts.items():
        if accept.none:
            lines.append(f"{name}: none")
        elif accept.values is not None:
            lines.append(f"{name}: {', '.join(_word(v) for v in accept.values)}")
        else:
            told = {k: getattr(accept, k) for k in ("min", "max", "step", "max_items", "max_length")}
            lines.append(f"{name}: " + ", ".join(f"{k} {v}" for k, v in told.items() if v is not None))
    lines += [
        f"{name}: max_items {limit} (what the body can hold)" for name, limit in route.item_limits.items()
    ]
    lines += [f"refuses: {rule.because}" for rule in route.refuses]
    lines += [f"drops {name}: {because}" for name, because in route.drops.items()]
    for expr in route.parts:
        if isinstance(expr, Switch):
            lines += _unsupported(expr, "")
    return lines


def _unsupported(switch: Switch, context: str) -> list[str]:
    lines: list[str] = []
    for key, cell in switch.cells():
        if isinstance(cell, Unsupported):
            lines.append(f"{switch.field}: not {_word(key)}{context}")
        elif isinstance(cell, Switch):
            lines += _unsupported(cell, f" with {switch.field} {_word(key)}{context}")
    return lines


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
