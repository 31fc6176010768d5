"""Static checks of tables: total over the public values, no row unreached, sizes true to their ratio."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from rosetta_bridge.errors import did_you_mean

from .contract import Contract, Reporter
from .expressions import Expr, Literal, Object, Switch, walk
from .fields import Field, among
from .mapping import Accept, Route
from .parsing import Parser
from .yaml12 import Doc

_RATIO = re.compile(r"([0-9]+(?:\.[0-9]+)?):([0-9]+(?:\.[0-9]+)?)\Z")
_SIDES = re.compile(r"([1-9][0-9]*)[xX*:]([1-9][0-9]*)\Z")
_TOLERANCE: Final = 0.05


def check_tables(contract: Contract, doc: Doc) -> None:
    """The tables of a `model.yaml`: total over every public value, sizes true to their ratio."""
    report = Reporter(doc)
    parser = Parser(contract, report)
    for name in parser.tables:
        if name in contract.fields:
            report(("tables", name), f"{name} is a field already")
        check_switches(parser.parse(f"${name}", ("tables", name)), contract, None, report)
    report.stop()


def check_switches(
    expr: Expr, contract: Contract, route: Route | None, report: Reporter, priced: bool = False
) -> None:
    for part in walk(expr):
        if isinstance(part, Switch):
            _check_rows(part, contract, route, report, priced)
            _check_sizes(part, contract, report)


def _reachable(name: str, contract: Contract, route: Route | None) -> tuple[list[Any] | None, bool]:
    """The values that can reach a table of this route (None: endless); whether the field can be absent."""
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
                f"the {'$else' if switch.other else '$present'} row is never reached: no value is left",
            )
    if switch.absent is not None and not absent:
        report((*path, "$absent"), f"the row $absent is never reached: {field.name} is always there")
    if priced and absent and switch.absent is None:
        report(path, f"a price needs a row for absent {field.name}", "add `$absent`")
    for key, cell in switch.cells():
        if isinstance(cell, Literal):
            continue
        # A shared table may be used inside a row over the same field; written in place, the two can be one.
        inline = (e for e in walk(cell) if isinstance(e, Switch) and e.path[: len(path)] == path)
        if any(e.field == field.name for e in inline):
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
