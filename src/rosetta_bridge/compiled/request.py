"""A contract as one straight-line function from a caller's dict to a `Request`.

The shape: each field is asked for once and costs one test where it is plainly good; `absent` collects a bit
for every name that is not there, so that a dict with unknown names is one whose length does not add up.
Whatever is in doubt, be it wrong or only unusual (a subclass of text, 2.0 for 2, a list of providers, odd
characters), is given to the normalizer's own step for that one field or name: it takes the value or adds its
issue. So the function never decides itself that something is wrong, and every issue has one home.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from rosetta_bridge.admit import DEFAULT_MAX_ITEMS, LONG_TEXT
from rosetta_bridge.frozen import making
from rosetta_bridge.language.contract import Contract
from rosetta_bridge.language.fields import ABSENT, MAX_INTEGER, ORDER_FIELD, Field
from rosetta_bridge.normalize import DEFAULT_ORDER, MAX_REQUEST_BYTES
from rosetta_bridge.values import Request

from .compile import define
from .doubts import BYTES_PER_CHARACTER, doubts, most_bytes

Door = Callable[[Any], Request]
Rows = Callable[[Mapping[str, Any], frozenset[str]], tuple[Any, ...]]
_LARGEST_FLOAT: Final = 1.7976931348623157e308  # all but infinity
_ISSUES: Final = "    if issues is None: issues = []"


def compile_request(
    contract: Contract, providers: frozenset[str], settle: Callable[[Request], object] = bool
) -> Door:
    """`normalize` for this contract, as a function of the request alone that returns a `Request`.

    `settle` is called with a request whose order is a list of providers; it may refuse it.
    """
    lines, scope = checking(contract, providers)
    asked = "1"
    if (name := "generation_output_number") in contract.fields:
        asked = f"v{list(contract.fields).index(name)}"
        asked = f"1 if {asked} is ABSENT else {asked}" if contract.may_be_absent(name) else asked
    members = {
        "model": repr(contract.id), "kind": repr(contract.kind), "order": "order", "asked": asked,
        "_fields": "FIELDS", "_row": f"({every(contract)}absent)",
    }  # fmt: skip
    *made, last = making(Request, members, scope, later=("_values", "_given", "_work"))
    scope |= {"FIELDS": contract.fields, "settle": settle}
    lines += [*made, "if type(order) is not str: settle(_made)", last]
    source = "\n".join(["def normalize(data):", *(f"    {line}" for line in lines), ""])
    compiled: Door = define("normalize", source, scope, f"{contract.id} request")
    return compiled


def every(contract: Contract) -> str:
    """The local names of all fields' values, each with its comma."""
    return "".join(f"v{number}, " for number in range(len(contract.fields)))


def compile_rows(contract: Contract) -> Rows:
    """The row of a request that did not come from `normalize`, as a function of its values and names.

    It is empty for values that lack what `normalize` puts in always: compiled routes give None for that.
    """
    perhaps = contract.may_be_absent
    found = [f"get({name!r}, ABSENT)" if perhaps(name) else f"values[{name!r}]" for name in contract.fields]
    lines = [
        "def row(values, given):",
        "    absent = 0",
        "    if not FIELDS <= given:",
        *(f"        if {name!r} not in given: absent |= {1 << i}" for i, name in enumerate(contract.fields)),
        "    get = values.get",
        "    try:",
        f"        return {', '.join(found)}, absent",
        "    except KeyError:",
        "        return ()",
        "",
    ]
    scope = {"ABSENT": ABSENT, "FIELDS": frozenset(contract.fields)}
    compiled: Rows = define("row", "\n".join(lines), scope, f"{contract.id} row")
    return compiled


def checking(
    contract: Contract, providers: frozenset[str], copied: bool = True
) -> tuple[list[str], dict[str, Any]]:
    """Lines that read `data` into the names of `every`, `absent` and `order`; and what these lines use.

    `copied`: the caller's lists are copied; otherwise that is left to the one who takes them.
    """
    scope = doubts(contract, providers)
    lines = ["if type(data) is not dict: return other(data)", "issues = None", "absent = 0"]
    for number, field in enumerate(contract.fields.values()):
        lines += _field(contract, field, number, scope, copied)
    count = len(contract.fields)
    lines += [
        # Every name is counted, as here or as absent, so this holds when there are no others.
        f"if len(data) + absent.bit_count() == {count}: order = {DEFAULT_ORDER!r}",
        "else:",
        f"    order = data.get({ORDER_FIELD!r}, ABSENT)",
        f"    known = len(data) + absent.bit_count() == {count + 1}",
        "    if not known or type(order) is not str or order not in ORDERS:",
        "        order, issues = names(data, issues)",
    ]
    lines += _across(contract, f"raise refuse(data, issues, ({every(contract)}))")
    return lines + _size(contract), scope


