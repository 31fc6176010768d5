"""Frozen values, quickly: a copy with changes, and the fields that say something.

The machine copies a run some twenty times in the life of a generation and writes it six times. What
`dataclasses` does by name for each field is done here once per class: reading all fields is one call of
`attrgetter`, writing them one `map` over the slots.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from itertools import repeat
from operator import attrgetter, call
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class _Shape:
    names: tuple[str, ...]
    defaults: tuple[Any, ...]  # `dataclasses.MISSING` where there is none
    read: Callable[[Any], tuple[Any, ...]]
    slots: dict[str, Callable[[Any, Any], None]]
    writers: tuple[Callable[[Any, Any], None], ...]


_SHAPES: dict[type[Any], _Shape] = {}


def _shape(cls: type[Any]) -> _Shape:
    known = _SHAPES.get(cls)
    if known is None:
        fields = dataclasses.fields(cls)
        names = tuple(field.name for field in fields)
        slots = {name: getattr(cls, name).__set__ for name in names} if "__slots__" in cls.__dict__ else {}
        known = _SHAPES[cls] = _Shape(
            names, tuple(map(_default, fields)), _reader(names), slots, tuple(slots.values())
        )
    return known


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if callable(field.default_factory) else field.default


def _reader(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def told(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their default, as they are."""
    shape = _SHAPES.get(type(value)) or _shape(type(value))
    return {
        name: item
        for name, item, default in zip(shape.names, shape.read(value), shape.defaults, strict=True)
        if item is not default and item != default
    }


if TYPE_CHECKING:
    from dataclasses import replace as replace
else:

    def replace(value: T, **changes: Any) -> T:
        """`dataclasses.replace` for slotted dataclasses whose making has no part in their meaning.

        `__init__` and `__post_init__` are not called: what they would check was true of `value` already,
        or is the business of whoever changes it. An unknown field is a `KeyError`.
        """
        cls = type(value)
        shape = _SHAPES.get(cls) or _shape(cls)
        copy = object.__new__(cls)
        any(map(call, shape.writers, repeat(copy), shape.read(value)))
        for name, item in changes.items():
            shape.slots[name](copy, item)
        return copy


@lru_cache(maxsize=1024)
def shared(value: T) -> T:
    """The first value that was equal to this one, so that ten thousand rows with one policy hold it once."""
    return value
