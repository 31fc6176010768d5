"""What is wrong with an input, found once and said by each provider in its own words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from execution_arrow.sandbox.inputs import Model

#: JSON Schema's word -> ours
_KINDS = {"required": "missing", "additionalProperties": "unknown", "enum": "choice", "type": "type"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong: `kind` is missing, unknown, choice, type or value; `field` is a dotted path."""

    field: str
    kind: str
    message: str


def problems(model: Model, value: Any, *, closed: bool) -> tuple[Problem, ...]:
    """Everything wrong with an input. `closed` refuses names the model does not have."""
    if not isinstance(value, dict):
        return (Problem(field="", kind="type", message="the input is not an object"),)
    if model.properties is None:
        return ()
    found: list[Problem] = []
    for error in sorted(_validator(model, closed).iter_errors(value), key=str):
        found.extend(_read(error))
    return tuple(found)


@cache
def _validator(model: Model, closed: bool) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(
        {
            "type": "object",
            "properties": dict(model.properties or {}),
            "required": list(model.required),
            "additionalProperties": not closed,
        }
    )


def _read(error: Any) -> Iterator[Problem]:
    path = [str(part) for part in error.absolute_path]
    kind = _KINDS.get(error.validator, "value")
    if kind == "missing":
        names = [name for name in error.validator_value if name not in error.instance]
    elif kind == "unknown":
        names = sorted(set(error.instance) - set(error.schema.get("properties", ())))
    else:
        yield Problem(field=".".join(path), kind=kind, message=error.message)
        return
    for name in names:
        what = "is required" if kind == "missing" else "is not allowed"
        yield Problem(field=".".join([*path, name]), kind=kind, message=f"{name} {what}")
