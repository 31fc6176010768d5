"""A contract as one straight-line function: the good request in one pass, all else is the normalizer's.

The function returns None for whatever is not plainly good, be it wrong or only unusual (a subclass of text,
2.0 for 2, an explicit provider order, a text with odd characters), and the normalizer decides. It never
decides itself that something is wrong, so there is one home for every issue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .admit import CONTROL, DEFAULT_MAX_ITEMS
from .compile import define
from .contract import Contract
from .fields import ABSENT, MAX_INTEGER, ORDER_FIELD, ORDERS, Field
from .normalize import DEFAULT_ORDER, MAX_REQUEST_BYTES, Order, Values
from .urls import MAX_URL, PLAIN, PLAIN_BELOW, PRIVATE_NAMES, url_problem

Fast = Callable[[Any], "tuple[Values, frozenset[str], Order] | None"]
_BYTES_PER_CHARACTER: Final = 4


def compile_request(contract: Contract) -> Fast:
    """The good path of `normalize` for this contract."""
    scope: dict[str, Any] = {
        "ABSENT": ABSENT, "odd": CONTROL.search, "url_problem": url_problem, "ORDERS": ORDERS,
        "plain": PLAIN.match, "PRIVATE": frozenset(PRIVATE_NAMES),
    }  # fmt: skip
    lines = ["def normalize(data):", "    if type(data) is not dict: return None", "    count = 0"]
    for number, field in enumerate(contract.fields.values()):
        lines += [f"    {line}" for line in _field(field, f"v{number}", scope)]
    lines += _across(contract)
    lines += [
        f"    order = data.get({ORDER_FIELD!r}, ABSENT)",
        "    if order is ABSENT:",
        "        if count != len(data): return None",  # a field that the contract does not have
        f"        order, given = {DEFAULT_ORDER!r}, frozenset(data)",
        "    else:",
        "        if type(order) is not str or order not in ORDERS or count + 1 != len(data): return None",
        f"        given = frozenset(data) - {{{ORDER_FIELD!r}}}",
        *_size(contract),
        "    values = {}",
    ]
    for number, field in enumerate(contract.fields.values()):
        lines.append(f"    if v{number} is not ABSENT: values[{field.name!r}] = v{number}")
    source = "\n".join([*lines, "    return values, given, order", ""])
    fast: Fast = define("normalize", source, scope, f"{contract.id} request")
    return fast


def _field(field: Field, local: str, scope: dict[str, Any]) -> list[str]:
    """Read one field; absent fields take their default later, in `_across`."""
    checks = " or ".join(_checks(field, local, scope))
    lines = [f"{local} = data.get({field.name!r}, ABSENT)", f"if {local} is not ABSENT:", "    count += 1"]
    lines.append(f"    if {checks}: return None")
    if field.is_list:
        item = " or ".join(_url("u") if field.is_url else _text(field, "u"))
        lines += [f"    for u in {local}:", f"        if {item}: return None", f"    {local} = {local}[:]"]
    if field.required:
        lines.append("else: return None")
    return lines


def _checks(field: Field, local: str, scope: dict[str, Any]) -> list[str]:
    match field.type:
        case "string":
            return _text(field, local)
        case "enum":
            scope[f"A{local}"] = frozenset(field.values or ())
            return [f"type({local}) is not str", f"{local} not in A{local}"]
        case "integer" if field.values is not None:
            scope[f"A{local}"] = frozenset(field.values)
            return [f"type({local}) is not int", f"{local} not in A{local}"]
        case "integer" | "number":
            low = -MAX_INTEGER if field.min is None else field.min
            high = MAX_INTEGER if field.max is None else field.max
            checks = [f"type({local}) is not int", f"not {low!r} <= {local} <= {high!r}"]
            # Steps that are not whole, and floats, are decided in decimal arithmetic by the normalizer.
            if field.step is not None:
                whole = isinstance(field.step, int) and isinstance(field.min or 0, int)
                checks.append(f"({local} - {field.min or 0!r}) % {field.step!r}" if whole else "True")
            return checks
        case "boolean":
            return [f"type({local}) is not bool"]
        case "url":
            return _url(local)
    most = field.max_items if field.max_items is not None else DEFAULT_MAX_ITEMS
    return [f"type({local}) is not list", f"not 0 < len({local}) <= {most}"]


def _text(field: Field, local: str) -> list[str]:
    low, high = field.min_length or 0, field.max_length
    checks = [f"type({local}) is not str"]
    if low or high is not None:
        checks.append(f"not {low} <= len({local})" + ("" if high is None else f" <= {high}"))
    if low:
        checks.append(f"{local}.isspace()")
    # Printable is the common case and quick to see; for the rest the exact set is searched.
    return [*checks, f"(not {local}.isprintable() and odd({local}) is not None)"]


def _url(local: str) -> list[str]:
    # The first step of `url_problem`, without the call: most URLs are plain.
    plain = f"len({local}) < {PLAIN_BELOW} and (m := plain({local})) is not None and m[1] not in PRIVATE"
    return [f"type({local}) is not str", f"(not ({plain}) and url_problem({local}) is not None)"]


def _across(contract: Contract) -> list[str]:
    names = {name: f"v{number}" for number, name in enumerate(contract.fields)}
    lines = []
    for group in contract.exclusive:  # rare: rivals that were given are left to the normalizer
        given = " + ".join(f"({names[name]} is not ABSENT)" for name in group)
        defaults = any(contract.fields[name].has_default for name in group)
        lines.append(f"    if {given} > {0 if defaults else 1}: return None")
    for name, field in contract.fields.items():
        if field.has_default:
            lines.append(f"    if {names[name]} is ABSENT: {names[name]} = {field.default!r}")
    for group in contract.together:
        present = " + ".join(f"({names[name]} is not ABSENT)" for name in group)
        lines.append(f"    if ({present}) not in (0, {len(group)}): return None")
    return lines


def _size(contract: Contract) -> list[str]:
    """A request of good fields is under the byte limit by itself unless its texts may be very long."""
    most, open_texts = 0, []
    for number, field in enumerate(contract.fields.values()):
        items = (field.max_items or DEFAULT_MAX_ITEMS) if field.is_list else 1
        if field.is_url:
            most += items * MAX_URL
        elif field.type in ("string", "string_list"):
            if field.max_length is None or items * field.max_length > 8000:
                open_texts.append((number, field))
            else:
                most += items * field.max_length * _BYTES_PER_CHARACTER
        most += 2 * items + len(field.name) + 64
    if not open_texts and most <= MAX_REQUEST_BYTES:
        return []
    if most > MAX_REQUEST_BYTES // 2 or any(field.is_list for _, field in open_texts):
        return ["    if len(repr(data)) * 4 > %d: return None" % MAX_REQUEST_BYTES]  # noqa: UP031
    lengths = " + ".join(f"(0 if v{n} is ABSENT else len(v{n}))" for n, _ in open_texts)
    return [f"    if ({lengths}) * {_BYTES_PER_CHARACTER} > {MAX_REQUEST_BYTES // 2}: return None"]
