"""From whatever a caller sent to a request of plain, checked values; or to every reason why not.

Nothing is repaired: no number is read out of a text, no value is clamped. Three notations mean one thing
and are accepted as JSON Schema accepts them: 5.0 is the integer 5, a key order does not matter, a default
may be left out. Work is bounded before it is done: size and depth first, then each field once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from .contract import Contract
from .errors import InvalidRequest, Issue, did_you_mean
from .fields import MAX_INTEGER, ORDER_FIELD, ORDERS, Field, among
from .urls import url_problem

MAX_REQUEST_BYTES: Final = 100 * 1024
MAX_DEPTH: Final = 16
MAX_ISSUES: Final = 64
DEFAULT_ORDER: Final = "fastest"
DEFAULT_MAX_ITEMS: Final = 64
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

Values = dict[str, Any]
Order = str | tuple[str, ...]


class _Bad(Exception):
    def __init__(self, code: str, message: str, hint: str = "") -> None:
        self.code, self.message, self.hint = code, message, hint


def normalize(
    contract: Contract, data: Any, providers: frozenset[str]
) -> tuple[Values, frozenset[str], Order]:
    """Values with defaults, the names given, and the order. Raises `InvalidRequest` with all issues.

    `providers` are the names that `generation_provider_order` may contain.
    """
    if not isinstance(data, Mapping):
        raise InvalidRequest(
            [Issue("", "type", f"a request is an object, not {kind_of(data)}", "send a JSON object")]
        )
    if (issue := _size_issue(data)) is not None:
        raise InvalidRequest([issue])
    issues: list[Issue] = []
    values: Values = {}
    order: Order = DEFAULT_ORDER
    for key in data:
        if key in contract.fields:
            continue
        if key == ORDER_FIELD:
            try:
                order = _order(data[key], providers)
            except _Bad as bad:
                issues.append(Issue(ORDER_FIELD, bad.code, bad.message, bad.hint))
        else:
            issues.append(_unknown(key, contract))
    for name, field in contract.fields.items():
        if name not in data:
            if field.required:
                issues.append(Issue(name, "required", "is required", f"a {_wanted(field)}"))
            continue
        try:
            values[name] = _value(field, data[name])
        except _Bad as bad:
            issues.append(Issue(name, bad.code, bad.message, bad.hint))
    given = frozenset(name for name in contract.fields if name in data)
    issues += _across(contract, given, values)
    if issues:
        if len(issues) > MAX_ISSUES:
            rest = len(issues) - MAX_ISSUES
            issues = [*issues[:MAX_ISSUES], Issue("", "too_many", f"and {rest} more")]
        raise InvalidRequest(issues)
    return values, given, order


def _across(contract: Contract, given: frozenset[str], values: Values) -> list[Issue]:
    """Fill in defaults, then check the rules over several fields."""
    issues = []
    for group in contract.exclusive:
        if len(rivals := [name for name in group if name in given]) > 1:
            issues.append(
                Issue(rivals[1], "exclusive", f"cannot be combined with {rivals[0]}", "send one of the two")
            )
    for name, field in contract.fields.items():
        # A default yields to a rival that was given.
        yields = any(
            name in group and any(r in given for r in group if r != name) for group in contract.exclusive
        )
        if field.has_default and name not in given and not yields:
            values[name] = field.default
    for group in contract.together:
        missing = [name for name in group if name not in values and name not in given]
        if missing and len(missing) < len(group):
            others = ", ".join(name for name in group if name not in missing)
            issues.extend(
                Issue(name, "together", f"is needed together with {others}", "send all of them or none")
                for name in missing
            )
    return issues


def _value(field: Field, value: Any) -> Any:
    if value is None:
        raise _Bad("type", "null is not a value", "leave the field out")
    match field.type:
        case "string":
            return _string(field, value)
        case "enum":
            return _enum(field, value)
        case "integer":
            return _integer(field, value)
        case "number":
            return _in_range(field, _number(value))
        case "boolean":
            if not isinstance(value, bool):
                raise _Bad("type", f"must be true or false, not {kind_of(value)}")
            return value
        case "url":
            return _url(value)
    return _list(field, value)


def _string(field: Field, value: Any) -> str:
    text = _text(value)
    shortest, longest = field.min_length or 0, field.max_length
    if len(text) < shortest:
        raise _Bad("length", f"has {len(text)} characters; at least {shortest} are needed")
    if shortest and not text.strip():
        raise _Bad("length", "is blank")
    if longest is not None and len(text) > longest:
        raise _Bad("length", f"has {len(text)} characters; at most {longest} are allowed")
    if (found := _CONTROL.search(text)) is not None:
        raise _Bad("text", f"holds the character U+{ord(found[0]):04X} at position {found.start()}",
                   "remove control characters; line breaks and tabs are fine")  # fmt: skip
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Bad("type", f"must be text, not {kind_of(value)}")
    return value if type(value) is str else str.__str__(value)


def _enum(field: Field, value: Any) -> str:
    values: tuple[Any, ...] = field.values or ()
    if not isinstance(value, str):
        hint = (
            did_you_mean(f"{value}", values)
            if isinstance(value, int) and abs(value) < 10**9
            else f"one of {', '.join(values)}"
        )
        raise _Bad("type", f"must be text, not {kind_of(value)}", hint)
    text = _text(value)
    if text not in values:
        raise _Bad(
            "value",
            f"{shown(text)} is not a value of this field",
            did_you_mean(text, values) or f"one of {', '.join(values)}",
        )
    return text


def _integer(field: Field, value: Any) -> int:
    number = _number(value)
    if isinstance(number, float):
        if not number.is_integer():
            raise _Bad("type", f"must be a whole number, not {shown(number)}")
        number = int(number)
    if field.values is not None:
        if not among(number, field.values):
            raise _Bad(
                "value",
                f"{shown(number)} is not a value of this field",
                f"one of {', '.join(map(str, field.values))}",
            )
        return number
    _in_range(field, number)
    return number


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = "send it without quotes" if isinstance(value, str) else ""
        raise _Bad("type", f"must be a number, not {kind_of(value)}", hint)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise _Bad("type", "must be a number, not NaN or infinity")
        return float(value)
    number = int.__index__(value)
    if abs(number) > MAX_INTEGER:
        raise _Bad("range", "is beyond 2^53 - 1, which not every JSON reader keeps exact")
    return number


def _in_range(field: Field, number: int | float) -> int | float:
    if not field.within(number):
        low = "" if field.min is None else f"at least {field.min}"
        high = "" if field.max is None else f"at most {field.max}"
        raise _Bad("range", f"{shown(number)} is out of range", " and ".join(filter(None, (low, high))))
    if field.step is not None:
        start = Decimal(str(field.min or 0))
        if (Decimal(str(number)) - start) % Decimal(str(field.step)):
            raise _Bad("range", f"{shown(number)} is not a step of {field.step} from {start}")
    return number


def _url(value: Any) -> str:
    text = _text(value)
    if (problem := url_problem(text)) is not None:
        raise _Bad("url", *problem)
    return text


def _list(field: Field, value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        hint = "put it into a list" if isinstance(value, str) else ""
        raise _Bad("type", f"must be a list, not {kind_of(value)}", hint)
    most = field.max_items if field.max_items is not None else DEFAULT_MAX_ITEMS
    if not value:
        raise _Bad("items", "is empty", "leave the field out")
    if len(value) > most:
        raise _Bad("items", f"has {len(value)} items; at most {most} are allowed")
    result = []
    for index, item in enumerate(value):
        try:
            result.append(_url(item) if field.type == "url_list" else _string(field, item))
        except _Bad as bad:
            raise _Bad(bad.code, f"item {index + 1} {bad.message}", bad.hint) from None
    return result


def _order(value: Any, providers: frozenset[str]) -> Order:
    """One of the four words, or the names in a comma list as a tuple."""
    hint = f"{', '.join(ORDERS)}, or a comma list of {', '.join(sorted(providers))}"
    if not isinstance(value, str):
        raise _Bad("type", f"must be text, not {kind_of(value)}", hint)
    words = [word.strip() for word in _text(value).split(",")]
    if len(words) == 1 and words[0] in ORDERS:
        return words[0]
    for index, word in enumerate(words):
        if word not in providers:
            raise _Bad(
                "order", f"{shown(word)} is not a provider", did_you_mean(word, (*providers, *ORDERS)) or hint
            )
        if word in words[:index]:
            raise _Bad("order", f"{word} stands twice")
    return tuple(words)


def _unknown(key: Any, contract: Contract) -> Issue:
    if not isinstance(key, str):
        return Issue("", "unknown_field", f"a key that is {kind_of(key)}", "keys are text")
    name = _CONTROL.sub("\ufffd", key[:80])
    hint = did_you_mean(name, (*contract.fields, ORDER_FIELD))
    return Issue(name, "unknown_field", f"{contract.id} has no such field", hint)


def _size_issue(data: Mapping[Any, Any]) -> Issue | None:
    """Bound the work by bytes of text (plus two per value) and by depth, so that cycles end too."""
    budget = MAX_REQUEST_BYTES
    stack: list[tuple[Any, int]] = [(data, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            return Issue("", "too_deep", f"nested deeper than {MAX_DEPTH} levels", "requests are flat")
        for part in (*node.keys(), *node.values()) if isinstance(node, Mapping) else node:
            budget -= 2
            if isinstance(part, str):
                budget -= len(part) if part.isascii() else len(part.encode("utf-8", "surrogatepass"))
            elif isinstance(part, list | tuple | Mapping):
                stack.append((part, depth + 1))
            if budget < 0:
                return Issue("", "too_large", f"larger than {MAX_REQUEST_BYTES} bytes", "send files as URLs")
    return None


def _wanted(field: Field) -> str:
    return {"url_list": "list of URLs", "string_list": "list of texts", "string": "text", "enum": "text"}.get(
        field.type, field.type
    )


def kind_of(value: Any) -> str:
    """The JSON word for a value's type."""
    if value is None:
        return "null"
    for kinds, word in (
        (bool, "a boolean"),
        (str, "text"),
        ((int, float), "a number"),
        (Mapping, "an object"),
        ((list, tuple), "a list"),
    ):
        if isinstance(value, kinds):
            return word
    return f"a {type(value).__name__[:40]}"


def shown(value: Any) -> str:
    """A value inside a message: short, and safe to print."""
    text = value if isinstance(value, str) else str(value)
    text = _CONTROL.sub("\ufffd", text[:60]) + ("…" if len(text) > 60 else "")
    return repr(text) if isinstance(value, str) else text
