"""Static checks: what can be known about a mapping without sending a request.

Rows of tables are compared with the values that the public contract allows (totality, no row that is never
reached), routes are reached by enumerating what their `when` can tell apart, and size cells are compared
with their ratio row. `accounting` adds the total over public fields. All problems of a mapping are reported
at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from typing import Any, Final

from rosetta_bridge.errors import InvalidCatalog, Problem
from rosetta_bridge.render import render_route

from .accounting import check_accounting, domains, named_values
from .contract import Contract, Reporter
from .expressions import Items, Numbered, Object, walk
from .fields import ABSENT, Field, among
from .mapping import Accept, Mapping, Refusal, Route
from .tables import check_switches
from .yaml12 import Path

MAX_COMBINATIONS: Final = 50_000


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
    check_switches(route.body, contract, route, report)
    for part in route.price.parts if route.price else ():
        for expr in (part.usd, part.size):
            if expr is not None:
                check_switches(expr, contract, route, report, priced=True)
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
        _, *inner = walk(value)
        if isinstance(value, Object) or any(isinstance(e, (Object, Items)) for e in inner):
            report(("body", str(key)), "multipart carries scalars, lists of scalars and files only")


def _check_accept(field: Field, accept: Accept, report: Reporter) -> None:
    at: Path = ("accepts", field.name)
    finite = field.finite()
    if accept.none or (finite is not None and len(finite) == 1):
        return
    if accept.values is not None:
        if finite is not None and all(among(v, accept.values) for v in finite):
            report(at, "narrows nothing: these are all public values", "remove the line")
        return
    for key in ("min", "max", "step", "max_items", "max_length"):
        value, public = getattr(accept, key), getattr(field, key)
        if value is None or public is None:
            continue
        if value <= public if key == "min" else value == public if key == "step" else value >= public:
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
    choices = domains(names, contract, named_values((route,)))
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


def _landing(contract: Contract, mapping: Mapping) -> dict[str, list[dict[str, Any]]]:
    """For each route the combinations that reach it, over all fields that a `when` names."""
    names = sorted({c.field for route in mapping.routes for c in route.when})
    choices = domains(names, contract, named_values(mapping.routes))
    landing: dict[str, list[dict[str, Any]]] = {route.name: [] for route in mapping.routes}
    for combination in islice(product(*choices), MAX_COMBINATIONS):
        values = dict(zip(names, combination, strict=True))
        present = {k: v for k, v in values.items() if v is not ABSENT}
        if contract.possible(values) and (route := mapping.route(present)) is not None:
            landing[route.name].append(values)
    return landing


def _excluded_by_defaults(contract: Contract, mapping: Mapping) -> list[Problem]:
    """A caller who sets nothing must not lose a provider for ever: some request with all defaults renders."""
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
