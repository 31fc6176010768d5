"""Static checks: what can be known about a mapping without sending a request.

Rows of tables are compared with the values that the public contract allows (totality, no row that is never reached),
routes are reached by enumerating what their `when` can tell apart, and size cells are compared with their ratio row.
`accounting` adds the total over public fields. All problems of a mapping are reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, product
from typing import Any, Final

from .accounting import check_accounting, domains, named_values
from .contract import Contract, Reporter
from .errors import InvalidCatalog, Problem, did_you_mean
from .expressions import Expr, Items, Literal, Numbered, Object, Parser, Switch, walk
from .fields import ABSENT, Field, among
from .mapping import Accept, Mapping, Refusal, Route
from .render import choose, render_route
from .yaml12 import Doc, Path

MAX_COMBINATIONS: Final = 50_000
_RATIO = re.compile(r"([0-9]+(?:\.[0-9]+)?):([0-9]+(?:\.[0-9]+)?)\Z")
_SIDES = re.compile(r"([1-9][0-9]*)[xX*:]([1-9][0-9]*)\Z")
_TOLERANCE: Final = 0.05


def check_tables(contract: Contract, doc: Doc) -> None:
    """The tables of a `model.yaml`: total over every public value, sizes true to their ratio."""
    report = Reporter(doc)
    parser = Parser(contract, report)
    for name in doc.data.get("tables") or {}:
        if name in contract.fields:
            report(("tables", name), f"{name} is a field already")
        _check_switches(parser.parse(f"${name}", ("tables", name)), contract, None, report)
    report.stop()


def check_mapping(contract: Contract, mapping: Mapping) -> None:
    """Raise `InvalidCatalog` with every problem of a parsed mapping."""
    problems: list[Problem] = []
    landing = _landing(contract, mapping)
    for route in mapping.routes:
        report = Reporter(route.source)
        if not landing[route.name]:
            at: Path = ("when",) if route.when else ()
            report(
                at,
                f"the route {route.name} is never reached",
                "routes are tried in order; an earlier one takes all of its requests",
            )
        else:
            _check_route(route, contract, landing[route.name], report)
        problems += [p for p in report.problems if p not in problems]
    problems += _idle_refusals(contract, mapping)
    if not problems:
        problems += _excluded_by_defaults(contract, mapping)
    if problems:
        raise InvalidCatalog(problems)


def _check_route(route: Route, contract: Contract, landing: list[dict[str, Any]], report: Reporter) -> None:
    _check_switches(route.body, contract, route, report)
    for part in route.price.parts if route.price else ():
        for expr in (part.usd, part.size):
            if expr is not None:
                _check_switches(expr, contract, route, report, priced=True)
    for name, accept in route.accepts.items():
        _check_accept(contract.fields[name], accept, report)
    used = route.mentions()
    for name in route.drops:
        if name in used:
            report(("drops", name), f"{name} is dropped and used as well", "remove one of the two")
    set_here = {key for key in native_keys(route.body) if "." not in key}
    for index, name in enumerate(route.leaves):
        if name in set_here:
            report(("leaves", index), f"{name} is left out and set as well", "remove one of the two")
        if name in route.must_set:
            report(("leaves", index), f"{name} must be set: left out it costs money or changes the result")
    if route.encoding == "multipart":
        _check_parts(route.body, report)
    check_accounting(route, contract, landing, report)


def native_keys(body: Object) -> Iterator[str]:
    """The native parameters that a body can set; inside objects as `outer.inner`."""
    for key, value in body.entries:
        if isinstance(key, Numbered):
            yield from (f"{key.name}_{i}" for i in range(key.start, key.stop + 1))
            continue
        yield key
        if isinstance(value, Object):
            yield from (f"{key}.{inner}" for inner in native_keys(value))


def _check_parts(body: Object, report: Reporter) -> None:
    for key, value in body.entries:
        inner = walk(value)
        next(inner)
        nested = isinstance(value, Object) or any(isinstance(e, Object) for e in inner)
        if nested or any(isinstance(e, Items) for e in inner):
            report(("body", str(key)), "multipart carries scalars, lists of scalars and files only")


# Tables ------------------------------------------------------------------------------------------------------------


def _check_switches(
    expr: Expr, contract: Contract, route: Route | None, report: Reporter, priced: bool = False
) -> None:
    for part in walk(expr):
        if isinstance(part, Switch):
            _check_rows(part, contract, route, report, priced)
            _check_sizes(part, contract, report)


def _reachable(name: str, contract: Contract, route: Route | None) -> tuple[list[Any] | None, bool]:
    """(values that can reach a table of this route, None when endless; whether the field can be absent there)."""
    field = contract.fields[name]
    finite, absent = field.finite(), contract.may_be_absent(name)
    if route is None:
        return (None if finite is None else list(finite)), absent
    accept = route.accepts.get(name, Accept())
    conditions = [c for c in route.when if c.field == name and not c.second]
    absent = absent and all(c.wanted == "absent" for c in conditions)
    if accept.none or any(c.wanted == "absent" for c in conditions):
        return [], True
    values = None
    if finite is not None:
        values = [
            v for v in finite if accept.refusal(v) is None and all(c.holds({name: v}) for c in conditions)
        ]
    elif accept.values is not None:
        values = list(accept.values)
    return values, absent


def _check_rows(
    switch: Switch, contract: Contract, route: Route | None, report: Reporter, priced: bool
) -> None:
    field, path = contract.fields[switch.field], switch.path
    needed, absent = _reachable(field.name, contract, route)
    rest = switch.other or switch.present
    _check_row_names(switch, field, report)
    listed = [key for key, _ in switch.rows]
    if switch.other and switch.present:
        report(path, "`$present` and `$else` both mean the remaining values", "keep one")
    if needed is None:
        if rest is None:
            report(path, f"the table over {field.name} has no row for other values", "add `$else`")
    else:
        missing = [value for value in needed if not among(value, listed)]
        if missing and rest is None:
            told = ", ".join(_word(value) for value in missing)
            report(
                path,
                f"the table over {field.name} has no row for {told}",
                "write `$unsupported` if the provider cannot",
            )
        if rest is not None and not missing and needed:
            report(
                path,
                f"the {'$else' if switch.other else '$present'} row is never reached: all values have their own",
            )
    if switch.absent is not None and not absent:
        report((*path, "$absent"), f"the row $absent is never reached: {field.name} is always there")
    if priced and absent and switch.absent is None:
        report(path, f"a price needs a row for absent {field.name}", "add `$absent`")
    for key, cell in switch.cells():
        if any(isinstance(e, Switch) and e.field == field.name for e in walk(cell)):
            report(
                (*path, key), f"a table over {field.name} inside a table over {field.name}", "join the two"
            )


def _check_row_names(switch: Switch, field: Field, report: Reporter) -> None:
    finite = field.finite()
    for key, _ in switch.rows:
        at = (*switch.path, key)
        if finite is not None:
            if not among(key, finite):
                twin = next((v for v in finite if _word(v) == _word(key)), None)
                hint = (
                    f"write {_quoted(twin)}"
                    if twin is not None
                    else did_you_mean(_word(key), map(_word, finite))
                )
                report(at, f"the row {key!r} is never reached: no such value of {field.name}", hint)
        elif field.type not in ("integer", "number"):
            report(at, f"the row {key!r}: a {field.type} has no values to list", "use $present and $absent")
        elif isinstance(key, bool) or not isinstance(key, int | float) or not field.within(key):
            report(at, f"the row {key!r} is never reached: {field.name} cannot have this value")


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else _word(value)


def _check_sizes(switch: Switch, contract: Contract, report: Reporter) -> None:
    """Under a row such as 16:9 every size has the same orientation and is within 5 % of the ratio."""
    for row, cell in switch.rows:
        ratio = _RATIO.match(row) if isinstance(row, str) else None
        if ratio is None:
            continue
        wanted = float(ratio[1]) / float(ratio[2])
        for shown, actual in _cell_ratios(cell):
            turned = (actual > 1) != (wanted > 1) or (actual == 1) != (wanted == 1)
            if turned or abs(actual / wanted - 1) > _TOLERANCE:
                report(
                    (*switch.path, row),
                    f"the size {shown} is not {row}",
                    "sides turned round, or the wrong row?",
                )


def _cell_ratios(cell: Expr) -> Iterator[tuple[str, float]]:
    for part in walk(cell):
        if isinstance(part, Literal) and isinstance(part.value, str):
            if sides := _SIDES.match(part.value):
                yield part.value, int(sides[1]) / int(sides[2])
            elif part.value.startswith(("landscape_", "portrait_")):
                continue
        elif isinstance(part, Object):
            sizes = {
                k: v.value for k, v in part.entries if isinstance(v, Literal) and isinstance(v.value, int)
            }
            if sizes.get("width") and sizes.get("height"):
                yield f"{sizes['width']}x{sizes['height']}", sizes["width"] / sizes["height"]


# Limits ------------------------------------------------------------------------------------------------------------


def _check_accept(field: Field, accept: Accept, report: Reporter) -> None:
    at: Path = ("accepts", field.name)
    finite = field.finite()
    if accept.none or (finite is not None and len(finite) == 1):
        return
    if accept.values is not None:
        if finite is not None and all(among(v, accept.values) for v in finite):
            report(at, "narrows nothing: these are all public values", "remove the line")
        return
    number, text = field.type in ("integer", "number"), field.type in ("string", "string_list")
    for key, fits, public in (
        ("min", number, field.min), ("max", number, field.max), ("step", number, field.step),
        ("max_items", field.is_list, field.max_items), ("max_length", text and not field.is_list, field.max_length),
    ):  # fmt: skip
        value = getattr(accept, key)
        if value is None:
            continue
        if not fits or isinstance(value, bool) or not isinstance(value, int | float):
            report(at, f"{key}: {value!r} means nothing for {field.type}")
        elif public is not None and (
            value <= public if key == "min" else value == public if key == "step" else value >= public
        ):
            report(at, f"{key}: {value} narrows nothing: the contract has {public}", "remove it")


def _idle_refusals(contract: Contract, mapping: Mapping) -> list[Problem]:
    """Rules that can fire on no route that has them."""
    found: dict[str, tuple[bool, Problem]] = {}
    for route in mapping.routes:
        for index, rule in enumerate(route.refuses):
            problem = route.source.problem(
                ("refuses", index),
                f"the rule can never fire: {rule.because}",
                "remove it, or check its values",
            )
            key = f"{problem.file}:{problem.line}"
            found[key] = (found.get(key, (False, problem))[0] or _can_fire(rule, contract, route), problem)
    return [problem for fires, problem in found.values() if not fires]


def _can_fire(rule: Refusal, contract: Contract, route: Route) -> bool:
    if rule.sum:
        return (
            sum(_most(contract.fields[name], route.accepts.get(name, Accept())) for name in rule.sum)
            > rule.max
        )
    names = list(rule.fields)
    choices = domains(names, contract, {name: named_values(name, (route,)) for name in names})
    for combination in islice(product(*choices), MAX_COMBINATIONS):
        values = dict(zip(names, combination, strict=True))
        present = {k: v for k, v in values.items() if v is not ABSENT}
        if not rule.fires(present) or not contract.possible(values):
            continue
        if any(not c.holds(present) for c in route.when if c.field in values):
            continue
        if all(route.accepts[n].refusal(v) is None for n, v in present.items() if n in route.accepts):
            return True
    return False


def _most(field: Field, accept: Accept) -> float:
    if field.is_list:
        return min(field.max_items or 64, accept.max_items or 64)
    limits = [
        v for v in (field.max, accept.max, *([max(field.values)] if field.values else [])) if v is not None
    ]
    return min(limits) if limits else float("inf")


# Routes ------------------------------------------------------------------------------------------------------------


def _landing(contract: Contract, mapping: Mapping) -> dict[str, list[dict[str, Any]]]:
    """For each route the combinations of presence and values, of all fields that any `when` names, that reach it."""
    names = sorted({c.field for route in mapping.routes for c in route.when})
    choices = domains(names, contract, {name: named_values(name, mapping.routes) for name in names})
    landing: dict[str, list[dict[str, Any]]] = {route.name: [] for route in mapping.routes}
    for combination in islice(product(*choices), MAX_COMBINATIONS):
        values = dict(zip(names, combination, strict=True))
        present = {k: v for k, v in values.items() if v is not ABSENT}
        if contract.possible(values) and (route := mapping.route(present)) is not None:
            landing[route.name].append(values)
    return landing


def _excluded_by_defaults(contract: Contract, mapping: Mapping) -> list[Problem]:
    """A caller who sets nothing must not lose a provider for ever: some request with all defaults must render."""
    fixed: dict[str, Any] = {
        name: field.default for name, field in contract.fields.items() if field.has_default
    }
    fixed |= {n: f.samples()[0] for n, f in contract.fields.items() if f.required}
    asked = {c.field for route in mapping.routes for c in route.when}
    asked |= {name for route in mapping.routes for rule in route.refuses for name in rule.fields}
    asked |= {name for name, field in contract.fields.items() if field.is_url}
    names = sorted(name for name in asked if name not in fixed or contract.fields[name].is_list)
    blame: dict[tuple[str, str], Route] = {}
    for combination in islice(product(*domains(names, contract, {})), 4096):
        values = {**fixed, **{k: v for k, v in zip(names, combination, strict=True) if v is not ABSENT}}
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        if (route := mapping.route(values)) is None:
            continue
        rendered = render_route(route, contract, values, frozenset())
        if not rendered.reasons:
            return []
        blame.update({(f, why): route for f, why in rendered.reasons if f in fixed and f not in names})
    (field, why), route = next(iter(blame.items()), (("", "no request reaches it"), mapping.routes[0]))
    told = (
        f"the default of {field} excludes {mapping.provider} for ever: {why}"
        if field
        else f"{mapping.provider} can do nothing: {why}"
    )
    return [route.source.problem((), told, "choose another default, give none, or drop it with a reason")]


__all__ = ["check_mapping", "check_tables", "choose", "native_keys"]
