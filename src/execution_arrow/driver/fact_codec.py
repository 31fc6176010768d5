"""Facts as JSON objects, for the inbox of a store."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from execution_arrow.facts import Fact, Fault, Output, StatusFact, Stored, Timer
from execution_arrow.values import told

_KINDS: dict[str, type[Any]] = {cls.__name__: cls for cls in Fact.__args__}


def encode(fact: Fact) -> dict[str, Any]:
    """Write a fact as a JSON object with its `kind`; fields at their default are left out."""
    return {"kind": type(fact).__name__, **{name: _plain(value) for name, value in told(fact).items()}}


def decode(body: Mapping[str, Any]) -> Fact:
    """Read what `encode` wrote. Raises `ValueError` for a kind that this version does not know."""
    cls = _KINDS.get(body["kind"])
    if cls is None:
        raise ValueError(
            f"unknown fact {body['kind']!r}: it was written by a newer version; upgrade this one"
        )
    values = {name: _rebuild(name, value) for name, value in body.items() if name != "kind"}
    if "fault" in values:
        values["fault"] = Fault(values["fault"])
    if "timer" in values:
        values["timer"] = Timer(values["timer"])
    return cls(**values)  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, StatusFact):
        return encode(value)
    if dataclasses.is_dataclass(value):
        return told(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return value


def _rebuild(name: str, value: Any) -> Any:
    if name == "outputs":
        return tuple(Output(**item) for item in value)
    if name == "file":
        return Stored(**value)
    if name == "told":
        return decode(value)
    return value
