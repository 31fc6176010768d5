"""Python SDK types to JSON Schema, run by the interpreter of a throw-away environment that has the SDK.

Reads `{"omit": [...], "ids": {id: "module:Class.method" or "module:TypedDict"}}` on stdin, writes schemas
per id on stdout. A method is read by its signature (how BytePlus and others type a request), a
`TypedDict` by its keys; an `Annotated` alias is the wire name. Only the standard library is imported
here, besides the SDK itself.
"""

from __future__ import annotations

import collections.abc
import importlib
import inspect
import json
import sys
import types
import typing
from typing import Any

PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
LISTS = (list, set, collections.abc.Iterable, collections.abc.Sequence)
NOTHING = ("NotGiven", "Omit", "NoneType")


def schema_of(annotation: Any) -> dict[str, Any]:
    if annotation is Any or annotation is object:
        return {}
    if annotation in PLAIN:
        return {"type": PLAIN[annotation]}
    origin = typing.get_origin(annotation)
    if is_named(origin, "Annotated") or is_named(origin, "Required") or is_named(origin, "NotRequired"):
        return schema_of(typing.get_args(annotation)[0])
    if is_named(origin, "Literal"):
        return constants(typing.get_args(annotation))
    if origin is typing.Union or origin is types.UnionType:
        return union(typing.get_args(annotation))
    if origin in LISTS or is_named(origin, "SequenceNotStr"):
        return {"type": "array", "items": schema_of(typing.get_args(annotation)[0])}
    if origin in (dict, collections.abc.Mapping):
        return {"type": "object"}
    if hasattr(annotation, "__required_keys__"):
        return typed_dict(annotation)
    if hasattr(annotation, "model_fields"):
        described = annotation.model_fields
        needed = {name for name, field in described.items() if field.is_required()}
        return fields({name: field.annotation for name, field in described.items()}, needed)
    if origin is tuple or is_file(annotation):  # SDKs take (name, content) tuples for a file
        return {"type": "string", "x-file": True}
    raise SystemExit(f"no rule for the annotation {annotation!r}: add one to {__file__}")


def is_named(origin: Any, name: str) -> bool:
    return getattr(origin, "__name__", getattr(origin, "_name", None)) == name


def is_file(annotation: Any) -> bool:
    text = repr(annotation)
    return any(word in text for word in ("IO[", "bytes", "PathLike"))


def constants(values: tuple[Any, ...]) -> dict[str, Any]:
    kind = {PLAIN[type(value)] for value in values}
    return ({"type": kind.pop()} if len(kind) == 1 else {}) | {"enum": sorted(values, key=repr)}


def union(members: tuple[Any, ...]) -> dict[str, Any]:
    """Absent is "left out" on the wire, so the spellings of nothing fall away; equal members are one."""
    found: list[dict[str, Any]] = []
    for member in members:
        if getattr(member, "__name__", "") in NOTHING:
            continue
        schema = schema_of(member)
        if schema not in found:
            found.append(schema)
    if {"type": "string"} in found:  # `str | Literal[...]` is any string
        found = [item for item in found if item == {"type": "string"} or item.get("type") != "string"]
    return found[0] if len(found) == 1 else {"anyOf": found}


def wire_name(name: str, annotation: Any) -> str:
    for extra in getattr(annotation, "__metadata__", ()):
        if getattr(extra, "alias", None):
            return str(extra.alias)
    for inner in typing.get_args(annotation):
        if hasattr(inner, "__metadata__"):
            return wire_name(name, inner)
    return name


def fields(hints: dict[str, Any], required: set[str]) -> dict[str, Any]:
    properties = {wire_name(name, hint): schema_of(hint) for name, hint in hints.items()}
    needed = sorted(wire_name(name, hints[name]) for name in required)
    body: dict[str, Any] = {"type": "object", "properties": dict(sorted(properties.items()))}
    if needed:
        body["required"] = needed
    return body | {"additionalProperties": False}


def typed_dict(target: Any) -> dict[str, Any]:
    """Postponed annotations hide `Required` from `__required_keys__`, so the resolved hints are asked too."""
    hints = typing.get_type_hints(target, include_extras=True)
    marked = {name for name, hint in hints.items() if is_named(typing.get_origin(hint), "Required")}
    return fields(hints, marked | set(target.__required_keys__))


def undecorated(target: Any) -> Any:
    """The function below decorators that forget `functools.wraps`: it is the one in their closure."""
    while getattr(target, "__closure__", None):
        inner = [cell.cell_contents for cell in target.__closure__ if inspect.isfunction(cell.cell_contents)]
        if len(inner) != 1:
            break
        target = inner[0]
    return target


def method(target: Any, omit: set[str]) -> dict[str, Any]:
    parameters = inspect.signature(target).parameters
    hints = typing.get_type_hints(target, include_extras=True)
    kept = {name: hints[name] for name in parameters if name in hints and name not in omit}
    if not kept:
        raise SystemExit(f"{target} has no typed parameter: the schema would accept nothing")
    return fields(kept, {name for name in kept if parameters[name].default is inspect.Parameter.empty})


def load(address: str) -> Any:
    module, _, path = address.partition(":")
    target: Any = importlib.import_module(module)
    for part in path.split("."):
        target = getattr(target, part)
    return target


def main() -> None:
    wanted = json.load(sys.stdin)
    answer = {}
    for key, address in wanted["ids"].items():
        target = load(address)
        is_dict = hasattr(target, "__required_keys__")
        answer[key] = typed_dict(target) if is_dict else method(undecorated(target), set(wanted["omit"]))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
