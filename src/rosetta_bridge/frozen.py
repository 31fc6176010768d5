"""Frozen values that are quick to make.

A frozen dataclass sets each member through `object.__setattr__`, one call apiece; for a payload of twelve
members that takes longer than all the checks of a request. Here an object is made as a twin of the same
layout, its members are set by plain assignment, and then it becomes what it is. It is the frozen value in
every respect: equality, hash, pickling, refusal to be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


_TWINS: dict[type[Any], type[Any]] = {}  # one for each of our few frozen classes


def making(kind: type[Any], members: Mapping[str, str], scope: dict[str, Any]) -> list[str]:
    """Lines of Python that return a `kind` whose members have the values of these expressions.

    They read names that this puts into `scope`. All the class's `__slots__` have to be there, and nothing
    else: a `TypeError`.
    """
    slots = kind.__dict__.get("__slots__", ())
    if sorted(slots) != sorted(members):
        raise TypeError(f"{kind.__name__} has the members {', '.join(slots)}")
    twin = _TWINS.setdefault(kind, type(kind.__name__, (), {"__slots__": slots}))
    scope |= {"_new": object.__new__, "_twin": twin, "_kind": kind}
    return [
        "_made = _new(_twin)",
        *(f"_made.{name} = {expression}" for name, expression in members.items()),
        "_made.__class__ = _kind",
        "return _made",
    ]


def maker(kind: type[T], names: tuple[str, ...]) -> Callable[..., T]:
    """A function of all members, in the order of `names` and without defaults, that makes a `kind`."""
    scope: dict[str, Any] = {}
    lines = "".join(f"    {line}\n" for line in making(kind, dict(zip(names, names, strict=True)), scope))
    exec(f"def make({', '.join(names)}):\n{lines}", scope)  # the names of our own classes
    made: Callable[..., T] = scope["make"]
    return made
