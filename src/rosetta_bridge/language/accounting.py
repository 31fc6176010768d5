"""The first total: every public field is used, fixed by `accepts`, or dropped with a reason, on every route.

"Used" depends on the path: a table row that ignores a second field loses it, and so does a text that
disappears because another part of it is absent. So a field that is used conditionally is followed through
every combination of the fields that guard it. A default counts as given: that is how a resolution that was
silently not honoured came to light.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, product
from typing import Any, Final, NamedTuple

from rosetta_bridge.render import choose

from .contract import Contract, Reporter
from .expressions import Expr, Items, Numbered, Object, Omit, Ref, Switch, Text, Unsupported, children, walk
from .fields import ABSENT, same
from .mapping import Route

MAX_COMBINATIONS: Final = 50_000
_GONE: Final = "gone"  # absent: takes its text or list item with it
_LEFT_OUT: Final = "left out"
_HERE: Final = "here"
_BLOCKED: Final = "blocked"  # the provider cannot: nothing is lost, the request is refused
_Use = tuple[str, frozenset[str]]
_NONE: Final[frozenset[str]] = frozenset()


def named_values(routes: Iterable[Route]) -> dict[str, list[Any]]:
    """By field, every value that a table, a `when` or a rule names."""
    named: dict[str, list[Any]] = {}
    for route in routes:
        for condition in (*route.when, *(c for rule in route.refuses for c in rule.when)):
            named.setdefault(condition.field, []).extend(condition.values)
        for expr in route.parts:
            if isinstance(expr, Switch):
                named.setdefault(expr.field, []).extend(key for key, _ in expr.rows)
        for name, accept in route.accepts.items():
            named.setdefault(name, []).extend(accept.values or ())
    return named


def domains(names: Iterable[str], contract: Contract, named: dict[str, list[Any]]) -> list[tuple[Any, ...]]:
    """For each field its samples, with ABSENT first where it can be absent."""
    result = []
    for name in names:
        samples = contract.fields[name].samples(named.get(name, ()))
        result.append((ABSENT, *samples) if contract.may_be_absent(name) else samples)
    return result


class _Entry(NamedTuple):
    """One line of a body. Fields that it does not read cannot be lost by it, unless it refuses something."""

    entry: tuple[str | Numbered, Expr]
    fields: frozenset[str]
    may_refuse: bool

    @classmethod
    def of(cls, entry: tuple[str | Numbered, Expr]) -> _Entry:
        parts = walk(entry[1])
        read = frozenset([part.field for part in parts if isinstance(part, (Ref, Switch))])
        return cls(entry, read, any(isinstance(part, Unsupported) for part in parts))


def check_accounting(
    route: Route, contract: Contract, landing: list[dict[str, Any]], report: Reporter
) -> None:
    """Report each field that the route can lose. `landing` are the combinations that reach it."""
    named = named_values((route,))
    entries = [_Entry.of(entry) for entry in route.body.entries]
    places: dict[str, list[frozenset[str]]] = {}
    for name, guards in _places(route.body, _NONE, False):
        places.setdefault(name, []).append(guards)
    for name, field in contract.fields.items():
        if name in route.drops or (name in route.accepts and route.accepts[name].fixes):
            continue
        if any(c.field == name and c.wanted == "value" and len(c.values) == 1 for c in route.when):
            continue
        reached = [values[name] for values in landing if name in values]
        if reached and all(value is ABSENT for value in reached):
            continue
        if (
            reached
            and not field.is_url
            and field.type != "string"
            and all(same(v, reached[0]) for v in reached)
        ):
            continue
        if (lost := _lost(name, places.get(name, []), entries, named, route, contract)) is not None:
            report(*_told(name, lost, route, contract))
        elif field.is_list:
            _check_first_item(name, route, report)


def _told(
    name: str, lost: dict[str, Any], route: Route, contract: Contract
) -> tuple[tuple[str, ...], str, str]:
    others = [
        f"{n} {'absent' if v is ABSENT else 'given' if contract.fields[n].finite() is None else v}"
        for n, v in lost.items()
        if n != name
    ]
    when = f" with {', '.join(others)}" if others else ""
    message = f"{name} is lost on the route {route.name}{when}"
    return ("body",), message, "use it, fix it with `accepts`, or name it in `drops` with the reason"


def _check_first_item(name: str, route: Route, report: Reporter) -> None:
    picks = {e.pick for e in route.parts if isinstance(e, Ref) and e.field == name}
    if picks and not picks & {"", "first", "each"}:
        report(("body",), f"the first item of {name} is lost on the route {route.name}", "use .first as well")


def _lost(
    name: str,
    occurrences: list[frozenset[str]],
    entries: list[_Entry],
    named: dict[str, list[Any]],
    route: Route,
    contract: Contract,
) -> dict[str, Any] | None:
    """A combination of values with which the field is given and not used; None when there is none."""
    if not occurrences:
        return {}
    if any(not guards for guards in occurrences):
        return None
    names = sorted({name, *(n for guards in occurrences for n in guards)})
    for group in (*contract.together, *contract.exclusive, *(rule.fields for rule in route.refuses)):
        if name in group:
            names = sorted({*names, *group})
    choices = domains(names, contract, named)
    body = Object(tuple(e.entry for e in entries if e.may_refuse or not e.fields.isdisjoint(names)))
    for combination in islice(product(*choices), MAX_COMBINATIONS):
        values = dict(zip(names, combination, strict=True))
        if values[name] is ABSENT or not _eligible(values, route, contract):
            continue
        state, used = _uses(body, values, False)
        if state != _BLOCKED and name not in used:
            return values
    return None


def _eligible(values: dict[str, Any], route: Route, contract: Contract) -> bool:
    """Whether nothing but the body can refuse these values; fields that are not named are not judged."""
    present = {k: v for k, v in values.items() if v is not ABSENT}
    if not contract.possible(values):
        return False
    if any(not c.holds(present) for c in route.when if c.field in values):
        return False
    if any(route.accepts[n].refusal(v) is not None for n, v in present.items() if n in route.accepts):
        return False
    if any(rule.fires(present) for rule in route.refuses if all(n in values for n in rule.fields)):
        return False
    for name in route.drops:
        field = contract.fields[name]
        if (
            name in present
            and field.strength == "binding"
            and not (field.has_default and same(present[name], field.default))
        ):
            return False
    return True


def _places(expr: Expr, guards: frozenset[str], in_item: bool) -> Iterator[tuple[str, frozenset[str]]]:
    """For each place where a field is used: the field, and those that decide whether the place is reached."""
    match expr:
        case Ref(field, pick):
            yield field, guards if pick == "second" else guards - {field}
        case Switch():
            yield expr.field, guards
            for cell in children(expr):
                yield from _places(cell, guards | {expr.field}, in_item)
        case Text(parts):
            beside = guards | _sources(parts)
            for part in parts:
                yield from _places(part, beside - {part.field} if isinstance(part, Ref) else beside, in_item)
        case Object(entries):
            inside = guards | (_sources([e for _, e in entries]) if in_item else _NONE)
            for _, value in entries:
                yield from _places(value, inside, in_item)
        case Items():
            for item in expr.items:
                yield from _places(item, guards, True)


def _sources(parts: Iterable[Expr]) -> frozenset[str]:
    """Fields whose absence makes one of these parts absent; lists inside manage their own items."""
    names: set[str] = set()
    for part in parts:
        if isinstance(part, Ref):
            names.add(part.field)
        elif isinstance(part, Switch):
            names.add(part.field)
            names |= _sources(children(part))
        elif not isinstance(part, Items):
            names |= _sources(children(part))
    return frozenset(names)


def _uses(expr: Expr, values: dict[str, Any], in_item: bool) -> _Use:
    """What becomes of an expression, and which fields reach the provider through it."""
    match expr:
        case Ref():
            return _uses_ref(expr, values)
        case Switch():
            return _uses_switch(expr, values, in_item)
        case Text(parts):
            return _together([_uses(part, values, in_item) for part in parts], strict=True)
        case Object(entries):
            return _together([_uses(value, values, in_item) for _, value in entries], strict=in_item)
        case Items():
            inside = [_uses(item, values, True) for item in expr.items]
            blocked = any(state == _BLOCKED for state, _ in inside)
            return (_BLOCKED if blocked else _HERE), _NONE.union(
                *(used for state, used in inside if state == _HERE)
            )
        case Omit():
            return _LEFT_OUT, _NONE
        case Unsupported():
            return _BLOCKED, _NONE
    return _HERE, _NONE


def _uses_ref(ref: Ref, values: dict[str, Any]) -> _Use:
    value = values.get(ref.field)
    if value is ABSENT:
        return (_LEFT_OUT if ref.pick == "each" else _GONE), _NONE
    if ref.pick in ("second", "rest") and isinstance(value, tuple) and len(value) < 2:
        return _GONE, _NONE
    return _HERE, frozenset((ref.field,))


def _uses_switch(switch: Switch, values: dict[str, Any], in_item: bool) -> _Use:
    if switch.field not in values:  # not followed here: count on what every row has in common
        cells = [_uses(cell, values, in_item) for _, cell in switch.cells()]
        return _HERE, frozenset((switch.field,)) | frozenset.intersection(
            *(used for _, used in cells)
        ) if cells else _NONE
    value = values[switch.field]
    cell = choose(switch, value)
    if cell is None:
        return (_GONE if value is ABSENT else _BLOCKED), _NONE
    state, used = _uses(cell, values, in_item)
    return state, used | {switch.field} if value is not ABSENT else used


def _together(parts: list[_Use], strict: bool) -> _Use:
    """Parts of one text or object: `strict` when an absent part takes the others with it."""
    states = [state for state, _ in parts]
    if _BLOCKED in states:
        return _BLOCKED, _NONE
    if strict and _GONE in states:
        return _GONE, _NONE
    return _HERE, _NONE.union(*(used for _, used in parts))
