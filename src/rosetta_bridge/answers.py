"""Every answer that a table of constants can give, worked out beforehand for the compiled route."""

from __future__ import annotations

from itertools import product
from typing import Any, Final

from .contract import Contract
from .expressions import Expr, Literal, Omit, Switch, Unsupported, walk
from .fields import ABSENT
from .render import OMITTED, choose

MAX_TABLE: Final = 4096
_REFUSED: Final = object()


def answers(switch: Switch, contract: Contract) -> tuple[list[str], dict[Any, Any]] | None:
    """The fields that decide, and the good answers by their values; None for no table of constants.

    The key is the value itself where one field decides, else the values as a tuple. What the provider cannot
    is not there.
    """
    inner = list(walk(switch))
    if not all(isinstance(e, Switch | Literal | Omit | Unsupported) for e in inner):
        return None
    names = list(dict.fromkeys(e.field for e in inner if isinstance(e, Switch)))
    domains = []
    for name in names:
        finite = contract.fields[name].finite()
        if finite is None:
            return None
        domains.append((ABSENT, *finite) if contract.may_be_absent(name) else finite)
    cells: dict[Any, Any] = {}
    for number, values in enumerate(product(*domains)):
        if number >= MAX_TABLE:
            return None
        if (answer := _answer(switch, dict(zip(names, values, strict=True)))) is not _REFUSED:
            cells[values if len(names) > 1 else values[0]] = answer
    return names, cells


def _answer(expr: Expr, values: dict[str, Any]) -> Any:
    """What the interpreter would do with the table."""
    while isinstance(expr, Switch):
        value = values[expr.field]
        cell = choose(expr, value)
        if cell is None:
            return ABSENT if value is ABSENT else _REFUSED
        expr = cell
    return expr.value if isinstance(expr, Literal) else OMITTED if isinstance(expr, Omit) else _REFUSED
