"""A contract as one straight-line function from a caller's dict to a `Request`.

The shape: the caller's dict is laid over the defaults in one C-level merge, which also shows unknown fields
(the result is too long), and unpacked into local names. What is plainly good costs one test per field.
Whatever is in doubt, be it wrong or only unusual (a subclass of text, 2.0 for 2, a list of providers, odd
characters), is given to the normalizer's own step for that one field or name: it takes the value or adds its
issue. So the function never decides itself that something is wrong, and every issue has one home.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from .admit import CONTROL, DEFAULT_MAX_ITEMS, take
from .compile import define
from .contract import Contract
from .errors import Issue
from .fields import ABSENT, MAX_INTEGER, ORDER_FIELD, ORDERS, Field
from .frozen import making
from .normalize import (
    DEFAULT_ORDER,
    MAX_REQUEST_BYTES,
    across,
    bounded_work,
    missing,
    names,
    normalize,
    refusal,
)
from .urls import MAX_URL, PLAIN, PLAIN_BELOW, url_problem
from .values import Request, make_request, work_class

Door = Callable[[Any], Request]
_BYTES_PER_CHARACTER: Final = 4
_LARGEST_FLOAT: Final = 1.7976931348623157e308  # all but infinity


def compile_request(contract: Contract, providers: frozenset[str]) -> Door:
    """`normalize` for this contract, as a function of the request alone that returns a `Request`."""
    compiled: Door = define("normalize", *_source(contract, providers), f"{contract.id} request")
    return compiled


def request_of(contract: Contract, providers: frozenset[str], data: Any) -> Request:
    """The same by the interpreter: what the compiled function must equal."""
    values, given, order = normalize(contract, data, providers)
    asked = values.get("generation_output_number", 1)
    return make_request(contract.id, contract.kind, values, given, order, asked, work_class(values))


def _source(contract: Contract, providers: frozenset[str]) -> tuple[str, dict[str, Any]]:
    locals_ = {name: f"v{number}" for number, name in enumerate(contract.fields)}
    rivals = {name for group in contract.exclusive for name in group}
    # A default that yields to a rival is filled in below; the order comes last and is taken off again.
    defaults = {
        name: field.default if field.has_default and name not in rivals else ABSENT
        for name, field in contract.fields.items()
    } | {ORDER_FIELD: DEFAULT_ORDER}
    scope = _scope(contract, providers) | {"DEFAULTS": defaults}
    all_locals = ", ".join(locals_.values())
    lines = [
        "if type(data) is not dict: return other(data)",
        "d = {**DEFAULTS, **data}",
        f"order = d[{ORDER_FIELD!r}]",
        "issues = None",
        f"if len(d) != {len(defaults)} or type(order) is not str or order not in ORDERS:",
        "    issues = bounded(data)",
        "    order = names(data, issues)",
        "    d = {name: d[name] for name in DEFAULTS}",
        f"{all_locals}, _ = d.values()",
    ]
    for field in contract.fields.values():
        scope[f"F{locals_[field.name]}"] = field
        always = defaults[field.name] is not ABSENT
        lines += _field(field, locals_[field.name], always, scope)
    lines += _across(contract, locals_, f"refuse(data, issues, ({all_locals},))")
    lines += _size(contract)
    lines += _made(contract, locals_, scope)
    return "\n".join(["def normalize(data):", *(f"    {line}" for line in lines), ""]), scope


def _made(contract: Contract, locals_: dict[str, str], scope: dict[str, Any]) -> list[str]:
    """The request, without what is absent."""
    lines = [
        "d.popitem()",
        f"given = frozenset(data) if {ORDER_FIELD!r} not in data else frozenset(data) - ORDER",
    ]
    for name in contract.fields:
        if contract.may_be_absent(name):
            lines.append(f"if {locals_[name]} is ABSENT: del d[{name!r}]")
    asked = locals_.get("generation_output_number", "1")
    if asked != "1" and contract.may_be_absent("generation_output_number"):
        asked = f"1 if {asked} is ABSENT else {asked}"
    members = {
        "model": repr(contract.id), "kind": repr(contract.kind), "values": "d", "given": "given",
        "order": "order", "asked": asked, "work": _work(contract, locals_),
    }  # fmt: skip
    return lines + making(Request, members, scope)


def _scope(contract: Contract, providers: frozenset[str]) -> dict[str, Any]:
    """The names that every door's source uses; each field adds its own."""
    return {
        "ABSENT": ABSENT, "odd": CONTROL.search, "url_problem": url_problem, "ORDERS": frozenset(ORDERS),
        "plain": PLAIN.match,
        "bounded": bounded_work, "take": take, "missing": missing,
        "other": partial(request_of, contract, providers), "ORDER": frozenset((ORDER_FIELD,)),
        "names": partial(_names, contract, providers), "refuse": partial(_refuse, contract),
        "work_class": work_class,
    }  # fmt: skip


def _names(contract: Contract, providers: frozenset[str], data: Any, issues: list[Issue]) -> Any:
    return names(contract, data, providers, issues)


