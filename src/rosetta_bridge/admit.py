"""One value of one field: taken as it is, or refused with a reason. Nothing is repaired.

No number is read out of a text and no value is clamped. 5.0 is the integer 5, as in JSON Schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from .errors import Hint, Issue, did_you_mean, issue
from .language.fields import ABSENT, MAX_INTEGER, Field, among, on_step
from .urls import url_problem

DEFAULT_MAX_ITEMS: Final = 64
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
LONG_TEXT: Final = 48  # up to here `str.isprintable` is the quickest look at a text
# The bytes of a good ASCII text stay as they are: by far the quickest look at a long one.
ASCII: Final = bytes(255 if CONTROL.match(chr(n)) else n for n in range(256))
_NUMBERS: Final = (int, float)  # `int | float` would be made anew each time
_INFINITE: Final = (float("inf"), float("-inf"))


def take(field: Field, value: Any, issues: list[Issue]) -> Any:
    """The admitted value; or ABSENT, and one issue more."""
    found = admit(field, value)
    if type(found) is not Issue:
        return found
    issues.append(found)
    return ABSENT


def admit(field: Field, value: Any) -> Any:
    """The value as the field takes it, or the issue why not, in its place."""
    return null(field) if value is None else ADMIT[field.type](field, value)


def null(field: Field) -> Issue:
    return issue(field.name, "type", "null is not a value", "leave the field out")


def _string(field: Field, value: Any) -> str | Issue:
    text = plain_text(field.name, value)
    if isinstance(text, Issue):
        return text
    shortest, longest = field.min_length or 0, field.max_length
    if len(text) < shortest:
        problem = f"has {len(text)} characters; at least {shortest} are needed"
    elif shortest and not text.strip():
        problem = "is blank"
    elif longest is not None and len(text) > longest:
        problem = f"has {len(text)} characters; at most {longest} are allowed"
    elif (found := CONTROL.search(text)) is not None:
        problem = f"holds the character U+{ord(found[0]):04X} at position {found.start()}"
        hint = "remove control characters; line breaks and tabs are fine"
        return issue(field.name, "text", problem, hint)
    else:
        return text
    return issue(field.name, "length", problem, "")


def plain_text(name: str, value: Any, hint: Hint = "") -> str | Issue:
    """The value as a plain `str`; a subclass of text loses what it adds."""
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    return issue(name, "type", f"must be text, not {kind_of(value)}", hint)


def _enum(field: Field, value: Any) -> str | Issue:
    text = value if type(value) is str else plain_text(field.name, value, (_near, field, value))
    if type(text) is not str or text in (field.values or ()):
        return text
    return issue(field.name, "value", f"{shown(text)} is not a value of this field", (_meant, field, text))


def _near(field: Field, value: Any) -> str:
    """What a value that is no text may mean: 720 is near to 720p."""
    return _meant(field, f"{value}" if isinstance(value, int) and abs(value) < 10**9 else "")


def _meant(field: Field, text: str) -> str:
    values = field.values or ()
    return (did_you_mean(text, values) if text else "") or f"one of {', '.join(values)}"


def _integer(field: Field, value: Any) -> int | Issue:
    number = value if type(value) is int else _plain_number(field, value)
    if type(number) is float:
        if not number.is_integer():
            return issue(field.name, "type", f"must be a whole number, not {shown(number)}", "")
        number = int(number)
    if type(number) is not int:
        return number
    if field.values is None or abs(number) > MAX_INTEGER:
        return _out_of_range(field, number) or number
    if among(number, field.values):
        return number
    problem = f"{shown(number)} is not a value of this field"
    return issue(field.name, "value", problem, f"one of {', '.join(map(str, field.values))}")


def _number(field: Field, value: Any) -> int | float | Issue:
    number = _plain_number(field, value)
    return number if type(number) is Issue else _out_of_range(field, number) or number


def _plain_number(field: Field, value: Any) -> Any:
    """The value as a plain `int` or `float`, or an issue."""
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        hint = "send it without quotes" if isinstance(value, str) else ""
        return issue(field.name, "type", f"must be a number, not {kind_of(value)}", hint)
    if not isinstance(value, float):
        return int.__index__(value)
    if value != value or value in _INFINITE:
        return issue(field.name, "type", "must be a number, not NaN or infinity", "")
    return float(value)


def _out_of_range(field: Field, number: int | float) -> Issue | None:
    if type(number) is int and not -MAX_INTEGER <= number <= MAX_INTEGER:
        problem = "is beyond 2^53 - 1, which not every JSON reader keeps exact"
    elif ((low := field.min) is not None and number < low) or (
        (high := field.max) is not None and number > high
    ):
        return issue(field.name, "range", f"{shown(number)} is out of range", (_range, field))
    elif field.step is not None and not on_step(number, field.step, field.min):
        problem = f"{shown(number)} is not a step of {field.step} from {field.min or 0}"
    else:
        return None
    return issue(field.name, "range", problem, "")


def _range(field: Field) -> str:
    low = "" if field.min is None else f"at least {field.min}"
    high = "" if field.max is None else f"at most {field.max}"
    return " and ".join(filter(None, (low, high)))


def _boolean(field: Field, value: Any) -> bool | Issue:
    if isinstance(value, bool):
        return value
    return issue(field.name, "type", f"must be true or false, not {kind_of(value)}", "")


def _url(field: Field, value: Any) -> str | Issue:
    text = plain_text(field.name, value)
    if isinstance(text, Issue) or (problem := url_problem(text)) is None:
        return text
    return issue(field.name, "url", *problem)


def _list(field: Field, value: Any) -> list[str] | Issue:
    most = field.max_items if field.max_items is not None else DEFAULT_MAX_ITEMS
    if not isinstance(value, list | tuple):
        hint = "put it into a list" if isinstance(value, str) else ""
        return issue(field.name, "type", f"must be a list, not {kind_of(value)}", hint)
    if not value:
        return issue(field.name, "items", "is empty", "leave the field out")
    if len(value) > most:
        return issue(field.name, "items", f"has {len(value)} items; at most {most} are allowed", "")
    result: list[str] = []
    admit_item = _url if field.type == "url_list" else _string
    for index, item in enumerate(value):
        taken = admit_item(field, item)
        if isinstance(taken, Issue):
            return issue(field.name, taken.code, f"item {index + 1} {taken.message}", taken.hint)
        result.append(taken)
    return result


ADMIT: Final[dict[str, Callable[[Field, Any], Any]]] = {
    "string": _string,
    "enum": _enum,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "url": _url,
    "url_list": _list,
    "string_list": _list,
}


def wanted(field: Field) -> str:
    return {"url_list": "list of URLs", "string_list": "list of texts", "string": "text", "enum": "text"}.get(
        field.type, field.type
    )


_KINDS: Final = {type(None): "null", bool: "a boolean", str: "text", int: "a number", float: "a number"}


def kind_of(value: Any) -> str:
    """The JSON word for a value's type."""
    if (word := _KINDS.get(type(value))) is not None:
        return word
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
    if type(value) is str and len(value) <= 60 and value.isprintable():
        return repr(value)
    if type(value) is int and abs(value) <= MAX_INTEGER:
        return str(value)
    text = value if isinstance(value, str) else str(value)
    if len(text) > 60 or not text.isprintable():
        text = CONTROL.sub("\ufffd", text[:60]) + ("…" if len(text) > 60 else "")
    return repr(text) if isinstance(value, str) else text
