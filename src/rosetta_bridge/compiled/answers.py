"""What an expression makes of a few listed values, worked out beforehand for the compiled route.

The interpreter does the working out, so a table cannot mean another thing here than there.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any, Final, NamedTuple

from rosetta_bridge.language.contract import Contract
from rosetta_bridge.language.expressions import (
    Expr,
    Literal,
    ModelName,
    Object,
    Omit,
    Ref,
    Switch,
    Text,
    Unsupported,
    walk,
)
from rosetta_bridge.language.fields import ABSENT
from rosetta_bridge.render import evaluate

MAX_TABLE: Final = 4096
MAX_MADE: Final = (
    256  # answers that are put together: a larger table would be slower to make than to do without
)
_CELLS: Final = (Switch, Literal, Omit, Unsupported)


class Answers(NamedTuple):
    """The fields that decide, and the good answers by the value of each in turn, as dicts in dicts.

    `copied`: the answers are flat dicts, of which each use needs a copy. `refuses`: some answers are not
    there, as the provider cannot.
    """

    names: list[str]
    cells: dict[Any, Any]
    copied: bool
    refuses: bool


def answers(expr: Expr, contract: Contract, model: str, in_item: bool) -> Answers | None:
    """None where something else than a few listed values decides."""
    parts = walk(expr)
    names = list(dict.fromkeys(part.field for part in parts if isinstance(part, Switch | Ref)))
    if not names or isinstance(expr, Ref) or not all(_plain(part) for part in parts):
        return None
    domains = []
    for name in names:
        finite = contract.fields[name].finite()
        if finite is None:
            return None
        domains.append((ABSENT, *finite) if contract.may_be_absent(name) else finite)
    table = all(isinstance(part, _CELLS) for part in parts)
    if prod(map(len, domains)) > (MAX_TABLE if table else MAX_MADE):
        return None
    cells: dict[Any, Any] = {}
    kinds, refuses = set(), False
    for values in product(*domains):
        named = {name: v for name, v in zip(names, values, strict=True) if v is not ABSENT}
        answer, good = evaluate(expr, named, model, in_item)
        refuses = refuses or not good
        if good:
            _put(cells, values, answer)
            kinds.add(type(answer))
            if isinstance(answer, dict) and any(isinstance(part, dict | list) for part in answer.values()):
                return None
    if dict in kinds and len(kinds) > 1:
        return None
    return Answers(names, cells, dict in kinds, refuses)


def _plain(part: Expr) -> bool:
    """Whether its answer is one value, or a dict of such, for given values of its fields."""
    match part:
        case Ref(_, pick, fetch):
            return not pick and not fetch
        case Object(entries):
            return all(isinstance(key, str) for key, _ in entries)
    return isinstance(part, (*_CELLS, Text, ModelName))


def _put(cells: dict[Any, Any], values: tuple[Any, ...], answer: Any) -> None:
    *path, last = values
    for value in path:
        cells = cells.setdefault(value, {})
    cells[last] = answer