def _refuse(contract: Contract, data: Mapping[Any, Any], issues: list[Issue] | None, found: Any) -> None:
    """Raise all issues: those of single fields, then those over several."""
    issues = bounded_work(data) if issues is None else issues
    if contract.together or contract.exclusive:
        named = zip(contract.fields, found, strict=True)
        values = {name: value for name, value in named if value is not ABSENT}
        across(contract, frozenset(name for name in contract.fields if name in data), values, issues)
    raise refusal(issues)


def _field(field: Field, local: str, always: bool, scope: dict[str, Any]) -> list[str]:
    """Test one field; what is in doubt is the normalizer's to take or refuse."""
    doubt = " or ".join(_checks(field, local, scope))
    bound = ["    if issues is None: issues = bounded(data)"]
    taken = [*bound, f"    {local} = d[{field.name!r}] = take(F{local}, {local}, issues)"]
    lines: list[str] = []
    if field.is_list:
        item = " or ".join(_url("u") if field.is_url else _text(field, "u"))
        lines += [
            f"if {doubt}: good = False",
            "else:",
            "    good = True",
            f"    for u in {local}:",
            f"        if {item}:",
            "            good = False",
            "            break",
            "if not good:",
            *taken,
            f"else: d[{field.name!r}] = {local}[:]",
        ]
    else:
        lines += [f"if {doubt}:", *taken]
    if field.required:
        absent = [*bound, f"    issues.append(missing(F{local}))"]
        return [f"if {local} is ABSENT:", *absent, "else:", *(f"    {line}" for line in lines)]
    return lines if always else [f"if {local} is not ABSENT:", *(f"    {line}" for line in lines)]


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
            return [_number(field, local)]
        case "boolean":
            return [f"{local} is not True and {local} is not False"]
        case "url":
            return _url(local)
    most = field.max_items if field.max_items is not None else DEFAULT_MAX_ITEMS
    return [f"type({local}) is not list", f"not 0 < len({local}) <= {most}"]


def _number(field: Field, local: str) -> str:
    low = -MAX_INTEGER if field.min is None else field.min
    high = MAX_INTEGER if field.max is None else field.max
    whole = f"type({local}) is not int or not {low!r} <= {local} <= {high!r}"
    if field.step is not None:
        # Steps that are not whole are decided in decimal arithmetic by the normalizer.
        if not isinstance(field.step, int) or not isinstance(field.min or 0, int):
            return "True"
        return f"{whole} or ({local} - {field.min or 0!r}) % {field.step!r}"
    if field.type == "integer":
        return whole
    low = -_LARGEST_FLOAT if field.min is None else field.min
    high = _LARGEST_FLOAT if field.max is None else field.max
    return f"({whole}) and (type({local}) is not float or not {low!r} <= {local} <= {high!r})"


def _text(field: Field, local: str) -> list[str]:
    low, high = field.min_length or 0, field.max_length
    checks = [f"type({local}) is not str"]
    if low or high is not None:
        checks.append(f"not {low} <= len({local})" + ("" if high is None else f" <= {high}"))
    if low:
        checks.append(f"{local}.isspace()")
    # Printable is the common case and quick to see; for the rest the exact set is searched.
    return [*checks, f"not {local}.isprintable() and odd({local}) is not None"]


def _url(local: str) -> list[str]:
    # The first step of `url_problem`, without the call: most URLs are plain.
    plain = f"len({local}) < {PLAIN_BELOW} and plain({local})"
    return [f"type({local}) is not str", f"not ({plain}) and url_problem({local}) is not None"]


def _across(contract: Contract, locals_: dict[str, str], refuse: str) -> list[str]:
    """Defaults that yield to rivals, and the rules over several fields."""
    doubts = ["issues"]
    for group in contract.exclusive:
        doubts.append(" + ".join(f"({locals_[name]} is not ABSENT)" for name in group) + " > 1")
    lines = [f"if {' or '.join(doubts)}: {refuse}"]
    fills = []
    for name, field in contract.fields.items():
        groups = [group for group in contract.exclusive if name in group]
        if field.has_default and groups:
            rivals = dict.fromkeys(locals_[rival] for group in groups for rival in group)
            lines.append(f"y{locals_[name]} = {' and '.join(f'{local} is ABSENT' for local in rivals)}")
            fills.append(f"if y{locals_[name]}: {locals_[name]} = d[{name!r}] = {field.default!r}")
    lines += fills
    for group in contract.together:
        present = " + ".join(f"({locals_[name]} is not ABSENT)" for name in group)
        lines.append(f"if ({present}) not in (0, {len(group)}): {refuse}")
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
        return [f"if issues is None and len(repr(data)) * 4 > {MAX_REQUEST_BYTES}: bounded(data)"]
    lengths = " + ".join(f"(0 if v{n} is ABSENT else len(v{n}))" for n, _ in open_texts)
    return [f"if ({lengths}) * {_BYTES_PER_CHARACTER} > {MAX_REQUEST_BYTES // 2}: bounded(data)"]


def _work(contract: Contract, locals_: dict[str, str]) -> str:
    """`work_class` as an expression: a look-up where resolution and duration are always there and few."""
    fields = [contract.fields.get(name) for name in ("generation_resolution", "generation_duration")]
    always = [f for f in fields if f is not None and not contract.may_be_absent(f.name)]
    if None in fields or len(always) < 2:
        return "work_class(d)"
    size, seconds = (locals_[field.name] for field in always)
    return f"f'{{{size}}}/{{{seconds}}}s'"
