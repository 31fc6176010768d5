"""One value of one field: taken as it is, or refused with a reason. Nothing is repaired.

No number is read out of a text and no value is clamped. 5.0 is the integer 5, as in JSON Schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from .errors import Hint, Issue, did_you_mean, issue
from .fields import ABSENT, MAX_INTEGER, Field, among, on_step
from .urls import url_problem

DEFAULT_MAX_ITEMS: Final = 64
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Bad(Exception):
    def __init__(self, code: str, message: str, hint: Hint = "") -> None:
        self.code, self.message, self.hint = code, message, hint

    def issue(self, field: str) -> Issue:
        return issue(field, self.code, self.message, self.hint)


def take(field: Field, value: Any, issues: list[Issue]) -> Any:
    """The admitted value; or ABSENT, and one issue more."""
    try:
        return admit(field, value)
    except Bad as bad:
        issues.append(bad.issue(field.name))
        return ABSENT


def admit(field: Field, value: Any) -> Any:
    if value is None:
        raise Bad("type", "null is not a value", "leave the field out")
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
                raise Bad("type", f"must be true or false, not {kind_of(value)}")
            return value
        case "url":
            return _url(value)
    return _list(field, value)


def _string(field: Field, value: Any) -> str:
    text = plain_text(value)
    shortest, longest = field.min_length or 0, field.max_length
    if len(text) < shortest:
        raise Bad("length", f"has {len(text)} characters; at least {shortest} are needed")
    if shortest and not text.strip():
        raise Bad("length", "is blank")
    if longest is not None and len(text) > longest:
        raise Bad("length", f"has {len(text)} characters; at most {longest} are allowed")
    if (found := CONTROL.search(text)) is not None:
        raise Bad("text", f"holds the character U+{ord(found[0]):04X} at position {found.start()}",
                   "remove control characters; line breaks and tabs are fine")  # fmt: skip
    return text


def plain_text(value: Any) -> str:
    """The value as a plain `str`; a subclass of text loses what it adds."""
    if not isinstance(value, str):
        raise Bad("type", f"must be text, not {kind_of(value)}")
    return value if type(value) is str else str.__str__(value)


def _enum(field: Field, value: Any) -> str:
    values: tuple[Any, ...] = field.values or ()
    if not isinstance(value, str):
        near = f"{value}" if isinstance(value, int) and abs(value) < 10**9 else ""
        raise Bad("type", f"must be text, not {kind_of(value)}", partial(_meant, near, values))
    text = plain_text(value)
    if text not in values:
        raise Bad(
            "value",
            f"{shown(text)} is not a value of this field",
            partial(_meant, text, values),
        )
    return text


def _meant(text: str, values: tuple[str, ...]) -> str:
    return (did_you_mean(text, values) if text else "") or f"one of {', '.join(values)}"


def _integer(field: Field, value: Any) -> int:
    number = _number(value)
    if isinstance(number, float):
        if not number.is_integer():
            raise Bad("type", f"must be a whole number, not {shown(number)}")
        number = int(number)
    if field.values is not None:
        if not among(number, field.values):
            raise Bad(
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
        raise Bad("type", f"must be a number, not {kind_of(value)}", hint)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise Bad("type", "must be a number, not NaN or infinity")
        return float(value)
    number = int.__index__(value)
    if abs(number) > MAX_INTEGER:
        raise Bad("range", "is beyond 2^53 - 1, which not every JSON reader keeps exact")
    return number


def _in_range(field: Field, number: int | float) -> int | float:
    if not field.within(number):
        low = "" if field.min is None else f"at least {field.min}"
        high = "" if field.max is None else f"at most {field.max}"
        raise Bad("range", f"{shown(number)} is out of range", " and ".join(filter(None, (low, high))))
    if field.step is not None and not on_step(number, field.step, field.min):
        raise Bad("range", f"{shown(number)} is not a step of {field.step} from {field.min or 0}")
    return number


def _url(value: Any) -> str:
    text = plain_text(value)
    if (problem := url_problem(text)) is not None:
        raise Bad("url", *problem)
    return text


def _list(field: Field, value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        hint = "put it into a list" if isinstance(value, str) else ""
        raise Bad("type", f"must be a list, not {kind_of(value)}", hint)
    most = field.max_items if field.max_items is not None else DEFAULT_MAX_ITEMS
    if not value:
        raise Bad("items", "is empty", "leave the field out")
    if len(value) > most:
        raise Bad("items", f"has {len(value)} items; at most {most} are allowed")
    result = []
    for index, item in enumerate(value):
        try:
            result.append(_url(item) if field.type == "url_list" else _string(field, item))
        except Bad as bad:
            raise Bad(bad.code, f"item {index + 1} {bad.message}", bad.hint) from None
    return result


def wanted(field: Field) -> str:
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
    if len(text) > 60 or not text.isprintable():
        text = CONTROL.sub("\ufffd", text[:60]) + ("…" if len(text) > 60 else "")
    return repr(text) if isinstance(value, str) else text
