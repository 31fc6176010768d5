"""Frozen values, quickly: making one, a copy with changes, and the fields that say something.

The machine copies a run some twenty times in the life of a generation and writes it six times. A frozen
dataclass writes every field past its own lock, one call of `object.__setattr__` each, which is most of the
time that it takes to make one. Here it is written open and locked when it is whole: a twin of the class has
the same slots and no lock, and an object becomes its class at the end. What is done by name for each field is
compiled once per class, when it is first needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")


def told(value: Any) -> dict[str, Any]:
    """The fields of a slotted dataclass that differ from their default, as they are."""
    cls = type(value)
    found: dict[str, Any] = (_TELLERS.get(cls) or _teller(cls))(value)
    return found


def _teller(cls: type[Any]) -> Callable[[Any], dict[str, Any]]:
    return _TELLERS.setdefault(cls, _compiled(cls, _telling(dataclasses.fields(cls))))


def _telling(fields: tuple[dataclasses.Field[Any], ...]) -> str:
    """The source of a function that tells what differs from the defaults."""
    lines = ["told = {}"]
    for field in fields:
        name, usual = field.name, f"_usual_{field.name}"
        if _default(field) is dataclasses.MISSING:
            lines.append(f"told[{name!r}] = value.{name}")
        else:
            lines += [f"item = value.{name}", f"if item is not {usual} and item != {usual}:",
                      f"    told[{name!r}] = item"]  # fmt: skip
    return "def made(value):\n    " + "\n    ".join([*lines, "return told"])


def _default(field: dataclasses.Field[Any]) -> Any:
    """`dataclasses.MISSING` where there is none."""
    return field.default_factory() if callable(field.default_factory) else field.default


def quick(cls: type[T]) -> type[T]:
    """Let a frozen, slotted dataclass be made as quickly as an open one; nothing else about it changes.

    For classes of four fields and more that are made often. It goes above `@dataclass(...)`.
    """
    _twin(cls)  # what cannot be made this way is told here, not by the first one that is made
    usual: Callable[..., None] = cls.__init__

    @wraps(usual)
    def first(self: Any, *args: Any, **values: Any) -> None:
        making = wraps(usual)(_compiled(cls, _making(dataclasses.fields(cls), cls)))  # type: ignore[arg-type]
        cls.__init__ = making  # type: ignore[method-assign]
        making(self, *args, **values)

    cls.__init__ = first  # type: ignore[method-assign]
    return cls


def _making(fields: tuple[dataclasses.Field[Any], ...], cls: type[Any]) -> str:
    """The source of an `__init__` that takes what the usual one takes."""
    places = [_parameter(field) for field in fields if field.init and not field.kw_only]
    names = [_parameter(field) for field in fields if field.init and field.kw_only]
    lines = ["_become(self, '__class__', _Open)"]
    for field in fields:
        made, given = f"_fields[{field.name!r}].default_factory()", field.name
        if callable(field.default_factory):
            given = f"{made} if {field.name} is _ABSENT else {field.name}" if field.init else made
        elif not field.init:
            given = f"_fields[{field.name!r}].default"
        lines.append(f"self.{field.name} = {given}")
    lines.append("self.__class__ = _Class")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    parameters = ["self", *places, *(["*"] if names else []), *names]
    return f"def made({', '.join(parameters)}):\n    " + "\n    ".join(lines)


def _parameter(field: dataclasses.Field[Any]) -> str:
    if callable(field.default_factory):
        return f"{field.name}=_ABSENT"
    return (
        field.name
        if field.default is dataclasses.MISSING
        else f"{field.name}=_fields[{field.name!r}].default"
    )


def _copying(fields: tuple[dataclasses.Field[Any], ...]) -> str:
    """The source of a function that copies a value with changes."""
    lines = [
        "copy = _new(_Open)",
        *(f"copy.{field.name} = value.{field.name}" for field in fields),
        "for name in changes:",
        "    _write(copy, name, changes[name])",
        "copy.__class__ = _Class",
        "return copy",
    ]
    return "def made(value, changes):\n    " + "\n    ".join(lines)


def _compiled(cls: type[Any], source: str) -> Any:
    around = {
        "_Class": cls, "_Open": _twin(cls), "_ABSENT": object(), "_new": object.__new__, "_write": setattr,
        "_fields": {field.name: field for field in dataclasses.fields(cls)}, "_become": object.__setattr__,
        **{f"_usual_{field.name}": _default(field) for field in dataclasses.fields(cls)},
    }  # fmt: skip
    exec(compile(source, f"<made for {cls.__qualname__}>", "exec"), around)
    return around["made"]


def _twin(cls: type[Any]) -> type[Any]:
    """A class of the same layout whose objects can be written. Raises `TypeError` where there is none."""
    if cls not in _TWINS:
        open_to_all = {"__slots__": cls.__dict__["__slots__"], "__setattr__": object.__setattr__}
        twin: Any = type(cls.__name__, cls.__bases__, open_to_all)
        object.__new__(twin).__class__ = cls
        _TWINS[cls] = twin
    return _TWINS[cls]


_TWINS: dict[type[Any], type[Any]] = {}
_TELLERS: dict[type[Any], Callable[[Any], dict[str, Any]]] = {}
_COPIES: dict[type[Any], Callable[[Any, dict[str, Any]], Any]] = {}


def _copier(cls: type[Any]) -> Callable[[Any, dict[str, Any]], Any]:
    return _COPIES.setdefault(cls, _compiled(cls, _copying(dataclasses.fields(cls))))


if TYPE_CHECKING:
    from dataclasses import replace as replace
else:

    def replace(value: T, **changes: Any) -> T:
        """`dataclasses.replace` for slotted dataclasses whose making has no part in their meaning.

        `__init__` and `__post_init__` are not called: what they would check was true of `value` already,
        or is the business of whoever changes it. An unknown field is an `AttributeError`.
        """
        cls = type(value)
        return (_COPIES.get(cls) or _copier(cls))(value, changes)


@lru_cache(maxsize=1024)
def shared(value: T) -> T:
    """The first value that was equal to this one, so that ten thousand rows with one policy hold it once."""
    return value