def _field(contract: Contract, field: Field, number: int, scope: dict[str, Any], copied: bool) -> list[str]:
    """Ask for one field and test it; what is in doubt is the normalizer's to take or refuse."""
    local, name = f"v{number}", repr(field.name)
    scope[f"F{number}"] = field
    lines = [f"if {name} in data:", f"    {local} = data[{name}]"]  # two look-ups are quicker than one `get`
    # Each call has a place of its own, where Python remembers which function it is.
    taken = [
        f"        {local} = null(F{number}) if {local} is None else admit_{field.type}(F{number}, {local})",
        f"        if type({local}) is Issue:",
        f"        {_ISSUES}",
        f"            issues.append({local})",
    ]
    lines += [f"    if {' or '.join(_checks(field, local, scope))}:", *taken]
    if field.is_list:
        item = " or ".join(_url("u") if field.is_url else _text(field, "u"))
        lines += [
            "    else:",
            f"        for u in {local}:",
            f"            if {item}:",
            *(f"        {line}" for line in taken),
            "                break",
            *([f"        else: {local} = {local}.copy()"] if copied else ()),
        ]
    lines += ["else:", f"    absent |= {1 << number}"]
    if field.required:
        return [*lines, f"    {local} = ABSENT", _ISSUES, f"    issues.append(missing(F{number}))"]
    # A default that yields to a rival is filled in later.
    default = "ABSENT" if contract.may_be_absent(field.name) else repr(field.default)
    return [*lines, f"    {local} = {default}"]


def _checks(field: Field, local: str, scope: dict[str, Any]) -> list[str]:
    match field.type:
        case "string":
            return _text(field, local)
        case "enum" | "integer" if (values := field.finite()) is not None:
            scope[f"A{local}"] = frozenset(values)
            kind = "str" if field.type == "enum" else "int"
            return [f"type({local}) is not {kind}", f"{local} not in A{local}"]
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
    if low:
        checks.append(f"len({local}) < {low}" if high is None else f"not {low} <= len({local}) <= {high}")
        checks.append(f"{local}.isspace()")
    elif high is not None:
        checks.append(f"len({local}) > {high}")
    # Most texts are seen to be good by a method of theirs; the exact set is searched in all others.
    short, long = (
        f"{local}.isprintable()",
        f"{local}.isascii() and (b := {local}.encode()).translate(ASCII) == b",
    )
    return [*checks, f"not ({long} if len({local}) > {LONG_TEXT} else {short}) and unclean({local})"]


def _url(local: str) -> list[str]:
    # The first step of `url_problem`, without the call: most URLs are plain.
    return [f"type({local}) is not str", f"plain({local}) is None and url_problem({local}) is not None"]


def _across(contract: Contract, refuse: str) -> list[str]:
    """Defaults that yield to rivals, and the rules over several fields."""
    locals_ = {name: f"v{number}" for number, name in enumerate(contract.fields)}
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
            fills.append(f"if y{locals_[name]}: {locals_[name]} = {field.default!r}")
    lines += fills
    for group in contract.together:
        present = " + ".join(f"({locals_[name]} is not ABSENT)" for name in group)
        lines.append(f"if ({present}) not in (0, {len(group)}): {refuse}")
    return lines


def _size(contract: Contract) -> list[str]:
    """A request of good fields is under the byte limit by itself unless its texts may be very long."""
    most, open_texts = most_bytes(contract)
    if not open_texts and most <= MAX_REQUEST_BYTES:
        return []
    if most > MAX_REQUEST_BYTES // 2 or any(field.is_list for _, field in open_texts):
        return [f"if len(repr(data)) * 4 > {MAX_REQUEST_BYTES}: bounded(data)"]
    lengths = " + ".join(f"(0 if v{n} is ABSENT else len(v{n}))" for n, _ in open_texts)
    return [f"if ({lengths}) * {BYTES_PER_CHARACTER} > {MAX_REQUEST_BYTES // 2}: bounded(data)"]
